//! The end of a session on purpose: what its calls and the server see of a drain, a close, and the last handle dropped.

use std::time::Duration;

use innkeeper::{MayHaveRun, Runtime};
use innkeeper_tests::in_process::limits_for_paused_clock;

use super::{obedient, open, scripted, tenant_of};

#[tokio::test(start_paused = true)]
async fn a_drain_settles_every_call_and_takes_no_more_leases() {
    let (connector, mut servers) = scripted();
    let (runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;
    let sent = lease.call("sent").start();
    server.message().await.unwrap();

    let report = runtime.drain(Duration::from_secs(1)).await;
    let again = runtime.drain(Duration::from_secs(1)).await;

    let error = sent.await.unwrap_err();
    assert_eq!((error.code(), error.may_have_run()), ("closing", MayHaveRun::Unknown));
    assert_eq!((report.closed.len(), again.closed.len()), (1, 0));
    assert!(report.closed[0].in_time && report.closed[0].gone);
    assert_eq!(lease.call("late").start().await.unwrap_err().code(), "closing");
    assert_eq!(tenant.lease("alice", "scripted").await.unwrap_err().code(), "closing");
}

#[tokio::test(start_paused = true)]
async fn dropping_everything_closes_the_session() {
    let (connector, mut servers) = scripted();
    let (runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;

    drop((lease, tenant, runtime));

    assert_eq!(server.message().await, None);
}

#[tokio::test(start_paused = true)]
async fn closing_one_session_ends_its_leases_and_leaves_the_others() {
    let (runtime, tenant, _) = obedient(Runtime::builder().limits(limits_for_paused_clock())).await;
    let (alice, bob) =
        (tenant.lease("alice", "scripted").await.unwrap(), tenant.lease("bob", "scripted").await.unwrap());
    let closed = alice.session().id;

    let report = tenant.close_session(closed, Duration::from_secs(1)).await;
    let again = tenant.close_session(closed, Duration::from_secs(1)).await;
    let of_another =
        runtime.tenant("other").apply().await.unwrap().close_session(bob.session().id, Duration::ZERO).await;

    assert_eq!(report.closed.iter().map(|closed| closed.session.id).collect::<Vec<_>>(), [closed]);
    assert!(report.closed[0].gone && again.closed.is_empty() && of_another.closed.is_empty());
    assert_eq!(alice.call("late").start().await.unwrap_err().code(), "closing");
    assert_eq!(&bob.call("still here").start().await.unwrap()[..], b"\"still here\"");
    assert_ne!(tenant.lease("alice", "scripted").await.unwrap().session().id, closed);
}

#[tokio::test(start_paused = true)]
async fn closing_a_tenant_leaves_the_others() {
    let (runtime, acme, _) = obedient(Runtime::builder().limits(limits_for_paused_clock())).await;
    let catalog = acme.catalog();
    let other = runtime.tenant("other").catalog(catalog).apply().await.unwrap();
    let lease = other.lease("alice", "scripted").await.unwrap();
    acme.lease("alice", "scripted").await.unwrap();

    let report = acme.close(Duration::from_secs(1)).await;

    assert_eq!(report.closed.len(), 1);
    assert_eq!(&lease.call("still here").start().await.unwrap()[..], b"\"still here\"");
}
