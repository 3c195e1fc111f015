//! Replies: as one text, as events, after reports, and on a stream that broke.

use innkeeper::Runtime;
use innkeeper_tests::remote::{Manner, Remote};
use serde_json::json;

use super::{FORMS, House, call, ended, said, start};
use crate::platform::Platform;

#[tokio::test]
async fn replies_come_as_one_text_or_as_events() {
    for manner in FORMS {
        let remote = Remote::start(manner).await;
        let house = House::of(&remote).await;
        let lease = house.lease().await;

        let tools = lease.tools().await.unwrap();
        let echoed = call(&lease, "echo").await;

        assert_eq!(lease.info().revision, "2025-11-25");
        assert!(String::from_utf8_lossy(&lease.info().peer).contains(r#""name":"remote""#));
        assert_eq!((tools.len(), tools[0].name.as_str(), echoed.as_str()), (5, "echo", "hello"));
        drop(lease);
        house.close().await;
    }
}

#[tokio::test]
async fn calls_beside_each_other_get_their_own_replies() {
    for manner in FORMS {
        let remote = Remote::start(manner).await;
        let house = House::of(&remote).await;
        let lease = house.lease().await;

        let calls: Vec<_> = (0..64)
            .map(|number: u32| {
                let arguments = json!({ "message": number.to_string() });
                lease.call_tool("echo", &arguments).unwrap().start()
            })
            .collect();

        for (number, call) in calls.into_iter().enumerate() {
            assert_eq!(said(&ended(call).await.unwrap()), number.to_string());
        }
        drop(lease);
        house.close().await;
    }
}

#[tokio::test]
async fn reports_come_before_the_result() {
    let remote = Remote::start(Manner::default()).await;
    let house = House::of(&remote).await;
    let lease = house.lease().await;

    let mut call = start(&lease, "report");
    let mut reports = Vec::new();
    while let Some(report) = call.progress().await {
        reports.push((report.progress, report.total));
    }
    let result = ended(call).await.unwrap();

    assert_eq!((reports, said(&result)), (vec![(1.0, Some(2.0)), (2.0, Some(2.0))], "hello".to_owned()));
}

#[tokio::test]
async fn a_question_on_the_stream_of_a_call_is_answered_by_the_platform() {
    let remote = Remote::start(Manner::default()).await;
    let platform = Platform::announcing(json!({ "roots": {} }));
    let house = House::with(Runtime::builder().server_requests(platform.clone()), remote.url()).await;
    let lease = house.lease().await;

    let answer = call(&lease, "ask").await;

    assert!(answer.contains("file:///workspace"), "{answer}");
    assert_eq!(platform.take_asked().len(), 1);
}

#[tokio::test]
async fn a_stream_that_ended_before_its_reply_is_taken_up_again() {
    let remote = Remote::start(Manner { listening: false, ..Manner::default() }).await;
    let house = House::of(&remote).await;
    let lease = house.lease().await;

    let result = call(&lease, "later").await;

    assert_eq!(result, "later");
    let last = remote.received().pop().unwrap();
    assert_eq!((last.method.as_str(), last.header("last-event-id")), ("GET", Some("stream-1")));
    let calls = remote.asked().into_iter().filter(|asked| asked == "POST tools/call").count();
    assert_eq!(calls, 1, "it was not made again");
}

#[tokio::test]
async fn a_call_that_is_dropped_ends_its_exchange_and_is_cancelled_at_the_server() {
    let remote = Remote::start(Manner { listening: false, ..Manner::default() }).await;
    let house = House::of(&remote).await;
    let lease = house.lease().await;
    // `initialize`, the notification after it, the question for a stream, and the call.
    let call_of_hours = start(&lease, "never");
    let sent = remote.receives(4).await;

    drop(call_of_hours);

    let cancelled = remote.receives(5).await.pop().unwrap();
    let sent = sent.iter().find(|request| request.text().contains("tools/call")).unwrap();
    let (sent, cancelled) = (body(&sent.body), body(&cancelled.body));
    assert_eq!(cancelled["method"], "notifications/cancelled");
    assert_eq!(cancelled["params"]["requestId"], sent["id"]);
    assert_eq!(call(&lease, "echo").await, "hello");
}

fn body(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(bytes).unwrap()
}
