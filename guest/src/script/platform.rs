//! What the platform of a script asks and answers.

use super::bytes::Bytes;
use crate::boundary::{Answer, Call, CallId, Notify, ServerRequestId, ServerResponse};

/// The platform, and what it remembers.
#[derive(Default)]
pub(super) struct Platform {
    calls: CallId,
    asked: Vec<ServerRequestId>,
}

const METHODS: [&str; 6] = ["tools/call", "tools/list", "resources/templates/list", "x/list", "initialize", "a\"b\n"];

const PARAMS: [&str; 13] = [
    "{}",
    r#"{"name":"echo","arguments":{"a":[1,2,{"b":"\n"}]}}"#,
    "{\n  \"_meta\": {\r\n  \"a\": 1\n  }\n}",
    r#" { "_meta" : {} , "x": 1 } "#,
    r#"{"_meta":{"progressToken":1}}"#,
    r#"{"_meta":1}"#,
    r#"{"_meta":{},"_meta":{}}"#,
    r#"{"cursor":"mine"}"#,
    "{\"a\":\"\n\"}",
    "[1]",
    "{",
    "null",
    "\u{feff}{}",
];

impl Platform {
    /// An id that no call has had. Ids need not ascend, so these do not.
    pub(super) fn next_call(&mut self) -> CallId {
        self.calls += 1;
        self.calls ^ 1
    }

    /// The server asks something.
    pub(super) fn notice(&mut self, request: ServerRequestId) {
        self.asked.push(request);
    }

    pub(super) fn call(&mut self, script: &mut Bytes<'_>) -> Call {
        let params = match script.below(16) {
            0 => None,
            1 => Some(script.take(8)),
            2 => Some(long()),
            choice => PARAMS.get(choice - 3).map(|params| params.as_bytes().to_vec()),
        };
        let flags = script.next();
        Call {
            id: self.next_call(),
            method: script.pick(&METHODS).to_owned(),
            params,
            progress: flags & 1 == 1,
            all_pages: flags & 6 == 6,
        }
    }

    pub(super) fn notify(script: &mut Bytes<'_>) -> Notify {
        let params = script.pick(&PARAMS);
        Notify {
            method: script.pick(&["notifications/x", "notifications/cancelled"]).to_owned(),
            params: script.flag().then(|| params.as_bytes().to_vec()),
        }
    }

    /// Answers an open request of the server, or one that never was.
    pub(super) fn answer(&mut self, script: &mut Bytes<'_>) -> ServerResponse {
        let id = match self.asked.len() {
            0 => 99,
            open => self.asked.remove(script.below(open)),
        };
        let answer = match script.below(6) {
            0 => Answer::Result(br#"{"roots":[]}"#.to_vec()),
            1 => Answer::Result(b"{\n\"a\":1}".to_vec()),
            2 => Answer::Error(br#"{"code":1,"message":"no"}"#.to_vec()),
            3 => Answer::Result(b"\xff".to_vec()),
            4 => Answer::Result(long()),
            _ => Answer::Refused,
        };
        ServerResponse { id, answer }
    }
}

/// An object that is too long for the smaller one of the limits.
fn long() -> Vec<u8> {
    format!(r#"{{"a":"{}"}}"#, "x".repeat(2000)).into_bytes()
}
