//! A client with a host around it and a server in front of it, both played by the
//! test.
//!
//! Every step goes through [`Checker`], so whatever else a test looks at, it also
//! fails on a duty of a guest that is not kept. What a test sees are effects with
//! their payloads put together.

#![allow(dead_code, reason = "each test file takes what it needs")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

pub(crate) mod http;

use innkeeper_guest::Client;
use innkeeper_guest::boundary::{
    Answer, Call, CallId, Event, ExitStatus, FaultKind, Limits, LogLevel, ServerRequestId, ServerResponse, Settings,
    TransportKind,
};
use innkeeper_guest::checker::{Checker, Ended, Observed};

/// The newest revision that this client speaks.
pub(crate) const NEWEST: &str = "2025-11-25";

pub(crate) struct Host {
    pub(crate) client: Client,
    pub(crate) checker: Checker,
}

/// What a session is opened with where a test does not care.
pub(crate) fn settings() -> Settings {
    Settings {
        transport: TransportKind::Stream,
        revision: None,
        client_info: br#"{"name":"test","version":"1"}"#.to_vec(),
        capabilities: br#"{"roots":{}}"#.to_vec(),
        shared: false,
        limits: Limits { max_frame: 1 << 20, max_result: 1 << 20, max_pages: 10, max_server_requests: 2 },
    }
}

/// A call without parameters.
pub(crate) fn call(id: CallId, method: &str) -> Call {
    Call { id, method: method.to_owned(), params: None, progress: false, all_pages: false }
}

/// A call with parameters.
pub(crate) fn call_with(id: CallId, method: &str, params: &str) -> Call {
    Call { params: Some(params.as_bytes().to_vec()), ..call(id, method) }
}

/// A call for all pages of a list.
pub(crate) fn call_all(id: CallId, method: &str) -> Call {
    Call { all_pages: true, ..call(id, method) }
}

pub(crate) fn frame(text: &str) -> Event {
    Event::Frame(text.as_bytes().to_vec())
}

pub(crate) fn exited(code: i32) -> Event {
    Event::Exited(ExitStatus { code: Some(code), signal: None })
}

/// The result of `initialize`, as a server gives it.
pub(crate) fn initialize_result(revision: &str) -> String {
    format!(r#"{{"protocolVersion":"{revision}","capabilities":{{}},"serverInfo":{{"name":"s","version":"1"}}}}"#)
}

impl Host {
    /// A client that has been told nothing.
    pub(crate) fn new() -> Self {
        Host { client: Client::new(), checker: Checker::new() }
    }

    /// One that has been opened, and whose `initialize` (id 1) is not answered.
    pub(crate) fn in_handshake(settings: Settings) -> Self {
        let mut host = Host::new();
        host.tell([Event::Open(settings), Event::Started(1)]);
        host
    }

    /// One whose session is open.
    pub(crate) fn ready() -> Self {
        Host::ready_with(settings(), NEWEST)
    }

    pub(crate) fn ready_with(settings: Settings, revision: &str) -> Self {
        let mut host = Host::in_handshake(settings);
        let seen = host.says(&format!(r#"{{"jsonrpc":"2.0","id":1,"result":{}}}"#, initialize_result(revision)));
        assert!(matches!(seen[..], [Observed::Write { .. }, Observed::Ready { .. }]), "{seen:?}");
        host
    }

    /// Gives events to the client as one batch.
    pub(crate) fn tell(&mut self, events: impl Into<Vec<Event>>) -> Vec<Observed> {
        let events = events.into();
        let effects = self.client.handle(0, events.clone());
        self.checker.apply(&events, &effects).unwrap()
    }

    /// The server says something.
    pub(crate) fn says(&mut self, text: &str) -> Vec<Observed> {
        self.tell([frame(text)])
    }

    /// The platform calls.
    pub(crate) fn calls(&mut self, call: Call) -> Vec<Observed> {
        self.tell([Event::Call(call)])
    }

    /// The platform answers a request of the server.
    pub(crate) fn answers(&mut self, id: ServerRequestId, answer: Answer) -> Vec<Observed> {
        self.tell([Event::ServerResponse(ServerResponse { id, answer })])
    }

    /// Another client in the place of this one, restored from its snapshot.
    pub(crate) fn change_guest(&mut self) -> Vec<Observed> {
        let snapshot = self.client.snapshot(Client::SNAPSHOT_FORMAT).unwrap();
        let (client, effects) = Client::restore(&snapshot, self.checker.outstanding()).unwrap();
        self.client = client;
        self.checker.apply_restored(&effects).unwrap()
    }
}

// ---------------------------------------------------------------- what is expected

pub(crate) fn wrote(frame: &str) -> Observed {
    Observed::Write { frame: frame.as_bytes().to_vec(), call: None }
}

pub(crate) fn wrote_for(call: CallId, frame: &str) -> Observed {
    Observed::Write { frame: frame.as_bytes().to_vec(), call: Some(call) }
}

pub(crate) fn result(call: CallId, result: &str) -> Observed {
    Observed::Complete { call, outcome: Ended::Result(result.as_bytes().to_vec()) }
}

pub(crate) fn error(call: CallId, error: &str) -> Observed {
    Observed::Complete { call, outcome: Ended::Error(error.as_bytes().to_vec()) }
}

/// The frames among what was seen.
pub(crate) fn frames(seen: &[Observed]) -> Vec<String> {
    let text = |frame: &[u8]| String::from_utf8(frame.to_vec()).unwrap();
    seen.iter()
        .filter_map(|effect| match effect {
            Observed::Write { frame, .. } => Some(text(frame)),
            _ => None,
        })
        .collect()
}

/// The calls that were completed with a fault, and its kind.
pub(crate) fn faults(seen: &[Observed]) -> Vec<(CallId, FaultKind)> {
    seen.iter()
        .filter_map(|effect| match effect {
            Observed::Complete { call, outcome: Ended::Fault(fault) } => Some((*call, fault.kind)),
            _ => None,
        })
        .collect()
}

/// Why the call failed that failed alone.
pub(crate) fn reason(seen: &[Observed]) -> &str {
    match seen {
        [Observed::Complete { outcome: Ended::Fault(fault), .. }] => &fault.message,
        _ => panic!("not one fault: {seen:?}"),
    }
}

/// Why the guest gave the connection up, as it did last.
pub(crate) fn disconnected(seen: &[Observed]) -> &Ended {
    match seen.last() {
        Some(Observed::Disconnected { cause, left_open }) if left_open.is_empty() => cause,
        _ => panic!("not disconnected, or with open calls: {seen:?}"),
    }
}

pub(crate) fn disconnected_by(seen: &[Observed]) -> (FaultKind, &str) {
    match disconnected(seen) {
        Ended::Fault(fault) => (fault.kind, &fault.message),
        other => panic!("not a fault: {other:?}"),
    }
}

/// The line that was logged, where nothing else happened.
pub(crate) fn logged(seen: &[Observed]) -> (LogLevel, &str) {
    match seen {
        [Observed::Log(level, message)] => (*level, message),
        _ => panic!("not just a line in the log: {seen:?}"),
    }
}
