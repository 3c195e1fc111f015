//! What one tenant's guests do to the others: nothing. A program of its own, because it counts what the whole process holds.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use innkeeper::{Limits, Runtime, Tenant};
use innkeeper_tests::faulty::{FAULTS, faulty, quiet, tenant};
use tokio::task::JoinSet;

const TENANTS: usize = 10;
const USERS: usize = 10;

/// What this process holds of the system.
#[derive(Debug)]
struct Held {
    files: usize,
    threads: usize,
    children: usize,
    /// Memory mappings (proc_pid_maps(5)). Each guest has several; an allocator that keeps memory has few.
    mappings: usize,
}

impl Held {
    fn now() -> Self {
        let count = |path| fs::read_dir(path).unwrap().count();
        let mappings = fs::read_to_string("/proc/self/maps").unwrap().lines().count();
        let children = fs::read_dir("/proc/self/task").unwrap().map(|task| {
            let children = task.unwrap().path().join("children");
            fs::read_to_string(children).unwrap_or_default().split_whitespace().count()
        });
        Self { files: count("/proc/self/fd"), threads: count("/proc/self/task"), children: children.sum(), mappings }
    }
}

/// Every fault once, each of a guest of its own.
async fn fail_in_every_way(tenant: &Tenant) {
    for (method, _) in FAULTS {
        let lease = tenant.lease("mallory", "quiet").await.unwrap();
        let _ = lease.call(method).params(&"p").start().await;
    }
}

/// Every tenant and user opens a session and makes calls, none of which fails.
async fn serve(tenants: &[Tenant], calls: usize) {
    let mut users = JoinSet::new();
    for tenant in tenants {
        for user in 0..USERS {
            let tenant = tenant.clone();
            users.spawn(async move {
                let lease = tenant.lease(format!("user-{user}"), "quiet").await.unwrap();
                for number in 0..calls {
                    assert_eq!(lease.call("echo").params(&number).start().await.unwrap(), number.to_string());
                    tokio::task::yield_now().await;
                }
            });
        }
    }
    users.join_all().await;
}

async fn close(tenant: &Tenant) {
    let report = tenant.close(Duration::from_secs(5)).await;
    assert!(report.closed.iter().all(|session| session.gone), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_guests_of_one_tenant_cost_no_call_of_another_and_leave_nothing_behind() {
    // Guests that fail without end and without a pause are worse than those that are kept from it.
    let mut limits = Limits::default();
    (limits.breaker_failures, limits.reconnect_delay) = (u32::MAX, Duration::ZERO);
    let runtime = Runtime::builder().limits(limits).start().await.unwrap();
    let guest = faulty(&runtime).await;
    let mut tenants = Vec::new();
    for number in 0..TENANTS {
        tenants.push(tenant(&runtime, &format!("tenant-{number}"), &guest, quiet()).await);
    }
    let villain = tenant(&runtime, "villain", &guest, quiet()).await;
    // Once through everything, so that threads and buffers that stay are there before the count.
    fail_in_every_way(&villain).await;
    serve(&tenants, 10).await;
    for tenant in tenants.iter().chain([&villain]) {
        close(tenant).await;
    }
    let before = Held::now();

    let done = Arc::new(AtomicBool::new(false));
    let failing = tokio::spawn({
        let (done, villain) = (done.clone(), villain.clone());
        async move {
            let mut rounds = 0;
            while !done.load(Relaxed) {
                fail_in_every_way(&villain).await;
                rounds += 1;
            }
            rounds
        }
    });
    serve(&tenants, 200).await;
    done.store(true, Relaxed);
    let rounds: u32 = failing.await.unwrap();
    for tenant in tenants.iter().chain([&villain]) {
        close(tenant).await;
    }

    let after = Held::now();
    assert!(rounds >= 1 && runtime.status().sessions.is_empty());
    assert!(after.files <= before.files, "before {before:?}, after {after:?}");
    assert!(after.threads <= before.threads, "before {before:?}, after {after:?}");
    assert_eq!(after.children, 0);
    // A hundred guests that were not dropped would have several hundred.
    assert!(after.mappings < before.mappings + 50, "before {before:?}, after {after:?}");
}
