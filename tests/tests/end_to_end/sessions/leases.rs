//! Leases: whose session it is, how often it is opened, and that it lives while it is held and not much longer.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use innkeeper::{Event, Runtime, SessionState};
use innkeeper_tests::in_process::limits_for_paused_clock;
use serde_json::json;
use tokio::time::Instant;

use super::{obedient, open, scripted, tenant_of};

#[tokio::test(start_paused = true)]
async fn a_call_under_way_holds_its_session_like_a_lease() {
    let (connector, mut servers) = scripted();
    let (runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;

    let call = lease.call("ponder").deadline(Duration::from_secs(7200)).start();
    drop(lease);
    let request = server.message().await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    server.answer(&request, json!("at last")).await;

    assert_eq!(&call.await.unwrap()[..], b"\"at last\"");
    assert_eq!(runtime.status().sessions.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_is_made_anew_does_not_get_the_sessions_of_the_old() {
    let (runtime, old, connections) = obedient(Runtime::builder().limits(limits_for_paused_clock())).await;
    let catalog = old.catalog();
    let first = old.lease("alice", "scripted").await.unwrap().session().id;

    drop(old);
    let new = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();
    let second = new.lease("alice", "scripted").await.unwrap().session().id;

    assert_ne!(first, second);
    assert_eq!(connections.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn however_many_wait_for_a_session_it_is_opened_once() {
    let (_runtime, tenant, connections) = obedient(Runtime::builder().limits(limits_for_paused_clock())).await;

    let leases = futures_util::future::join_all((0..20).map(|_| tenant.lease("alice", "scripted"))).await;

    let ids: Vec<_> = leases.into_iter().map(|lease| lease.unwrap().session().id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(connections.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn two_users_never_share_a_session() {
    let (_runtime, tenant, connections) = obedient(Runtime::builder().limits(limits_for_paused_clock())).await;

    let alice = tenant.lease("alice", "scripted").await.unwrap();
    let bob = tenant.lease("bob", "scripted").await.unwrap();

    assert_ne!(alice.session().id, bob.session().id);
    assert_eq!(connections.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_leased_session_is_never_reaped_and_an_idle_one_is_without_any_traffic() {
    let (runtime, tenant, connections) = obedient(Runtime::builder().limits(limits_for_paused_clock())).await;
    let lease = tenant.lease("alice", "scripted").await.unwrap();

    tokio::time::sleep(Duration::from_secs(3600)).await;
    let leased = runtime.status();
    drop(lease);
    tokio::time::sleep(Duration::from_secs(14 * 60)).await;
    let idle = runtime.status();
    tokio::time::sleep(Duration::from_secs(70)).await;
    let reaped = runtime.status();

    assert_eq!((leased.sessions.len(), leased.sessions[0].leases), (1, 1));
    assert_eq!((idle.sessions.len(), idle.sessions[0].leases), (1, 0));
    assert!(reaped.sessions.is_empty(), "{reaped:?}");
    assert_eq!(connections.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn each_use_of_a_session_starts_its_idle_time_anew() {
    let (runtime, tenant, connections) = obedient(Runtime::builder().limits(limits_for_paused_clock())).await;

    for _ in 0..20 {
        drop(tenant.lease("alice", "scripted").await.unwrap());
        tokio::time::sleep(Duration::from_secs(14 * 60)).await;
    }
    let used = runtime.status().sessions.len();
    tokio::time::sleep(Duration::from_secs(2 * 60)).await;

    assert_eq!((used, connections.load(SeqCst)), (1, 1));
    assert!(runtime.status().sessions.is_empty());
}

#[test]
fn a_lease_may_be_dropped_outside_of_a_runtime_and_after_its_end() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (runtime, lease, call) = tokio.block_on(async {
        let (runtime, tenant, _) = obedient(Runtime::builder().limits(limits_for_paused_clock())).await;
        let lease = tenant.lease("alice", "scripted").await.unwrap();
        let call = lease.call("ponder").start();
        (runtime, lease, call)
    });

    drop(tokio);
    drop(call);
    drop(lease);

    assert!(runtime.status().sessions.iter().all(|session| session.leases == 0));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_session_can_be_given_up_and_leaves_it_idle() {
    let (connector, mut servers) = scripted();
    let (runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;

    let waiting = tokio::time::timeout(Duration::from_secs(1), tenant.lease("alice", "scripted")).await;

    assert!(waiting.is_err());
    let status = runtime.status();
    assert_eq!((status.sessions[0].state, status.sessions[0].leases), (SessionState::Opening, 0));
    drop(servers.recv().await);
}

#[tokio::test(start_paused = true)]
async fn a_watch_sees_the_end_of_a_session_and_keeps_nothing_alive() {
    let (runtime, tenant, _) = obedient(Runtime::builder().limits(limits_for_paused_clock())).await;
    let lease = tenant.lease("alice", "scripted").await.unwrap();
    let watch = lease.watch();
    let began = Instant::now();

    drop(lease);
    let still_open = watch.check();
    let reason = watch.closing().await;

    assert!(still_open.is_ok());
    assert_eq!((reason.code(), began.elapsed().as_secs() / 60), ("closing", 15));
    assert_eq!(watch.closed().await.code(), "closing");
    assert_eq!(watch.check().unwrap_err().code(), "closing");
    assert!(runtime.status().sessions.is_empty());
    drop((tenant, runtime));
    assert_eq!(watch.closed().await.code(), "closing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_a_session_has_opened_is_announced_before_it_is_leased() {
    let (runtime, tenant, _) = obedient(Runtime::builder()).await;

    // Often, because the other order is seen only where both threads run at the same moment.
    for user in 0..200 {
        let lease = tenant.lease((user % 50).to_string(), "scripted").await.unwrap();
        let mut events = runtime.events();
        tenant.close(Duration::ZERO).await;

        let first = events.next().await.unwrap().unwrap();
        assert!(matches!(first, Event::SessionClosing { .. }), "{first:?}");
        drop(lease);
    }
}
