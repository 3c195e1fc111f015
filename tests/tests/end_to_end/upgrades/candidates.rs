//! Candidates that are no good: what they cost, and how soon the old guest has everything again.
//!
//! In real time, because guests that compute for too long do so.

use std::time::Duration;

use innkeeper::{Error, Return, Runtime, Upgrade, UpgradeOutcome};
use innkeeper_tests::candidate::candidate;
use serde_json::{Value, json};

use super::{Scene, Scripted};

/// Far more than anything here takes, unless it never ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// Guests that cannot take over a session with a call in it, and words of the reason.
const UNFIT: [(&str, &str); 5] = [
    ("refuse", "it has calls"),
    ("trap", "it trapped"),
    ("spin", "CPU time"),
    ("unknown-call", "which is not open"),
    ("disown", "given up call"),
];

#[tokio::test]
async fn a_guest_that_cannot_take_over_costs_nobody_anything() {
    let mut scene = Scene::of(Runtime::builder()).await;
    let before = scene.guest();

    for (fault, words) in UNFIT {
        let (call, request) = scene.call().await;
        let next = candidate(&scene.runtime, fault).await;

        let report = scene.tenant.upgrade(next, Upgrade::live()).await.unwrap();
        scene.server.answer(&request, json!(fault)).await;

        assert_eq!(serde_json::from_slice::<Value>(&call.await.unwrap()).unwrap(), fault);
        let UpgradeOutcome::Kept { reason } = &report.sessions[0].outcome else { panic!("{fault}: {report:?}") };
        assert!(reason.contains(words), "{fault}: {reason}");
        assert!(report.went_back.as_ref().unwrap().contains(words), "{fault}: {report}");
        assert_eq!((scene.guest(), scene.incarnation()), (before.clone(), 1), "{fault}");
    }
}

#[tokio::test]
async fn a_guest_that_fails_when_it_is_tried_out_touches_no_session() {
    let mut scene = Scene::of(Runtime::builder()).await;
    let (call, request) = scene.call().await;
    let before = scene.guest();
    let next = candidate(&scene.runtime, "trap-at-once").await;

    let error = scene.tenant.upgrade(next, Upgrade::live()).await.unwrap_err();
    scene.server.answer(&request, json!(1)).await;

    assert!(matches!(&error, Error::Component { reason } if reason.contains("tried out")), "{error}");
    call.await.unwrap();
    assert_eq!(scene.guest(), before);
}

#[tokio::test]
async fn a_guest_that_takes_nothing_over_is_refused_before_any_session_is_asked() {
    let scene = Scene::of(Runtime::builder()).await;
    let next = candidate(&scene.runtime, "refuse-all").await;

    let report = scene.tenant.upgrade(next, Upgrade::live()).await.unwrap();

    assert!(report.sessions.is_empty(), "{report:?}");
    assert!(report.went_back.as_ref().unwrap().contains("it takes nothing over"), "{report}");
}

#[tokio::test]
async fn where_the_plan_says_so_a_session_that_is_refused_is_restarted() {
    let mut scene = Scene::of(Runtime::builder()).await;
    let (call, _) = scene.call().await;
    let next = candidate(&scene.runtime, "refuse").await;

    let upgrading = scene.tenant.upgrade(next.clone(), Upgrade::live().or_restart());
    let server = scene.servers.recv().await.unwrap();
    tokio::spawn(server.obey());
    let report = upgrading.await.unwrap();

    assert!(matches!(report.sessions[0].outcome, UpgradeOutcome::Restarted), "{report:?}");
    assert!(matches!(call.await, Err(Error::Closing { .. })));
    assert_eq!((scene.guest(), scene.incarnation()), (next.to_string(), 2));
}

#[tokio::test]
async fn where_the_plan_says_so_a_session_that_is_refused_is_drained() {
    let mut scene = Scene::of(Runtime::builder()).await;
    let (call, request) = scene.call().await;
    let before = scene.guest();
    let next = candidate(&scene.runtime, "refuse").await;

    let upgrading = scene.tenant.upgrade(next, Upgrade::live().or_drain(PATIENCE));
    while !scene.runtime.status().sessions[0].draining {
        tokio::task::yield_now().await;
    }
    scene.server.answer(&request, json!(1)).await;
    call.await.unwrap();
    assert_eq!(scene.guest(), before);
    drop((scene.lease, scene.server));
    let report = upgrading.await.unwrap();

    assert!(matches!(report.sessions[0].outcome, UpgradeOutcome::Drained), "{report:?}");
}

/// Guests that take over and fail after a while, and words of what the host says of it.
const SHORT_LIVED: [(&str, &str); 4] =
    [("trap-later", "it trapped"), ("spin-later", "CPU time"), ("grow", "memory"), ("lie-later", "which is not open")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_guest_that_fails_later_only_the_calls_of_those_sessions_fail_and_all_go_back() {
    for (fault, words) in SHORT_LIVED {
        let connector = innkeeper_tests::in_process::server(innkeeper::transport::Framing::Lines, |pipes| {
            Scripted { pipes }.obey()
        });
        let (runtime, tenant) = super::tenant_of(Runtime::builder(), connector).await;
        let busy = tenant.lease("busy", "scripted").await.unwrap();
        let quiet = tenant.lease("quiet", "scripted").await.unwrap();
        let before = busy.info().guest.clone();
        let next = candidate(&runtime, fault).await;

        let mut upgrading = tenant.upgrade(next.clone(), Upgrade::live().watch(PATIENCE));
        while upgrading.progress().await.unwrap().phase != innkeeper::UpgradePhase::Watching {}
        assert_eq!(quiet.info().guest, next.to_string());
        // One call after another until the guest has failed.
        let mut errors = Vec::new();
        let calls_until_it_is_over = async {
            loop {
                tokio::select! {
                    biased;
                    report = &mut upgrading => break report.unwrap(),
                    result = busy.call("work").start() => match result {
                        Ok(result) => assert_eq!(&result[..], b"\"work\""),
                        Err(error) => errors.push(error),
                    },
                }
            }
        };
        let report = tokio::time::timeout(PATIENCE, calls_until_it_is_over).await.unwrap();

        // At most the one that was under way then.
        assert!(errors.len() <= 1, "{fault}: {errors:?}");
        for error in errors {
            assert!(matches!(&error, Error::GuestFault { detail, .. } if detail.contains(words)), "{fault}: {error}");
        }
        assert!(report.went_back.as_ref().unwrap().contains(words), "{fault}: {report}");
        assert_eq!(report.faults, 1, "{fault}");
        let returns: Vec<_> = report.sessions.iter().map(|session| session.went_back).collect();
        // Its next call may have connected it anew before the upgrade went back.
        assert!(matches!(returns[0], Some(Return::Unconnected | Return::Live)), "{fault}: {returns:?}");
        assert_eq!(returns[1], Some(Return::Live), "{fault}");
        // The old guest serves both, the one without a connection anew.
        for (lease, incarnation) in [(&busy, 2), (&quiet, 1)] {
            lease.call("work").start().await.unwrap();
            assert_eq!(
                (lease.info().guest.clone(), lease.info().incarnation),
                (before.clone(), incarnation),
                "{fault}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_among_the_first_sessions_stops_the_upgrade_before_the_others_are_touched() {
    let connector =
        innkeeper_tests::in_process::server(innkeeper::transport::Framing::Lines, |pipes| Scripted { pipes }.obey());
    let (runtime, tenant) = super::tenant_of(Runtime::builder(), connector).await;
    let mut leases = Vec::new();
    for user in 0..10 {
        leases.push(tenant.lease(format!("user-{user}"), "scripted").await.unwrap());
    }
    let before = leases[0].info().guest.clone();
    let next = candidate(&runtime, "trap-later").await;

    let mut upgrading = tenant.upgrade(next, Upgrade::live().first(0.1, PATIENCE));
    while upgrading.progress().await.unwrap().phase != innkeeper::UpgradePhase::Watching {}
    let calls_until_it_is_over = async {
        loop {
            tokio::select! {
                biased;
                report = &mut upgrading => break report.unwrap(),
                // The one that is under way when the guest fails may fail with it.
                _ = leases[0].call("work").start() => {}
            }
        }
    };
    let report = tokio::time::timeout(PATIENCE, calls_until_it_is_over).await.unwrap();

    assert_eq!(report.sessions.len(), 1, "{report:?}");
    assert!(!report.is_in_force());
    assert!(leases.iter().skip(1).all(|lease| lease.info().guest == before));
}
