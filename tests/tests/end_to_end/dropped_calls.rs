//! Calls that are dropped at once: the cancellation may overtake the call on its way to the session, or meet it in the
//! mailbox, in the guest or at the server. Whichever it is, the server sees the call once at most and nothing of it stays.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use innkeeper::{Lease, Limits, Runtime, Server, transport::Framing};
use innkeeper_tests::{
    faulty::{faulty, tenant},
    in_process::{self, limits_for_paused_clock},
};
use tokio::sync::mpsc::{self, UnboundedReceiver};

/// Small, so that a place which is not given back is missed.
const IN_FLIGHT: usize = 4;
const MAILBOX: usize = 64;

/// What the last call says to the server, after all others.
const LAST: &str = "\"last\"";

/// A session with a server that answers nothing, and what the server reads.
async fn session(mut limits: Limits) -> (Lease, UnboundedReceiver<String>) {
    limits.calls_in_flight = IN_FLIGHT;
    limits.mailbox = MAILBOX;
    let (read, received) = mpsc::unbounded_channel();
    let server = Server::connector(in_process::server(Framing::Lines, move |mut pipes| {
        let read = read.clone();
        async move {
            while let Some(line) = pipes.line().await {
                let _ = read.send(line);
            }
        }
    }));
    let runtime = Runtime::builder().limits(limits).start().await.unwrap();
    let tenant = tenant(&runtime, "acme", &faulty(&runtime).await, server).await;
    (tenant.lease("alice", "quiet").await.unwrap(), received)
}

/// Makes calls and drops each after a pause, most of them before the next, some while others wait for room in the session.
async fn drop_calls(lease: &Lease, calls: usize, pause: impl AsyncFn(usize)) {
    let mut kept = Vec::new();
    for number in 0..calls {
        let call = lease.call("send").params(&number).start();
        pause(number).await;
        if number % 3 == 0 {
            kept.push(call);
        }
        if kept.len() > 2 * IN_FLIGHT {
            kept.clear();
        }
        // Now and then the session takes what waits in its mailbox, so that there is room for the next calls.
        if number % (MAILBOX / 2) == 0 {
            kept.clear();
            lease.call("echo").start().await.unwrap();
        }
    }
    kept.clear();
    lease.call("echo").start().await.unwrap();
}

/// Checks that every place is free again, and returns how many of the calls the server has seen: each once.
async fn seen(lease: &Lease, received: &mut UnboundedReceiver<String>) -> usize {
    // As many as the mailbox has places.
    for outcome in join_all((0..MAILBOX).map(|_| lease.call("echo").params(&1).start())).await {
        assert_eq!(outcome.unwrap(), "1");
    }
    let last = lease.call("send").params(&"last").start();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    loop {
        match received.recv().await.unwrap() {
            line if line == LAST => break,
            line => *times.entry(line).or_default() += 1,
        }
    }
    drop(last);
    assert!(times.values().all(|times| *times == 1), "{times:?}");
    times.len()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_after_any_number_of_steps_is_seen_once_at_most_and_leaves_nothing() {
    const CALLS: usize = 500;
    let (lease, mut received) = session(limits_for_paused_clock()).await;

    let steps = async |number: usize| {
        for _ in 0..number % 10 {
            tokio::task::yield_now().await;
        }
    };
    drop_calls(&lease, CALLS, steps).await;

    let seen_by_server = seen(&lease, &mut received).await;
    // Both were there: calls that were overtaken, and calls that were under way.
    assert!((1..CALLS).contains(&seen_by_server), "{seen_by_server}");
    // A call that the guest still owed an end would be its fault by now.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(lease.call("echo").params(&2).start().await.unwrap(), "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_dropped_on_another_thread_than_the_sessions_is_seen_once_at_most_and_leaves_nothing() {
    const CALLS: usize = 20_000;
    let (lease, mut received) = session(Limits::default()).await;

    // The session runs on the other thread meanwhile.
    let moments = async |number: usize| (0..number % 200).for_each(|_| std::hint::spin_loop());
    drop_calls(&lease, CALLS, moments).await;

    assert!(seen(&lease, &mut received).await <= CALLS);
}
