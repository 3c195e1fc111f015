//! Tenants of one runtime: what one of them does takes no turn away from another.

use std::time::Duration;

use innkeeper::{Lease, Limits, Runtime, Tenant};
use innkeeper_tests::faulty::{faulty, quiet, tenant};
use tokio::sync::mpsc;

/// Bursts that wait at a time.
const SLOW: usize = 200;

/// Far longer than any burst waits here: it is the order that is looked at.
const WALL: Duration = Duration::from_secs(600);

/// Has a guest of the tenant use up its budget, so that sessions that are opened now begin their bursts where slow ones run.
async fn misbehave(tenant: &Tenant) {
    let lease = tenant.lease("mallory", "quiet").await.unwrap();
    let error = lease.call("spin").start().await.unwrap_err();
    assert_eq!(error.code(), "guest_fault", "{error}");
}

/// A call of some milliseconds of CPU time. Says whose it was when it is over.
fn compute(lease: Lease, who: &'static str, done: mpsc::UnboundedSender<&'static str>) {
    let call = lease.call("slow:10").start();
    tokio::spawn(async move {
        call.await.unwrap();
        drop(lease);
        let _ = done.send(who);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_with_two_hundred_slow_bursts_does_not_keep_that_of_another_waiting() {
    let mut limits = Limits::default();
    limits.sessions_per_tenant = SLOW;
    limits.guest_wall = WALL;
    limits.call = WALL;
    let runtime = Runtime::builder().limits(limits).start().await.unwrap();
    let guest = faulty(&runtime).await;
    let crowd = tenant(&runtime, "crowd", &guest, quiet()).await;
    let other = tenant(&runtime, "other", &guest, quiet()).await;
    misbehave(&crowd).await;
    misbehave(&other).await;
    let mut leases = Vec::new();
    for number in 0..SLOW {
        leases.push(crowd.lease(format!("user-{number}"), "quiet").await.unwrap());
    }
    let lease = other.lease("alice", "quiet").await.unwrap();
    let (done, mut order) = mpsc::unbounded_channel();

    leases.into_iter().for_each(|lease| compute(lease, "crowd", done.clone()));
    compute(lease, "other", done);

    let mut before = 0;
    while order.recv().await.unwrap() == "crowd" {
        before += 1;
    }
    // Nearly none is before it, and all of them would be if bursts went in the order in which they came.
    assert!(before < SLOW / 2, "{before} bursts of the crowd were before it");
}
