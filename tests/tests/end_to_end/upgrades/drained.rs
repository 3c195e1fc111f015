//! Upgrades that replace sessions or connections: draining and restarting.

use std::time::Duration;

use innkeeper::{Error, MayHaveRun, Upgrade, UpgradeOutcome};
use innkeeper_tests::candidate::candidate;
use serde_json::json;

use super::Scene;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_session_that_drains_serves_those_who_hold_it_while_others_get_the_new_guest() {
    let mut scene = Scene::paused().await;
    let (call, request) = scene.call().await;
    let old = scene.guest();
    let next = candidate(&scene.runtime, "none").await;

    let upgrading = scene.tenant.upgrade(next.clone(), Upgrade::drain(MINUTE));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (new_lease, _new_server) = super::open(&scene.tenant, &mut scene.servers).await;
    scene.server.answer(&request, json!("old")).await;

    assert_eq!(&call.await.unwrap()[..], b"\"old\"");
    assert_eq!((scene.guest(), new_lease.info().guest.clone()), (old, next.to_string()));
    assert_ne!(scene.lease.session().id, new_lease.session().id);
    assert_eq!(scene.runtime.status().sessions.len(), 2);
    drop(scene.lease);
    let report = upgrading.await.unwrap();
    assert!(matches!(report.sessions[0].outcome, UpgradeOutcome::Drained), "{report:?}");
    assert_eq!(scene.runtime.status().sessions.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_held_at_the_deadline_is_closed_and_its_calls_say_so() {
    let mut scene = Scene::paused().await;
    let (call, _) = scene.call().await;
    let next = candidate(&scene.runtime, "none").await;

    let report = scene.tenant.upgrade(next, Upgrade::drain(MINUTE)).await.unwrap();

    assert!(matches!(report.sessions[0].outcome, UpgradeOutcome::Expired), "{report:?}");
    let error = call.await.unwrap_err();
    assert!(matches!(error, Error::Closing { may_have_run: MayHaveRun::Unknown, .. }), "{error:?}");
    assert!(matches!(scene.lease.check(), Err(Error::Closing { .. })));
    assert_eq!(scene.runtime.status().sessions.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_drains_is_closed_at_its_deadline_though_nobody_waits_for_the_upgrade() {
    let scene = Scene::paused().await;
    let next = candidate(&scene.runtime, "none").await;

    let upgrading = scene.tenant.upgrade(next, Upgrade::drain(MINUTE));
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(upgrading);
    tokio::time::sleep(MINUTE + Duration::from_secs(10)).await;

    assert!(matches!(scene.lease.check(), Err(Error::Closing { .. })));
    assert_eq!(scene.runtime.status().sessions.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_holds_is_closed_at_once_when_it_drains() {
    let scene = Scene::paused().await;
    drop(scene.lease);
    let next = candidate(&scene.runtime, "none").await;
    let began = tokio::time::Instant::now();

    let upgrading = scene.tenant.upgrade(next, Upgrade::drain(MINUTE));
    drop(scene.server);
    let report = upgrading.await.unwrap();

    assert!(matches!(report.sessions[0].outcome, UpgradeOutcome::Drained), "{report:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_the_lease_and_fails_what_is_under_way() {
    let mut scene = Scene::paused().await;
    let (call, _) = scene.call().await;
    let next = candidate(&scene.runtime, "none").await;

    let upgrading = scene.tenant.upgrade(next.clone(), Upgrade::restart());
    let mut server = scene.servers.recv().await.unwrap();
    let serves = tokio::spawn(async move {
        while let Some(request) = server.message().await {
            server.answer(&request, json!("new")).await;
        }
    });
    let report = upgrading.await.unwrap();

    assert!(matches!(report.sessions[0].outcome, UpgradeOutcome::Restarted), "{report:?}");
    let error = call.await.unwrap_err();
    assert!(matches!(error, Error::Closing { may_have_run: MayHaveRun::Unknown, .. }), "{error:?}");
    assert_eq!(&scene.lease.call("again").start().await.unwrap()[..], b"\"new\"");
    assert_eq!((scene.lease.info().guest.clone(), scene.lease.info().incarnation), (next.to_string(), 2));
    drop(scene.lease);
    serves.abort();
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_session_to_open_gets_the_one_that_was_opened_in_its_place() {
    let (connector, mut servers) = super::scripted();
    let builder = innkeeper::Runtime::builder().limits(super::limits_for_paused_clock());
    let (runtime, tenant) = super::tenant_of(builder, connector).await;
    let waiting = tokio::spawn({
        let tenant = tenant.clone();
        async move { tenant.lease("alice", "scripted").await }
    });
    let _silent = servers.recv().await.unwrap();
    let next = candidate(&runtime, "none").await;

    let upgrading = tenant.upgrade(next.clone(), Upgrade::restart());
    let mut server = servers.recv().await.unwrap();
    tokio::spawn(async move { server.message().await });

    assert_eq!(waiting.await.unwrap().unwrap().info().guest, next.to_string());
    assert!(upgrading.await.unwrap().is_in_force());
}
