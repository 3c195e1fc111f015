//! Who may have a server that is not guarded.

use innkeeper::{Error, Isolation, Server};
use innkeeper_tests::{awkward::Scenario, processes::Marker};

use super::{builder, close, command, environment, lease, tenant};

fn plain(marker: &Marker) -> Server {
    Server::command(command(Scenario::Plain, marker))
}

#[tokio::test]
async fn an_only_tenant_may_have_a_basic_server_and_is_told_that_it_is_one() {
    let marker = Marker::new();
    for (server, expected) in [
        (plain(&marker), Isolation::Guarded),
        (plain(&marker).isolation(Isolation::Basic), Isolation::Basic),
        (plain(&marker).allow_privileges(true), Isolation::Basic),
    ] {
        let runtime = builder().start().await.unwrap();
        let acme = tenant(&runtime, "acme", server).await;
        let lease = lease(&acme, "alice").await.unwrap();

        assert_eq!(lease.info().isolation, Some(expected));
        assert_eq!(runtime.status().sessions[0].isolation, Some(expected));
        close(&runtime).await;
    }
}

#[tokio::test]
async fn a_runtime_with_several_tenants_refuses_a_basic_server_and_starts_nothing() {
    let marker = Marker::new();
    for server in [plain(&marker).isolation(Isolation::Basic), plain(&marker).allow_privileges(true)] {
        let runtime = builder().start().await.unwrap();
        let acme = tenant(&runtime, "acme", server).await;
        let other = tenant(&runtime, "other", plain(&marker)).await;

        let error = lease(&acme, "alice").await.unwrap_err();

        assert!(matches!(error, Error::Denied { .. }), "{error}");
        let said = error.to_string();
        assert!(said.contains("`basic`") && said.contains("RuntimeBuilder::allow_basic_isolation"), "{said}");
        assert_eq!((runtime.status().sessions.len(), runtime.status().supervisor), (0, None));
        // It is the server that is refused, and not the tenant beside it.
        lease(&other, "alice").await.unwrap();
        close(&runtime).await;
    }
}

#[tokio::test]
async fn a_runtime_that_had_several_tenants_refuses_a_basic_server_to_the_last_of_them() {
    let marker = Marker::new();
    let runtime = builder().start().await.unwrap();
    let acme = tenant(&runtime, "acme", plain(&marker).isolation(Isolation::Basic)).await;
    drop(tenant(&runtime, "other", plain(&marker)).await);

    let error = lease(&acme, "alice").await.unwrap_err();

    // What the other left behind may live on.
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    close(&runtime).await;
}

#[tokio::test]
async fn tenants_that_follow_one_another_may_have_basic_servers() {
    let marker = Marker::new();
    let runtime = builder().start().await.unwrap();

    for name in ["first", "second"] {
        let tenant = tenant(&runtime, name, plain(&marker).isolation(Isolation::Basic)).await;
        let lease = lease(&tenant, "alice").await.unwrap();
        assert_eq!(lease.info().isolation, Some(Isolation::Basic));
    }

    close(&runtime).await;
}

#[tokio::test]
async fn no_tenant_comes_to_one_that_has_had_a_basic_server() {
    let marker = Marker::new();
    let runtime = builder().start().await.unwrap();
    let acme = tenant(&runtime, "acme", plain(&marker).isolation(Isolation::Basic)).await;
    let held = lease(&acme, "alice").await.unwrap();

    let error = runtime.tenant("other").apply().await.map(drop).unwrap_err();

    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert!(error.to_string().contains("RuntimeBuilder::allow_basic_isolation"), "{error}");
    // Who was there first goes on, and may have more.
    assert!(environment(&held).await.contains_key(Marker::VARIABLE));
    lease(&acme, "bob").await.unwrap();
    close(&runtime).await;
}

#[tokio::test]
async fn a_runtime_with_several_tenants_has_basic_servers_where_that_is_configured() {
    let marker = Marker::new();
    let runtime = builder().allow_basic_isolation().start().await.unwrap();
    let acme = tenant(&runtime, "acme", plain(&marker).isolation(Isolation::Basic)).await;
    let basic = lease(&acme, "alice").await.unwrap();
    let other = tenant(&runtime, "other", plain(&marker)).await;
    let guarded = lease(&other, "alice").await.unwrap();
    let late = lease(&acme, "bob").await.unwrap();

    assert_eq!([&basic, &late].map(|lease| lease.info().isolation), [Some(Isolation::Basic); 2]);
    assert_eq!(guarded.info().isolation, Some(Isolation::Guarded));
    close(&runtime).await;
}
