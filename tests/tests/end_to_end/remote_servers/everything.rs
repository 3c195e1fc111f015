//! The reference server "everything" over both transports of HTTP.

use innkeeper::{
    Endpoint, Lease, Runtime,
    mcp::{CompletionReference, Notification},
};
use innkeeper_tests::{artifacts, listening::Listening};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{BOUND, House, ended};
use crate::platform::Platform;

/// A server, and a house in which it may ask everything.
async fn house(transport: &str, path: &str) -> (Listening, House) {
    let server = Listening::node(artifacts::everything_server_over(transport)).await;
    let platform = Platform::announcing(json!({ "roots": {}, "sampling": {}, "elicitation": {} }));
    let endpoint = Endpoint::new(server.url(path)).origin_paths(transport == "sse");
    let house = House::with(Runtime::builder().server_requests(platform), endpoint).await;
    (server, house)
}

async fn over_streamable_http() -> (Listening, House) {
    house("streamableHttp", "/mcp").await
}

async fn over_sse() -> (Listening, House) {
    house("sse", "/sse").await
}

async fn call(lease: &Lease, tool: &str, arguments: Value) -> String {
    let result = ended(lease.call_tool(tool, &arguments).unwrap().start()).await.unwrap();
    String::from_utf8(result.raw.to_vec()).unwrap()
}

#[tokio::test]
async fn its_tools_do_what_they_are_for() {
    for (_server, house) in [over_streamable_http().await, over_sse().await] {
        let lease = house.lease().await;

        assert_eq!(lease.tools().await.unwrap().len(), 16);
        for (tool, arguments, expected) in [
            ("echo", json!({ "message": "hello, 漢字 🦀" }), "Echo: hello, 漢字 🦀"),
            ("get-sum", json!({ "a": 20, "b": 22.5 }), "is 42.5"),
            ("get-tiny-image", json!({}), "image/png"),
            ("get-structured-content", json!({ "location": "Chicago" }), "structuredContent"),
            ("get-roots-list", json!({}), "file:///workspace"),
            ("trigger-elicitation-request", json!({}), "- Name: Ada"),
            ("trigger-sampling-request", json!({ "prompt": "what is it?" }), "the model says: 42"),
        ] {
            let result = call(&lease, tool, arguments).await;
            assert!(result.contains(expected), "{tool}: {result}");
        }
        drop(lease);
        house.close().await;
    }
}

#[tokio::test]
async fn it_reports_progress_in_order() {
    for (_server, house) in [over_streamable_http().await, over_sse().await] {
        let lease = house.lease().await;

        let arguments = json!({ "duration": 0.1, "steps": 5 });
        let mut call = lease.call_tool("trigger-long-running-operation", &arguments).unwrap().start();
        let mut reports = Vec::new();
        while let Some(report) = call.progress().await {
            reports.push((report.progress, report.total));
        }
        ended(call).await.unwrap();

        assert_eq!(reports, [1.0, 2.0, 3.0, 4.0, 5.0].map(|progress| (progress, Some(5.0))));
        drop(lease);
        house.close().await;
    }
}

#[tokio::test]
async fn a_call_of_it_that_is_dropped_leaves_the_session_usable() {
    for (_server, house) in [over_streamable_http().await, over_sse().await] {
        let lease = house.lease().await;
        let hours = json!({ "duration": 7_200, "steps": 36_000 });

        let mut call_of_hours = lease.call_tool("trigger-long-running-operation", &hours).unwrap().start();
        let first = call_of_hours.progress().await.unwrap();
        drop(call_of_hours);
        let after = call(&lease, "echo", json!({ "message": "after" })).await;

        assert_eq!((first.progress, first.total), (1.0, Some(36_000.0)));
        assert!(after.contains("Echo: after"), "{after}");
        assert_eq!(lease.ready().await.unwrap().incarnation, 1);
        drop(lease);
        house.close().await;
    }
}

#[tokio::test]
async fn its_resources_and_prompts_are_read_and_news_of_a_resource_come_unasked() {
    const URI: &str = "demo://resource/dynamic/text/5";
    for (_server, house) in [over_streamable_http().await, over_sse().await] {
        let lease = house.lease().await;
        let mut events = house.runtime.events();
        let prompt = CompletionReference::Prompt("completable-prompt".into());

        let resource = lease.read_resource(URI).await.unwrap();
        let prompts = lease.prompts().await.unwrap();
        let completion = lease.complete(&prompt, "department", "S", &[]).await.unwrap();
        lease.subscribe(URI).await.unwrap();
        call(&lease, "toggle-subscriber-updates", json!({})).await;
        let updated = loop {
            let event = timeout(BOUND, events.next()).await.unwrap().unwrap().unwrap();
            if let Some(Notification::ResourceUpdated { uri }) = Notification::of(&event) {
                break uri;
            }
        };

        assert!(resource.contents[0].text.as_ref().is_some_and(|text| text.starts_with("Resource 5:")), "{resource:?}");
        assert_eq!((prompts.len(), completion.values.len()), (4, 2));
        assert_eq!(updated, URI);
        drop(lease);
        house.close().await;
    }
}
