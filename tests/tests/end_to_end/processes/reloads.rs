//! Processes over reloads and upgrades: as many as there are sessions after each round, and none at the end.
//!
//! The ways in which programs are known to leak are the rows here: a connection that is replaced, one that never opens, one that
//! nobody uses, a launcher with what it started, and a server that is edited away and comes back. (The host that is killed is in
//! the program `supervisor`.) There are two witnesses, the library's own count and a mark in the environment of the servers.

use std::{future::Future, time::Duration};

use innkeeper::{Catalog, Reloaded, Runtime, Server, Tenant, Upgrade};
use innkeeper_tests::{awkward::Scenario, candidate::candidate, processes::Marker};

use super::{SERVER, builder, close, command, in_time, lease, tenant, until};

const ROUNDS: usize = 100;

/// Edition `number` of a server: the same program, with another environment.
fn edition(scenario: Scenario, marker: &Marker, number: usize) -> Server {
    Server::command(command(scenario, marker).env("EDITION", number.to_string()))
}

fn catalog(server: Server) -> Catalog {
    Catalog::new().server(SERVER, server)
}

/// Waits until both witnesses count so many processes.
async fn count(runtime: &Runtime, marker: &Marker, processes: usize) {
    until(|| runtime.status().children_alive == processes && marker.processes().len() == processes).await;
}

/// A tenant with the first edition of a server, and a session of alice's with it. Does something a hundred times, after each of
/// which there are `processes`, and none at the end.
async fn rounds<F: Future<Output = ()>>(
    scenario: Scenario,
    processes: usize,
    round: impl Fn(Tenant, usize, Marker) -> F,
) {
    let (runtime, marker) = (builder().start().await.unwrap(), Marker::new());
    let tenant = tenant(&runtime, "acme", edition(scenario, &marker, 0)).await;
    drop(lease(&tenant, "alice").await.unwrap());
    count(&runtime, &marker, processes).await;

    for number in 1..=ROUNDS {
        in_time(round(tenant.clone(), number, marker.clone())).await;
        count(&runtime, &marker, processes).await;
    }

    close(&runtime).await;
    count(&runtime, &marker, 0).await;
}

#[tokio::test]
async fn a_connection_that_is_replaced_leaves_nothing() {
    rounds(Scenario::Plain, 1, async |tenant, number, marker| {
        let held = tenant.lease("alice", SERVER).await.unwrap();
        let report = tenant.reload(catalog(edition(Scenario::Plain, &marker, number))).await.unwrap();
        assert_eq!(report.servers[0].outcome, Reloaded::Replaced { opened: 1, unopened: 0 });
        // Until here there are two.
        drop(held);
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_never_opens_leaves_nothing_and_the_one_before_stays() {
    rounds(Scenario::Plain, 1, async |tenant, number, marker| {
        let hangs = edition(Scenario::NeverAnswersInitialize, &marker, number).open_timeout(Duration::from_millis(50));
        let report = tenant.reload(catalog(hangs)).await.unwrap();
        assert!(matches!(report.servers[0].outcome, Reloaded::Kept { .. }), "{report}");
        // It is tried again, unless it is taken back.
        let report = tenant.reload(catalog(edition(Scenario::Plain, &marker, 0))).await.unwrap();
        assert_eq!(report.servers[0].outcome, Reloaded::Unchanged, "{report}");
    })
    .await;
}

#[tokio::test]
async fn a_session_that_nobody_uses_is_replaced_and_leaves_nothing() {
    rounds(Scenario::Plain, 1, async |tenant, number, marker| {
        let report = tenant.reload(catalog(edition(Scenario::Plain, &marker, number))).await.unwrap();
        assert_eq!(report.kept().count(), 0, "{report}");
    })
    .await;
}

#[tokio::test]
async fn what_a_launcher_has_started_goes_with_it() {
    // The server and its child.
    rounds(Scenario::QuietGrandchild, 2, async |tenant, number, marker| {
        let report = tenant.reload(catalog(edition(Scenario::QuietGrandchild, &marker, number))).await.unwrap();
        assert_eq!(report.kept().count(), 0, "{report}");
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_edited_away_and_comes_back_leaves_nothing() {
    rounds(Scenario::Plain, 1, async |tenant, number, marker| {
        let report = tenant.reload(Catalog::new()).await.unwrap();
        assert_eq!(report.servers[0].outcome, Reloaded::Removed { sessions: 1 });
        let report = tenant.reload(catalog(edition(Scenario::Plain, &marker, number))).await.unwrap();
        assert_eq!(report.servers[0].outcome, Reloaded::Added);
        drop(tenant.lease("alice", SERVER).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn an_upgrade_that_restarts_leaves_nothing_and_a_live_one_touches_no_process() {
    let (runtime, marker) = (builder().start().await.unwrap(), Marker::new());
    let guests = [candidate(&runtime, "none").await, candidate(&runtime, "none-2").await];
    let tenant = tenant(&runtime, "acme", edition(Scenario::Plain, &marker, 0)).await;
    let held = lease(&tenant, "alice").await.unwrap();

    for round in 0..ROUNDS {
        let before = marker.processes();
        let live = in_time(tenant.upgrade(guests[round % 2].clone(), Upgrade::live())).await.unwrap();
        assert!(live.is_in_force(), "{live}");
        assert_eq!(marker.processes(), before);
        if round % 10 == 0 {
            let restart = in_time(tenant.upgrade(guests[(round + 1) % 2].clone(), Upgrade::restart())).await.unwrap();
            assert!(restart.is_in_force(), "{restart}");
            count(&runtime, &marker, 1).await;
            assert_ne!(marker.processes(), before);
        }
    }

    drop(held);
    close(&runtime).await;
    count(&runtime, &marker, 0).await;
}
