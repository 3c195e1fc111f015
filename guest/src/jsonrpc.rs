//! JSON-RPC 2.0: the envelope of a message, both ways.
//!
//! Reading tells requests, notifications and responses apart and says where
//! their parts lie; what is in the parts concerns other modules.

use crate::json::{self, Malformed, set};
use crate::payload::Builder;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// The id of a request of this client. Numbers from 1 on: there are servers that
/// take 0 for "no id".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct RequestId(pub(crate) u64);

impl RequestId {
    /// Reads what a server sent as an id, or as a progress token. Only the numbers
    /// that this client sends can name one of its requests.
    pub(crate) fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(RequestId)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A message of the server. Every part but a method is the JSON text itself.
#[derive(Debug, PartialEq)]
pub(crate) enum Message<'a> {
    Request { id: &'a str, method: Cow<'a, str>, params: Option<&'a str> },
    Notification { method: Cow<'a, str>, params: Option<&'a str> },
    Response { id: &'a str, reply: Reply<'a> },
}

/// What a response says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reply<'a> {
    Result(&'a str),
    Error(&'a str),
    /// Both a result and an error.
    Both,
    /// Neither a result nor an error.
    Neither,
}

impl<'a> Message<'a> {
    /// Reads one message.
    ///
    /// A member that is said twice makes the whole message ambiguous: it is
    /// refused, as two readers could take it for different messages.
    ///
    /// `jsonrpc` is required of what the server says by itself. Servers print
    /// structured logs to their standard output by mistake, and a log line such as
    /// `{"method":"GET"}` must not become a notification. A response, however, is
    /// recognised by the id of an open request, which no log line has by accident;
    /// there the member may be missing, because refusing the answer would turn an
    /// untidy server into one that never answers.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Malformed> {
        let mut version = None;
        let mut id = None;
        let mut method = None;
        let mut params = None;
        let mut result = None;
        let mut error = None;
        json::members(text, |name, value| match &*name {
            "jsonrpc" => set(&mut version, value, "a message with two versions"),
            "id" => set(&mut id, value, "a message with two ids"),
            "method" => set(&mut method, value, "a message with two methods"),
            "params" => set(&mut params, value, "a message with two params"),
            "result" => set(&mut result, value, "a message with two results"),
            "error" => set(&mut error, value, "a message with two errors"),
            _ => Ok(()),
        })?;

        let Some(method) = method else {
            let reply = match (result, error) {
                (Some(result), None) => Reply::Result(result),
                (None, Some(error)) => Reply::Error(error),
                (Some(_), Some(_)) => Reply::Both,
                (None, None) => Reply::Neither,
            };
            return match id {
                Some(id) => Ok(Message::Response { id, reply }),
                // What a server sends that could not read the id.
                None if matches!(reply, Reply::Error(_)) => Ok(Message::Response { id: "null", reply }),
                None => Err(Malformed::Because("neither a method nor an id")),
            };
        };
        if version.and_then(json::string).as_deref() != Some("2.0") {
            return Err(Malformed::Because("a request or notification without \"jsonrpc\":\"2.0\""));
        }
        let Some(method) = json::string(method) else {
            return Err(Malformed::Because("a method that is not a string"));
        };
        // Null says the same as nothing, and some serialisers write it.
        let params = params.filter(|params| *params != "null");
        Ok(match id {
            Some(id) => Message::Request { id, method, params },
            None => Message::Notification { method, params },
        })
    }
}

/// Messages in one batch. A batch has no purpose that needs more, and without a
/// bound one frame of tiny messages could have the guest answer with a hundred
/// times its memory.
pub(crate) const MAX_BATCH: usize = 1024;

/// Reads a batch: hands out the text of each message, or nothing at all if the
/// whole is not one.
pub(crate) fn batch<'a>(text: &'a str, mut visit: impl FnMut(&'a str)) -> Result<(), Malformed> {
    let mut count = 0_usize;
    json::elements(text, |_| {
        count = count.saturating_add(1);
        if count > MAX_BATCH { Err("a batch of more than 1024 messages") } else { Ok(()) }
    })?;
    if count == 0 {
        return Err(Malformed::Because("an empty batch"));
    }
    json::elements(text, |message| {
        visit(message);
        Ok(())
    })
}

/// Error codes of JSON-RPC 2.0, section 5.1, and of MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorCode {
    InvalidRequest,
    MethodNotFound,
    InternalError,
    /// 2025-11-25, client/sampling, "Error Handling".
    SamplingRejected,
}

impl ErrorCode {
    const fn number(self) -> i64 {
        match self {
            ErrorCode::InvalidRequest => -32600,
            ErrorCode::MethodNotFound => -32601,
            ErrorCode::InternalError => -32603,
            ErrorCode::SamplingRejected => -1,
        }
    }

    /// Whether a code is about a message as such, and not about its circumstances.
    /// `InvalidRequest` is not among them: servers use it for a session that they do
    /// not know.
    pub(crate) fn is_of_message(code: i64) -> bool {
        const PARSE_ERROR: i64 = -32700;
        const INVALID_PARAMS: i64 = -32602;

        [PARSE_ERROR, INVALID_PARAMS, ErrorCode::MethodNotFound.number()].contains(&code)
    }
}

/// Begins a request; `params` and [`end`] follow.
pub(crate) fn request(id: RequestId, method: &str) -> Builder {
    // The fixed parts, the digits of a large id, and room for a progress token, so
    // that most requests take one allocation.
    let mut frame = Builder::with_capacity(method.len().saturating_add(96));
    frame.text(r#"{"jsonrpc":"2.0","id":"#).number(id.0).text(r#","method":"#).string(method);
    frame
}

/// Begins a notification; `params` and [`end`] follow.
pub(crate) fn notification(method: &str) -> Builder {
    let mut frame = Builder::with_capacity(method.len().saturating_add(64));
    frame.text(r#"{"jsonrpc":"2.0","method":"#).string(method);
    frame
}

/// Begins a response to the request with the id that `id` is the text of; `result`
/// or `error` and [`end`] follow.
pub(crate) fn response(id: &str) -> Builder {
    let mut frame = Builder::with_capacity(id.len().saturating_add(64));
    frame.text(r#"{"jsonrpc":"2.0","id":"#).text(id);
    frame
}

/// A response that is an error.
pub(crate) fn error(id: &str, code: ErrorCode, message: &str) -> Builder {
    let mut frame = response(id);
    frame.text(r#","error":{"code":"#).number(code.number());
    frame.text(r#","message":"#).string(message).text("}");
    end(frame)
}

/// Ends a message.
pub(crate) fn end(mut frame: Builder) -> Builder {
    frame.text("}");
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn because(reason: &'static str) -> Result<Message<'static>, Malformed> {
        Err(Malformed::Because(reason))
    }

    #[test]
    fn messages_are_told_apart_by_method_and_id() {
        assert_eq!(
            Message::parse(r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#),
            Ok(Message::Request { id: r#""a""#, method: "ping".into(), params: None })
        );
        assert_eq!(
            Message::parse(r#"{"jsonrpc":"2.0","method":"n","params":{"a": 1}}"#),
            Ok(Message::Notification { method: "n".into(), params: Some(r#"{"a": 1}"#) })
        );
        assert_eq!(
            Message::parse(r#"{"jsonrpc":"2.0","id":7,"result":null}"#),
            Ok(Message::Response { id: "7", reply: Reply::Result("null") })
        );
        assert_eq!(
            Message::parse(r#"{"jsonrpc":"2.0","error":{"code":-32700}}"#),
            Ok(Message::Response { id: "null", reply: Reply::Error(r#"{"code":-32700}"#) })
        );
    }

    #[test]
    fn a_response_without_version_is_taken_but_a_notification_is_not() {
        assert_eq!(
            Message::parse(r#"{"id":7,"result":{}}"#),
            Ok(Message::Response { id: "7", reply: Reply::Result("{}") })
        );
        assert_eq!(
            Message::parse(r#"{"method":"GET"}"#),
            because("a request or notification without \"jsonrpc\":\"2.0\"")
        );
        assert_eq!(Message::parse(r#"{"level":"info"}"#), because("neither a method nor an id"));
    }

    #[test]
    fn a_member_said_twice_makes_no_message() {
        assert_eq!(Message::parse(r#"{"id":7,"result":{},"\u0069d":8}"#), because("a message with two ids"));
    }

    #[test]
    fn both_or_neither_of_result_and_error_are_noticed() {
        let reply = |text| match Message::parse(text) {
            Ok(Message::Response { reply, .. }) => reply,
            other => panic!("not a response: {other:?}"),
        };
        assert_eq!(reply(r#"{"id":7,"result":{},"error":{}}"#), Reply::Both);
        assert_eq!(reply(r#"{"id":7}"#), Reply::Neither);
    }

    #[test]
    fn a_batch_is_read_whole_or_not_at_all() {
        let read = |text: &str| {
            let mut seen = Vec::new();
            batch(text, |message| seen.push(message.to_owned())).map(|()| seen)
        };
        assert_eq!(read(r#"[ {"a":1}, 2]"#), Ok(vec![r#"{"a":1}"#.to_owned(), "2".to_owned()]));
        assert_eq!(read("[]"), Err(Malformed::Because("an empty batch")));
        assert_eq!(read("[1,2"), Err(Malformed::NotJson { line: 1, column: 4 }));

        let at_the_bound = format!("[{}1]", "1,".repeat(MAX_BATCH - 1));
        assert_eq!(read(&at_the_bound).map(|seen| seen.len()), Ok(MAX_BATCH));
        assert!(read(&format!("[{}1]", "1,".repeat(MAX_BATCH))).is_err());
    }

    #[test]
    fn only_the_numbers_that_we_send_are_ids_of_ours() {
        assert_eq!(RequestId::read("12"), Some(RequestId(12)));
        for other in ["\"12\"", "12.0", "-12", "1e1", "null", "18446744073709551616"] {
            assert_eq!(RequestId::read(other), None, "{other}");
        }
    }
}
