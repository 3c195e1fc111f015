//! Credentials: asked for with each request, seen by the server and by nobody else.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use innkeeper::{
    Endpoint, Error, MayHaveRun, Runtime, Secret, SecretError, SecretRequest, SecretStore, transport::BoxFuture,
};
use innkeeper_tests::http::{HttpServer, answer};

use super::{House, call, error, fetch};

/// A new token for each request. `later` is not there at present, and nothing else is there at all.
#[derive(Clone, Default)]
struct Tokens(Arc<AtomicU32>);

impl SecretStore for Tokens {
    fn resolve(&self, request: SecretRequest) -> BoxFuture<'static, Result<Secret, SecretError>> {
        let number = self.0.fetch_add(1, Relaxed);
        Box::pin(async move {
            match request.name.as_str() {
                "token" => Ok(Secret::new(format!("token-{number}-of-{}-{}", request.tenant, request.user.unwrap()))),
                "later" => Err(SecretError::unavailable("the vault is sealed")),
                _ => Err(SecretError::new("there is none of this name")),
            }
        })
    }
}

async fn house() -> House {
    House::of(Runtime::builder().secrets(Tokens::default())).await
}

#[tokio::test]
async fn a_token_is_asked_for_with_each_request() {
    let server = HttpServer::echo().await;
    let lease = house().await.lease(Endpoint::new(server.url("/")).bearer_secret("token")).await;

    fetch(&lease, "POST server\n\nx").await;
    fetch(&lease, "POST server\n\nx").await;

    let sent: Vec<_> =
        server.received().iter().map(|request| request.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(sent, ["Bearer token-0-of-acme-alice", "Bearer token-1-of-acme-alice"]);
    assert_eq!(lease.ready().await.unwrap().incarnation, 1);
}

#[tokio::test]
async fn a_server_that_repeats_a_token_does_not_tell_the_guest_or_the_caller() {
    let server = HttpServer::start(|request, mut wire| async move {
        let token = request.header("authorization").unwrap();
        let status = if request.text() == "x" { 200 } else { 401 };
        let headers = format!("x-echo: {token}\r\nset-cookie: a=b\r\nwww-authenticate: Bearer realm=\"{token}\"\r\n");
        wire.write(format!("HTTP/1.1 {status} Any\r\n{headers}x-kept: 1\r\ncontent-length: 0\r\n\r\n")).await;
        Some(wire)
    })
    .await;
    let house = house().await;
    let lease = house.lease(Endpoint::new(server.url("/")).bearer_secret("token")).await;

    let told = fetch(&lease, "POST server\n\nx").await;
    let error = error(call(&lease, "need", "POST server\n\ny")).await;

    assert_eq!(told, "head 200\nx-kept: 1\ncontent-length: 0\nend\n");
    let shown = format!("{error} {error:?} {:?}", house.runtime.status());
    assert!(shown.contains("Bearer realm") && shown.contains("***") && !shown.contains("token-"), "{shown}");
}

#[tokio::test]
async fn a_token_that_cannot_be_had_fails_the_call_before_anything_is_sent() {
    let server = HttpServer::echo().await;
    let house = house().await;
    for (secret, failure, code) in [("later", "connect", "unavailable"), ("missing", "denied", "start_failed")] {
        let endpoint = Endpoint::new(server.url("/")).bearer_secret(secret);
        let tenant = house.tenant(secret, innkeeper::Server::url(endpoint)).await;
        let lease = tenant.lease("alice", "remote").await.unwrap();

        let told = fetch(&lease, "POST server\n\nx").await;
        let error = error(call(&lease, "need", "POST server\n\nx")).await;

        assert!(told.starts_with(&format!("failed {failure}: its secret `{secret}` cannot be had")), "{told}");
        assert_eq!((error.code(), error.may_have_run()), (code, MayHaveRun::No), "{error}");
    }
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn a_token_in_a_file_is_read_anew() {
    let path = std::env::temp_dir().join(format!("innkeeper-token-{}", std::process::id()));
    let server = HttpServer::echo().await;
    let lease = House::new().await.lease(Endpoint::new(server.url("/")).bearer_file(&path)).await;

    for token in ["first-token\n", "second-token\n"] {
        std::fs::write(&path, token).unwrap();
        fetch(&lease, "GET server").await;
    }
    std::fs::remove_file(&path).unwrap();
    let told = fetch(&lease, "GET server").await;

    let sent: Vec<_> =
        server.received().iter().map(|request| request.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(sent, ["Bearer first-token", "Bearer second-token"]);
    assert!(told.starts_with("failed denied: its file `"), "{told}");
}

#[tokio::test]
async fn what_an_entry_cannot_send_or_reach_is_said_when_it_is_opened() {
    let house = House::new().await;
    let cases = [
        (Endpoint::new("http://127.0.0.1:1/").header("Host", "evil.example"), "belongs to a single connection"),
        (Endpoint::new("http://user:hunter2@127.0.0.1:1/"), "it has a user in it"),
        (Endpoint::new("ftp://127.0.0.1/"), "neither http nor https"),
        (Endpoint::new("nonsense"), "cannot be used"),
        (Endpoint::new("https://127.0.0.1:1/").ca_certificates("/nowhere/ca.pem"), "`/nowhere/ca.pem`"),
    ];
    for (number, (endpoint, said)) in cases.into_iter().enumerate() {
        let tenant = house.tenant(&format!("tenant-{number}"), innkeeper::Server::url(endpoint)).await;

        let error = tenant.lease("alice", "remote").await.unwrap_err();

        assert!(matches!(&error, Error::Start { reason, .. } if reason.contains(said)), "{said}: {error}");
    }
}

#[tokio::test]
async fn a_store_that_never_answers_does_not_outlast_the_call() {
    struct Silent;
    impl SecretStore for Silent {
        fn resolve(&self, _: SecretRequest) -> BoxFuture<'static, Result<Secret, SecretError>> {
            Box::pin(std::future::pending())
        }
    }
    let server = HttpServer::of(answer(200, "text/plain", "x")).await;
    let house = House::of(Runtime::builder().secrets(Silent)).await;
    let lease = house.lease(Endpoint::new(server.url("/")).bearer_secret("token")).await;

    let late = lease.call("fetch").raw_params("POST server\n\nx".into()).deadline(Duration::from_millis(100)).start();

    assert_eq!(error(late).await.code(), "timeout");
    assert!(server.received().is_empty());
}
