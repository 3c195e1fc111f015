//! Which servers of the platform a tenant may use.

use innkeeper::{Catalog, Error, Policy, Server};
use innkeeper_tests::{awkward::Scenario, processes::Marker};

use super::{assert_nothing_was_started, builder, command, denied, in_time};

fn catalog(marker: &Marker) -> Catalog {
    let server = || Server::command(command(Scenario::Plain, marker));
    Catalog::new().server("time", server()).server("wiki", server()).server("wiki-internal", server())
}

#[tokio::test]
async fn a_denied_server_is_not_listed_and_not_started() {
    let marker = Marker::new();
    let runtime = builder().start().await.unwrap();
    let policy = Policy::new().deny_servers(["*-internal"]);

    let acme = runtime.tenant("acme").policy(policy).catalog(catalog(&marker)).apply().await.unwrap();
    let said = denied(in_time(acme.lease("alice", "wiki-internal")).await);
    let unknown = in_time(acme.lease("alice", "wikipedia")).await.unwrap_err();

    assert!(said.contains("`wiki-internal`") && said.contains("Policy::deny_servers"), "{said}");
    let listed: Vec<_> = acme.catalog().servers().map(|(name, _)| name.to_string()).collect();
    assert_eq!(listed, ["time", "wiki"]);
    // Nor is it among the names that others are told.
    assert!(matches!(&unknown, Error::NotFound { known, .. } if *known == ["time", "wiki"]), "{unknown:?}");
    assert!(!format!("{acme:?}").contains("internal"));
    assert_nothing_was_started(&runtime, &marker);
}

#[tokio::test]
async fn a_tenant_uses_what_it_is_allowed_and_another_what_that_is() {
    let marker = Marker::new();
    let runtime = builder().start().await.unwrap();
    let some = Policy::new().allow_servers(["time"]);
    let acme = runtime.tenant("acme").policy(some).catalog(catalog(&marker)).apply().await.unwrap();
    let other = runtime.tenant("other").catalog(catalog(&marker)).apply().await.unwrap();

    denied(in_time(acme.lease("alice", "wiki")).await);
    assert_nothing_was_started(&runtime, &marker);
    in_time(acme.lease("alice", "time")).await.unwrap();
    in_time(other.lease("bob", "wiki-internal")).await.unwrap();

    assert_eq!(runtime.status().sessions.len(), 2);
    in_time(runtime.drain(super::BOUND)).await;
}
