//! The end of a session over HTTP.

use std::time::{Duration, Instant};

use innkeeper::{Error, Server};
use innkeeper_tests::http::{BOUND, HttpServer};
use tokio::time::timeout;

use super::{House, call, error};

async fn said_at_the_end(server: &HttpServer) -> Vec<String> {
    server.received().iter().map(|request| format!("{} {}", request.method, request.text())).collect()
}

#[tokio::test]
async fn what_is_to_be_sent_at_the_end_is_sent_the_last_one_counts_and_none_clears_it() {
    let house = House::new().await;
    let cases: [(&[&str], &[&str]); 3] = [
        (&["leave first"], &["DELETE first"]),
        (&["leave first", "leave second"], &["DELETE second"]),
        (&["leave first", "unleave"], &[]),
    ];
    for (said, expected) in cases {
        let server = HttpServer::echo().await;
        let tenant = house.tenant("acme", Server::url(server.url("/"))).await;
        let lease = tenant.lease("alice", "remote").await.unwrap();
        for said in said {
            let (method, body) = said.split_once(' ').unwrap_or((said, ""));
            call(&lease, method, &format!("DELETE server\n\n{body}")).await.unwrap();
        }
        drop(lease);

        let report = tenant.close(Duration::from_secs(5)).await;

        assert!(report.closed.iter().all(|session| session.in_time && session.gone), "{report:?}");
        assert_eq!(said_at_the_end(&server).await, expected);
    }
}

#[tokio::test]
async fn it_is_sent_even_if_the_guest_is_gone() {
    let server = HttpServer::echo().await;
    let lease = House::new().await.lease(server.url("/")).await;
    call(&lease, "leave", "DELETE server\nx-test: 1\n\nbye").await.unwrap();

    let error = error(call(&lease, "trap", "")).await;

    assert_eq!(error.code(), "guest_fault");
    let last = server.receives(1).await.remove(0);
    assert_eq!((last.method.as_str(), last.text().as_str(), last.header("x-test")), ("DELETE", "bye", Some("1")));
}

#[tokio::test]
async fn the_last_words_of_the_guest_come_before_it() {
    let server = HttpServer::echo().await;
    let house = House::new().await;
    let tenant = house.tenant("acme", Server::url(server.url("/")).revision("farewell")).await;
    let lease = tenant.lease("alice", "remote").await.unwrap();
    call(&lease, "leave", "DELETE server\n\nbye").await.unwrap();
    drop(lease);

    assert!(house.drain().await);

    assert_eq!(said_at_the_end(&server).await, ["POST farewell", "DELETE bye"]);
}

#[tokio::test]
async fn a_server_that_does_not_answer_the_last_request_does_not_hold_up_the_end() {
    let server = HttpServer::start(|_, mut wire| async move {
        wire.ended().await;
        None
    })
    .await;
    let house = House::new().await;
    let lease = house.lease(server.url("/")).await;
    call(&lease, "leave", "DELETE server\n\nbye").await.unwrap();
    drop(lease);
    let began = Instant::now();

    let report = timeout(BOUND, house.runtime.drain(Duration::from_millis(300))).await.unwrap();

    assert_eq!(report.closed.len(), 1);
    assert!(report.closed[0].gone, "{report:?}");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(said_at_the_end(&server).await, ["DELETE bye"]);
}

#[tokio::test]
async fn closing_ends_all_exchanges_and_their_calls() {
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
    let house = House::new().await;
    let lease = house.lease(server.url("/")).await;
    let calls: Vec<_> = (0..8).map(|_| call(&lease, "fetch", "POST server\n\nx")).collect();
    server.receives(8).await;

    assert!(house.drain().await);

    for call in calls {
        let error = error(call).await;
        assert!(matches!(error, Error::Closing { may_have_run: innkeeper::MayHaveRun::Unknown, .. }), "{error}");
        timeout(BOUND, end.recv()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_session_that_is_not_open_yet_can_be_closed() {
    let server = HttpServer::start(|_, mut wire| async move {
        wire.ended().await;
        None
    })
    .await;
    let house = House::new().await;
    let tenant = house.tenant("acme", Server::url(server.url("/")).revision("endless")).await;
    let opening = tokio::spawn({
        let tenant = tenant.clone();
        async move { tenant.lease("alice", "remote").await }
    });
    server.receives(1).await;

    assert!(house.drain().await);

    assert_eq!(timeout(BOUND, opening).await.unwrap().unwrap().unwrap_err().code(), "closing");
}
