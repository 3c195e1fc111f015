//! A server that a test holds at the moments that matter: in its handshake, at a call that breaks the connection, at its end.
//!
//! One script, over a pair of streams or over HTTP, so that a fault is written down once. What the server sees is a log of
//! `(session, what)`, that a test reads and waits for. A session is a connection of streams, or what has an id over HTTP.

mod http;
mod streams;

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use innkeeper::{Server, transport::Connector};
use innkeeper_tests::http::HttpServer;
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, pause, resume, sleep, timeout},
};

/// How long anything may take that a test waits for.
const BOUND: Duration = Duration::from_secs(60);

/// What a client is connected over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// In virtual time.
    Streams,
    /// Sockets of this machine, which know real time only.
    Http,
}

impl Over {
    /// What there is to wait for, in a time that is bounded. Over streams it takes none.
    pub(super) async fn at_once<T>(self, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = soon(work).await;
        if self == Self::Streams {
            assert_eq!(began.elapsed(), Duration::ZERO);
        }
        done
    }

    /// Lets virtual time pass: all that would happen by the clock meanwhile happens, and no real time is waited for.
    pub(super) async fn pass(self, time: Duration) {
        self.skip(sleep(time)).await;
    }

    /// Waits for what comes by the clock alone, and not by a socket, in virtual time.
    pub(super) async fn skip<T>(self, work: impl Future<Output = T>) -> T {
        if self == Self::Streams {
            return work.await;
        }
        pause();
        let done = work.await;
        resume();
        done
    }
}

/// Waits for something, in a time that is bounded.
pub(super) async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(BOUND, work).await.expect("what is waited for is bounded")
}

/// How a connection breaks at the call [`BREAK`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Break {
    /// The server ends it: nothing can be read any more, or written.
    Ends,
    /// It is reset by the system.
    Resets,
    /// The server closes its end for writing, and reads on. Streams only.
    StopsSaying,
    /// The server closes its end for reading, and the other stays: seen by whoever writes the next time. Streams only.
    StopsHearing,
    /// The server reads no more and closes nothing: seen by nobody.
    Hangs,
    /// A status that says that the server is in trouble. HTTP only.
    Fails,
    /// A response that ends before its end. HTTP only.
    Truncates,
    /// The server forgets its first session, and does nothing that it is told in it. HTTP only.
    Forgets,
}

/// The method at which the connection breaks.
pub(super) const BREAK: &str = "break";

/// Where the server waits until the test lets it go on.
struct Gate(watch::Sender<bool>);

impl Gate {
    fn open() -> Self {
        Self(watch::Sender::new(true))
    }

    async fn passed(&self) {
        // The sender is here, so it ends with the gate open.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

/// What the server is to do about a message.
enum Act {
    /// Say that, when it may greet.
    Greet(Value),
    /// Say that.
    Reply(Value),
    /// Break the connection, when it may; say that where the connection is a later one.
    Break(Value),
    Nothing,
}

/// A server, and the test's hand on it.
pub(super) struct Site {
    script: Arc<Script>,
    reached: Reached,
}

enum Reached {
    By(Arc<dyn Connector>),
    At { server: HttpServer, probes: AtomicUsize },
}

/// What the server does, whatever it is reached over.
struct Script {
    name: &'static str,
    sessions: AtomicUsize,
    log: watch::Sender<Vec<(usize, String)>>,
    /// Whether it refuses to open sessions.
    refuses: AtomicBool,
    greets: Gate,
    breaks: Gate,
    ends: Gate,
    how: Mutex<Break>,
}

impl Script {
    /// A session begins.
    fn begin(&self) -> usize {
        self.sessions.fetch_add(1, SeqCst) + 1
    }

    fn log(&self, session: usize, what: &str) {
        self.log.send_modify(|log| log.push((session, what.to_owned())));
    }

    fn hear(&self, session: usize, message: &Value) -> Act {
        let Some(method) = message["method"].as_str() else { return Act::Nothing };
        self.log(session, method);
        let reply = |result: Value| json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
        match method {
            _ if message["id"].is_null() => Act::Nothing,
            "initialize" => Act::Greet(reply(json!({
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "serverInfo": { "name": self.name, "version": "1" },
            }))),
            method => {
                let answer = reply(format!("{} {session}", self.name).into());
                if method == BREAK { Act::Break(answer) } else { Act::Reply(answer) }
            }
        }
    }

    fn how(&self) -> Break {
        *self.how.lock().unwrap()
    }
}

impl Site {
    /// One that answers each call with its name and the number of the session.
    pub(super) async fn new(over: Over, name: &'static str) -> Self {
        let script = Arc::new(Script {
            name,
            sessions: AtomicUsize::new(0),
            log: watch::Sender::default(),
            refuses: AtomicBool::new(false),
            greets: Gate::open(),
            breaks: Gate::open(),
            ends: Gate::open(),
            how: Mutex::new(Break::Ends),
        });
        let reached = match over {
            Over::Streams => Reached::By(streams::connector(script.clone())),
            Over::Http => Reached::At { server: http::server(script.clone()).await, probes: AtomicUsize::new(0) },
        };
        Self { script, reached }
    }

    pub(super) fn server(&self) -> Server {
        match &self.reached {
            Reached::By(connector) => Server::connector(connector.clone()),
            Reached::At { server, .. } => Server::url(server.url("/mcp")),
        }
    }

    /// Whether it refuses to open sessions from now on.
    pub(super) fn refuse(&self, refuses: bool) {
        self.script.refuses.store(refuses, SeqCst);
    }

    /// Whether it finishes handshakes.
    pub(super) fn greet(&self, greets: bool) {
        self.script.greets.0.send_replace(greets);
    }

    /// Whether it ends when it is told to.
    pub(super) fn end(&self, ends: bool) {
        self.script.ends.0.send_replace(ends);
    }

    /// How connections break, and whether they do already.
    pub(super) fn break_by(&self, how: Break, breaks: bool) {
        *self.script.how.lock().unwrap() = how;
        self.script.breaks.0.send_replace(breaks);
    }

    /// How often this was seen.
    pub(super) fn count(&self, what: &str) -> usize {
        self.script.log.borrow().iter().filter(|(_, seen)| seen == what).count()
    }

    /// In which order these were seen, and of which session.
    pub(super) fn order(&self, of: &[&str]) -> Vec<(usize, String)> {
        self.script.log.borrow().iter().filter(|(_, seen)| of.contains(&seen.as_str())).cloned().collect()
    }

    /// Waits until this was seen so often.
    pub(super) async fn sees(&self, what: &str, times: usize) {
        let mut log = self.script.log.subscribe();
        let seen = log.wait_for(|log| log.iter().filter(|(_, seen)| seen == what).count() >= times);
        assert!(timeout(BOUND, seen).await.is_ok(), "`{what}` was not seen {times} times by {self:?}");
    }

    /// How often it was connected to so far, whatever came of it. What was begun before is counted: over HTTP connections are
    /// accepted in the order in which they were begun, and the last is one of ours.
    pub(super) async fn connections(&self) -> usize {
        match &self.reached {
            Reached::By(_) => self.count("connect"),
            Reached::At { server, probes } => {
                let probe = soon(http::probe(server)).await;
                probe - probes.fetch_add(1, SeqCst)
            }
        }
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(self.script.name).field(&*self.script.log.borrow()).finish()
    }
}
