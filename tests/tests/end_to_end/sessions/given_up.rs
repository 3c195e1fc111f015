//! Leases whose holders do not go the usual way: given up at any step, by a panic, by a guest that fails, by a reaper at the
//! same moment. Each is given back, once.

use std::{
    future::poll_fn,
    panic::resume_unwind,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use innkeeper::{Limits, Runtime, Scope, Server};
use innkeeper_tests::{
    faulty::{self, faulty},
    in_process::limits_for_paused_clock,
};
use tokio::{sync::oneshot, task::JoinSet, time::sleep};

use super::{House, Manner, mannered, obedient, open, scripted, tenant_of};

/// Gives a future up when every other task has had so many turns. None: it was given up.
async fn within<T: Send + 'static>(turns: usize, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let mut left = turns;
    // In a task, which waits for its turn behind all others. `yield_now` would let them run until none of them can.
    let working = tokio::spawn(async move {
        let mut work = pin!(work);
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => {
                left -= 1;
                context.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await
    });
    working.await.unwrap()
}

/// More turns than anything here takes.
const MOST_TURNS: usize = 500;

/// Gives something up after each number of turns, until it is done. Returns how often it was given up.
async fn at_every_step<T>(mut work: impl AsyncFnMut(usize) -> Option<T>) -> usize {
    for turns in 0..MOST_TURNS {
        if work(turns).await.is_some() {
            return turns;
        }
    }
    panic!("it was not done after {MOST_TURNS} turns");
}

/// Turns that opening takes at least: the session runs, and then the server.
const FEWEST_STEPS: usize = 2;

/// Nobody holds anything, and what is idle goes in its time.
async fn nothing_is_held(runtime: &Runtime, of: &str) {
    let status = runtime.status();
    assert_eq!(status.leases, 0, "{of}: {status:?}");
    sleep(runtime.limits().idle + Duration::from_secs(60)).await;
    let status = runtime.status();
    assert!(status.sessions.is_empty(), "{of}: {status:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_given_up_at_any_step_is_given_back() {
    let house = House::with(limits_for_paused_clock()).await;

    for manner in [Manner::Obeys, Manner::Ends] {
        for scope in [Scope::User, Scope::Tenant, Scope::Exclusive] {
            let of = format!("{manner:?}, {scope:?}");
            let mut tenants = Vec::new();
            let steps = at_every_step(async |turns| {
                // A session of its own for each, which has got nowhere yet.
                let server = Server::connector(mannered(move |_| manner)).scope(scope);
                let tenant = house.tenant(&format!("{of}, {turns}"), server).await;
                tenants.push(tenant.clone());
                let outcome = within(turns, async move { tenant.lease("alice", "scripted").await.is_ok() }).await;
                assert_eq!(house.runtime.status().leases, 0, "{of}, {turns}");
                outcome.inspect(|is_open| assert_eq!(*is_open, manner == Manner::Obeys, "{of}"))
            })
            .await;

            let fewest = if manner == Manner::Obeys { FEWEST_STEPS } else { 1 };
            assert!(steps >= fewest, "{of}: it was given up {steps} times");
            nothing_is_held(&house.runtime, &of).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_waits_for_a_place_and_is_given_up_at_any_step_is_given_back() {
    let mut limits = limits_for_paused_clock();
    limits.sessions_per_tenant = 1;
    let house = House::with(limits).await;
    let tenant = house.tenant("acme", Server::connector(mannered(|_| Manner::Obeys))).await;
    drop(tenant.lease("somebody", "scripted").await.unwrap());

    let steps = at_every_step(async |turns| {
        // Each waits for the end of the session before it.
        let tenant = tenant.clone();
        let lease = async move { tenant.lease(turns.to_string(), "scripted").await.map(drop) };
        let outcome = within(turns, lease).await;
        assert_eq!(house.runtime.status().leases, 0, "{turns}");
        outcome.map(Result::unwrap)
    })
    .await;

    assert!(steps >= FEWEST_STEPS, "it was given up {steps} times");
    nothing_is_held(&house.runtime, "waiting for a place").await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_or_a_call_that_is_given_up_at_any_step_holds_nothing() {
    let house = House::with(limits_for_paused_clock()).await;
    for (restarts, of, fewest) in [(true, "restart", FEWEST_STEPS), (false, "call", 2)] {
        let tenant = house.tenant(of, Server::connector(mannered(|_| Manner::Obeys))).await;
        let lease = Arc::new(tenant.lease("alice", "scripted").await.unwrap());

        let steps = at_every_step(async |turns| {
            let held = lease.clone();
            let work = async move {
                if restarts { held.restart().await.map(drop) } else { held.call("hello").start().await.map(drop) }
            };
            let outcome = within(turns, work).await;
            // A restart that was given up goes on; the next is to begin at its beginning.
            lease.ready().await.unwrap();
            assert_eq!(house.runtime.status().leases, 1, "{of}, {turns}");
            outcome.map(Result::unwrap)
        })
        .await;

        assert!(steps >= fewest, "{of}: it was given up {steps} times");
        drop(lease);
        nothing_is_held(&house.runtime, of).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_panics_gives_back_what_it_held_and_its_call_is_cancelled() {
    let (connector, mut servers) = scripted();
    let (runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;

    let (fail, failing) = oneshot::channel::<()>();
    let holder = tokio::spawn(async move {
        let _call = lease.call("ponder").start();
        let _ = failing.await;
        // The message of a panic would be in the output of the test.
        resume_unwind(Box::new("the holder fails"));
    });
    let request = server.message().await.unwrap();
    let held = runtime.status().leases;
    fail.send(()).unwrap();

    assert!(holder.await.unwrap_err().is_panic());
    assert_eq!((held, runtime.status().leases), (1, 0));
    let cancelled = server.message().await.unwrap();
    assert_eq!(cancelled["method"], "notifications/cancelled");
    assert_eq!(cancelled["params"]["requestId"], request["id"]);
    nothing_is_held(&runtime, "a panic").await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_of_a_session_whose_guest_fails_is_given_back_like_any_other() {
    let runtime = Runtime::builder().limits(limits_for_paused_clock()).start().await.unwrap();
    let tenant = faulty::tenant(&runtime, "acme", &faulty(&runtime).await, faulty::quiet()).await;
    let lease = tenant.lease("alice", "quiet").await.unwrap();

    let error = lease.call("trap").start().await.unwrap_err();
    let held = runtime.status().leases;
    drop(lease);

    assert_eq!((error.code(), held), ("guest_fault", 1));
    nothing_is_held(&runtime, "a trap").await;
}

/// Leases and calls of many users, each given up at a moment of its own, on two threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_that_are_given_up_at_random_on_other_threads_are_all_given_back() {
    const HOLDERS: usize = 3_000;
    let seed = fastrand::u64(..);
    let mut dice = fastrand::Rng::with_seed(seed);
    let (runtime, tenant, _) = obedient(Runtime::builder()).await;

    let mut holders = JoinSet::new();
    for _ in 0..HOLDERS {
        let (tenant, user) = (tenant.clone(), dice.u8(..40).to_string());
        holders.spawn(async move {
            if let Ok(lease) = tenant.lease(user, "scripted").await {
                let _ = lease.call("one").start().await;
                let _ = lease.call("two").start().await;
            }
        });
        match dice.u8(..4) {
            0 => holders.abort_all(),
            1 => tokio::task::yield_now().await,
            2 => (0..dice.u32(..20_000)).for_each(|_| std::hint::spin_loop()),
            _ => {}
        }
        while holders.try_join_next().is_some() {}
    }
    while holders.join_next().await.is_some() {}

    let status = runtime.status();
    assert_eq!(status.leases, 0, "seed {seed}: {status:?}");
    let report = runtime.reap(Duration::ZERO).await;
    assert!(runtime.status().sessions.is_empty(), "seed {seed}: {report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_for_a_reaper_that_never_rests() {
    const USERS: usize = 50;
    const CALLS: usize = 200;
    let mut limits = Limits::default();
    limits.idle = Duration::ZERO;
    let (runtime, tenant, connections) = obedient(Runtime::builder().limits(limits)).await;
    let done = Arc::new(AtomicBool::new(false));
    let reaping = tokio::spawn({
        let (runtime, done) = (runtime.clone(), done.clone());
        async move {
            while !done.load(SeqCst) {
                // It takes all that is idle right now, and waits for the end of none.
                let mut reap = pin!(runtime.reap(Duration::ZERO));
                let _ = poll_fn(|context| Poll::Ready(reap.as_mut().poll(context))).await;
                tokio::task::yield_now().await;
            }
        }
    });

    let mut users = JoinSet::new();
    for user in 0..USERS {
        let tenant = tenant.clone();
        users.spawn(async move {
            let mut failures = Vec::new();
            for _ in 0..CALLS {
                // A lease for each call, so that its session is idle between any two.
                let outcome = match tenant.lease(user.to_string(), "scripted").await {
                    Ok(lease) => lease.call("hello").start().await.map(drop),
                    Err(error) => Err(error),
                };
                failures.extend(outcome.err());
                tokio::task::yield_now().await;
            }
            failures
        });
    }
    let failures = users.join_all().await.concat();
    done.store(true, SeqCst);
    reaping.await.unwrap();

    assert!(failures.is_empty(), "{} of {}: {}", failures.len(), USERS * CALLS, failures[0]);
    // It was there all the time.
    let connections = connections.load(SeqCst);
    assert!(connections > USERS * CALLS / 10, "{connections} connections");
    assert_eq!(runtime.status().leases, 0);
}
