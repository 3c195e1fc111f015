//! An MCP server over HTTP: streamable HTTP (2025-11-25, basic/transports), or HTTP+SSE as it was before that (2024-11-05).
//!
//! It keeps to the protocol, in the [`Manner`] that a test gives it, and keeps what it received. Servers that break HTTP itself
//! are made with [`HttpServer`] alone.
//!
//! Its tools: `echo` gives its `message` back. `report` says how far it is, twice. `ask` asks the platform for its folders and
//! gives the answer back. `later` ends the stream of its reply at once, and has the reply where the stream is taken up again.
//! `never` says nothing. Each is in the form of the manner as far as it can be: all but `echo` need a stream.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, Ordering::SeqCst},
};

use serde_json::{Value, json};
use tokio::sync::{
    Mutex as AsyncMutex,
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

use crate::http::{HttpServer, Received, Wire, answer, chunk};

/// The path at which it is reached.
const PATH: &str = "/mcp";

/// Where a server of old takes messages.
const MESSAGES: &str = "/messages?session=7";

/// Id of what the server asks.
const QUESTION: &str = "question-1";

/// How a server does what the protocol leaves to it.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Whether replies come as events, and not as one text.
    pub events: bool,
    /// Whether its sessions have ids.
    pub sessions: bool,
    /// Whether it has a stream of what it says by itself.
    pub listening: bool,
    /// Whether it is one of old, with a channel and an endpoint that it names.
    pub channel: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self { events: false, sessions: true, listening: true, channel: false }
    }
}

/// A server on a port of this machine. It ends when it is dropped.
pub struct Remote {
    http: HttpServer,
    state: Arc<State>,
}

struct State {
    manner: Manner,
    /// Number of sessions so far.
    sessions: AtomicU32,
    /// Id of the one that is open.
    session: Mutex<Option<String>>,
    /// What it says by itself, and over a channel everything.
    say: UnboundedSender<Value>,
    said: AsyncMutex<UnboundedReceiver<Value>>,
    /// What the client answers.
    answer: UnboundedSender<Value>,
    answers: AsyncMutex<UnboundedReceiver<Value>>,
    /// The reply that is there for whoever takes its stream up again.
    kept: Mutex<Option<Value>>,
}

impl Remote {
    /// A server with this manner.
    pub async fn start(manner: Manner) -> Self {
        let (say, said) = unbounded_channel();
        let (answer, answers) = unbounded_channel();
        let state = Arc::new(State {
            manner,
            sessions: AtomicU32::new(0),
            session: Mutex::default(),
            say,
            said: AsyncMutex::new(said),
            answer,
            answers: AsyncMutex::new(answers),
            kept: Mutex::default(),
        });
        let serving = state.clone();
        let http = HttpServer::start(move |request, wire| serving.clone().serve(request, wire)).await;
        Self { http, state }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.http.url(PATH)
    }

    /// Forgets the session, as a server does that starts again.
    pub fn forget_session(&self) {
        self.state.end_session();
    }

    /// Says something by itself, now or when there is a stream for it.
    pub fn say(&self, message: Value) {
        let _ = self.state.say.send(message);
    }

    /// What it has received so far.
    pub fn received(&self) -> Vec<Received> {
        self.http.received()
    }

    /// Waits until it has received so many requests, and gives them.
    pub async fn receives(&self, count: usize) -> Vec<Received> {
        self.http.receives(count).await
    }

    /// What was asked of it so far: the method of HTTP, and behind it that of the protocol.
    pub fn asked(&self) -> Vec<String> {
        self.received().iter().map(asked).collect()
    }
}

/// The method of HTTP, and behind it that of the protocol, or `response`.
pub fn asked(request: &Received) -> String {
    match serde_json::from_slice::<Value>(&request.body) {
        Ok(message) => format!("{} {}", request.method, message["method"].as_str().unwrap_or("response")),
        Err(_) => request.method.clone(),
    }
}

impl State {
    async fn serve(self: Arc<Self>, request: Received, wire: Wire) -> Option<Wire> {
        let is_for_channel = self.manner.channel && request.path == PATH;
        match request.method.as_str() {
            "GET" if is_for_channel => self.channel(wire).await,
            _ if is_for_channel => refuse(wire, 405).await,
            "POST" => self.post(request, wire).await,
            "GET" => self.stream(request, wire).await,
            "DELETE" => {
                self.end_session();
                refuse(wire, 204).await
            }
            _ => refuse(wire, 405).await,
        }
    }

    async fn post(&self, request: Received, wire: Wire) -> Option<Wire> {
        let Ok(message) = serde_json::from_slice::<Value>(&request.body) else { return refuse(wire, 400).await };
        if message["method"] == "initialize" {
            self.begin_session();
        } else if let Err(status) = self.admit(&request) {
            return refuse(wire, status).await;
        }
        if message["method"].is_null() {
            let _ = self.answer.send(message["result"].clone());
            return refuse(wire, 202).await;
        }
        if message["id"].is_null() {
            return refuse(wire, 202).await;
        }
        if self.manner.channel {
            let _ = self.say.send(reply(&message, result(&message)));
            return refuse(wire, 202).await;
        }
        self.reply(&message, wire).await
    }

    /// The response to a request of the protocol.
    async fn reply(&self, message: &Value, mut wire: Wire) -> Option<Wire> {
        let tool = message["params"]["name"].as_str().unwrap_or_default();
        let needs_stream = matches!(tool, "report" | "ask" | "later" | "never");
        if !self.manner.events && !needs_stream {
            let body = reply(message, result(message)).to_string();
            let (head, headers) = ("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n", self.headers());
            wire.write(format!("{head}{headers}content-length: {}\r\n\r\n{body}", body.len())).await;
            return Some(wire);
        }
        wire.write(stream_head(&self.headers())).await;
        let last = match tool {
            "report" => {
                for step in 1..=2 {
                    let token = &message["params"]["_meta"]["progressToken"];
                    let params = json!({ "progressToken": token, "progress": step, "total": 2 });
                    let report = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params });
                    wire.write(event(&report)).await;
                }
                result(message)
            }
            "ask" => {
                wire.write(event(&json!({ "jsonrpc": "2.0", "id": QUESTION, "method": "roots/list" }))).await;
                let answer = async { self.answers.lock().await.recv().await };
                let answer = tokio::select! {
                    answer = answer => answer?,
                    // It is not to take the answer to the next one.
                    () = wire.ended() => return None,
                };
                content(&answer.to_string())
            }
            "later" => {
                *lock(&self.kept) = Some(reply(message, content("later")));
                wire.write(chunk("id: stream-1\nretry: 100\ndata:\n\n")).await;
                return end(wire).await;
            }
            "never" => {
                wire.ended().await;
                return None;
            }
            _ => result(message),
        };
        wire.write(event(&reply(message, last))).await;
        end(wire).await
    }

    /// The stream of what it says by itself, or of a reply that was not there.
    async fn stream(&self, request: Received, mut wire: Wire) -> Option<Wire> {
        if let Err(status) = self.admit(&request) {
            return refuse(wire, status).await;
        }
        if request.header("last-event-id").is_some() {
            let Some(kept) = lock(&self.kept).take() else { return refuse(wire, 400).await };
            wire.write(stream_head("")).await;
            wire.write(event(&kept)).await;
            return end(wire).await;
        }
        if !self.manner.listening {
            return refuse(wire, 405).await;
        }
        wire.write(stream_head("")).await;
        self.tell(wire).await
    }

    /// The one stream of a server of old.
    async fn channel(&self, mut wire: Wire) -> Option<Wire> {
        wire.write(stream_head("")).await;
        wire.write(chunk(&format!("event: endpoint\ndata: {MESSAGES}\n\n"))).await;
        self.tell(wire).await
    }

    /// Says what there is to say, until the client is gone.
    async fn tell(&self, mut wire: Wire) -> Option<Wire> {
        loop {
            let next = async { self.said.lock().await.recv().await };
            tokio::select! {
                message = next => wire.write(event(&message?)).await,
                () = wire.ended() => return None,
            }
        }
    }

    fn begin_session(&self) {
        if self.manner.sessions {
            let number = self.sessions.fetch_add(1, SeqCst) + 1;
            *lock(&self.session) = Some(format!("session-{number}"));
        }
    }

    fn end_session(&self) {
        *lock(&self.session) = None;
    }

    /// Whether a request is of the session that is open; otherwise the status for it.
    fn admit(&self, request: &Received) -> Result<(), u16> {
        match (lock(&self.session).as_deref(), request.header("mcp-session-id")) {
            (Some(open), Some(said)) if open == said => Ok(()),
            (None, None) if !self.manner.sessions => Ok(()),
            (_, None) => Err(400),
            (_, Some(_)) => Err(404),
        }
    }

    fn headers(&self) -> String {
        lock(&self.session).as_ref().map_or_else(String::new, |id| format!("mcp-session-id: {id}\r\n"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the server says to a request.
fn result(message: &Value) -> Value {
    match message["method"].as_str() {
        Some("initialize") => json!({
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": { "tools": {} },
            "serverInfo": { "name": "remote", "version": "1" },
        }),
        Some("tools/list") => {
            let tools = ["echo", "report", "ask", "later", "never"];
            json!({ "tools": tools.map(|name| json!({ "name": name, "inputSchema": { "type": "object" } })) })
        }
        Some("tools/call") => content(message["params"]["arguments"]["message"].as_str().unwrap_or("done")),
        _ => json!({}),
    }
}

fn content(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

fn reply(request: &Value, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": request["id"], "result": result })
}

fn stream_head(headers: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n{headers}\r\n")
}

fn event(message: &Value) -> String {
    chunk(&format!("event: message\ndata: {message}\n\n"))
}

/// Ends a stream, and leaves the connection to other requests.
async fn end(mut wire: Wire) -> Option<Wire> {
    wire.write("0\r\n\r\n").await;
    Some(wire)
}

/// A response that is a status and no more.
async fn refuse(mut wire: Wire, status: u16) -> Option<Wire> {
    // A response with the status 204 has no length (RFC 9110, section 8.6).
    let response = if status == 204 { "HTTP/1.1 204 Any\r\n\r\n".to_owned() } else { answer(status, "text/plain", "") };
    wire.write(response).await;
    Some(wire)
}
