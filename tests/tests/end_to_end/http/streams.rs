//! Streams of events.

use std::time::Duration;

use innkeeper_tests::http::{BOUND, HttpServer, chunk, head};
use tokio::time::timeout;

use super::{House, call, fetch, text};

const SAID: &str =
    "\u{feff}: hello\nid: 1\ndata\n\nevent: message\r\ndata: {\"a\":1}\r\ndata: 2\r\n\r\nretry: 250\r\rdata: lost";
const TOLD: &str = "event id=1 \nevent type=message {\"a\":1}\n2\nevent retry=250 \nend\n";

#[tokio::test]
async fn events_are_told_one_by_one_wherever_the_stream_is_cut() {
    let house = House::new().await;
    let whole = head(200, "text/event-stream; charset=utf-8", "") + SAID;
    // In the head too.
    for cut in 1..whole.len() {
        let bytes = whole.clone().into_bytes();
        let server = HttpServer::start(move |_, mut wire| {
            let (first, rest) = (bytes[..cut].to_vec(), bytes[cut..].to_vec());
            async move {
                wire.write(first).await;
                // Two packets, most of the time.
                tokio::task::yield_now().await;
                wire.write(rest).await;
                None
            }
        })
        .await;
        let lease = house.lease(server.url("/")).await;

        let told = fetch(&lease, "GET server").await;

        assert!(told.ends_with(TOLD), "cut at {cut}: {told}");
    }
}

#[tokio::test]
async fn a_stream_may_be_silent_for_as_long_as_it_likes() {
    let house = House::with(|limits| {
        limits.http_idle = Duration::from_millis(1);
        limits.http_response = Duration::from_millis(50);
    })
    .await;
    let (goes_on, go_on) = tokio::sync::watch::channel(());
    let server = HttpServer::start(move |_, mut wire| {
        let mut go_on = go_on.clone();
        async move {
            wire.write(head(200, "text/event-stream", "") + "data: 1\n\n").await;
            go_on.changed().await.unwrap();
            wire.write("data: 2\n\n").await;
            None
        }
    })
    .await;
    let lease = house.lease(server.url("/")).await;

    let mut watching = call(&lease, "watch", "GET server");
    let mut told = Vec::new();
    while told.len() < 2 {
        told.push(timeout(BOUND, watching.progress()).await.unwrap().unwrap());
    }
    // What is bounded by those limits takes its time meanwhile, and comes to its end.
    let slow = HttpServer::of(head(200, "text/plain", "content-length: 2\r\n") + "x").await;
    let other =
        house.tenant("other", innkeeper::Server::url(slow.url("/"))).await.lease("alice", "remote").await.unwrap();
    fetch(&other, "GET server").await;
    goes_on.send(()).unwrap();

    assert_eq!(timeout(BOUND, watching.progress()).await.unwrap().unwrap(), "event 2\n");
}

#[tokio::test]
async fn a_stream_that_never_ends_is_ended_when_nobody_wants_it_any_more() {
    let (ended, mut end) = tokio::sync::mpsc::unbounded_channel();
    let server = HttpServer::start(move |_, mut wire| {
        let ended = ended.clone();
        async move {
            wire.write(head(200, "text/event-stream", "")).await;
            wire.write_without_end(b"data: more\n\n").await;
            let _ = ended.send(());
            None
        }
    })
    .await;
    let lease = House::new().await.lease(server.url("/")).await;

    // The guest has enough; the caller gives up; the session ends.
    let told = text(call(&lease, "take:100", "GET server")).await;
    assert_eq!(told.matches("event more\n").count(), 100);
    timeout(BOUND, end.recv()).await.unwrap().unwrap();

    let mut dropped = call(&lease, "watch", "GET server");
    dropped.progress().await.unwrap();
    drop(dropped);
    timeout(BOUND, end.recv()).await.unwrap().unwrap();

    let mut open = call(&lease, "watch", "GET server");
    open.progress().await.unwrap();
    drop((open, lease));
    timeout(BOUND, end.recv()).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_event_is_bounded_and_what_is_beyond_is_not_read() {
    let (written, mut taken) = tokio::sync::mpsc::unbounded_channel();
    let server = HttpServer::start(move |_, mut wire| {
        let written = written.clone();
        async move {
            wire.write(head(200, "text/event-stream", "") + "data: small\n\ndata: ").await;
            let _ = written.send(wire.write_without_end(&[b'x'; 64 * 1024]).await);
            None
        }
    })
    .await;
    let house = House::with(|limits| limits.frame = 1 << 20).await;
    let lease = house.lease(server.url("/")).await;

    let told = fetch(&lease, "GET server").await;

    assert!(
        told.contains("event small\nfailed too-large: an event of the response has more than 1048576 bytes"),
        "{told}"
    );
    let taken = timeout(BOUND, taken.recv()).await.unwrap().unwrap();
    // The bound, and what sockets hold.
    assert!(taken < 32 << 20, "{taken} bytes were taken");
}

#[tokio::test]
async fn an_event_of_the_largest_size_passes() {
    const SIZE: usize = 8 << 20;
    let data = "x".repeat(SIZE);
    let bytes = head(200, "text/event-stream", "") + "data: " + &data + "\n\n";
    let server = HttpServer::of(bytes).await;
    let lease = House::new().await.lease(server.url("/")).await;

    // More at a time than may be large at a time.
    let calls: Vec<_> = (0..6).map(|_| call(&lease, "fetch", "GET server")).collect();

    for call in calls {
        assert!(text(call).await.ends_with(&format!("event of {SIZE} bytes\nend\n")));
    }
}

#[tokio::test]
async fn what_is_no_stream_of_events_is_a_body() {
    let (said, house) = ("data: 1\n\n", House::new().await);
    let cases = [
        (head(200, "text/event-stream-not", ""), "body data: 1\n\n\nend\n"),
        (head(200, "TEXT/Event-Stream;charset=utf-8", ""), "event 1\nend\n"),
        (head(500, "text/event-stream", ""), "body data: 1\n\n\nend\n"),
    ];
    for (head, expected) in cases {
        let server = HttpServer::of(head + said).await;
        let lease = house.lease(server.url("/")).await;

        let told = fetch(&lease, "GET server").await;

        assert!(told.ends_with(expected), "{told}");
    }
}

#[tokio::test]
async fn a_stream_that_is_not_utf8_fails() {
    let mut bytes = head(200, "text/event-stream", "").into_bytes();
    bytes.extend(b"data: 1\n\ndata: \xff\n\n");
    let server = HttpServer::of(bytes).await;
    let lease = House::new().await.lease(server.url("/")).await;

    let told = fetch(&lease, "GET server").await;

    assert!(told.ends_with("event 1\nfailed malformed: the stream of events is not UTF-8\n"), "{told}");
}

#[tokio::test]
async fn a_stream_that_breaks_is_told_as_broken_after_what_came() {
    let bytes = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_owned()
        + &chunk("id: 7\ndata: 1\n\ndata: 2");
    let server = HttpServer::of(bytes).await;
    let lease = House::new().await.lease(server.url("/")).await;

    let told = fetch(&lease, "GET server").await;

    assert!(told.contains("event id=7 1\nfailed reset:") && !told.contains("event 2"), "{told}");
}
