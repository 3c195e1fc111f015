//! What a runtime says of processes: which session has which, and how many there are.

use innkeeper::{Catalog, Server, SessionState};
use innkeeper_tests::{
    awkward::Scenario,
    hosting::{Account, Held, Host, Order, Settings, wait_for_end},
    in_process::silent,
    processes::{Marker, Process, below},
};

use super::{BOUND, SERVER, builder, close, command, lease, tenant, until};

#[tokio::test]
async fn each_session_has_the_processes_of_its_own_tree() {
    let (alone, family) = (Marker::new(), Marker::new());
    let runtime = builder().start().await.unwrap();
    let acme = tenant(&runtime, "acme", Server::command(command(Scenario::Plain, &alone))).await;
    let other = tenant(&runtime, "other", Server::command(command(Scenario::GrandchildInOwnSession, &family))).await;
    let (alice, bob) = (lease(&acme, "alice").await.unwrap(), lease(&other, "bob").await.unwrap());

    let status = runtime.status();

    let of = |lease: &innkeeper::Lease| status.sessions.iter().find(|found| found.session == lease.session()).unwrap();
    let sorted = |marker: &Marker| {
        let mut processes = marker.processes();
        processes.sort_unstable();
        processes
    };
    assert_eq!(of(&alice).processes, sorted(&alone));
    assert_eq!(of(&bob).processes, sorted(&family));
    assert_eq!((of(&alice).processes.len(), of(&bob).processes.len()), (1, 2));
    for lease in [&alice, &bob] {
        assert_eq!(of(lease).process, lease.info().process);
        assert!(of(lease).processes.contains(&lease.info().process.unwrap()));
    }
    assert_eq!(status.children_alive, 3);
    close(&runtime).await;
}

#[tokio::test]
async fn leases_are_counted_for_each_session_and_in_all() {
    let marker = Marker::new();
    let runtime = builder().start().await.unwrap();
    let acme = tenant(&runtime, "acme", Server::command(command(Scenario::Plain, &marker))).await;
    let (first, second) = (lease(&acme, "alice").await.unwrap(), lease(&acme, "alice").await.unwrap());
    let third = lease(&acme, "bob").await.unwrap();

    let all = runtime.status();
    drop((first, third));
    let fewer = runtime.status();
    drop(second);
    let none = runtime.status();

    let counts = |status: &innkeeper::Status| {
        (status.sessions.iter().map(|session| session.leases).collect::<Vec<_>>(), status.leases, status.children_alive)
    };
    assert_eq!(counts(&all), (vec![2, 1], 3, 2));
    assert_eq!(counts(&fewer), (vec![1, 0], 1, 2));
    assert_eq!(counts(&none), (vec![0, 0], 0, 2));
    close(&runtime).await;
}

#[tokio::test]
async fn a_session_that_is_still_opening_has_its_processes_too() {
    let marker = Marker::new();
    let runtime = builder().start().await.unwrap();
    let acme = tenant(&runtime, "acme", Server::command(command(Scenario::NeverAnswersInitialize, &marker))).await;
    let opening = tokio::spawn(async move { acme.lease("alice", SERVER).await.map(drop) });

    until(|| runtime.status().sessions.first().is_some_and(|session| !session.processes.is_empty())).await;
    let status = runtime.status();

    assert_eq!((status.sessions[0].state, status.sessions[0].leases), (SessionState::Opening, 1));
    assert_eq!((status.sessions[0].processes.len(), status.children_alive), (1, 1));
    close(&runtime).await;
    assert!(opening.await.unwrap().is_err());
}

#[tokio::test]
async fn a_runtime_without_sessions_has_its_supervisor_and_nothing_below() {
    let marker = Marker::new();
    let runtime = builder().start().await.unwrap();
    let acme = tenant(&runtime, "acme", Server::command(command(Scenario::Daemon, &marker))).await;
    let lease = lease(&acme, "alice").await.unwrap();
    let supervisor = runtime.status().supervisor.unwrap();
    assert!(!below(supervisor).is_empty(), "the test cannot tell");

    drop(lease);
    acme.close(BOUND).await;

    let status = runtime.status();
    assert_eq!((status.sessions.len(), status.leases, status.children_alive), (0, 0, 0));
    assert_eq!(status.supervisor, Some(supervisor));
    // What said that the session has ended is itself a moment from its end.
    until(|| below(supervisor).is_empty()).await;
    drop((acme, runtime));
    assert!(wait_for_end(supervisor, BOUND), "the supervisor outlives its runtime");
}

#[tokio::test]
async fn a_runtime_that_was_drained_has_waited_for_its_supervisor() {
    let marker = Marker::new();
    let runtime = builder().start().await.unwrap();
    let acme = tenant(&runtime, "acme", Server::command(command(Scenario::Plain, &marker))).await;
    drop(lease(&acme, "alice").await.unwrap());
    let supervisor = runtime.status().supervisor.unwrap();

    close(&runtime).await;

    assert_eq!(runtime.status().supervisor, None);
    assert!(Process::look(supervisor).is_none(), "it is there, or a zombie");
}

#[tokio::test]
async fn a_runtime_that_never_started_a_command_has_no_supervisor() {
    let runtime = builder().start().await.unwrap();
    let servers = Catalog::new().server(SERVER, Server::connector(silent()));
    let acme = runtime.tenant("acme").catalog(servers).apply().await.unwrap();
    let opening = tokio::spawn(async move { acme.lease("alice", SERVER).await.map(drop) });
    until(|| !runtime.status().sessions.is_empty()).await;

    let status = runtime.status();

    assert_eq!((status.supervisor, status.children_alive), (None, 0));
    assert_eq!((status.sessions[0].process, status.sessions[0].processes.as_slice()), (None, [].as_slice()));
    close(&runtime).await;
    assert!(opening.await.unwrap().is_err());
}

/// In a process of its own, because the tests of this program share their children.
#[test]
fn a_host_that_opens_no_session_has_no_child() {
    let mut host = Host::start(&Settings::new("/nowhere/a-server", [""; 0]), Account::OfTheTest);

    let held: Held = serde_json::from_value(host.order(&Order::Held).unwrap()).unwrap();

    assert_eq!((held.children, host.supervisor()), (0, None));
    assert_eq!(host.end(), 0);
}
