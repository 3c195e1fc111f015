//! The tools of all servers of a user as one catalog, and the rules that bind each call of one.
//!
//! The servers here have the tools that a test gives them, count what they are asked, and announce changes when they are told to.
//! A file is a subject; this one has what they share.

mod calls;
mod catalog;
mod hints;
mod refresh;
mod rules;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use innkeeper::{Catalog, Limits, Runtime, Server, Tenant, ToolRules, mcp::ToolCatalog, transport::Framing};
use innkeeper_tests::in_process::{self, Pipes, limits_for_paused_clock};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

const SECOND: Duration = Duration::from_secs(1);

/// What a server has, and what it was asked.
struct Toolbox {
    tools: Mutex<Vec<String>>,
    /// What it says of the behaviour of each of them.
    annotations: Mutex<Value>,
    connections: AtomicUsize,
    /// How often it was asked for its tools.
    lists: AtomicUsize,
    /// Names of the tools that were called, notices included.
    calls: Mutex<Vec<String>>,
    /// Answers to questions for tools; each takes one.
    may_list: Semaphore,
    /// Answers to calls; each takes one.
    may_answer: Semaphore,
    /// How many calls more it ends at, instead of an answer.
    ends_at_calls: AtomicUsize,
    /// Whether it refuses to list its tools.
    refuses: AtomicBool,
    /// Whether it announces a change before each list.
    announces_always: AtomicBool,
    /// Whether it announces a change at each call.
    announces_at_calls: AtomicBool,
}

impl Toolbox {
    fn with(tools: &[&str]) -> Arc<Self> {
        Arc::new(Self {
            tools: Mutex::new(Vec::from_iter(tools.iter().map(|name| (*name).to_owned()))),
            annotations: Mutex::default(),
            connections: AtomicUsize::new(0),
            lists: AtomicUsize::new(0),
            calls: Mutex::default(),
            may_list: Semaphore::new(Semaphore::MAX_PERMITS),
            may_answer: Semaphore::new(Semaphore::MAX_PERMITS),
            ends_at_calls: AtomicUsize::new(0),
            refuses: AtomicBool::new(false),
            announces_always: AtomicBool::new(false),
            announces_at_calls: AtomicBool::new(false),
        })
    }

    fn server(self: &Arc<Self>) -> Server {
        let toolbox = self.clone();
        Server::connector(in_process::server(Framing::Lines, move |pipes| {
            toolbox.connections.fetch_add(1, SeqCst);
            toolbox.clone().serve(pipes)
        }))
    }

    fn set(&self, tools: &[&str]) {
        *self.tools.lock().unwrap() = tools.iter().map(|name| (*name).to_owned()).collect();
    }

    fn annotate(&self, annotations: Value) {
        *self.annotations.lock().unwrap() = annotations;
    }

    /// Lets it answer this many questions for its tools from now on.
    fn list_only(&self, permits: usize) {
        self.may_list.forget_permits(Semaphore::MAX_PERMITS);
        self.may_list.add_permits(permits);
    }

    fn lists(&self) -> usize {
        self.lists.load(SeqCst)
    }

    fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    async fn serve(self: Arc<Self>, mut pipes: Pipes) {
        while let Some(line) = pipes.line().await {
            let message: Value = serde_json::from_str(&line).unwrap();
            let answer = match message["method"].as_str() {
                Some("initialize") => {
                    let capabilities = json!({ "tools": { "listChanged": true } });
                    let info = json!({ "name": "toolbox", "version": "1" });
                    json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": info })
                }
                Some("tools/list") => {
                    self.lists.fetch_add(1, SeqCst);
                    if self.announces_always.load(SeqCst) {
                        announce(&mut pipes).await;
                    }
                    let (tools, annotations) =
                        (self.tools.lock().unwrap().clone(), self.annotations.lock().unwrap().clone());
                    self.may_list.acquire().await.unwrap().forget();
                    if self.refuses.load(SeqCst) {
                        let error = json!({ "code": -32603, "message": "out of order" });
                        say(&mut pipes, json!({ "jsonrpc": "2.0", "id": message["id"], "error": error })).await;
                        continue;
                    }
                    let tool = |name: &String| {
                        let description = format!("{name} of the server");
                        json!({ "name": name, "description": description, "annotations": annotations })
                    };
                    json!({ "tools": tools.iter().map(tool).collect::<Vec<_>>() })
                }
                Some("tools/call") => {
                    let name = message["params"]["name"].as_str().unwrap_or("?").to_owned();
                    self.calls.lock().unwrap().push(name.clone());
                    if self.announces_at_calls.load(SeqCst) {
                        announce(&mut pipes).await;
                    }
                    self.may_answer.acquire().await.unwrap().forget();
                    if self.ends_at_calls.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
                        return;
                    }
                    json!({ "content": [{ "type": "text", "text": name }] })
                }
                // What no server has: it does as the test says.
                Some("announce") => {
                    for _ in 0..message["params"]["times"].as_u64().unwrap() {
                        announce(&mut pipes).await;
                    }
                    json!({})
                }
                _ => json!({}),
            };
            if !message["id"].is_null() {
                say(&mut pipes, json!({ "jsonrpc": "2.0", "id": message["id"], "result": answer })).await;
            }
        }
    }
}

async fn say(pipes: &mut Pipes, message: Value) {
    pipes.write_line(&message.to_string()).await;
}

async fn announce(pipes: &mut Pipes) {
    say(pipes, json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" })).await;
}

/// A tenant with these servers.
async fn tenant<const N: usize>(servers: [(&str, Server); N]) -> (Runtime, Tenant) {
    tenant_with(limits_for_paused_clock(), ToolRules::new(), servers).await
}

async fn tenant_with<const N: usize>(
    limits: Limits,
    rules: ToolRules,
    servers: [(&str, Server); N],
) -> (Runtime, Tenant) {
    let runtime = Runtime::builder().limits(limits).start().await.unwrap();
    let catalog = servers.into_iter().fold(Catalog::new(), |catalog, (name, server)| catalog.server(name, server));
    let tenant = runtime.tenant("acme").catalog(catalog).tool_rules(rules).apply().await.unwrap();
    (runtime, tenant)
}

/// Has the server of alice's session say so often that its tools are others, and waits until the host has heard it.
async fn announced(tenant: &Tenant, server: &str, times: u64) {
    let lease = tenant.lease("alice", server).await.unwrap();
    lease.call("announce").params(&json!({ "times": times })).start().await.unwrap();
}

fn names(tools: &ToolCatalog) -> Vec<&str> {
    tools.tools().iter().map(|tool| tool.name.as_str()).collect()
}

fn is_stale(tools: &ToolCatalog) -> bool {
    tools.tools().iter().any(|tool| tool.stale)
}

/// Waits, in virtual time, until something has happened.
async fn happens(has_happened: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if has_happened() {
            return;
        }
        tokio::time::sleep(SECOND / 100).await;
    }
    panic!("it never happens");
}

/// Waits, in virtual time, until alice's catalog is as it is to be.
async fn until(tenant: &Tenant, so: impl Fn(&ToolCatalog) -> bool) -> Arc<ToolCatalog> {
    for _ in 0..1000 {
        let tools = tenant.tools("alice").await.unwrap();
        if so(&tools) {
            return tools;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never is so")
}
