//! What the server sends.
//!
//! Anything may come, at any time, any number of times. What makes no sense is
//! counted and left at that: nothing here ends a session but a bad answer to
//! `initialize`.

use crate::boundary::{Effect, Notification, Progress};
use crate::effects::Effects;
use crate::json::{self, Malformed};
use crate::jsonrpc::{Message, Reply, RequestId};
use crate::payload::Source;
use crate::server_requests::{self, Refusal, Request, ServerRequests};
use crate::session::{Phase, Session};
use crate::tally::Nuisance;
use crate::transport::stream;

/// By what way something came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Origin {
    /// The one that is there for everything.
    Connection,
    /// The response to this request. What else comes by it belongs to that
    /// (2025-11-25, basic/transports, "Sending Messages to the Server").
    Reply(RequestId),
    /// A stream of what belongs to no request.
    Listening,
    /// The response to a request of a session that the server has forgotten.
    Stale(Option<RequestId>),
}

impl Session {
    /// Takes a frame of the server.
    pub(crate) fn frame(&mut self, effects: &mut Effects, index: u32, frame: &[u8]) {
        let connected = !matches!(self.phase, Phase::Unconnected | Phase::Disconnected);
        if connected && self.transport.http().is_none() {
            self.receive(effects, index, frame, Origin::Connection);
        } else {
            let what = format_args!("a frame of {} bytes came without a session", frame.len());
            self.tally.log(effects, Nuisance::Stray, what);
        }
    }

    /// Takes what holds a message, or several.
    pub(crate) fn receive(&mut self, effects: &mut Effects, index: u32, bytes: &[u8], origin: Origin) {
        let spoken = match self.phase {
            Phase::Ready(revision) | Phase::Confirming { revision, .. } => Some(revision),
            Phase::Unconnected | Phase::Handshake(_) | Phase::Disconnected => None,
        };
        let text = match json::text(bytes) {
            Ok(text) => text,
            Err(reason) => return self.garbage(effects, bytes.len(), reason),
        };
        let source = Source::new(index, text);
        let received = stream::receive(text, spoken, |message| match Message::parse(message) {
            Ok(message) => self.message(effects, source, message, origin),
            Err(reason) => self.garbage(effects, message.len(), reason),
        });
        if let Err(reason) = received {
            self.garbage(effects, bytes.len(), reason);
        }
    }

    fn message(&mut self, effects: &mut Effects, source: Source<'_>, message: Message<'_>, origin: Origin) {
        match message {
            Message::Response { id, reply } => self.response(effects, source, id, reply, origin),
            _ if matches!(origin, Origin::Stale(_)) => {
                let what = format_args!("a message of a session that the server has forgotten was ignored");
                self.tally.log(effects, Nuisance::Stray, what);
            }
            Message::Request { id, method, params } => {
                self.request(effects, source, id, &method, params, origin);
            }
            Message::Notification { method, params } => match &*method {
                "notifications/progress" => self.progress(effects, source, params),
                "notifications/cancelled" => {
                    if let Some(id) = params.and_then(|params| json::member(params, "requestId")) {
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

    /// Takes a response to the request with the id that `id` is the text of.
    pub(crate) fn response(
        &mut self,
        effects: &mut Effects,
        source: Source<'_>,
        id: &str,
        reply: Reply<'_>,
        origin: Origin,
    ) {
        let own = match origin {
            Origin::Reply(own) | Origin::Stale(Some(own)) => Some(own),
            Origin::Connection | Origin::Listening | Origin::Stale(None) => None,
        };
        let known = match RequestId::read(id) {
            // An error without an id is one of the request that it comes with.
            None if id == "null" && matches!(reply, Reply::Error(_)) => own,
            known => known,
        };
        if let Phase::Handshake(handshake) = &self.phase
            && known == Some(handshake.id)
            && (own == known || origin == Origin::Connection)
        {
            let verdict = handshake.judge(reply, &self.settings);
            return self.initialized(effects, source, verdict, reply);
        }
        let limits = &self.settings.limits;
        let transport = &mut self.transport;
        let open = known.is_some_and(|id| self.calls.answer(effects, transport, source, id, reply, limits));
        if open && known != own {
            // It came by another way than was kept open for it.
            known.into_iter().for_each(|id| self.transport.forget(effects, id));
        }
        if open && self.transport.http().is_some() && matches!(self.phase, Phase::Ready(_)) {
            // Pages that begin anew in another session.
            self.calls.flush(effects, &mut self.transport, &self.settings.limits);
        }
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
        origin: Origin,
    ) {
        if !ServerRequests::is_answerable(wire_id) {
            let reason = "a request whose id is no short string or number";
            return self.garbage(effects, wire_id.len(), Malformed::Because(reason));
        }
        if method == "ping" {
            return self.transport.send(effects, server_requests::pong(wire_id));
        }
        let asked = if matches!(self.phase, Phase::Ready(_) | Phase::Confirming { .. }) {
            let call = match origin {
                Origin::Reply(id) => self.calls.call_of(id),
                // On one connection for everything, no revision says to which call it belongs.
                Origin::Connection if !self.settings.shared => self.calls.only(),
                Origin::Connection | Origin::Listening | Origin::Stale(_) => None,
            };
            let request = Request { wire_id, method, params, call };
            self.server_requests.ask(effects, source, request, &self.settings)
        } else {
            Err(Refusal::TooEarly)
        };
        if let Err(refusal) = asked {
            self.transport.send(effects, server_requests::refuse(wire_id, refusal));
            let method = json::excerpt(method);
            let reason = refusal.reason();
            let what = format_args!("a request of the server, `{method}`, was refused: {reason}");
            self.tally.log(effects, Nuisance::RefusedRequest, what);
        }
    }

    fn progress(&mut self, effects: &mut Effects, source: Source<'_>, params: Option<&str>) {
        let token = params.and_then(|params| json::member(params, "progressToken")).and_then(RequestId::read);
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
