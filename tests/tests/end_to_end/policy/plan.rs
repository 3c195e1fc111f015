//! What another catalog would change of a tenant that is in use.

use std::time::Duration;

use innkeeper::{Catalog, Change, Policy, Server};
use innkeeper_tests::{awkward::Scenario, processes::Marker};

use super::{builder, command, in_time, program};

#[tokio::test]
async fn a_plan_counts_the_sessions_of_this_tenant_and_touches_none() {
    let marker = Marker::new();
    let runtime = builder().start().await.unwrap();
    let server = || Server::command(command(Scenario::Plain, &marker));
    let catalog = || Catalog::new().server("time", server()).server("wiki", server()).server("hidden", server());
    let own = Catalog::new().server("mine", server());
    let policy =
        Policy::new().deny_servers(["hidden", "secret-*"]).allow_command(program()).allow_variable(Marker::VARIABLE);
    let acme = runtime.tenant("acme").policy(policy).catalog(catalog()).untrusted_catalog(own).apply().await.unwrap();
    let other = runtime.tenant("other").catalog(catalog()).apply().await.unwrap();
    let mut leases = Vec::new();
    for user in ["alice", "bob"] {
        leases.push(in_time(acme.lease(user, "time")).await.unwrap());
        leases.push(in_time(acme.lease(user, "mine")).await.unwrap());
    }
    leases.push(in_time(acme.lease("alice", "wiki")).await.unwrap());
    leases.push(in_time(other.lease("alice", "time")).await.unwrap());

    let patient = server().call_timeout(Duration::from_secs(5));
    let edited = Server::command(command(Scenario::Plain, &marker).env("MORE", "variables"));
    let next = Catalog::new().server("time", edited).server("wiki", patient).server("news", server());
    let plan = acme.plan(&next.server("secret-tool", server()));

    let changes: Vec<_> = plan.servers.iter().map(|planned| (planned.server.as_str(), planned.change)).collect();
    let expected = [
        ("news", Change::Added),
        ("time", Change::Changed { reconnects: true, sessions: 2 }),
        ("wiki", Change::Changed { reconnects: false, sessions: 1 }),
    ];
    assert_eq!(changes, expected);
    assert!(acme.plan(&catalog()).is_empty());
    assert_eq!(acme.plan(&Catalog::new()).servers[0].change, Change::Removed { sessions: 2 });
    for lease in &leases {
        lease.check().unwrap();
    }
    assert_eq!(runtime.status().sessions.len(), 6);
    in_time(runtime.drain(super::BOUND)).await;
}
