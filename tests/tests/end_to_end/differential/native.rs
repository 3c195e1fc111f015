//! Holding a conversation through rmcp, which also decides what is said.
//!
//! # Order
//!
//! rmcp takes each notification in a task of its own. These tests run on one thread, where tasks run in the order in which
//! they were started: so the notifications that came before an answer are kept when the answer is there.

use std::{
    collections::HashMap,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use innkeeper_tests::artifacts::ServerCommand;
use rmcp::{
    RoleClient, ServiceExt,
    model::{ClientConfig, ClientRequest, ClientResult, CustomResult, ErrorCode, ErrorData, ProtocolVersion},
    serde::Serialize,
    service::{
        MaybeSendFuture, NotificationContext, Peer, PeerRequestOptions, RequestContext, Service, ServiceError,
        ServiceRole,
    },
};
use serde_json::{Value, json};
use tokio::{
    process::{ChildStdin, ChildStdout},
    time::timeout,
};

use super::{
    CLIENT, DEADLINE, capabilities,
    conversation::{Conversation, LISTS, Step},
    transcript::{Exchange, Transcript},
};
use crate::platform::Platform;

/// What a server sees of the environment by Innkeeper's rule, written down a second time: a change of the rule is to show.
const ENVIRONMENT: [&str; 10] =
    ["HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"];
const ENVIRONMENT_PREFIXES: [&str; 2] = ["LC_", "XDG_"];

/// Talks to a fresh process of the server; what about is up to its lists.
pub(super) async fn hold(name: &str, command: &ServerCommand) -> (Conversation, Transcript) {
    let client = Client::default();
    let mut process = Process::start(command);
    let service = timeout(DEADLINE, client.clone().serve(process.pipes())).await.expect("it opens in time").unwrap();
    let peer = service.peer();
    let mut transcript = Transcript { peer: value(&peer.peer_info()), ..Transcript::default() };

    for (method, key) in LISTS {
        let outcome = timeout(DEADLINE, list(peer, method, key)).await.expect("a list comes in time");
        transcript.exchanges.push(Exchange { label: method.to_owned(), outcome, progress: Vec::new() });
    }
    let lists: Vec<_> = transcript.exchanges.iter().map(|exchange| exchange.outcome.clone()).collect();
    let conversation = Conversation::new(name, &lists);
    for step in &conversation.steps {
        let exchange = client.take(peer, step).await;
        transcript.exchanges.push(exchange);
    }

    transcript.asked = client.platform.take_asked();
    transcript.notifications = std::mem::take(&mut client.heard.lock().unwrap().notifications);
    drop(process);
    service.waiting().await.unwrap();
    (conversation, transcript)
}

/// A process that is ended and reaped at once, and not by rmcp: it would wait for servers that do not end with their input, and
/// leave reaping to a runtime that may be busy, while other tests in this program look for zombies.
struct Process(Child);

impl Process {
    fn start(command: &ServerCommand) -> Self {
        let visible = std::env::vars_os().filter(|(name, _)| {
            let name = name.to_str().unwrap_or_default();
            ENVIRONMENT.contains(&name) || ENVIRONMENT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        });
        let mut process = Command::new(&command.program);
        process.args(&command.args).env_clear().envs(visible);
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Self(process.spawn().unwrap())
    }

    fn pipes(&mut self) -> (ChildStdout, ChildStdin) {
        let (output, input) = (self.0.stdout.take().unwrap(), self.0.stdin.take().unwrap());
        (ChildStdout::from_std(output).unwrap(), ChildStdin::from_std(input).unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // What has ended by itself cannot be killed, and is to be reaped all the same.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn list(peer: &Peer<RoleClient>, method: &str, key: &str) -> Value {
    let entries = match method {
        "tools/list" => peer.list_all_tools().await.map(|list| value(&list)),
        "resources/list" => peer.list_all_resources().await.map(|list| value(&list)),
        "resources/templates/list" => peer.list_all_resource_templates().await.map(|list| value(&list)),
        "prompts/list" => peer.list_all_prompts().await.map(|list| value(&list)),
        other => panic!("{other} is not a list"),
    };
    entries.map_or_else(failure, |entries| json!({ "result": { key: entries } }))
}

/// rmcp's client, with the platform of these tests behind it.
#[derive(Clone)]
struct Client {
    platform: Platform,
    heard: Arc<Mutex<Heard>>,
}

/// What the server said without being asked.
#[derive(Default)]
struct Heard {
    notifications: Vec<Value>,
    /// By their tokens, in JSON.
    progress: HashMap<String, Vec<Value>>,
}

impl Default for Client {
    fn default() -> Self {
        Self { platform: Platform::announcing(capabilities()), heard: Arc::default() }
    }
}

impl Client {
    async fn take(&self, peer: &Peer<RoleClient>, step: &Step) -> Exchange {
        let request = serde_json::from_value(json!({ "method": step.method, "params": step.params })).unwrap();
        assert!(!matches!(request, ClientRequest::CustomRequest(_)), "rmcp has a type for {}", step.label);
        let call = peer.send_cancellable_request(request, PeerRequestOptions::with_timeout(DEADLINE)).await.unwrap();
        let token = value(&call.progress_token).to_string();
        let outcome = call.await_response().await.map_or_else(failure, |result| json!({ "result": value(&result) }));
        let progress = self.heard.lock().unwrap().progress.remove(&token).unwrap_or_default();
        Exchange { label: step.label.clone(), outcome, progress }
    }
}

impl Service<RoleClient> for Client {
    async fn handle_request(
        &self,
        request: <RoleClient as ServiceRole>::PeerReq,
        _context: RequestContext<RoleClient>,
    ) -> Result<ClientResult, ErrorData> {
        let request = value(&request);
        let method = request["method"].as_str().unwrap_or_default();
        match self.platform.answer(method, request["params"].clone()) {
            // As it is: what is compared is what servers say.
            Some(answer) => Ok(ClientResult::CustomResult(CustomResult::new(answer))),
            None if method == "ping" => Ok(ClientResult::empty(())),
            None => Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method.to_owned(), None)),
        }
    }

    fn handle_notification(
        &self,
        notification: <RoleClient as ServiceRole>::PeerNot,
        _context: NotificationContext<RoleClient>,
    ) -> impl Future<Output = Result<(), ErrorData>> + MaybeSendFuture + '_ {
        let mut notification = value(&notification);
        let params = notification["params"].take();
        let mut heard = self.heard.lock().unwrap();
        if notification["method"] == "notifications/progress" {
            let mut report = params;
            let token = report.as_object_mut().and_then(|report| report.remove("progressToken"));
            heard.progress.entry(token.unwrap_or_default().to_string()).or_default().push(report);
        } else {
            heard.notifications.push(json!({ "method": notification["method"], "params": params }));
        }
        std::future::ready(Ok(()))
    }

    fn get_info(&self) -> ClientConfig {
        let [name, version] = CLIENT;
        serde_json::from_value(json!({
            // The newest with a handshake; the default is one without.
            "protocolVersion": ProtocolVersion::LATEST_WITH_INITIALIZE,
            "capabilities": capabilities(),
            "clientInfo": { "name": name, "version": version },
        }))
        .unwrap()
    }
}

fn failure(error: ServiceError) -> Value {
    match error {
        ServiceError::McpError(error) => json!({ "error": value(&error) }),
        other => json!({ "failure": other.to_string() }),
    }
}

fn value(typed: &impl Serialize) -> Value {
    serde_json::to_value(typed).unwrap()
}
