//! What the server of a script reads and says.

use super::bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The server, and what it remembers.
#[derive(Default)]
pub(super) struct Server {
    initialized: bool,
    /// Requests of the client that it has not answered.
    requests: Vec<(u64, String)>,
    /// Ids that have been used, on earlier connections too.
    used: BTreeSet<u64>,
    /// What it said, to say it again or in pieces.
    said: Vec<Vec<u8>>,
}

const METHODS: [&str; 5] = ["sampling/createMessage", "elicitation/create", "roots/list", "ping", "x/y"];

const IDS: [&str; 8] = ["1", "2", "\"1\"", "\"a\\u0062\"", "-7.5e3", "null", "{}", "[1]"];

impl Server {
    /// Another process takes the place of this one.
    pub(super) fn restart(&mut self) {
        *self = Server { used: std::mem::take(&mut self.used), ..Server::default() };
    }

    /// The client takes the session to be open.
    pub(super) fn opened(&mut self) {
        self.initialized = true;
    }

    /// Another session begins.
    pub(super) fn closed(&mut self) {
        self.initialized = false;
    }

    pub(super) fn is_open(&self) -> bool {
        self.initialized
    }

    /// Reads a frame of the client.
    pub(super) fn read(&mut self, frame: &[u8]) -> Result<(), String> {
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

    /// Says something, and remembers it to say it again.
    fn say(&mut self, frame: impl Into<Vec<u8>>) -> Vec<u8> {
        /// Scripts seldom reach back further.
        const MAX_REMEMBERED: usize = 8;
        /// Batches of batches would double with each.
        const MAX_LENGTH: usize = 4096;

        let frame = frame.into();
        if frame.len() <= MAX_LENGTH {
            if self.said.len() >= MAX_REMEMBERED {
                self.said.remove(0);
            }
            self.said.push(frame.clone());
        }
        frame
    }

    /// Answers an open request, as it should be or in some other way.
    pub(super) fn answer(&mut self, script: &mut Bytes<'_>, well: bool) -> Option<Vec<u8>> {
        let choice = script.below(self.requests.len());
        let (id, _) = self.requests.get(choice)?;
        self.answer_to(script, *id, well)
    }

    /// Answers a certain request, if it is open.
    pub(super) fn answer_to(&mut self, script: &mut Bytes<'_>, id: u64, well: bool) -> Option<Vec<u8>> {
        let place = self.requests.iter().position(|(open, _)| *open == id)?;
        let (id, method) = self.requests.remove(place);
        let reply = match (&*method, well) {
            ("initialize", true) => Self::agree(script),
            (method, true) if method.ends_with("list") => Self::page(script, method, id),
            ("initialize", false) => script
                .pick(&[
                    r#""error":{"code":-32602,"data":{"supported":["x","2024-11-05"]}}"#,
                    r#""error":{"code":-32602,"message":"no"}"#,
                    r#""result":{"protocolVersion":7}"#,
                    r#""result":null"#,
                    r#""result":{},"error":{}"#,
                ])
                .to_owned(),
            (_, true) => script
                .pick(&[
                    r#""result":{"content":[{"type":"text","text":"hi"}]}"#,
                    r#""error":{"code":-32602,"message":"no"}"#,
                    r#""result":null"#,
                ])
                .to_owned(),
            (_, false) => {
                script.pick(&[r#""result":{},"error":{}"#, r#""x":1"#, r#""result":{},"result":{}"#]).to_owned()
            }
        };
        let version = script.pick(&[r#""jsonrpc":"2.0","#, ""]);
        Some(self.say(format!(r#"{{{version}"id":{id},{reply}}}"#)))
    }

    fn agree(script: &mut Bytes<'_>) -> String {
        let revision = script.pick(&["2025-11-25", "2025-03-26", "2025-11-25", "2024-11-05", "1999-01-01"]);
        format!(r#""result":{{"protocolVersion":"{revision}","capabilities":{{}}}}"#)
    }

    fn page(script: &mut Bytes<'_>, method: &str, id: u64) -> String {
        let cursor = match script.below(8) {
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
        let items = script.pick(&["[]", "[1]", "[ {\"a\":[]} , 2 ]", "{}"]);
        format!(r#""result":{{"_meta":[0],"{list}":{items}{cursor},"z":1}}"#)
    }

    pub(super) fn garbage(&mut self, script: &mut Bytes<'_>) -> Vec<u8> {
        let last = self.said.last().cloned().unwrap_or_default();
        let frame = match script.below(12) {
            0 => script.take(6),
            1 => last[..script.below(last.len())].to_vec(),
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
        self.say(frame)
    }

    /// Reports on an open request, or on one that never was.
    pub(super) fn progress(&mut self, script: &mut Bytes<'_>) -> Vec<u8> {
        let choice = script.below(self.requests.len() + 1);
        let token = self.requests.get(choice).map_or(4711, |(id, _)| *id);
        let params = match script.below(4) {
            0 => format!(r#","params":{{"progressToken":"{token}","progress":1}}"#),
            1 => String::new(),
            _ => format!(r#","params":{{"progressToken":{token},"progress":1}}"#),
        };
        self.say(format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress"{params}}}"#))
    }

    pub(super) fn request(&mut self, script: &mut Bytes<'_>) -> Vec<u8> {
        let id = script.pick(&IDS);
        let method = script.pick(&METHODS);
        let params = script.pick(&["", r#","params":{"a": 1}"#, r#","params":null"#]);
        self.say(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"{params}}}"#))
    }

    pub(super) fn cancel(&mut self, script: &mut Bytes<'_>) -> Vec<u8> {
        let id = script.pick(&IDS);
        self.say(format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#))
    }

    pub(super) fn notification(&mut self, script: &mut Bytes<'_>) -> Vec<u8> {
        let params = script.pick(&["", r#","params":{"a": 1}"#, r#","params":[]"#]);
        self.say(format!(r#"{{"jsonrpc":"2.0","method":"notifications/y"{params}}}"#))
    }

    /// Says what was said before again, as one frame.
    pub(super) fn batch(&mut self, script: &mut Bytes<'_>) -> Vec<u8> {
        let count = script.below(4);
        let again: Vec<Vec<u8>> = self.said.iter().rev().take(count).cloned().collect();
        self.say([b"[", &again.join(&b","[..])[..], b"]"].concat())
    }
}

pub(super) fn read_json(bytes: &[u8]) -> Result<Value, String> {
    // Some nest deeper than a value may; there is nothing to be read in those.
    match serde_json::from_slice(bytes) {
        Ok(value) => Ok(value),
        Err(error) if error.to_string().starts_with("recursion limit") => Ok(Value::Null),
        Err(error) => Err(format!("{error}: {}", String::from_utf8_lossy(bytes))),
    }
}
