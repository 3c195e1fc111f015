//! Which sessions an upgrade is about, and in which order.

use std::{sync::Arc, time::Duration};

use innkeeper::{Catalog, ComponentSource, Lease, Runtime, Server, Tenant, Upgrade};
use innkeeper_tests::{
    candidate::candidate,
    in_process::{self, limits_for_paused_clock},
};

use super::Scripted;

fn obedient() -> Arc<dyn innkeeper::transport::Connector> {
    in_process::server(innkeeper::transport::Framing::Lines, |pipes| Scripted { pipes }.obey())
}

fn catalog() -> Catalog {
    Catalog::new().server("one", Server::connector(obedient())).server("two", Server::connector(obedient()))
}

async fn runtime() -> Runtime {
    Runtime::builder().limits(limits_for_paused_clock()).start().await.unwrap()
}

fn guest(lease: &Lease) -> String {
    lease.info().guest.clone()
}

async fn crowd(tenant: &Tenant, users: usize) -> Vec<Lease> {
    let mut leases = Vec::new();
    for user in 0..users {
        leases.push(tenant.lease(format!("user-{user}"), "one").await.unwrap());
    }
    leases
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_of_one_server_leaves_the_sessions_with_others() {
    let runtime = runtime().await;
    let acme = runtime.tenant("acme").catalog(catalog()).apply().await.unwrap();
    let (one, two) = (acme.lease("alice", "one").await.unwrap(), acme.lease("alice", "two").await.unwrap());
    let (before, next) = (guest(&one), candidate(&runtime, "none").await);

    let report = acme.upgrade(next.clone(), Upgrade::live().server("two")).await.unwrap();
    let later = [acme.lease("bob", "one").await.unwrap(), acme.lease("bob", "two").await.unwrap()];

    assert_eq!(report.sessions.len(), 1);
    assert_eq!((guest(&one), guest(&two)), (before.clone(), next.to_string()));
    assert_eq!(later.each_ref().map(guest), [before, next.to_string()]);
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_of_the_runtime_is_for_tenants_without_a_guest_of_their_own_also_for_later_ones() {
    let runtime = runtime().await;
    let own = runtime.load_component(ComponentSource::Embedded).await.unwrap();
    let acme = runtime.tenant("acme").catalog(catalog()).apply().await.unwrap();
    let mine = runtime.tenant("mine").guest(own.clone()).catalog(catalog()).apply().await.unwrap();
    let (of_acme, of_mine) = (acme.lease("alice", "one").await.unwrap(), mine.lease("alice", "one").await.unwrap());
    let next = candidate(&runtime, "none").await;

    let report = runtime.upgrade(next.clone(), Upgrade::live()).await.unwrap();
    let later = runtime.tenant("later").catalog(catalog()).apply().await.unwrap();

    assert_eq!(report.sessions.len(), 1);
    assert_eq!((guest(&of_acme), guest(&of_mine)), (next.to_string(), own.to_string()));
    assert_eq!(guest(&later.lease("alice", "one").await.unwrap()), next.to_string());
}

#[tokio::test(start_paused = true)]
async fn a_share_of_the_sessions_goes_first_and_new_ones_have_the_old_guest_until_it_was_watched() {
    let runtime = runtime().await;
    let acme = runtime.tenant("acme").catalog(catalog()).apply().await.unwrap();
    let leases = crowd(&acme, 10).await;
    let (before, next) = (guest(&leases[0]), candidate(&runtime, "none").await);
    let how = Upgrade::live().first(0.25, Duration::from_secs(60));

    let upgrading = acme.upgrade(next.clone(), how);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let half_way: Vec<String> = leases.iter().map(guest).collect();
    let meanwhile = acme.lease("late", "one").await.unwrap();
    let made_with = guest(&meanwhile);
    let report = upgrading.await.unwrap();

    assert_eq!(half_way.iter().filter(|guest| **guest == next.to_string()).count(), 3);
    assert_eq!(made_with, before);
    assert_eq!(report.sessions.len(), 11);
    assert!(leases.iter().chain([&meanwhile]).all(|lease| guest(lease) == next.to_string()));
}

#[tokio::test(start_paused = true)]
async fn dropping_an_upgrade_leaves_every_session_on_one_guest_or_the_other_and_working() {
    let runtime = runtime().await;
    let acme = runtime.tenant("acme").catalog(catalog()).apply().await.unwrap();
    let leases = crowd(&acme, 10).await;
    let before = guest(&leases[0]);
    let next = candidate(&runtime, "none").await;
    let how = Upgrade::live().first(0.5, Duration::from_secs(60));

    let upgrading = acme.upgrade(next.clone(), how);
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(upgrading);
    tokio::time::sleep(Duration::from_secs(100)).await;

    let upgraded = leases.iter().filter(|lease| guest(lease) == next.to_string()).count();
    let left = leases.iter().filter(|lease| guest(lease) == before).count();
    assert_eq!((upgraded, left), (5, 5));
    for lease in &leases {
        assert_eq!(&lease.call("work").start().await.unwrap()[..], b"\"work\"");
    }
    // Nothing of it stands in the way of the next.
    assert!(acme.upgrade(next.clone(), Upgrade::live()).await.unwrap().is_in_force());
    assert!(leases.iter().all(|lease| guest(lease) == next.to_string()));
}

#[tokio::test(start_paused = true)]
async fn of_two_upgrades_at_a_time_one_waits_for_the_other() {
    let runtime = runtime().await;
    let acme = runtime.tenant("acme").catalog(catalog()).apply().await.unwrap();
    let leases = crowd(&acme, 3).await;
    let (first, second) = (candidate(&runtime, "none").await, candidate(&runtime, "none-2").await);

    let one = acme.upgrade(first, Upgrade::live().watch(Duration::from_secs(10)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let other = acme.upgrade(second.clone(), Upgrade::live());
    let (one, other) = (one.await.unwrap(), other.await.unwrap());

    assert!(one.is_in_force() && other.is_in_force());
    assert!(leases.iter().all(|lease| guest(lease) == second.to_string()));
}
