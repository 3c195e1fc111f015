//! Redirects: to the same origin, a few, with the same request.

use innkeeper::{Endpoint, Error};
use innkeeper_tests::http::{HttpServer, answer};

use super::{House, call, error, fetch};

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Any\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
}

#[tokio::test]
async fn a_redirect_to_the_same_origin_is_followed_with_the_same_request() {
    let server = HttpServer::start(|request, mut wire| async move {
        wire.write(match request.path.as_str() {
            "/mcp" => redirect(307, "/mcp/"),
            _ => answer(200, "text/plain", &request.text()),
        })
        .await;
        Some(wire)
    })
    .await;
    let lease = House::new().await.lease(Endpoint::new(server.url("/mcp")).header("x-key", "hunter2")).await;

    let told = fetch(&lease, "POST server\nx-test: 1\n\nhello").await;

    assert!(told.starts_with("head 200\n") && told.ends_with("body hello\nend\n"), "{told}");
    for request in server.received() {
        assert_eq!((request.method.as_str(), request.header("x-key")), ("POST", Some("hunter2")));
    }
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_refused_and_nothing_is_sent_there() {
    let elsewhere = HttpServer::echo().await;
    let server = HttpServer::of(redirect(308, &elsewhere.url("/"))).await;
    let lease = House::new().await.lease(Endpoint::new(server.url("/")).header("x-key", "hunter2")).await;

    let told = fetch(&lease, "POST server\n\nhello").await;
    let error = error(call(&lease, "need", "POST server\n\nhello")).await;

    assert!(told.starts_with(&format!("failed denied: the server redirects to {}", elsewhere.url(""))), "{told}");
    assert!(matches!(&error, Error::Denied { reason, .. } if reason.contains("redirects to")), "{error}");
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn a_loop_of_redirects_ends() {
    let server = HttpServer::of(redirect(307, "?again")).await;
    let lease = House::new().await.lease(server.url("/")).await;

    let told = fetch(&lease, "GET server").await;

    assert_eq!(told, "failed too-large: the server redirects more than 5 times\n");
    assert_eq!(server.received().len(), 6);
}

#[tokio::test]
async fn a_redirect_that_would_change_the_method_is_the_final_response() {
    let server = HttpServer::of(redirect(302, "/login")).await;
    let lease = House::new().await.lease(server.url("/")).await;

    let told = fetch(&lease, "POST server\n\nhello").await;

    assert!(told.starts_with("head 302\nlocation: /login\n") && told.ends_with("end\n"), "{told}");
    assert_eq!(server.received().len(), 1);
}
