//! How messages reach the client: whole, or in the way of the scenario.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::FromRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use innkeeper_tests::awkward::Scenario;
use serde_json::{Value, json};

/// Lines that are no messages.
const GARBAGE: [&[u8]; 8] = [
    b"Listening on stdio...\n",
    b"\n",
    b"{\"jsonrpc\":\"2.0\",\"id\":1,\n",
    b"{}\n",
    b"null\n",
    b"[[[[1]]]]\n",
    b"\xff\xfe not a text \x00\n",
    b"{\"jsonrpc\":\"2.0\",\"method\":7,\"params\":\"no\"}\r\n",
];

/// Large output is written in such pieces.
static PIECE: [u8; 64 << 10] = [b'x'; 64 << 10];

/// Stands for the large text in the message around it.
const MARK: &str = "LARGE";

/// How many pieces make 100 MiB.
const LARGE: usize = (100 << 20) / PIECE.len();

/// The output of the server. Shared by the threads that answer and the one that floods.
pub(crate) struct Delivery {
    scenario: Scenario,
    /// Not the standard library's stdout, which keeps back what follows the last newline.
    output: Mutex<File>,
    /// How many answers wait for the output. A flood lets them pass: the lock is not fair, and without this it would
    /// keep them waiting for as long as the client reads.
    waiting: AtomicUsize,
    /// Whether a tool was called, which is when several scenarios begin.
    called: AtomicBool,
}

impl Delivery {
    pub(crate) fn new(scenario: Scenario) -> Self {
        // SAFETY: nothing else in this process uses the descriptor of stdout, neither before nor after.
        let output = unsafe { File::from_raw_fd(1) };
        Self { scenario, output: Mutex::new(output), waiting: AtomicUsize::new(0), called: AtomicBool::new(false) }
    }

    /// The result of a tool.
    pub(crate) fn tool_result(&self, id: &Value, text: &str, is_error: bool) {
        let first = !self.called.swap(true, Ordering::Relaxed);
        let result = |text: &str| json!({ "content": [{ "type": "text", "text": text }], "isError": is_error });
        match self.scenario {
            Scenario::Line100Mib => self.write_large(&response(id, result(MARK))),
            Scenario::NoNewlineEver if first => self.write_without_end(),
            Scenario::ExitMidFrame if first => self.exit_after_half(&response(id, result(text))),
            Scenario::ClosesStdoutButLives if first => self.close(),
            _ => self.result(id, result(text)),
        }
    }

    pub(crate) fn result(&self, id: &Value, result: Value) {
        self.respond(id, &response(id, result));
    }

    pub(crate) fn error(&self, id: &Value, code: i32, message: &str) {
        let error = json!({ "code": code, "message": message });
        self.respond(id, &json!({ "jsonrpc": "2.0", "id": id, "error": error }));
    }

    /// Sends messages until the client is gone.
    pub(crate) fn flood(&self, message: impl Fn(u64) -> Value) {
        for message in (0..).map(message) {
            while self.waiting.load(Ordering::Relaxed) > 0 {
                thread::yield_now();
            }
            if self.send(&message).is_err() {
                return;
            }
        }
    }

    fn respond(&self, id: &Value, response: &Value) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // An answer to one who is gone is of no interest to anybody.
        let _ = match self.scenario {
            Scenario::UnknownIds => {
                let unknown = [json!(u64::MAX), json!(-1), json!(1.5), json!("nobody"), json!({}), Value::Null];
                unknown.iter().try_for_each(|id| self.send(&with_id(response, id))).and_then(|()| self.send(response))
            }
            Scenario::DuplicateIds => self.send(response).and_then(|()| self.send(response)),
            Scenario::StringIds => self.send(&with_id(response, &json!(id.to_string()))),
            _ => self.send(response),
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    fn send(&self, message: &Value) -> io::Result<()> {
        let mut frame = message.to_string().into_bytes();
        frame.push(b'\n');
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        match self.scenario {
            Scenario::GarbageBetweenFrames => output.write_all(&GARBAGE.concat())?,
            Scenario::HalfFrames => return frame.iter().try_for_each(|&byte| output.write_all(&[byte])),
            _ => {}
        }
        output.write_all(&frame)
    }

    /// Writes a message with the large text in place of its mark.
    fn write_large(&self, message: &Value) {
        let message = message.to_string();
        let (before, after) = message.split_once(MARK).expect("the message has the mark");
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = output
            .write_all(before.as_bytes())
            .and_then(|()| (0..LARGE).try_for_each(|_| output.write_all(&PIECE)))
            .and_then(|()| output.write_all(format!("{after}\n").as_bytes()));
    }

    fn write_without_end(&self) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        while output.write_all(&PIECE).is_ok() {}
    }

    fn exit_after_half(&self, message: &Value) {
        let frame = message.to_string();
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = output.write_all(&frame.as_bytes()[..frame.len() / 2]);
        std::process::exit(3);
    }

    /// Closes the output; what is written from here on goes nowhere.
    fn close(&self) {
        let nowhere = File::options().write(true).open("/dev/null").expect("there is a /dev/null");
        *self.output.lock().unwrap_or_else(PoisonError::into_inner) = nowhere;
    }
}

fn response(id: &Value, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

fn with_id(response: &Value, id: &Value) -> Value {
    let mut response = response.clone();
    response["id"] = id.clone();
    response
}
