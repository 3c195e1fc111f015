//! Servers that nobody here wrote, pinned: every tool, progress, cancellation, and what they ask of the platform. The demo
//! server is among them for the sake of rmcp, with which it is made.

use std::{collections::BTreeMap, time::Duration};

use innkeeper::{Catalog, Command, Event, Lease, Limits, Runtime, Server, Tenant, mcp::ToolResult};
use innkeeper_tests::artifacts::{self, ServerCommand};
use serde_json::{Map, Value, json};

use crate::platform::Platform;

/// The revisions that the default guest speaks.
const REVISIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// Far more than any of these takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// A runtime with one server.
struct House {
    runtime: Runtime,
    tenant: Tenant,
    platform: Platform,
}

impl House {
    async fn of(command: ServerCommand, capabilities: Value) -> Self {
        Self::with_revision(command, capabilities, None).await
    }

    async fn with_revision(command: ServerCommand, capabilities: Value, revision: Option<&str>) -> Self {
        let platform = Platform::announcing(capabilities);
        let mut limits = Limits::default();
        // A server of node lives on after the end of its input, and nothing here is about how it ends.
        limits.close_input = DEADLINE / 100;
        let runtime = Runtime::builder().limits(limits).server_requests(platform.clone()).start().await.unwrap();
        let command = Command::new(command.program.to_str().unwrap()).args(command.args);
        let mut server = Server::command(command).open_timeout(DEADLINE);
        if let Some(revision) = revision {
            server = server.revision(revision);
        }
        let tenant = runtime.tenant("acme").catalog(Catalog::new().server("real", server)).apply().await.unwrap();
        Self { runtime, tenant, platform }
    }

    async fn lease(&self) -> Lease {
        self.tenant.lease("alice", "real").await.unwrap()
    }

    async fn close(self) {
        let report = self.runtime.drain(DEADLINE).await;
        assert!(report.closed.iter().all(|session| session.gone), "{report:?}");
    }
}

async fn tool_names(lease: &Lease) -> Vec<String> {
    lease.tools().await.unwrap().into_iter().map(|tool| tool.name).collect()
}

async fn call(lease: &Lease, tool: &str, arguments: Value) -> ToolResult {
    let call = lease.call_tool(tool, &arguments).unwrap().deadline(DEADLINE).start();
    call.await.unwrap_or_else(|error| panic!("{tool} of {arguments}: {error}"))
}

/// The result as one text.
fn said(result: &ToolResult) -> String {
    String::from_utf8(result.raw.to_vec()).unwrap()
}

/// Calls each tool that is in the list, and checks that there are arguments for all of them, and what the result has to say.
async fn call_all(lease: &Lease, tools: &[(&str, Value, &str)]) {
    let listed = tool_names(lease).await;
    let mut known: Vec<_> = tools.iter().map(|(name, ..)| (*name).to_owned()).collect();
    let mut sorted = listed.clone();
    known.sort();
    sorted.sort();
    assert_eq!(sorted, known);

    for (name, arguments, expected) in tools {
        let result = call(lease, name, arguments.clone()).await;
        assert!(said(&result).contains(expected), "{name}: {}", said(&result));
    }
}

// -------------------------------------------------------------------------------------------- server-everything

fn answering() -> Value {
    json!({ "roots": {}, "sampling": {}, "elicitation": {} })
}

#[tokio::test]
async fn everything_has_the_tools_that_the_capabilities_of_the_platform_allow() {
    let alone = House::of(artifacts::everything_server(), json!({})).await;
    let answered = House::of(artifacts::everything_server(), answering()).await;

    let without = tool_names(&alone.lease().await).await;
    let with = tool_names(&answered.lease().await).await;

    assert_eq!((without.len(), with.len()), (13, 16), "{without:?} {with:?}");
    let more: Vec<_> = with.into_iter().filter(|name| !without.contains(name)).collect();
    assert_eq!(more, ["get-roots-list", "trigger-elicitation-request", "trigger-sampling-request"]);
    alone.close().await;
    answered.close().await;
}

#[tokio::test]
async fn every_tool_of_everything_does_what_it_is_for() {
    let house = House::of(artifacts::everything_server(), answering()).await;
    let lease = house.lease().await;

    call_all(
        &lease,
        &[
            ("echo", json!({ "message": "hello, 漢字 🦀" }), "Echo: hello, 漢字 🦀"),
            ("get-annotated-message", json!({ "messageType": "error", "includeImage": true }), "image/png"),
            ("get-env", json!({}), "PATH"),
            ("get-resource-links", json!({ "count": 10 }), "Here are 10 resource links"),
            (
                "get-resource-reference",
                json!({ "resourceType": "Text", "resourceId": 7 }),
                "demo://resource/dynamic/text/7",
            ),
            ("get-structured-content", json!({ "location": "Chicago" }), "structuredContent"),
            ("get-sum", json!({ "a": 20, "b": 22.5 }), "is 42.5"),
            ("get-tiny-image", json!({}), "image/png"),
            (
                "gzip-file-as-resource",
                json!({ "data": "data:text/plain,hello", "outputType": "resource" }),
                "application/gzip",
            ),
            ("toggle-simulated-logging", json!({}), "Started simulated"),
            ("toggle-subscriber-updates", json!({}), "Started simulated"),
            ("trigger-long-running-operation", json!({ "duration": 0.02, "steps": 2 }), "Steps: 2"),
            // It wants to be called as a task, and says so.
            ("simulate-research-query", json!({ "topic": "inns" }), "task"),
            ("get-roots-list", json!({}), "file:///workspace"),
            ("trigger-elicitation-request", json!({}), "- Name: Ada"),
            ("trigger-sampling-request", json!({ "prompt": "what is it?" }), "the model says: 42 – ünïcödé"),
        ],
    )
    .await;

    drop(lease);
    house.close().await;
}

#[tokio::test]
async fn everything_asks_the_platform_and_its_tools_get_the_answers() {
    let house = House::of(artifacts::everything_server(), answering()).await;
    let lease = house.lease().await;

    let model = call(&lease, "trigger-sampling-request", json!({ "prompt": "what is it?", "maxTokens": 7 })).await;
    let person = call(&lease, "trigger-elicitation-request", json!({})).await;
    let folders = call(&lease, "get-roots-list", json!({})).await;

    assert!(said(&model).contains("the model says: 42"), "{}", said(&model));
    assert!(said(&person).contains("- Name: Ada"), "{}", said(&person));
    assert!(said(&folders).contains("1. the workspace"), "{}", said(&folders));
    let asked: BTreeMap<_, _> = house
        .platform
        .take_asked()
        .into_iter()
        .map(|mut asked| (asked["method"].to_string(), asked["params"].take()))
        .collect();
    let [elicitation, _roots, sampling] = asked.values().collect::<Vec<_>>()[..] else { panic!("{asked:?}") };
    assert_eq!(sampling["maxTokens"], 7);
    assert!(sampling["messages"][0]["content"]["text"].as_str().unwrap().ends_with("what is it?"), "{sampling}");
    assert_eq!(elicitation["requestedSchema"]["required"], json!(["name"]));
    drop(lease);
    house.close().await;
}

#[tokio::test]
async fn everything_reports_progress_in_order_and_with_the_total() {
    let house = House::of(artifacts::everything_server(), json!({})).await;
    let lease = house.lease().await;

    let arguments = json!({ "duration": 0.1, "steps": 5 });
    let mut call = lease.call_tool("trigger-long-running-operation", &arguments).unwrap().deadline(DEADLINE).start();
    let mut reports = Vec::new();
    while let Some(report) = call.progress().await {
        reports.push((report.progress, report.total));
    }
    let result = call.await.unwrap();

    assert_eq!(reports, [1.0, 2.0, 3.0, 4.0, 5.0].map(|progress| (progress, Some(5.0))));
    assert!(said(&result).contains("completed"), "{}", said(&result));
    drop(lease);
    house.close().await;
}

#[tokio::test]
async fn a_call_of_everything_that_is_dropped_leaves_the_session_usable() {
    let house = House::of(artifacts::everything_server(), json!({})).await;
    let lease = house.lease().await;
    let hours = json!({ "duration": 7_200, "steps": 36_000 });

    let mut call_of_hours = lease.call_tool("trigger-long-running-operation", &hours).unwrap().start();
    let first = call_of_hours.progress().await.unwrap();
    drop(call_of_hours);
    let after = call(&lease, "echo", json!({ "message": "after" })).await;

    assert_eq!((first.progress, first.total), (1.0, Some(36_000.0)));
    assert!(said(&after).contains("Echo: after"), "{}", said(&after));
    drop(lease);
    house.close().await;
}

#[tokio::test]
async fn what_everything_says_unasked_reaches_the_subscriber() {
    let house = House::of(artifacts::everything_server(), answering()).await;
    let mut events = house.runtime.events();
    let lease = house.lease().await;

    // It says which folders it was told, after it has asked for them and before the tool answers.
    call(&lease, "get-roots-list", json!({})).await;
    let message: Value = loop {
        match tokio::time::timeout(DEADLINE, events.next()).await.unwrap().unwrap().unwrap() {
            Event::Notification { method, params, .. } if method == "notifications/message" => {
                break serde_json::from_slice(&params).unwrap();
            }
            _ => {}
        }
    };

    assert_eq!(message["data"], "Roots updated: 1 root(s) received from client");
    drop(lease);
    house.close().await;
}

// -------------------------------------------------------------------------------------------- mcp-server-time

#[tokio::test]
async fn every_tool_of_time_does_what_it_is_for() {
    let house = House::of(artifacts::time_server(), json!({})).await;
    let lease = house.lease().await;

    let convert = json!({ "source_timezone": "UTC", "time": "12:30", "target_timezone": "Asia/Tokyo" });
    call_all(
        &lease,
        &[
            ("get_current_time", json!({ "timezone": "Asia/Kathmandu" }), "+05:45"),
            ("convert_time", convert, "T21:30:00+09:00"),
        ],
    )
    .await;
    let nowhere = call(&lease, "get_current_time", json!({ "timezone": "Nowhere/Land" })).await;

    // Both eras are spoken by this server, and the guest begins with a handshake.
    assert_eq!(lease.info().revision, "2025-11-25");
    assert!(nowhere.is_error && said(&nowhere).contains("Invalid timezone"), "{}", said(&nowhere));
    drop(lease);
    house.close().await;
}

// -------------------------------------------------------------------------------------------- rmcp

#[tokio::test]
async fn every_tool_of_a_server_made_with_an_early_rmcp_does_what_it_is_for() {
    let house = House::of(artifacts::rmcp_time_server(), json!({})).await;
    let lease = house.lease().await;

    let convert = json!({ "source_timezone": "UTC", "time": "12:30", "target_timezone": "Asia/Tokyo" });
    call_all(
        &lease,
        &[
            ("get_current_time", json!({ "timezone": "Asia/Kathmandu" }), "+05:45"),
            ("convert_time", convert, "T21:30:00+09:00"),
        ],
    )
    .await;

    // The only one that it speaks, whatever it is offered.
    assert_eq!(lease.info().revision, "2024-11-05");
    drop(lease);
    house.close().await;
}

#[tokio::test]
async fn every_tool_of_a_server_made_with_rmcp_does_what_it_is_for() {
    let house = House::of(artifacts::demo_server(), json!({ "elicitation": {} })).await;
    let lease = house.lease().await;

    call_all(
        &lease,
        &[
            ("add", json!({ "a": i64::MAX, "b": -1 }), "9223372036854775806"),
            ("echo", json!({ "text": "hello" }), "hello"),
            ("countdown", json!({ "steps": 2, "delay_ms": 1 }), "lift-off"),
            ("ask_name", json!({}), "Hello, Ada!"),
            ("fail", json!({ "text": "as ordered" }), "\"isError\":true"),
        ],
    )
    .await;
    let overflow = lease.call_tool("add", &json!({ "a": i64::MAX, "b": 1 })).unwrap().start().await.unwrap_err();

    assert!(overflow.to_string().contains("the sum does not fit 64 bits"), "{overflow}");
    assert_eq!(house.platform.take_asked().len(), 1);
    drop(lease);
    house.close().await;
}

#[tokio::test]
async fn a_server_made_with_rmcp_reports_progress_in_order_and_with_the_total() {
    let house = House::of(artifacts::demo_server(), json!({})).await;
    let lease = house.lease().await;

    let arguments = json!({ "steps": 3, "delay_ms": 1 });
    let mut call = lease.call_tool("countdown", &arguments).unwrap().deadline(DEADLINE).start();
    let mut reports = Vec::new();
    while let Some(report) = call.progress().await {
        reports.push((report.progress, report.total, report.message.unwrap_or_default()));
    }
    call.await.unwrap();

    let expected = [(1.0, "2 to go"), (2.0, "1 to go"), (3.0, "0 to go")];
    assert_eq!(reports, expected.map(|(progress, message)| (progress, Some(3.0), message.to_owned())));
    drop(lease);
    house.close().await;
}

#[tokio::test]
async fn a_call_of_a_server_made_with_rmcp_that_is_dropped_leaves_the_session_usable() {
    let house = House::of(artifacts::demo_server(), json!({})).await;
    let lease = house.lease().await;

    let mut hour = lease.call_tool("countdown", &json!({ "steps": 360_000, "delay_ms": 10 })).unwrap().start();
    let first = hour.progress().await.unwrap();
    drop(hour);
    let after = call(&lease, "echo", json!({ "text": "after" })).await;

    assert_eq!((first.progress, first.total), (1.0, Some(360_000.0)));
    assert!(said(&after).contains("after"), "{}", said(&after));
    drop(lease);
    house.close().await;
}

// -------------------------------------------------------------------------------------------- revisions

#[tokio::test]
async fn each_revision_can_be_forced_on_a_server_that_speaks_it() {
    let servers: [(ServerCommand, &str, Map<String, Value>); 3] = [
        (artifacts::everything_server(), "echo", arguments("message")),
        (artifacts::time_server(), "get_current_time", arguments("timezone")),
        (artifacts::demo_server(), "echo", arguments("text")),
    ];
    for (command, tool, arguments) in servers {
        for revision in REVISIONS {
            let house = House::with_revision(command.clone(), json!({}), Some(revision)).await;
            let lease = house.lease().await;

            let peer: Value = serde_json::from_slice(&lease.info().peer).unwrap();
            let result = call(&lease, tool, arguments.clone().into()).await;

            assert_eq!(lease.info().revision, revision);
            assert_eq!(peer["protocolVersion"], revision);
            assert!(!result.is_error && said(&result).contains("UTC"), "{revision}: {}", said(&result));
            drop(lease);
            house.close().await;
        }
    }
}

#[tokio::test]
async fn a_server_that_speaks_another_revision_than_the_forced_one_is_refused() {
    for revision in REVISIONS {
        let house = House::with_revision(artifacts::rmcp_time_server(), json!({}), Some(revision)).await;

        let outcome = house.tenant.lease("alice", "real").await;

        match outcome {
            Ok(lease) => assert_eq!((lease.info().revision.as_str(), revision), ("2024-11-05", "2024-11-05")),
            Err(error) => {
                assert_eq!(error.code(), "unsupported", "{error}");
                assert!(error.to_string().contains(revision) && error.to_string().contains("2024-11-05"), "{error}");
                assert_ne!(revision, "2024-11-05");
            }
        }
        house.close().await;
    }
}

fn arguments(name: &str) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), json!("UTC"))])
}
