//! Holding a conversation through Innkeeper.

use futures_util::FutureExt;
use innkeeper::{Catalog, Command, Component, Error, Event, Events, Lease, Limits, Runtime, Server};
use serde_json::{Value, json};

use super::{
    CLIENT, DEADLINE, Reference,
    conversation::{LISTS, Step},
    transcript::{Exchange, Transcript},
};
use crate::platform::Platform;

pub(super) async fn runtime(platform: &Platform) -> Runtime {
    let mut limits = Limits::default();
    // A server of node lives on after the end of its input, and nothing here is about how it ends.
    limits.close_input = DEADLINE / 100;
    let [name, version] = CLIENT;
    let builder = Runtime::builder().limits(limits).client_info(name, version).server_requests(platform.clone());
    builder.start().await.unwrap()
}

pub(super) async fn hold(
    reference: &Reference,
    guest: &Component,
    runtime: &Runtime,
    platform: &Platform,
    mutation: Option<u64>,
) -> Transcript {
    let command = Command::new(reference.command.program.to_str().unwrap()).args(reference.command.args.iter());
    let mut server = Server::command(command).open_timeout(DEADLINE);
    if let Some(seed) = mutation {
        server = server.revision(format!("mutation {seed}"));
    }
    let catalog = Catalog::new().server("server", server);
    let tenant = runtime.tenant(reference.name).guest(guest.clone()).catalog(catalog).apply().await.unwrap();
    let mut events = runtime.events();
    platform.take_asked();
    let mut transcript = Transcript::default();

    match tenant.lease("alice", "server").await {
        Ok(lease) => {
            transcript.peer = json(&lease.info().peer);
            for (method, _) in LISTS {
                let outcome = list(&lease, method).await;
                transcript.exchanges.push(Exchange { label: method.to_owned(), outcome, progress: Vec::new() });
            }
            for step in &reference.conversation.steps {
                let exchange = take(&lease, step).await;
                transcript.exchanges.push(exchange);
            }
        }
        Err(error) => transcript.peer = failure(error),
    }

    transcript.asked = platform.take_asked();
    transcript.notifications = notifications(&mut events);
    tenant.close(DEADLINE).await;
    transcript
}

async fn list(lease: &Lease, method: &'static str) -> Value {
    if method == "tools/list" {
        return match lease.tools().await {
            Ok(tools) => json!({ "result": { "tools": tools } }),
            Err(error) => failure(error),
        };
    }
    match lease.call(method).progress(false).all_pages().deadline(DEADLINE).start().await {
        Ok(result) => json!({ "result": json(&result) }),
        Err(error) => failure(error),
    }
}

async fn take(lease: &Lease, step: &Step) -> Exchange {
    let mut reports = Vec::new();
    let outcome = if step.method == "tools/call" {
        let name = step.params["name"].as_str().unwrap();
        let mut call = lease.call_tool(name, &step.params["arguments"]).unwrap().deadline(DEADLINE).start();
        while let Some(report) = call.progress().await {
            reports.push(report.raw);
        }
        call.await.map(|result| result.raw)
    } else {
        let mut call = lease.call(step.method).params(&step.params).deadline(DEADLINE).start();
        while let Some(report) = call.progress().await {
            reports.push(report);
        }
        call.await
    };
    let outcome = outcome.map_or_else(failure, |result| json!({ "result": json(&result) }));
    Exchange {
        label: step.label.clone(),
        outcome,
        progress: reports.iter().map(|report| without_token(json(report))).collect(),
    }
}

/// What was said until now. Whoever calls this has an answer that came after it.
fn notifications(events: &mut Events) -> Vec<Value> {
    let mut notifications = Vec::new();
    // Without tokio's budget, which ends a poll after some of many events as if there were no more.
    while let Some(Some(event)) = tokio::task::unconstrained(events.next()).now_or_never() {
        if let Event::Notification { method, params, .. } = event.expect("fewer notifications than the backlog holds") {
            notifications.push(json!({ "method": method, "params": json(&params) }));
        }
    }
    notifications
}

/// What the server said, or what Innkeeper says of it.
fn failure(error: Error) -> Value {
    match error {
        Error::Server(error) => json!({ "error": json(error.raw()) }),
        other => json!({ "failure": other.to_string() }),
    }
}

fn without_token(mut report: Value) -> Value {
    report.as_object_mut().and_then(|report| report.remove("progressToken"));
    report
}

/// What is not JSON differs from all that is.
fn json(bytes: &[u8]) -> Value {
    if bytes.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(bytes).unwrap_or_else(|error| json!({ "not JSON": error.to_string() }))
}
