//! What MCP has beside tools, with types: resources, prompts, completion, log messages, and what servers ask of the platform.
//!
//! With the reference server for what is usual, and with servers that do as a test says for what is not. Reading single answers
//! has unit tests beside the code.

mod asked;
mod everything;
mod offers;
mod replies;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use innkeeper::{
    Catalog, Event, Events, Lease, Limits, Runtime, RuntimeBuilder, Server, Tenant, mcp::Notification,
    transport::Framing,
};
use innkeeper_tests::in_process::{self, Pipes};
use serde_json::{Value, json};

/// Far more than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// What a server answers to a method with parameters, in the words of the protocol: `{"result": …}`, `{"error": …}`. In place of
/// it, it may say something of its own: a whole message.
type Answers = Box<dyn Fn(&str, &Value) -> Vec<Value> + Send + Sync>;

/// A server that does as a test says.
struct Script {
    /// The result of `initialize`, less the revision.
    introduction: Value,
    answers: Answers,
    /// What it received, in order.
    received: Mutex<Vec<Value>>,
}

impl Script {
    /// A server that introduces itself so, and answers so.
    fn new(introduction: Value, answers: impl Fn(&str, &Value) -> Vec<Value> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { introduction, answers: Box::new(answers), received: Mutex::default() })
    }

    /// A server that offers all there is.
    fn offering_all(answers: impl Fn(&str, &Value) -> Vec<Value> + Send + Sync + 'static) -> Arc<Self> {
        let resources = json!({ "subscribe": true, "listChanged": true });
        let all = json!({ "tools": {}, "resources": resources, "prompts": {}, "completions": {}, "logging": {} });
        Self::new(json!({ "capabilities": all }), answers)
    }

    /// What it received beside the handshake, in order.
    fn received(&self) -> Vec<Value> {
        let received = self.received.lock().unwrap();
        let is_handshake = |message: &&Value| {
            message["method"]
                .as_str()
                .is_some_and(|method| method.ends_with("initialize") || method.ends_with("initialized"))
        };
        received.iter().filter(|message| !is_handshake(message)).cloned().collect()
    }

    /// The methods of what it received beside the handshake, in order.
    fn asked(&self) -> Vec<String> {
        self.received().iter().filter_map(|message| message["method"].as_str().map(str::to_owned)).collect()
    }

    /// What it was told of the platform's capabilities.
    fn told(&self) -> Value {
        let received = self.received.lock().unwrap();
        let initialize = received.iter().find(|message| message["method"] == "initialize");
        initialize.map(|message| message["params"]["capabilities"].clone()).unwrap_or_default()
    }

    async fn serve(self: Arc<Self>, mut pipes: Pipes) {
        while let Some(line) = pipes.line().await {
            let message: Value = serde_json::from_str(&line).unwrap();
            self.received.lock().unwrap().push(message.clone());
            let (method, id) = (message["method"].as_str().unwrap_or_default(), &message["id"]);
            let answers = match method {
                "initialize" => {
                    let mut result = json!({
                        "protocolVersion": message["params"]["protocolVersion"],
                        "serverInfo": { "name": "script", "version": "1" },
                    });
                    result.as_object_mut().unwrap().extend(self.introduction.as_object().unwrap().clone());
                    vec![json!({ "result": result })]
                }
                "notifications/initialized" => Vec::new(),
                // An answer of the platform is told on.
                "" => vec![json!({ "method": "answered", "params": message })],
                method => (self.answers)(method, &message["params"]),
            };
            for mut answer in answers {
                answer["jsonrpc"] = "2.0".into();
                if answer.get("method").is_none() {
                    answer["id"] = id.clone();
                }
                // What is said without being asked stands for itself; an answer to a notification is none.
                if answer["id"] != Value::Null || answer.get("method").is_some() {
                    pipes.write_line(&answer.to_string()).await;
                }
            }
        }
    }
}

/// The answer with this result.
fn result(result: Value) -> Vec<Value> {
    vec![json!({ "result": result })]
}

/// A runtime with one server.
struct House {
    runtime: Runtime,
    tenant: Tenant,
    lease: Lease,
}

impl House {
    async fn of(script: &Arc<Script>) -> Self {
        Self::with(Runtime::builder(), Self::server(script)).await
    }

    fn server(script: &Arc<Script>) -> Server {
        let script = script.clone();
        Server::connector(in_process::server(Framing::Lines, move |pipes| script.clone().serve(pipes)))
    }

    async fn with(builder: RuntimeBuilder, server: Server) -> Self {
        let mut limits = Limits::default();
        // A server of node lives on after the end of its input, and nothing here is about how it ends.
        limits.close_input = DEADLINE / 100;
        let runtime = builder.limits(limits).start().await.unwrap();
        let catalog = Catalog::new().server("real", server.open_timeout(DEADLINE).call_timeout(DEADLINE));
        let tenant = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();
        let lease = tenant.lease("alice", "real").await.unwrap();
        Self { runtime, tenant, lease }
    }

    async fn close(self) {
        drop((self.lease, self.tenant));
        let report = self.runtime.drain(DEADLINE).await;
        assert!(report.closed.iter().all(|session| session.gone), "{report:?}");
    }
}

/// The next thing that a server says by itself.
async fn next(events: &mut Events) -> Notification {
    loop {
        let event: Event = tokio::time::timeout(DEADLINE, events.next()).await.unwrap().unwrap().unwrap();
        if let Some(notification) = Notification::of(&event) {
            return notification;
        }
    }
}
