//! What happens at a bound of the session or tenant, and that a bound may be larger than any number that is met.

use std::time::Duration;

use innkeeper::{MayHaveRun, Runtime};
use innkeeper_tests::in_process::limits_for_paused_clock;
use tokio::time::Instant;

use super::{obedient, open, scripted, tenant_of};

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_mailbox_are_busy_and_nothing_of_them_is_sent() {
    let mut limits = limits_for_paused_clock();
    limits.calls_in_flight = 2;
    limits.mailbox = 3;
    let (connector, mut servers) = scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;

    let mut calls: Vec<_> = (0..2).map(|_| lease.call("ponder").start()).collect();
    for _ in 0..2 {
        server.message().await.unwrap();
    }
    calls.extend((0..3).map(|_| lease.call("wait").start()));
    let busy = lease.call("too many").start().await.unwrap_err();
    calls.truncate(1);
    let cancelled = server.message().await.unwrap();
    let next = lease.call("after").start();

    assert_eq!((busy.code(), busy.may_have_run()), ("busy", MayHaveRun::No));
    assert!(busy.retry_after().is_some());
    assert_eq!(cancelled["method"], "notifications/cancelled");
    assert_eq!(server.message().await.unwrap()["method"], "after");
    drop(next);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_has_no_more_sessions_than_its_limit() {
    let mut limits = limits_for_paused_clock();
    limits.sessions_per_tenant = 2;
    let (runtime, tenant, _) = obedient(Runtime::builder().limits(limits)).await;
    let leases = [tenant.lease("alice", "scripted").await.unwrap(), tenant.lease("bob", "scripted").await.unwrap()];

    let error = tenant.lease("carol", "scripted").await.unwrap_err();
    tenant.lease("alice", "scripted").await.unwrap();

    assert_eq!((error.code(), error.retry_after().is_some()), ("at_capacity", true));
    assert_eq!(
        error.to_string(),
        "tenant `acme` has 2 sessions, which is its limit; close some, or raise `Limits::sessions_per_tenant`"
    );
    drop(leases);
    runtime.drain(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_room_has_its_deadline_all_the_same() {
    let mut limits = limits_for_paused_clock();
    limits.calls_in_flight = 1;
    let (connector, mut servers) = scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;
    let began = Instant::now();

    let _first = lease.call("ponder").start();
    server.message().await.unwrap();
    let error = lease.call("wait").deadline(Duration::from_secs(2)).start().await.unwrap_err();

    assert_eq!((error.code(), error.may_have_run()), ("timeout", MayHaveRun::No));
    assert_eq!(began.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_or_limit_for_ever_is_a_long_one() {
    let mut limits = limits_for_paused_clock();
    for limit in [&mut limits.idle, &mut limits.call, &mut limits.open, &mut limits.close_input] {
        *limit = Duration::MAX;
    }
    limits.mailbox = usize::MAX;
    limits.event_backlog = usize::MAX;
    let (runtime, tenant, _) = obedient(Runtime::builder().limits(limits)).await;
    let lease = tenant.lease("alice", "scripted").await.unwrap();

    let result = lease.call("for ever").deadline(Duration::MAX).start().await.unwrap();
    drop(lease);
    let report = runtime.drain(Duration::MAX).await;

    assert_eq!(&result[..], b"\"for ever\"");
    assert!(report.closed.iter().all(|session| session.gone));
}
