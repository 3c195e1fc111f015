//! What the server asks of the platform, and what it is told.
//!
//! The guest answers a ping itself. Everything else goes up under an id of the
//! guest's own; the id of the server is kept as the text that it was, since that
//! is what the answer has to repeat.

use crate::boundary::{Answer, Effect, ServerRequest};
use crate::effects::{CallId, Effects};
use crate::json;
use crate::jsonrpc::{self, ErrorCode};
use crate::payload::{Builder, Source};
use crate::settings::Settings;
use crate::transport::Transport;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The requests of the server that the platform has not answered.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ServerRequests {
    next: u64,
    /// No more than `limits.max_server_requests`, which is few: they are searched by
    /// the id of the server one by one.
    open: BTreeMap<u64, Asked>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Asked {
    /// JSON, as the server wrote it.
    wire_id: String,
    kind: Kind,
}

/// What is asked, as far as a refusal depends on it. Not the method itself, which
/// may be as long as a frame.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Sampling,
    Elicitation,
    Other,
}

/// Why a request is not put to the platform.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Refusal {
    /// The server has to wait for `notifications/initialized` (basic/lifecycle).
    TooEarly,
    /// An id of an open request again.
    Duplicate,
    /// A bound of the host.
    TooMany,
}

impl Refusal {
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Refusal::TooEarly => "only ping may be sent before the session is initialized",
            Refusal::Duplicate => "a request with this id is still open",
            Refusal::TooMany => "too many requests are open; try again when some are answered",
        }
    }

    const fn code(self) -> ErrorCode {
        match self {
            Refusal::TooEarly | Refusal::Duplicate => ErrorCode::InvalidRequest,
            Refusal::TooMany => ErrorCode::InternalError,
        }
    }
}

impl ServerRequests {
    pub(crate) const fn new() -> Self {
        ServerRequests { next: 1, open: BTreeMap::new() }
    }

    /// Whether the text is an id that can be answered: a string or a number, which
    /// is what MCP allows, and short, because it is kept.
    pub(crate) fn is_answerable(wire_id: &str) -> bool {
        /// Longer than any generated id. With it, every reply of the guest's own fits
        /// into the smallest frame that settings may ask for.
        const MAX_WIRE_ID: usize = 256;

        wire_id.len() <= MAX_WIRE_ID && wire_id.starts_with(|first: char| matches!(first, '"' | '-' | '0'..='9'))
    }

    /// Puts a request to the platform.
    pub(crate) fn ask(
        &mut self,
        effects: &mut Effects,
        source: Source<'_>,
        request: Request<'_>,
        settings: &Settings,
    ) -> Result<(), Refusal> {
        if self.find(request.wire_id).is_some() {
            return Err(Refusal::Duplicate);
        }
        if self.open.len() as u64 >= u64::from(settings.limits.max_server_requests) {
            return Err(Refusal::TooMany);
        }
        let id = self.next;
        self.next = self.next.saturating_add(1);
        let kind = match request.method {
            "sampling/createMessage" => Kind::Sampling,
            "elicitation/create" => Kind::Elicitation,
            _ => Kind::Other,
        };
        self.open.insert(id, Asked { wire_id: request.wire_id.to_owned(), kind });
        effects.push(Effect::ServerRequest(ServerRequest {
            id,
            call: request.call,
            method: request.method.to_owned(),
            params: source.payload(request.params),
        }));
        Ok(())
    }

    /// The server does not want an answer any more. It may well have been given
    /// already.
    pub(crate) fn withdraw(&mut self, effects: &mut Effects, wire_id: &str) {
        if let Some(id) = self.find(wire_id) {
            self.open.remove(&id);
            effects.push(Effect::WithdrawServerRequest(id));
        }
    }

    /// The connection is gone, and nobody waits for answers.
    pub(crate) fn withdraw_all(&mut self, effects: &mut Effects) {
        for id in std::mem::take(&mut self.open).into_keys() {
            effects.push(Effect::WithdrawServerRequest(id));
        }
    }

    /// Passes the platform's answer on. One to a request that was withdrawn is
    /// ignored.
    pub(crate) fn answer(
        &mut self,
        effects: &mut Effects,
        transport: &mut Transport,
        index: u32,
        id: u64,
        answer: &Answer,
        settings: &Settings,
    ) {
        let Some(asked) = self.open.remove(&id) else { return };
        let message = match answer {
            Answer::Result(json) => passed_on(&asked.wire_id, "result", index, json, settings),
            Answer::Error(json) => passed_on(&asked.wire_id, "error", index, json, settings),
            Answer::Refused => asked.refusal(settings),
        };
        transport.send(effects, message);
    }

    /// Compares with what the host holds after a change of guest: the platform will
    /// not answer what the host does not hold, and nobody waits for the answers to
    /// what is not known here.
    pub(crate) fn reconcile(
        &mut self,
        effects: &mut Effects,
        transport: &mut Transport,
        held: &BTreeSet<u64>,
        settings: &Settings,
    ) {
        let lost: Vec<u64> = self.open.keys().copied().filter(|id| !held.contains(id)).collect();
        for id in lost {
            self.answer(effects, transport, 0, id, &Answer::Refused, settings);
        }
        for id in held.iter().filter(|id| !self.open.contains_key(id)) {
            self.next = self.next.max(id.saturating_add(1));
            effects.push(Effect::WithdrawServerRequest(*id));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether what a snapshot says of the requests can be true.
    pub(crate) fn is_sound(&self, settings: &Settings) -> bool {
        self.open.len() as u64 <= u64::from(settings.limits.max_server_requests)
            && self.open.keys().all(|id| *id < self.next)
            && self.open.values().all(|asked| {
                Self::is_answerable(&asked.wire_id)
                    && json::is_single_line(&asked.wire_id)
                    && json::check(&asked.wire_id).is_ok()
            })
    }

    fn find(&self, wire_id: &str) -> Option<u64> {
        self.open.iter().find(|(_, asked)| asked.wire_id == wire_id).map(|(id, _)| *id)
    }
}

/// A request of the server, as it came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) wire_id: &'a str,
    pub(crate) method: &'a str,
    pub(crate) params: Option<&'a str>,
    /// The call that it belongs to, as far as is known.
    pub(crate) call: Option<CallId>,
}

impl Asked {
    /// What a client says that does not answer requests of this kind. A capability
    /// that was declared is declined in its own words, one that was not is a method
    /// that is not there.
    fn refusal(&self, settings: &Settings) -> Builder {
        match self.kind {
            Kind::Elicitation if settings.declares("elicitation") => {
                let mut message = jsonrpc::response(&self.wire_id);
                message.text(r#","result":{"action":"decline"}"#);
                jsonrpc::end(message)
            }
            Kind::Sampling if settings.declares("sampling") => {
                jsonrpc::error(&self.wire_id, ErrorCode::SamplingRejected, "User rejected sampling request")
            }
            _ => jsonrpc::error(&self.wire_id, ErrorCode::MethodNotFound, "Method not found"),
        }
    }
}

/// Answers a ping.
pub(crate) fn pong(wire_id: &str) -> Builder {
    let mut message = jsonrpc::response(wire_id);
    message.text(r#","result":{}"#);
    jsonrpc::end(message)
}

/// Tells the server why its request goes nowhere.
pub(crate) fn refuse(wire_id: &str, refusal: Refusal) -> Builder {
    jsonrpc::error(wire_id, refusal.code(), refusal.reason())
}

/// A response with what the platform gave. The server waits, so an answer that
/// cannot be said becomes an error, and not silence.
fn passed_on(wire_id: &str, member: &str, index: u32, json: &[u8], settings: &Settings) -> Builder {
    let internal = |reason| jsonrpc::error(wire_id, ErrorCode::InternalError, reason);
    let Ok(text) = json::text(json) else {
        return internal("the platform's answer is not UTF-8");
    };
    if json::check(text).is_err() || (member == "error" && !json::is_object(text)) {
        return internal("the platform's answer is malformed");
    }
    let mut message = jsonrpc::response(wire_id);
    message.text(",").string(member).text(":");
    if json::is_single_line(text) {
        message.source(Source::new(index, text), text);
    } else {
        message.text(&json::single_line(text));
    }
    let message = jsonrpc::end(message);
    if message.len() > settings.limits.max_frame {
        return internal("the platform's answer is too large");
    }
    message
}
