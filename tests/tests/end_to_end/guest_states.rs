//! What a guest may say when: that it is ready, that it wants another process, and which ids it gives to requests of the
//! server. What it must not say at all is in `faulty_guests`.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use innkeeper::{
    Answer, Error, Lease, Runtime, Server, ServerRequest, ServerRequestHandler,
    transport::{BoxFuture, Framing},
};
use innkeeper_tests::{
    faulty::{faulty, quiet, tenant},
    in_process::{self, limits_for_paused_clock},
};
use serde_json::json;
use tokio::sync::mpsc;

fn assert_fault<T: std::fmt::Debug>(outcome: Result<T, Error>, said: &str) {
    let error = outcome.unwrap_err();
    assert!(matches!(&error, Error::GuestFault { detail, .. } if detail.contains(said)), "{error}");
}

// ---------------------------------------------------------------------------------------------------- processes

#[tokio::test(start_paused = true)]
async fn a_fresh_process_leaves_calls_open_and_the_guest_is_ready_again_at_most_twice() {
    let (gone, mut connections_gone) = mpsc::unbounded_channel();
    let server = Server::connector(in_process::server(Framing::Lines, move |mut pipes| {
        let gone = gone.clone();
        async move {
            pipes.drain().await;
            let _ = gone.send(());
        }
    }));
    let runtime = Runtime::builder().limits(limits_for_paused_clock()).start().await.unwrap();
    let tenant = tenant(&runtime, "acme", &faulty(&runtime).await, server).await;
    let lease = tenant.lease("alice", "quiet").await.unwrap();
    let held = lease.call("hold").start();

    for incarnation in [2, 3] {
        assert_eq!(lease.call("fresh-process").start().await.unwrap(), "null");
        connections_gone.recv().await.unwrap();
        assert_eq!(tenant.lease("alice", "quiet").await.unwrap().info().incarnation, incarnation);
    }
    let once_more = lease.call("fresh-process").start().await;

    assert_fault(once_more, "fresh processes");
    assert_fault(held.await, "fresh processes");
}

// ---------------------------------------------------------------------------------------------------- requests of the server

/// Answers the first requests with their number, and later ones never.
struct Counting {
    answers: u32,
    asked: AtomicU32,
}

impl ServerRequestHandler for Counting {
    fn handle(&self, _: ServerRequest) -> BoxFuture<'static, Answer> {
        match self.asked.fetch_add(1, SeqCst) + 1 {
            number if number <= self.answers => Box::pin(async move { Answer::Result(json!(number)) }),
            _ => Box::pin(std::future::pending()),
        }
    }
}

/// A session whose platform answers so many requests; the runtime lives on in it.
async fn answering(answers: u32) -> Lease {
    let handler = Counting { answers, asked: AtomicU32::new(0) };
    let runtime = Runtime::builder().limits(limits_for_paused_clock()).server_requests(handler).start().await.unwrap();
    let tenant = tenant(&runtime, "acme", &faulty(&runtime).await, quiet()).await;
    tenant.lease("alice", "quiet").await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn requests_with_ids_of_their_own_are_answered_each() {
    let lease = answering(2).await;

    assert_eq!(lease.call("ask:1").start().await.unwrap(), "1");
    assert_eq!(lease.call("ask:7").start().await.unwrap(), "2");
}

#[tokio::test(start_paused = true)]
async fn the_id_of_a_request_that_is_open_cannot_be_given_again() {
    let lease = answering(0).await;
    let first = lease.call("ask:1").start();

    let second = lease.call("ask:1").start().await;

    assert_fault(second, "the id 1 of a request of the server again");
    assert_fault(first.await, "the id 1 of a request of the server again");
}

#[tokio::test(start_paused = true)]
async fn the_id_of_a_request_that_was_answered_cannot_be_given_again() {
    let lease = answering(2).await;

    let first = lease.call("ask:1").start().await.unwrap();
    let second = lease.call("ask:1").start().await;

    assert_eq!(first, "1");
    assert_fault(second, "the id 1 of a request of the server again");
}

#[tokio::test(start_paused = true)]
async fn the_id_of_a_request_that_was_withdrawn_cannot_be_given_again() {
    let lease = answering(0).await;
    let first = lease.call("ask:1").start();

    lease.call("withdraw:1").start().await.unwrap();
    let second = lease.call("ask:1").start().await;

    assert_eq!(first.await.unwrap_err().code(), "cancelled");
    assert_fault(second, "the id 1 of a request of the server again");
}

#[tokio::test(start_paused = true)]
async fn withdrawing_what_was_answered_meanwhile_is_no_fault() {
    let lease = answering(2).await;

    lease.call("ask:1").start().await.unwrap();
    lease.call("withdraw:1").start().await.unwrap();

    assert_eq!(lease.call("ask:2").start().await.unwrap(), "2");
}
