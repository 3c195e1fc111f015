//! Event scripts made from bytes, and the run of one.
//!
//! Property tests and fuzzing need the same thing: a sequence of events that no
//! reasonable host and server would produce, but that hangs together enough to
//! reach deep. So a script is a list of bytes, read as instructions to a host, to
//! a platform and to a server that lives in this module: it remembers what the
//! client wrote and answers it, rightly or wrongly.
//!
//! Any bytes are a script, equal bytes run equally, and most small changes to the
//! bytes make small changes to the run; that is what lets a fuzzer steer.
//!
//! A run checks, besides the duties that [`Checker`] knows:
//!
//! - every frame is a JSON-RPC message with an id that is new;
//! - `initialize` comes first, and nothing but pongs and refusals until it is
//!   answered;
//! - nothing is left open at a disconnect;
//! - another client, restored from snapshots of the first at places that the script
//!   chooses, gives the same effects.

use crate::Client;
use crate::boundary::{
    Answer, Call, CallId, Effect, Event, ExitStatus, Extension, Limits, Notify, ServerRequestId, ServerResponse,
    Settings, TransportKind,
};
use crate::checker::{Checker, Ended, Observed};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What a run came across, so that a test can tell that its scripts reach something.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    /// How often each thing was seen, by its name.
    pub seen: BTreeMap<&'static str, u64>,
}

impl Report {
    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Adds what another run came across.
    pub fn merge(&mut self, other: &Report) {
        for (what, count) in &other.seen {
            *self.seen.entry(what).or_default() += count;
        }
    }
}

/// Runs a script to its end.
///
/// # Errors
///
/// What the client did wrong, and after which instructions.
pub fn run(script: &[u8]) -> Result<Report, String> {
    let mut world = World::new(Bytes(script));
    world.play().map_err(|violation| {
        let played = script.len() - world.script.0.len();
        format!("after {played} of {} bytes: {violation}", script.len())
    })?;
    Ok(world.report)
}

/// The rest of a script. Where it has ended it reads as zeros.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn flag(&mut self) -> bool {
        self.next() & 1 == 1
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.next()) % bound.max(1)
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next()).collect()
    }
}

/// The client, all that surrounds it, and a second client that must not differ.
struct World<'a> {
    script: Bytes<'a>,
    client: Client,
    twin: Client,
    /// Restore the twin after every batch, and not only where the script says so.
    eager: bool,
    checker: Checker,
    batch: Vec<Event>,
    server: Server,
    platform: Platform,
    report: Report,
}

#[derive(Default)]
struct Platform {
    next_call: CallId,
    open_requests: Vec<ServerRequestId>,
}

/// What the server remembers.
#[derive(Default)]
struct Server {
    connected: bool,
    initialized: bool,
    /// Requests of the client that it has not answered.
    requests: Vec<(u64, String)>,
    /// Ids that have been used, on earlier connections too.
    used: BTreeSet<u64>,
    /// What it sent, to send it again or in pieces.
    sent: Vec<Vec<u8>>,
}

const METHODS: [&str; 6] = ["tools/call", "tools/list", "resources/templates/list", "x/list", "initialize", "a\"b\n"];

const PARAMS: [&str; 12] = [
    "{}",
    r#"{"name":"echo","arguments":{"a":[1,2,{"b":"\n"}]}}"#,
    "{\n  \"_meta\": {\r\n  \"a\": 1\n  }\n}",
    r#" { "_meta" : {} , "x": 1 } "#,
    r#"{"_meta":{"progressToken":1}}"#,
    r#"{"_meta":1}"#,
    r#"{"_meta":{},"_meta":{}}"#,
    r#"{"cursor":"mine"}"#,
    "[1]",
    "{",
    "null",
    "\u{feff}{}",
];

const SERVER_METHODS: [&str; 5] = ["sampling/createMessage", "elicitation/create", "roots/list", "ping", "x/y"];

const WIRE_IDS: [&str; 8] = ["1", "2", "\"1\"", "\"a\\u0062\"", "-7.5e3", "null", "{}", "[1]"];

impl<'a> World<'a> {
    fn new(script: Bytes<'a>) -> Self {
        World {
            script,
            client: Client::new(),
            twin: Client::new(),
            eager: false,
            checker: Checker::new(),
            batch: Vec::new(),
            server: Server::default(),
            platform: Platform::default(),
            report: Report::default(),
        }
    }

    fn play(&mut self) -> Result<(), String> {
        let start = self.script.next();
        self.eager = start & 1 == 1;
        // Most sessions begin well, for what is behind that is the larger part.
        if start & 6 != 6 {
            self.open();
            self.batch.push(Event::Started(1));
            self.deliver()?;
            self.answer_request(start & 24 != 24)?;
            self.deliver()?;
        }
        while !self.script.0.is_empty() {
            self.step()?;
        }
        self.batch.push(Event::Close);
        self.deliver()
    }

    fn step(&mut self) -> Result<(), String> {
        match self.script.below(24) {
            0..=3 => self.call(),
            4..=7 => self.answer_request(true)?,
            8 => self.answer_request(false)?,
            9 => self.cancel(),
            10 => self.send_garbage(),
            11 => self.send_progress(),
            12 | 13 => self.send_request(),
            14 => self.send_cancelled(),
            15 | 16 => self.answer_server(),
            17 => self.notify(),
            18 => self.send_notification(),
            19 => self.send_batch(),
            20 => self.restore_twin()?,
            21 => self.change_guest()?,
            22 => self.disturb()?,
            _ => self.deliver()?,
        }
        if self.batch.len() >= 4 || self.script.flag() { self.deliver() } else { Ok(()) }
    }

    // ------------------------------------------------------------ the host

    fn open(&mut self) {
        let revisions = [None, None, Some("legacy"), Some("2025-03-26"), Some("2024-11-05")];
        let settings = Settings {
            transport: TransportKind::Stream,
            revision: self.script.pick(&revisions).map(str::to_owned),
            client_info: b"{\"name\":\"script\",\n\"version\":\"0\"}".to_vec(),
            capabilities: self.script.pick(&["{}", r#"{"sampling":{},"elicitation":{}}"#]).into(),
            limits: Limits {
                max_frame: self.script.pick(&[1 << 20, 1024]),
                max_result: self.script.pick(&[1 << 20, 200]),
                max_pages: self.script.pick(&[10, 2, 0]),
                max_server_requests: self.script.pick(&[4, 1, 0]),
            },
        };
        self.batch.push(Event::Open(settings));
    }

    /// Gives the events so far to both clients, and compares and applies what they
    /// make of them.
    fn deliver(&mut self) -> Result<(), String> {
        let events = std::mem::take(&mut self.batch);
        if events.is_empty() {
            return Ok(());
        }
        let effects = self.client.handle(0, events.clone());
        if effects != self.twin.handle(0, events.clone()) {
            return Err(format!("the restored client differs on {events:?}"));
        }
        for event in &events {
            self.server.notice(event);
        }
        let observed = self.checker.apply(&events, &effects);
        self.observe(observed.map_err(|violation| violation.to_string())?)?;
        if self.eager { self.restore_twin() } else { Ok(()) }
    }

    /// Puts a restored client in the place of the second.
    fn restore_twin(&mut self) -> Result<(), String> {
        self.deliver()?;
        let (twin, effects) = self.restored()?;
        if !effects.is_empty() {
            return Err(format!("a faithful restore led to {effects:?}"));
        }
        if twin.snapshot() != self.client.snapshot() {
            return Err("a restored client has another snapshot".to_owned());
        }
        self.twin = twin;
        self.report.saw("restore");
        Ok(())
    }

    /// Puts restored clients in the place of both, after the host forgot one call and
    /// took over another.
    fn change_guest(&mut self) -> Result<(), String> {
        self.deliver()?;
        let held = self.checker.outstanding().calls;
        if let Some(call) = held.get(self.script.below(8)) {
            self.checker.drop_call(call.id);
        }
        let adopted = self.next_call();
        self.checker.adopt_call(adopted);
        let (client, effects) = self.restored()?;
        self.twin = self.restored()?.0;
        self.client = client;
        self.report.saw("change of guest");
        let observed = self.checker.apply_restored(&effects);
        self.observe(observed.map_err(|violation| violation.to_string())?)
    }

    fn restored(&self) -> Result<(Client, Vec<Effect>), String> {
        let snapshot = self.client.snapshot().map_err(|error| format!("{error:?}"))?;
        Client::restore(&snapshot, self.checker.outstanding()).map_err(|error| format!("{error:?}"))
    }

    /// Events that come at the wrong time, or that this client has no use for.
    fn disturb(&mut self) -> Result<(), String> {
        // What is written before another process starts is not for that one to read.
        self.deliver()?;
        match self.script.below(10) {
            0 => self.open(),
            1 => self.batch.push(Event::Started(2)),
            2 => self.batch.push(Event::Exited(ExitStatus { code: Some(1), signal: None })),
            3 => self.batch.push(Event::Close),
            4 => self.batch.push(Event::Timer(7)),
            5 => self.batch.push(Event::ResponseEnd(7)),
            6 => self.batch.push(Event::CancelCall(u64::MAX)),
            7 => {
                let extension = Extension { name: "a/b@1".to_owned(), body: vec![1] };
                self.batch.push(Event::Extension(extension));
            }
            8 => {
                let status = ExitStatus { code: None, signal: Some(9) };
                self.batch.push(Event::Exited(status));
                self.call();
                // A host reads that the connection was given up before it makes another.
                self.deliver()?;
                self.batch.push(Event::Started(3));
            }
            _ => self.batch.push(Event::Started(4)),
        }
        Ok(())
    }

    // ------------------------------------------------------------ the platform

    fn next_call(&mut self) -> CallId {
        self.platform.next_call += 1;
        // Ids need not ascend, so here they do not.
        self.platform.next_call ^ 1
    }

    fn call(&mut self) {
        let id = self.next_call();
        let params = match self.script.below(16) {
            0 => None,
            1 => Some(self.script.take(8)),
            2 => Some(format!("{{\"a\":\"{}\"}}", "x".repeat(2000)).into_bytes()),
            choice => PARAMS.get(choice - 3).map(|params| params.as_bytes().to_vec()),
        };
        let flags = self.script.next();
        self.batch.push(Event::Call(Call {
            id,
            method: self.script.pick(&METHODS).to_owned(),
            params,
            progress: flags & 1 == 1,
            all_pages: flags & 6 == 6,
        }));
    }

    fn cancel(&mut self) {
        let held = self.checker.outstanding().calls;
        let choice = self.script.below(held.len());
        let call = held.get(choice).map_or(self.platform.next_call, |call| call.id);
        self.batch.push(Event::CancelCall(call));
    }

    fn notify(&mut self) {
        let params = self.script.pick(&PARAMS);
        self.batch.push(Event::Notify(Notify {
            method: self.script.pick(&["notifications/x", "notifications/cancelled"]).to_owned(),
            params: self.script.flag().then(|| params.as_bytes().to_vec()),
        }));
    }

    fn answer_server(&mut self) {
        let open = &mut self.platform.open_requests;
        let id = if open.is_empty() { 99 } else { open.remove(self.script.below(open.len())) };
        let answer = match self.script.below(6) {
            0 => Answer::Result(br#"{"roots":[]}"#.to_vec()),
            1 => Answer::Result(b"{\n\"a\":1}".to_vec()),
            2 => Answer::Error(br#"{"code":1,"message":"no"}"#.to_vec()),
            3 => Answer::Result(b"\xff".to_vec()),
            4 => Answer::Result(format!("\"{}\"", "x".repeat(2000)).into_bytes()),
            _ => Answer::Refused,
        };
        self.batch.push(Event::ServerResponse(ServerResponse { id, answer }));
    }

    // ------------------------------------------------------------ the server

    fn send(&mut self, frame: impl Into<Vec<u8>>) {
        /// So many frames are remembered; scripts seldom reach back further.
        const MEMORY: usize = 8;

        let frame = frame.into();
        if self.server.sent.len() >= MEMORY {
            self.server.sent.remove(0);
        }
        self.server.sent.push(frame.clone());
        self.batch.push(Event::Frame(frame));
    }

    /// Answers an open request, as it should be or in some other way.
    fn answer_request(&mut self, well: bool) -> Result<(), String> {
        // A server reads before it writes.
        self.deliver()?;
        if self.server.requests.is_empty() {
            return Ok(());
        }
        let choice = self.script.below(self.server.requests.len());
        let (id, method) = self.server.requests.remove(choice);
        let reply = match (&*method, well) {
            ("initialize", true) => {
                let revisions = ["2025-11-25", "2025-03-26", "2024-11-05", "1999-01-01"];
                let revision = revisions[[0, 1, 0, 2, 0, 1, 0, 3][self.script.below(8)]];
                format!(r#""result":{{"protocolVersion":"{revision}","capabilities":{{}}}}"#)
            }
            ("initialize", false) => self
                .script
                .pick(&[
                    r#""error":{"code":-32602,"data":{"supported":["x","2024-11-05"]}}"#,
                    r#""error":{"code":-32602,"message":"no"}"#,
                    r#""result":{"protocolVersion":7}"#,
                    r#""result":null"#,
                    r#""result":{},"error":{}"#,
                ])
                .to_owned(),
            (method, true) if method.ends_with("list") => {
                let cursor = match self.script.below(8) {
                    0 => r#","nextCursor":"again""#.to_owned(),
                    1 => r#","nextCursor":null"#.to_owned(),
                    2 => r#","nextCursor":7"#.to_owned(),
                    3..=5 => format!(r#","nextCursor":"{id}""#),
                    _ => String::new(),
                };
                let list = match method {
                    "tools/list" => "tools",
                    "resources/templates/list" => "resourceTemplates",
                    _ => "others",
                };
                let items = self.script.pick(&["[]", "[1]", "[ {\"a\":[]} , 2 ]", "{}"]);
                format!(r#""result":{{"_meta":[0],"{list}":{items}{cursor},"z":1}}"#)
            }
            (_, true) => self
                .script
                .pick(&[
                    r#""result":{"content":[{"type":"text","text":"hi"}]}"#,
                    r#""error":{"code":-32602,"message":"no"}"#,
                    r#""result":null"#,
                ])
                .to_owned(),
            (_, false) => {
                self.script.pick(&[r#""result":{},"error":{}"#, r#""x":1"#, r#""result":{},"result":{}"#]).to_owned()
            }
        };
        let version = self.script.pick(&[r#""jsonrpc":"2.0","#, ""]);
        self.send(format!(r#"{{{version}"id":{id},{reply}}}"#));
        Ok(())
    }

    fn send_garbage(&mut self) {
        let last = self.server.sent.last().cloned().unwrap_or_default();
        let length = last.len();
        let frame = match self.script.below(12) {
            0 => self.script.take(6),
            1 => last[..self.script.below(length)].to_vec(),
            2 => last,
            3 => [&last[..], b"\xff"].concat(),
            4 => Vec::new(),
            5 => "[".repeat(100_000).into_bytes(),
            6 => format!(r#"{{"id":1,"result":{0}{1}}}"#, "[".repeat(9999), "]".repeat(9999)).into(),
            7 => format!(r#"{{"jsonrpc":"2.0","id":"{0}","method":"{0}"}}"#, "i".repeat(300)).into(),
            8 => b"listening on port 80".to_vec(),
            9 => br#"{"level":"info","method":"GET"}"#.to_vec(),
            10 => br#"{"jsonrpc":"2.0","id":18446744073709551615,"result":{}}"#.to_vec(),
            _ => br#"{"jsonrpc":"2.0","error":{"code":-32700}}"#.to_vec(),
        };
        self.send(frame);
    }

    fn send_progress(&mut self) {
        let choice = self.script.below(self.server.requests.len() + 1);
        let token = self.server.requests.get(choice).map_or(4711, |(id, _)| *id);
        let params = match self.script.below(4) {
            0 => format!(r#","params":{{"progressToken":"{token}","progress":1}}"#),
            1 => String::new(),
            _ => format!(r#","params":{{"progressToken":{token},"progress":1}}"#),
        };
        self.send(format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress"{params}}}"#));
    }

    fn send_request(&mut self) {
        let id = self.script.pick(&WIRE_IDS);
        let method = self.script.pick(&SERVER_METHODS);
        let params = self.script.pick(&["", r#","params":{"a": 1}"#, r#","params":null"#]);
        self.send(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"{params}}}"#));
    }

    fn send_cancelled(&mut self) {
        let id = self.script.pick(&WIRE_IDS);
        self.send(format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#));
    }

    fn send_notification(&mut self) {
        let params = self.script.pick(&["", r#","params":{"a": 1}"#, r#","params":[]"#]);
        self.send(format!(r#"{{"jsonrpc":"2.0","method":"notifications/y"{params}}}"#));
    }

    /// Sends what was sent before again, as one frame.
    fn send_batch(&mut self) {
        let count = self.script.below(4);
        let again = self.server.sent.iter().rev().take(count).cloned().collect::<Vec<_>>();
        self.send([b"[", &again.join(&b","[..])[..], b"]"].concat());
    }

    // ------------------------------------------------------------ what comes of it

    fn observe(&mut self, observed: Vec<Observed>) -> Result<(), String> {
        for effect in observed {
            match effect {
                Observed::Write { frame, .. } => {
                    self.report.saw("write");
                    self.server.read(&frame)?;
                }
                Observed::Complete { outcome: Ended::Result(result), .. } => {
                    self.report.saw("result");
                    let value: Value = read_json(&result)?;
                    if value.get("nextCursor").is_none() && value["z"] == json!(1) {
                        self.report.saw("all pages");
                    }
                }
                Observed::Complete { outcome: Ended::Error(_), .. } => self.report.saw("error"),
                Observed::Complete { outcome: Ended::Fault(_), .. } => self.report.saw("fault"),
                Observed::Progress { .. } => self.report.saw("progress"),
                Observed::Notification { .. } => self.report.saw("notification"),
                Observed::ServerRequest { id, .. } => {
                    self.report.saw("server request");
                    self.platform.open_requests.push(id);
                }
                Observed::Withdraw(_) => self.report.saw("withdraw"),
                Observed::Ready { .. } => {
                    self.report.saw("ready");
                    self.server.initialized = true;
                }
                Observed::Disconnected { left_open, .. } => {
                    self.report.saw("disconnected");
                    self.server.connected = false;
                    if !left_open.is_empty() {
                        return Err(format!("calls left open at a disconnect: {left_open:?}"));
                    }
                }
                Observed::Log(..) => self.report.saw("log"),
                Observed::FreshProcess | Observed::SetTimer(_) | Observed::CancelTimer(_) => {
                    return Err(format!("an effect that this client has no use for: {effect:?}"));
                }
            }
        }
        Ok(())
    }
}

impl Server {
    fn notice(&mut self, event: &Event) {
        if let Event::Started(_) = event {
            let used = std::mem::take(&mut self.used);
            *self = Server { connected: true, used, ..Server::default() };
        }
    }

    /// Reads a frame of the client.
    fn read(&mut self, frame: &[u8]) -> Result<(), String> {
        let message = read_json(frame)?;
        if message["jsonrpc"] != json!("2.0") {
            return Err(format!("not JSON-RPC 2.0: {message}"));
        }
        let id = &message["id"];
        let Some(method) = message["method"].as_str() else {
            let one = message.get("result").is_some() != message.get("error").is_some();
            let ok = one && (id.is_number() || id.is_string());
            return if ok { Ok(()) } else { Err(format!("not a response: {message}")) };
        };
        if id.is_null() {
            return match method {
                "notifications/initialized" if self.initialized => Err("initialized twice".to_owned()),
                _ => Ok(()),
            };
        }
        let Some(id) = id.as_u64().filter(|id| self.used.insert(*id)) else {
            return Err(format!("a request whose id is not new: {message}"));
        };
        if !self.initialized && method != "initialize" {
            return Err(format!("a request before the handshake: {message}"));
        }
        let token = &message["params"]["_meta"]["progressToken"];
        if !token.is_null() && *token != json!(id) {
            return Err(format!("a token of another request: {message}"));
        }
        self.requests.push((id, method.to_owned()));
        Ok(())
    }
}

fn read_json(bytes: &[u8]) -> Result<Value, String> {
    // Values nest deeper here than the reader goes; what it checks is checked anyway.
    match serde_json::from_slice(bytes) {
        Ok(value) => Ok(value),
        Err(error) if error.to_string().starts_with("recursion limit") => Ok(Value::Null),
        Err(error) => Err(format!("{error}: {}", String::from_utf8_lossy(bytes))),
    }
}
