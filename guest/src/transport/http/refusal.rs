//! Statuses that say no.
//!
//! Whatever the status and whatever the body: the call that an exchange was for
//! ends with it. If the body is a JSON-RPC error that can be meant for the request
//! (it repeats its id, or has none: many servers answer before they have read the
//! id), that is the server's error, and passed on verbatim. Otherwise the status is
//! all there is to say.
//!
//! Two statuses mean something else first. 401 and 403 say that authorization is
//! wanted, which is not for the guest to get: the fault says so, with the challenge.
//! And 404 says that the server has forgotten the session (2025-11-25,
//! basic/transports, "Session Management"). Some servers say 400 for that, with an
//! error that has no id; since 400 may also mean what it says, it counts as that only
//! if the error cannot be one of the message itself.

use super::Route;
use super::exchange::{Body, End, Exchange, Purpose};
use crate::boundary::{DisconnectCause, Fault, FaultKind};
use crate::effects::{Effects, fault};
use crate::incoming::Origin;
use crate::json;
use crate::jsonrpc::{ErrorCode, Message, Reply, RequestId};
use crate::payload::Source;
use crate::session::Session;
use crate::tally::Nuisance;

/// The JSON-RPC error in the body of a refusal.
#[derive(Debug, Clone, Copy)]
struct Said<'a> {
    source: Source<'a>,
    id: &'a str,
    error: &'a str,
}

impl<'a> Said<'a> {
    fn read(index: u32, bytes: &'a [u8]) -> Option<Self> {
        let text = json::text(bytes).ok()?;
        match Message::parse(text) {
            Ok(Message::Response { id, reply: Reply::Error(error) }) => {
                Some(Said { source: Source::new(index, text), id, error })
            }
            _ => None,
        }
    }

    /// Whether the error may be the answer to this request. An id that is no number of
    /// ours is a placeholder: some servers write one for want of the real one.
    fn answers(&self, id: RequestId) -> bool {
        RequestId::read(self.id).is_none_or(|said| said == id)
    }

    /// Whether the error is about a message that the server has read.
    fn is_of_message(&self, id: RequestId) -> bool {
        let code = json::member(self.error, "code").and_then(|code| code.parse().ok());
        RequestId::read(self.id) == Some(id) || code.is_some_and(ErrorCode::is_of_message)
    }
}

/// Whether a status is about who asks.
pub(super) fn wants_authorization(status: u16) -> bool {
    matches!(status, 401 | 403)
}

/// Why a call ends that the server wants authorization for. The boundary has no kind
/// of its own for it; a host sees the status itself.
pub(super) fn unauthorized(status: u16, challenge: Option<&str>) -> Fault {
    let message = match challenge {
        Some(challenge) => format!("authorization required: status {status}, challenge: {challenge}"),
        None => format!("authorization required: status {status}, no challenge"),
    };
    fault(FaultKind::Other, message)
}

impl Session {
    /// Settles what an exchange was for that was refused, with the body if there is
    /// one.
    pub(super) fn refused(&mut self, effects: &mut Effects, body: Option<(u32, &[u8])>, exchange: &Exchange) {
        let Body::Refusal { status, challenge } = &exchange.body else { return };
        let (status, challenge) = (*status, challenge.as_deref());
        let said = body.and_then(|(index, bytes)| Said::read(index, bytes));
        match exchange.purpose {
            Purpose::Settled => {}
            Purpose::Initialize(id) => self.initialize_refused(effects, id, status, challenge, said),
            Purpose::Confirmation => {
                let reason = if wants_authorization(status) {
                    unauthorized(status, challenge)
                } else {
                    End::Status(status).fault("the session could not be confirmed")
                };
                self.give_up(effects, reason);
            }
            Purpose::Message => {
                let what = format_args!("the server refused a message with status {status}");
                self.tally.log(effects, Nuisance::Stray, what);
                if status == 404 {
                    self.session_forgotten(effects, exchange.session);
                }
            }
            Purpose::Call { id, .. } if wants_authorization(status) => {
                self.fail_call(effects, id, unauthorized(status, challenge));
            }
            Purpose::Call { id, resumed: false } => self.call_refused(effects, id, exchange.session, status, said),
            Purpose::Call { id, resumed: true } => {
                if status == 404 {
                    self.session_forgotten(effects, exchange.session);
                }
                self.reply_interrupted(effects, id, exchange.session, End::Status(status));
            }
            Purpose::Listening => self.listening_refused(effects, status),
            Purpose::Channel => self.channel_refused(effects, status, challenge),
        }
    }

    fn call_refused(
        &mut self,
        effects: &mut Effects,
        id: RequestId,
        session: u32,
        status: u16,
        said: Option<Said<'_>>,
    ) {
        let of_session = match status {
            404 => true,
            400 => !said.is_some_and(|said| said.is_of_message(id)),
            _ => false,
        };
        if of_session && self.refused_for_its_session(effects, id, session, status) {
            return;
        }
        match said.filter(|said| said.answers(id)) {
            Some(Said { source, error, .. }) => {
                let limits = &self.settings.limits;
                self.calls.answer(effects, &mut self.transport, source, id, Reply::Error(error), limits);
            }
            None => self.calls.fail(effects, id, End::Status(status).fault("the server refused the call")),
        }
    }

    fn initialize_refused(
        &mut self,
        effects: &mut Effects,
        id: RequestId,
        status: u16,
        challenge: Option<&str>,
        said: Option<Said<'_>>,
    ) {
        if wants_authorization(status) {
            return self.give_up(effects, unauthorized(status, challenge));
        }
        if let Some(Said { source, error, .. }) = said.filter(|said| RequestId::read(said.id) == Some(id)) {
            // The server has read the offer: this is its answer, whatever the status.
            return self.response(effects, source, &id.to_string(), Reply::Error(error), Origin::Reply(id));
        }
        let said = said.filter(|said| said.answers(id));
        let Some(http) = self.transport.http() else { return };
        if matches!(status, 400 | 404 | 405) && matches!(http.route, Route::Streamable) && !http.announced {
            return self.probe(effects, status, said.map(|said| said.error));
        }
        match said {
            Some(Said { source, error, .. }) => {
                let message = "the server refused to open the session";
                let cause = DisconnectCause::Refused(source.payload(Some(error)));
                self.disconnect(effects, &fault(FaultKind::Disconnected, message), cause);
            }
            None => self.give_up(effects, End::Status(status).fault("the session could not be opened")),
        }
    }
}
