//! The conversation: a minimal MCP server, written out by hand.
//!
//! It knows what a client needs to take it for a server of a handshake revision,
//! and the tools of [`tool`]. How an answer reaches the client is not decided
//! here: see [`Delivery`].

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use innkeeper_tests::awkward::{Scenario, tool};
use serde_json::{Value, json};

use crate::attacks;
use crate::delivery::Delivery;
use crate::offers;

/// What the server answers to a revision that it does not know.
const REVISION: &str = "2025-11-25";
const REVISIONS: [&str; 4] = [REVISION, "2025-06-18", "2025-03-26", "2024-11-05"];

const METHOD_NOT_FOUND: i32 = -32601;
const INTERNAL_ERROR: i32 = -32603;

pub(crate) struct Conversation {
    scenario: Scenario,
    delivery: Arc<Delivery>,
    cancelled: Arc<Cancelled>,
    received: Vec<String>,
    pages: u64,
}

/// The ids of cancelled requests, and the news of one more.
#[derive(Default)]
struct Cancelled {
    ids: Mutex<BTreeSet<String>>,
    added: Condvar,
}

impl Conversation {
    pub(crate) fn new(scenario: Scenario) -> Self {
        Self {
            scenario,
            delivery: Arc::new(Delivery::new(scenario)),
            cancelled: Arc::default(),
            received: Vec::new(),
            pages: 0,
        }
    }

    /// Serves until the end of the input.
    pub(crate) fn run(mut self, input: impl Read) -> ExitCode {
        let mut input = BufReader::new(input);
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let message: Value = serde_json::from_slice(&line).expect("a client sends JSON");
            let method = message["method"].as_str().unwrap_or("a response").to_owned();
            if self.received.is_empty() && method != "initialize" && self.scenario == Scenario::ExitOnProbe {
                return ExitCode::from(1);
            }
            self.received.push(method.clone());
            self.take(&method, &message);
            line.clear();
        }
        ExitCode::SUCCESS
    }

    fn take(&mut self, method: &str, message: &Value) {
        let (id, params) = (&message["id"], &message["params"]);
        match method {
            "initialize" => self.initialize(id, params),
            "notifications/initialized" => self.initialized(),
            "notifications/cancelled" => self.cancelled.add(&params["requestId"]),
            "ping" => self.delivery.result(id, json!({})),
            "tools/list" => self.list(id),
            "tools/call" => self.call(id, params),
            _ if id.is_null() || message.get("method").is_none() => {}
            _ if self.scenario == Scenario::HostileOffers => match offers::answer(method, params) {
                Some(result) => self.delivery.result(id, result),
                None => self.delivery.error(id, METHOD_NOT_FOUND, "there is no such method"),
            },
            _ => self.delivery.error(id, METHOD_NOT_FOUND, "there is no such method"),
        }
    }

    fn initialize(&self, id: &Value, params: &Value) {
        let wanted = params["protocolVersion"].as_str().unwrap_or_default();
        let revision = match self.scenario {
            Scenario::NeverAnswersInitialize => return,
            Scenario::AnswersInitializeWithError => {
                return self.delivery.error(id, INTERNAL_ERROR, "the licence has expired");
            }
            Scenario::RefusesWithEnvironment => {
                return self.delivery.error(id, INTERNAL_ERROR, &environment());
            }
            Scenario::WrongVersion => "1999-12-31",
            _ => REVISIONS.into_iter().find(|known| *known == wanted).unwrap_or(REVISION),
        };
        let capabilities = match self.scenario {
            Scenario::HostileOffers => offers::capabilities(),
            _ => json!({ "tools": {}, "logging": {} }),
        };
        let result = json!({
            "protocolVersion": revision,
            "capabilities": capabilities,
            "serverInfo": { "name": "awkward-server", "version": env!("CARGO_PKG_VERSION") },
        });
        self.delivery.result(id, result);
    }

    fn initialized(&self) {
        let delivery = Arc::clone(&self.delivery);
        match self.scenario {
            // In this thread, so that nothing is read any more.
            Scenario::PingFlood => {
                delivery.flood(|number| json!({ "jsonrpc": "2.0", "id": number, "method": "ping" }));
            }
            Scenario::NotificationsFlood => {
                thread::spawn(move || delivery.flood(notification));
            }
            Scenario::ServerRequestFlood => {
                thread::spawn(move || {
                    delivery.flood(|number| json!({ "jsonrpc": "2.0", "id": number, "method": "roots/list" }));
                });
            }
            Scenario::StopsItself => {
                // SAFETY: raise(3) takes no pointer, and SIGSTOP has no handler.
                unsafe { libc::raise(libc::SIGSTOP) };
            }
            _ => {}
        }
    }

    fn list(&mut self, id: &Value) {
        let special = if self.scenario == Scenario::Attacker { tool::OF_PROCESSES.as_slice() } else { &[] };
        let tools = tool::ALL.iter().chain(special);
        let tools: Vec<Value> =
            tools.map(|name| json!({ "name": name, "inputSchema": { "type": "object" } })).collect();
        let mut result = json!({ "tools": tools });
        self.pages += 1;
        match self.scenario {
            Scenario::EndlessPages => result["nextCursor"] = format!("page {}", self.pages).into(),
            Scenario::RepeatedCursor => result["nextCursor"] = "page 1".into(),
            _ => {}
        }
        self.delivery.result(id, result);
    }

    fn call(&self, id: &Value, params: &Value) {
        let arguments = &params["arguments"];
        let number = |name: &str| arguments[name].as_u64().unwrap_or(0);
        let text = match params["name"].as_str().unwrap_or_default() {
            tool::ECHO if self.scenario == Scenario::TellsEnvironment => {
                return self.delivery.error(id, INTERNAL_ERROR, &environment());
            }
            tool::SLEEP if self.scenario == Scenario::TellsEnvironment => tell_and_exit(),
            tool::ECHO => arguments["text"].as_str().unwrap_or_default().to_owned(),
            tool::SLEEP => return self.sleep(id.clone(), Duration::from_millis(number("ms"))),
            tool::COUNT => match arguments["pipe"].as_str() {
                None => count(),
                Some(pipe) => return self.answer_after(pipe.to_owned(), id.clone(), count()),
            },
            tool::FILL => "x".repeat(usize::try_from(number("bytes")).unwrap_or(0)),
            tool::RECEIVED => self.received.join("\n"),
            tool::ENVIRONMENT => environment(),
            special if self.scenario == Scenario::Attacker && tool::OF_PROCESSES.contains(&special) => match special {
                tool::DESCRIPTORS => descriptors(),
                tool::ATTACK => attacks::survivable(process(arguments)),
                _ => attacks::lethal(process(arguments)),
            },
            unknown => return self.delivery.tool_result(id, &format!("there is no tool {unknown}"), true),
        };
        self.delivery.tool_result(id, &text, false);
    }

    /// Answers when somebody has opened a pipe and closed it.
    fn answer_after(&self, pipe: String, id: Value, text: String) {
        let delivery = Arc::clone(&self.delivery);
        thread::spawn(move || {
            let is_error = fs::read(pipe).is_err();
            delivery.tool_result(&id, &text, is_error);
        });
    }

    fn sleep(&self, id: Value, time: Duration) {
        let (delivery, cancelled) = (Arc::clone(&self.delivery), Arc::clone(&self.cancelled));
        thread::spawn(move || {
            if !cancelled.wait_for(&id, time) {
                delivery.tool_result(&id, "slept", false);
            }
        });
    }
}

impl Cancelled {
    fn add(&self, id: &Value) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_string());
        self.added.notify_all();
    }

    /// Whether the id is added before the time is over.
    fn wait_for(&self, id: &Value, time: Duration) -> bool {
        let id = id.to_string();
        let ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.added.wait_timeout_while(ids, time, |ids| !ids.contains(&id));
        let (ids, _) = waited.unwrap_or_else(PoisonError::into_inner);
        ids.contains(&id)
    }
}

/// Its environment, `NAME=VALUE` a line.
pub(crate) fn environment() -> String {
    env::vars_os().map(|(name, value)| format!("{}={}\n", name.display(), value.display())).collect()
}

/// Writes its environment to stderr, in pieces that are cut anywhere, and the beginning of it once more.
fn tell_and_exit() -> ! {
    let environment = environment();
    let mut stderr = std::io::stderr();
    for piece in environment.as_bytes().chunks(7) {
        let _ = stderr.write_all(piece);
        // The client may read now, or not.
        thread::yield_now();
    }
    let _ = stderr.write_all(environment.lines().max().unwrap_or_default().as_bytes());
    std::process::exit(3)
}

/// The process to attack. The one that no process has, where none is named.
fn process(arguments: &Value) -> libc::pid_t {
    arguments["process"].as_i64().and_then(|process| process.try_into().ok()).unwrap_or(libc::pid_t::MAX)
}

/// The open descriptors of this process. The folder that lists them is open while it is read, and closed when they are looked at.
fn descriptors() -> String {
    let listed = fs::read_dir("/proc/self/fd").into_iter().flatten();
    let listed: Vec<i32> = listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    // SAFETY: fcntl(2) with F_GETFD takes no pointer, and fails for what is not open.
    let open = listed.into_iter().filter(|descriptor| unsafe { libc::fcntl(*descriptor, libc::F_GETFD) } >= 0);
    open.map(|descriptor| format!("{descriptor}\n")).collect()
}

/// Adds a line to the file of the counts and gives their number. A line is added in one write, so that the count is
/// right when several processes share the file.
fn count() -> String {
    let Some(path) = env::var_os(tool::COUNT_FILE) else { return format!("{} is not set", tool::COUNT_FILE) };
    let added = OpenOptions::new().create(true).append(true).open(&path).and_then(|mut file| file.write_all(b"ran\n"));
    added.and_then(|()| fs::read(&path)).map_or_else(
        |error| format!("cannot count: {error}"),
        |content| content.split(|&byte| byte == b'\n').skip(1).count().to_string(),
    )
}

fn notification(number: u64) -> Value {
    let params = json!({ "level": "info", "data": format!("news number {number}") });
    json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": params })
}
