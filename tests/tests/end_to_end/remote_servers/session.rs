//! The session that a server keeps: its id, its revision, its loss and its end.

use innkeeper_tests::{
    http::Received,
    remote::{Manner, Remote, asked},
};

use super::{FORMS, House, call};

#[tokio::test]
async fn its_id_and_the_revision_are_said_with_each_request_but_the_first() {
    for manner in FORMS {
        let remote = Remote::start(manner).await;
        let house = House::of(&remote).await;
        let lease = house.lease().await;
        call(&lease, "echo").await;
        // `initialize`, the notification after it, the stream and the call.
        remote.receives(4).await;
        drop(lease);
        house.close().await;

        let received = remote.received();

        let kinds: Vec<_> = received.iter().map(asked).collect();
        assert_eq!(kinds[..2], ["POST initialize", "POST notifications/initialized"]);
        assert_eq!(kinds[4], "DELETE");
        assert_eq!(session_of(&received[0]), (None, None));
        for request in &received[1..] {
            assert_eq!(session_of(request), (Some("session-1"), Some("2025-11-25")), "{request:?}");
        }
        for request in received.iter().filter(|request| request.method == "POST") {
            assert_eq!(request.header("content-type"), Some("application/json"));
            assert_eq!(request.header("accept"), Some("application/json, text/event-stream"));
        }
        let stream = received.iter().find(|request| request.method == "GET").unwrap();
        assert_eq!(stream.header("accept"), Some("text/event-stream"));
    }
}

#[tokio::test]
async fn a_server_without_ids_is_told_none_and_no_goodbye() {
    for manner in FORMS {
        let remote = Remote::start(Manner { sessions: false, ..manner }).await;
        let house = House::of(&remote).await;
        let lease = house.lease().await;
        assert_eq!(call(&lease, "echo").await, "hello");
        drop(lease);

        house.close().await;

        let received = remote.received();
        assert!(received.iter().all(|request| session_of(request).0.is_none()), "{received:?}");
        assert!(!received.iter().any(|request| request.method == "DELETE"), "{received:?}");
    }
}

#[tokio::test]
async fn one_that_the_server_forgot_is_opened_again_and_the_call_is_made_in_it() {
    for manner in FORMS {
        let remote = Remote::start(manner).await;
        let house = House::of(&remote).await;
        let lease = house.lease().await;
        assert_eq!(call(&lease, "echo").await, "hello");

        remote.forget_session();
        let after = call(&lease, "echo").await;

        assert_eq!(after, "hello");
        // For the platform it is the same session.
        assert_eq!(lease.ready().await.unwrap().incarnation, 1);
        let received = remote.received();
        let opened = received.iter().filter(|request| asked(request) == "POST initialize");
        assert_eq!(opened.map(session_of).collect::<Vec<_>>(), [(None, None); 2]);
        let calls = received.iter().filter(|request| asked(request) == "POST tools/call");
        let sessions: Vec<_> = calls.map(|request| session_of(request).0.unwrap()).collect();
        assert_eq!(sessions, ["session-1", "session-1", "session-2"]);
        drop(lease);
        house.close().await;

        let last = remote.received().pop().unwrap();
        assert_eq!((last.method.as_str(), session_of(&last).0), ("DELETE", Some("session-2")));
    }
}

/// What a request says of its session, and of the revision.
fn session_of(request: &Received) -> (Option<&str>, Option<&str>) {
    (request.header("mcp-session-id"), request.header("mcp-protocol-version"))
}
