//! What the server sends.
//!
//! Anything may come, at any time, any number of times. What makes no sense is
//! counted and left at that: nothing here ends a session but a bad answer to
//! `initialize`.

use crate::boundary::{Effect, Notification, Progress};
use crate::effects::Effects;
use crate::json::{self, Malformed, set};
use crate::jsonrpc::{Message, Reply, RequestId};
use crate::payload::Source;
use crate::server_requests::{self, Refusal, Request, ServerRequests};
use crate::session::{Phase, Session};
use crate::stream;
use crate::tally::Nuisance;

impl Session {
    /// Takes a frame of the server.
    pub(crate) fn frame(&mut self, effects: &mut Effects, index: u32, frame: &[u8]) {
        let spoken = match self.phase {
            Phase::Handshake(_) => None,
            Phase::Ready(revision) => Some(revision),
            Phase::Unconnected | Phase::Disconnected => {
                let what = format_args!("a frame of {} bytes came without a session", frame.len());
                return self.tally.log(effects, Nuisance::Stray, what);
            }
        };
        let text = match json::text(frame) {
            Ok(text) => text,
            Err(reason) => return self.garbage(effects, frame.len(), reason),
        };
        let source = Source::new(index, text);
        let received = stream::receive(text, spoken, |message| match Message::parse(message) {
            Ok(message) => self.message(effects, source, message),
            Err(reason) => self.garbage(effects, message.len(), reason),
        });
        if let Err(reason) = received {
            self.garbage(effects, frame.len(), reason);
        }
    }

    fn message(&mut self, effects: &mut Effects, source: Source<'_>, message: Message<'_>) {
        match message {
            Message::Response { id, reply } => self.response(effects, source, id, reply),
            Message::Request { id, method, params } => {
                self.request(effects, source, id, &method, params);
            }
            Message::Notification { method, params } => match &*method {
                "notifications/progress" => self.progress(effects, source, params),
                "notifications/cancelled" => {
                    if let Some(id) = member(params, "requestId") {
                        self.server_requests.withdraw(effects, id);
                    }
                }
                _ => effects.push(Effect::Notification(Notification {
                    method: method.into_owned(),
                    params: source.payload(params),
                })),
            },
        }
    }

    fn response(&mut self, effects: &mut Effects, source: Source<'_>, id: &str, reply: Reply<'_>) {
        let known = RequestId::read(id);
        if let Phase::Handshake(handshake) = &self.phase
            && known == Some(handshake.id)
        {
            let verdict = handshake.judge(reply, &self.settings);
            return self.initialized(effects, source, verdict, reply);
        }
        let limits = &self.settings.limits;
        let open = known.is_some_and(|id| self.calls.answer(effects, source, id, reply, limits));
        if !open {
            let id = json::excerpt(id);
            let what = format_args!("a response to request {id}, which is not open, was ignored");
            self.tally.log(effects, Nuisance::UnknownResponse, what);
        }
    }

    fn request(
        &mut self,
        effects: &mut Effects,
        source: Source<'_>,
        wire_id: &str,
        method: &str,
        params: Option<&str>,
    ) {
        if !ServerRequests::is_answerable(wire_id) {
            let reason = "a request whose id is no short string or number";
            return self.garbage(effects, wire_id.len(), Malformed::Because(reason));
        }
        if method == "ping" {
            return stream::send(effects, server_requests::pong(wire_id));
        }
        let asked = if matches!(self.phase, Phase::Ready(_)) {
            // No revision with a handshake says to which call a request belongs.
            let call = if self.settings.shared { None } else { self.calls.only() };
            let request = Request { wire_id, method, params, call };
            self.server_requests.ask(effects, source, request, &self.settings)
        } else {
            Err(Refusal::TooEarly)
        };
        if let Err(refusal) = asked {
            stream::send(effects, server_requests::refuse(wire_id, refusal));
            let method = json::excerpt(method);
            let reason = refusal.reason();
            let what = format_args!("a request of the server, `{method}`, was refused: {reason}");
            self.tally.log(effects, Nuisance::RefusedRequest, what);
        }
    }

    fn progress(&mut self, effects: &mut Effects, source: Source<'_>, params: Option<&str>) {
        let token = member(params, "progressToken").and_then(RequestId::read);
        match token.and_then(|token| self.calls.wants_progress(token)) {
            Some(call) => {
                effects.push(Effect::Progress(Progress { call, report: source.payload(params) }));
            }
            None => {
                let what = format_args!("progress of a request that is not open was ignored");
                self.tally.log(effects, Nuisance::UnknownProgress, what);
            }
        }
    }

    fn garbage(&mut self, effects: &mut Effects, length: usize, reason: Malformed) {
        let what = format_args!("{length} bytes of the server are no message: {reason}");
        self.tally.log(effects, Nuisance::Garbage, what);
    }
}

/// A member of an object, if there is just one of that name.
fn member<'a>(object: Option<&'a str>, wanted: &str) -> Option<&'a str> {
    let mut found = None;
    json::members(object?, |name, value| if name == wanted { set(&mut found, value, "said twice") } else { Ok(()) })
        .ok()?;
    found
}
