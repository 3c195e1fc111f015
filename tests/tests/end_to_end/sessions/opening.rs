//! Opening sessions: many at a time, and what the one who waits for it hears.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use innkeeper::{
    Catalog, Error, MayHaveRun, Phase, Runtime, Server,
    transport::{Connection, Connector, Framing, connector_fn},
};
use innkeeper_tests::in_process::{Pipes, limits_for_paused_clock};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::{House, Manner, Scripted, mannered, scripted, tenant_of};

/// Half of what a [`slow`] server takes: to be connected to, and to greet.
const HALF: Duration = Duration::from_millis(500);

/// Timers count milliseconds.
const TICK: Duration = Duration::from_millis(2);

fn slow() -> Arc<dyn Connector> {
    connector_fn("one that takes its time", |_| async {
        sleep(HALF).await;
        let (ours, pipes) = Pipes::pair();
        tokio::spawn(async move {
            sleep(HALF).await;
            Scripted { pipes }.obey().await;
        });
        let (reader, writer) = tokio::io::split(ours);
        Ok(Connection::new(reader, writer, Framing::Lines))
    })
}

#[tokio::test(start_paused = true)]
async fn servers_that_are_slow_to_open_open_together() {
    const SERVERS: usize = 50;
    let runtime = Runtime::builder().limits(limits_for_paused_clock()).start().await.unwrap();
    let names: Vec<String> = (0..SERVERS).map(|number| format!("server-{number}")).collect();
    let add = |catalog: Catalog, name: &String| catalog.server(name.as_str(), Server::connector(slow()));
    let tenant = runtime.tenant("acme").catalog(names.iter().fold(Catalog::new(), add)).apply().await.unwrap();
    let began = Instant::now();

    let leases = join_all(names.iter().map(|name| tenant.lease("alice", name.as_str()))).await;

    assert!(leases.iter().all(Result::is_ok), "{leases:?}");
    assert!(began.elapsed() <= 2 * HALF + TICK, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn servers_that_fail_or_hang_fail_their_own_leases_and_delay_no_other() {
    let open = limits_for_paused_clock().open;
    // Those that fail before those that do not.
    let servers = [
        ("ends", mannered(|_| Manner::Ends), "server_exited", Duration::from_millis(300)),
        ("hangs", mannered(|_| Manner::NeverConnects), "timeout", open + TICK),
        ("is mute", mannered(|_| Manner::NeverGreets), "timeout", open + TICK),
        ("is slow", slow(), "open", 2 * HALF + TICK),
    ];
    let runtime = Runtime::builder().limits(limits_for_paused_clock()).start().await.unwrap();
    let add = |catalog: Catalog, (name, connector, ..): &(&str, Arc<dyn Connector>, _, _)| {
        catalog.server(*name, Server::connector(connector.clone()))
    };
    let catalog = servers.iter().fold(Catalog::new(), add);
    let tenant = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();
    let began = Instant::now();

    join_all(servers.map(async |(name, _, expected, by)| {
        let outcome = tenant.lease("alice", name).await.map(drop);
        let took = began.elapsed();

        assert_eq!(outcome.as_ref().map_or_else(Error::code, |()| "open"), expected, "it {name}: {outcome:?}");
        assert!(took <= by, "it {name}, which took {took:?}");
    }))
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_there_when_the_handshake_is_done_and_not_before() {
    let (connector, mut servers) = scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let opening = tokio::spawn(async move { tenant.lease("alice", "scripted").await });
    let mut server = servers.recv().await.unwrap();
    let initialize: Value = serde_json::from_str(&server.pipes.line().await.unwrap()).unwrap();

    sleep(Duration::from_secs(20)).await;
    let too_soon = opening.is_finished();
    let info = json!({ "name": "scripted", "version": "1" });
    let result = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": info });
    server.answer(&initialize, result).await;
    let lease = opening.await.unwrap().unwrap();

    assert!(!too_soon);
    assert_eq!(lease.info().revision, "2025-06-18");
    assert_eq!(lease.info().incarnation, 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_opens_is_an_error_with_its_name_and_the_time_that_it_had() {
    let house = House::with(limits_for_paused_clock()).await;
    for manner in [Manner::NeverConnects, Manner::NeverGreets] {
        let tenant = house.tenant(&format!("{manner:?}"), Server::connector(mannered(move |_| manner))).await;
        let began = Instant::now();

        let error = tenant.lease("alice", "scripted").await.unwrap_err();

        assert_eq!(began.elapsed().as_secs(), 30, "{manner:?}");
        assert!(matches!(error, Error::Timeout { phase: Phase::Open, .. }), "{manner:?}: {error:?}");
        assert_eq!(error.to_string(), "opening the session with server `scripted` took longer than 30s");
        assert_eq!((error.may_have_run(), house.runtime.status().leases), (MayHaveRun::No, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_this_version_cannot_reach_is_refused_at_once_and_opens_nothing() {
    let runtime = Runtime::builder().limits(limits_for_paused_clock()).start().await.unwrap();
    let catalog = Catalog::new().server("remote", Server::url("https://example.com/mcp"));
    let tenant = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();

    let error = timeout(Duration::ZERO, tenant.lease("alice", "remote")).await.unwrap().unwrap_err();

    assert_eq!(error.code(), "unsupported", "{error}");
    assert!(error.to_string().contains("https://example.com/mcp"), "{error}");
    assert!(runtime.status().sessions.is_empty());
}
