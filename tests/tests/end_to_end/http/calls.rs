//! Calls over HTTP: whether they may have run, how they end, and what their callers hear.

use std::time::Duration;

use innkeeper::{Error, MayHaveRun, Phase};
use innkeeper_tests::http::{BOUND, HttpServer, answer};
use tokio::{net::TcpListener, time::timeout};

use super::{House, call, error};

#[tokio::test]
async fn a_call_that_found_no_connection_has_not_run() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let lease = House::new().await.lease(format!("http://{nobody}/")).await;

    let error = error(call(&lease, "need", "POST server\n\nx")).await;

    assert!(
        matches!(&error, Error::Unavailable { reason, retry_after: Some(_), .. } if reason.contains("no connection"))
    );
    assert_eq!(error.may_have_run(), MayHaveRun::No, "{error}");
}

#[tokio::test]
async fn a_call_that_left_and_was_not_answered_may_have_run_and_is_not_made_again() {
    let server = HttpServer::of("").await;
    let lease = House::new().await.lease(server.url("/")).await;

    let error = error(call(&lease, "need", "POST server\n\nx")).await;

    assert_eq!((error.code(), error.may_have_run()), ("unavailable", MayHaveRun::Unknown), "{error}");
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_connection_that_the_server_has_closed_meanwhile_costs_no_call() {
    let server = HttpServer::of(answer(200, "text/plain", "x")).await;
    let lease = House::new().await.lease(server.url("/")).await;

    // Each is kept by the client and closed by the server.
    for _ in 0..20 {
        let outcome = timeout(BOUND, call(&lease, "need", "POST server\n\nx")).await.unwrap();

        if let Err(error) = outcome {
            // The two may meet. Then nobody knows, and says so.
            assert_eq!(error.may_have_run(), MayHaveRun::Unknown, "{error}");
        }
    }
}

#[tokio::test]
async fn a_call_whose_time_is_up_ends_its_exchange() {
    let (ended, mut end) = tokio::sync::mpsc::unbounded_channel();
    let server = HttpServer::start(move |_, mut wire| {
        let ended = ended.clone();
        async move {
            wire.ended().await;
            let _ = ended.send(());
            None
        }
    })
    .await;
    let lease = House::new().await.lease(server.url("/")).await;

    let late = lease.call("fetch").raw_params("POST server\n\nx".into()).deadline(Duration::from_millis(200)).start();
    let error = error(late).await;

    assert!(matches!(error, Error::Timeout { phase: Phase::Call, may_have_run: MayHaveRun::Unknown, .. }), "{error}");
    timeout(BOUND, end.recv()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_wants_authorization_says_how() {
    for (status, may_have_run) in [(401, MayHaveRun::No), (403, MayHaveRun::Unknown)] {
        let challenge =
            "www-authenticate: Bearer resource_metadata=\"https://a.example/m\"\r\nwww-authenticate: Basic\r\n";
        let head = format!("HTTP/1.1 {status} Any\r\n{challenge}content-length: 0\r\n\r\n");
        let server = HttpServer::of(head).await;
        let house = House::new().await;
        let lease = house.lease(server.url("/")).await;

        let error = error(call(&lease, "need", "POST server\n\nx")).await;

        let Error::AuthorizationRequired { status: said, challenge, .. } = &error else { panic!("{error}") };
        assert_eq!(*said, status);
        assert_eq!(challenge.as_deref(), Some("Bearer resource_metadata=\"https://a.example/m\", Basic"));
        assert_eq!((error.code(), error.may_have_run()), ("authorization_required", may_have_run));
    }
}

#[tokio::test]
async fn a_session_whose_greeting_wants_authorization_does_not_open() {
    let server =
        HttpServer::of("HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer\r\ncontent-length: 0\r\n\r\n").await;
    let house = House::new().await;
    let tenant = house.tenant("acme", innkeeper::Server::url(server.url("/")).revision("handshake")).await;

    let error = timeout(BOUND, tenant.lease("alice", "remote")).await.unwrap().unwrap_err();

    assert_eq!(error.to_string(), "server `remote` requires authorization (status 401): Bearer");
}

#[tokio::test]
async fn a_refusal_is_that_of_its_own_call() {
    let server = HttpServer::start(|request, mut wire| async move {
        let status = if request.text() == "secret" { 401 } else { 500 };
        wire.write(answer(status, "text/plain", "no")).await;
        Some(wire)
    })
    .await;
    let lease = House::new().await.lease(server.url("/")).await;

    let secret = error(call(&lease, "need", "POST server\n\nsecret")).await;
    let other = error(call(&lease, "need", "POST server\n\nother")).await;

    assert_eq!((secret.code(), other.code()), ("authorization_required", "unavailable"));
}

#[tokio::test]
async fn an_exchange_that_was_refused_long_ago_is_not_why_a_session_ends() {
    let server = HttpServer::start(|request, mut wire| async move {
        let status = if request.text() == "secret" { 403 } else { 200 };
        wire.write(answer(status, "text/plain", "x")).await;
        Some(wire)
    })
    .await;
    let lease = House::new().await.lease(server.url("/")).await;
    call(&lease, "scatter:1", "POST server\n\nsecret").await.unwrap();
    server.receives(1).await;
    super::fetch(&lease, "POST server\n\nother").await;

    let error = error(call(&lease, "quit", "")).await;

    assert!(matches!(&error, Error::Unavailable { reason, .. } if reason == "it has had enough"), "{error}");
}

#[tokio::test]
async fn a_session_has_no_more_exchanges_than_it_may_have() {
    let server = HttpServer::start(|_, mut wire| async move {
        wire.ended().await;
        None
    })
    .await;
    let lease = House::with(|limits| limits.calls_in_flight = 4).await.lease(server.url("/")).await;

    call(&lease, "scatter:260", "POST server\n\nx").await.unwrap();
    let told = super::fetch(&lease, "POST server\n\nx").await;

    assert_eq!(told, "failed too-large: the session has as many exchanges as it may have\n");
}
