//! Answers of a server that is broken, or hostile. Each fails its own exchange, and says how.

use std::time::Duration;

use innkeeper_tests::http::{BOUND, HttpServer, answer, gzip_of_zeros, head};
use tokio::time::timeout;

use super::{House, call, fetch, text};

#[tokio::test]
async fn what_is_not_http_fails_its_exchange() {
    let house = House::new().await;
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let many = (0..200).map(|number| format!("x-{number}: 1\r\n")).collect::<String>();
    let large = format!("x-large: {}\r\n", "x".repeat(100 * 1024));
    let cases = [
        ("no http", "hello, I speak another protocol\r\n\r\n".to_owned(), "malformed"),
        ("a status that is none", "HTTP/1.1 abc OK\r\n\r\n".to_owned(), "malformed"),
        ("a header field without a name", "HTTP/1.1 200 OK\r\n: x\r\n\r\n".to_owned(), "malformed"),
        ("two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx".to_owned(), "malformed"),
        ("a chunk that is none", format!("{chunked}zz\r\nx\r\n"), "malformed"),
        ("many header fields", format!("HTTP/1.1 200 OK\r\n{many}\r\n"), "too-large"),
        ("large header fields", head(200, "text/plain", &large), "too-large"),
        ("an encoding that nobody asked for", head(200, "text/plain", "content-encoding: br\r\n") + "x", "malformed"),
        ("compressed in name only", head(200, "text/plain", "content-encoding: gzip\r\n") + "plain", "malformed"),
        ("nothing", String::new(), "reset"),
        ("half a status line", "HTTP/1.1 2".to_owned(), "reset"),
        ("half a body", head(200, "text/plain", "content-length: 10\r\n") + "half", "reset"),
        ("half a chunk", format!("{chunked}5\r\nab"), "reset"),
        ("no last chunk", format!("{chunked}2\r\nab\r\n"), "reset"),
    ];
    for (what, bytes, failure) in cases {
        let server = HttpServer::of(bytes).await;
        let lease = house.lease(server.url("/")).await;

        let told = fetch(&lease, "POST server\n\nx").await;

        let last = told.lines().last().unwrap();
        assert!(last.starts_with(&format!("failed {failure}: ")), "{what}: {told}");
        // The session is none the worse for it.
        assert_eq!(lease.ready().await.unwrap().incarnation, 1, "{what}");
    }
}

#[tokio::test]
async fn a_connection_that_ends_at_any_byte_of_a_reply_is_told_as_broken() {
    let house = House::new().await;
    let reply = answer(200, "application/json", "{\"a\":1}").into_bytes();
    for by_reset in [false, true] {
        for length in 0..reply.len() {
            let bytes = reply[..length].to_vec();
            let server = HttpServer::start(move |_, mut wire| {
                let bytes = bytes.clone();
                async move {
                    wire.write(bytes).await;
                    if by_reset {
                        wire.reset();
                    }
                    None
                }
            })
            .await;
            let lease = house.lease(server.url("/")).await;

            let told = fetch(&lease, "POST server\n\nx").await;

            assert!(told.contains("failed reset: ") && !told.contains("\nbody "), "{length}, {by_reset}: {told}");
        }
    }
}

#[tokio::test]
async fn a_body_is_bounded_by_what_it_says_and_by_what_comes() {
    const LIMIT: usize = 1 << 20;
    let house = House::with(|limits| limits.frame = LIMIT).await;
    let said = format!("content-length: {}\r\n", LIMIT + 1);
    let mut bomb = head(200, "text/plain", "content-encoding: gzip\r\n").into_bytes();
    bomb.extend(gzip_of_zeros(1 << 30));
    let come = head(200, "text/plain", "") + &"x".repeat(LIMIT + 1);

    for bytes in [head(200, "text/plain", &said).into_bytes(), bomb, come.into_bytes()] {
        let server = HttpServer::of(bytes).await;
        let lease = house.lease(server.url("/")).await;

        let told = fetch(&lease, "GET server").await;

        let expected = "failed too-large: the body of the response has more than 1048576 bytes\n";
        assert!(told.ends_with(expected), "{told}");
    }
    let server = HttpServer::of(head(200, "text/plain", "") + &"x".repeat(LIMIT)).await;
    let told = fetch(&house.lease(server.url("/")).await, "GET server").await;
    assert!(told.ends_with(&format!("body of {LIMIT} bytes\nend\n")), "{told}");
}

#[tokio::test]
async fn the_sum_at_the_end_of_a_compressed_body_counts() {
    // The bomb above is one: all that is wrong with it is its end, which is missing.
    for end in [&b""[..], &[0; 8]] {
        let mut bytes = head(200, "text/plain", "content-encoding: gzip\r\n").into_bytes();
        bytes.extend(gzip_of_zeros(258 * 10));
        bytes.extend(end);
        let server = HttpServer::of(bytes).await;

        let told = fetch(&House::new().await.lease(server.url("/")).await, "GET server").await;

        let failure = if end.is_empty() { "failed reset: " } else { "failed malformed: " };
        assert!(told.contains(failure), "{told}");
    }
}

#[tokio::test]
async fn a_body_of_which_nothing_comes_any_more_is_given_up() {
    let house = House::with(|limits| limits.http_idle = Duration::from_millis(50)).await;
    let server = HttpServer::start(|_, mut wire| async move {
        wire.write(head(200, "text/plain", "content-length: 10\r\n") + "x").await;
        wire.ended().await;
        None
    })
    .await;
    let lease = house.lease(server.url("/")).await;

    let told = fetch(&lease, "GET server").await;

    assert!(told.ends_with("failed timeout: nothing of the response came for 50ms\n"), "{told}");
}

#[tokio::test]
async fn a_response_that_no_call_waits_for_is_waited_for_no_longer_than_its_bound() {
    let house = House::with(|limits| limits.http_response = Duration::from_millis(50)).await;
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
    let tenant = house.tenant("acme", innkeeper::Server::url(server.url("/")).revision("handshake")).await;

    let error = timeout(BOUND, tenant.lease("alice", "remote")).await.unwrap().unwrap_err();

    assert_eq!(error.code(), "unavailable", "{error}");
    timeout(BOUND, end.recv()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_never_answers_holds_up_no_other_exchange() {
    let server = HttpServer::start(|request, mut wire| async move {
        if request.text() == "silence" {
            wire.ended().await;
            return None;
        }
        wire.write(answer(200, "text/plain", "quick")).await;
        Some(wire)
    })
    .await;
    let lease = House::new().await.lease(server.url("/")).await;
    let silent: Vec<_> = (0..64).map(|_| call(&lease, "fetch", "POST server\n\nsilence")).collect();
    server.receives(64).await;

    let told = text(call(&lease, "fetch", "POST server\n\nspeak")).await;

    assert!(told.ends_with("body quick\nend\n"), "{told}");
    drop(silent);
}
