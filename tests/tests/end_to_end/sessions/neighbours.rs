//! Users and tenants beside each other: what is slow, full or hung for one takes no time of another. In virtual time that is
//! none at all.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use innkeeper::{Catalog, Runtime, Scope, Server, SessionState, transport::ConnectContext};
use innkeeper_tests::in_process::limits_for_paused_clock;
use serde_json::json;
use tokio::{sync::mpsc, time::sleep};

use super::{
    House, Manner, at_once,
    eviction::{ENDING, Slow},
    mannered, obedient, open, scripted, tenant_of,
};

const SECOND: Duration = Duration::from_secs(1);

fn user(context: &ConnectContext) -> &str {
    context.user.as_ref().unwrap().as_str()
}

#[tokio::test(start_paused = true)]
async fn a_call_takes_no_time_for_a_connection_of_another_user_that_hangs() {
    let connector = mannered(|context| match user(context) {
        "bob" => Manner::NeverConnects,
        "carol" => Manner::NeverGreets,
        _ => Manner::Obeys,
    });
    let (runtime, acme) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let other = runtime.tenant("other").catalog(acme.catalog()).apply().await.unwrap();
    let early = acme.lease("alice", "scripted").await.unwrap();
    let hanging = [(&acme, "bob"), (&acme, "carol"), (&other, "bob"), (&other, "carol")].map(|(tenant, user)| {
        let tenant = tenant.clone();
        tokio::spawn(async move { tenant.lease(user, "scripted").await.map(drop) })
    });
    sleep(SECOND).await;
    assert_eq!(runtime.status().sessions.iter().filter(|session| session.state == SessionState::Opening).count(), 4);

    for tenant in [&acme, &other] {
        for number in 0..50 {
            at_once(async {
                // One that is there, and one that is opened for it.
                early.call("hello").start().await.unwrap();
                let lease = tenant.lease(format!("user-{number}"), "scripted").await.unwrap();
                lease.call("hello").start().await.unwrap();
                runtime.status();
            })
            .await;
        }
    }

    for lease in join_all(hanging).await {
        assert_eq!(lease.unwrap().unwrap_err().code(), "timeout");
    }
}

#[tokio::test(start_paused = true)]
async fn closing_a_tenant_whose_servers_are_slow_to_end_keeps_nobody_waiting() {
    let slow = Slow::default();
    let runtime = Runtime::builder().limits(limits_for_paused_clock()).start().await.unwrap();
    let catalog = Catalog::new().server("slow", Server::connector(Arc::new(slow)));
    let acme = runtime.tenant("acme").catalog(catalog.clone()).apply().await.unwrap();
    let other = runtime.tenant("other").catalog(catalog).apply().await.unwrap();
    let theirs = other.lease("alice", "slow").await.unwrap();
    drop(acme.lease("alice", "slow").await.unwrap());

    let closing = tokio::spawn({
        let acme = acme.clone();
        async move { acme.close(10 * ENDING).await }
    });
    sleep(SECOND).await;
    assert!(!closing.is_finished());
    at_once(async {
        theirs.call("hello").start().await.unwrap();
        other.lease("bob", "slow").await.unwrap();
        // Nor does who is refused.
        assert_eq!(acme.lease("alice", "slow").await.unwrap_err().code(), "closing");
        runtime.status();
    })
    .await;

    let report = closing.await.unwrap();
    assert_eq!((report.closed.len(), report.closed[0].gone), (1, true));
    // Closing it was about what there was.
    acme.lease("alice", "slow").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_user_whose_calls_wait_takes_no_place_of_another() {
    let mut limits = limits_for_paused_clock();
    (limits.calls_in_flight, limits.mailbox) = (1, 1);
    let connector = mannered(|context| if user(context) == "alice" { Manner::NeverAnswers } else { Manner::Obeys });
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits), connector).await;
    let alice = tenant.lease("alice", "scripted").await.unwrap();
    let bob = tenant.lease("bob", "scripted").await.unwrap();

    let in_flight = alice.call("ponder").start();
    sleep(SECOND).await;
    let waiting = alice.call("wait").start();
    let refused = alice.call("too many").start().await.unwrap_err();

    assert_eq!(refused.code(), "busy");
    for _ in 0..50 {
        at_once(bob.call("hello").start()).await.unwrap();
    }
    drop((in_flight, waiting));
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_holds_up_no_other_call_of_its_session() {
    let (connector, mut servers) = scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;
    let slow = lease.call("ponder").start();
    let first = server.message().await.unwrap();

    at_once(async {
        let quick = lease.call("look").start();
        let second = server.message().await.unwrap();
        server.answer(&second, json!("seen")).await;
        assert_eq!(quick.await.unwrap(), "\"seen\"");
    })
    .await;

    server.answer(&first, json!("thought")).await;
    assert_eq!(slow.await.unwrap(), "\"thought\"");
}

#[tokio::test(start_paused = true)]
async fn the_same_server_with_the_same_secrets_for_a_user_of_the_same_name_is_another_session_in_each_tenant() {
    let house = House::with(limits_for_paused_clock()).await;
    for scope in [Scope::User, Scope::Tenant, Scope::Exclusive] {
        let (said, mut connected) = mpsc::unbounded_channel();
        let connector = mannered(move |context| {
            let _ = said.send(context.tenant.to_string());
            Manner::Obeys
        });
        // One value for both, so nothing of it can differ.
        let server = Server::connector(connector).scope(scope);
        let mut leases = Vec::new();
        for name in ["acme", "other"] {
            let tenant = house.tenant(name, server.clone()).await;
            leases.push(tenant.lease("alice", "scripted").await.unwrap());
        }

        let [ours, theirs] = [leases[0].session(), leases[1].session()];
        assert_ne!(ours.id, theirs.id, "{scope:?}");
        assert_eq!((ours.tenant.as_str(), theirs.tenant.as_str()), ("acme", "other"), "{scope:?}");
        let connections = [connected.recv().await.unwrap(), connected.recv().await.unwrap()];
        assert_eq!(connections, ["acme", "other"], "{scope:?}");
        assert!(connected.try_recv().is_err(), "{scope:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_sessions_of_one_user_with_two_servers_are_held_each_by_itself() {
    let (runtime, obedient, _) = obedient(Runtime::builder().limits(limits_for_paused_clock())).await;
    let server = obedient.catalog().get(&"scripted".into()).unwrap().clone();
    let catalog = Catalog::new().server("one", server.clone()).server("two", server);
    let tenant = runtime.tenant("of-two").catalog(catalog).apply().await.unwrap();
    let held = tenant.lease("alice", "one").await.unwrap();
    drop(tenant.lease("alice", "two").await.unwrap());

    sleep(limits_for_paused_clock().idle + SECOND).await;

    let left = runtime.status().sessions;
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!((&left[0].session, left[0].leases), (&held.session(), 1));
}
