//! The replies to calls: as one text, or at the end of a stream that may break.
//!
//! A reply is taken from whatever exchange brings it, if its request is open. A
//! server has to send it with the request, or on the stream that takes that one
//! up again; but ids are unique in a session (basic, "Requests"), so one that comes
//! elsewhere leaves no doubt what it answers, and refusing it would only turn a
//! result into a fault.
//!
//! What ends without the reply fails its call at once, unless the server has given
//! the stream an event id, by which it promises to keep what was missed.

use super::exchange::{Body, End, Exchange, Purpose};
use super::headers::{self, Content};
use crate::boundary::{Fault, FaultKind, ResponseHead};
use crate::effects::{Effects, fault};
use crate::incoming::Origin;
use crate::jsonrpc::RequestId;
use crate::session::{Phase, Session};

/// Attempts to take a stream up again that bring nothing new. With doubling times
/// between them they last for about a minute, which is as long as most calls do.
const MAX_RESUMPTIONS: u32 = 6;

impl Session {
    /// A response with a good status begins that has to bring the reply.
    pub(super) fn reply_begins(&mut self, effects: &mut Effects, head: &ResponseHead) {
        let Some(http) = self.transport.http() else { return };
        let Some(exchange) = http.exchanges.get_mut(&head.exchange) else { return };
        let resumed = matches!(exchange.purpose, Purpose::Call { resumed: true, .. });
        match headers::content(&head.headers) {
            Content::EventStream => {
                exchange.body = Body::Events;
                return;
            }
            Content::Json if !resumed => {
                exchange.body = Body::Json;
                return;
            }
            Content::Json | Content::Other => {}
        }
        let message = if matches!(head.status, 202 | 204) {
            "the server took the request and announced no reply".to_owned()
        } else {
            let name = headers::content_name(&head.headers);
            format!("the server's reply is content of {name}, and no message")
        };
        let purpose = exchange.purpose;
        http.abort(effects, head.exchange);
        self.unanswered(effects, purpose, fault(FaultKind::ProtocolViolation, message));
    }

    /// Takes a reply that is one text, by an exchange that is settled with it.
    pub(super) fn reply(&mut self, effects: &mut Effects, index: u32, bytes: &[u8], exchange: &Exchange) {
        let (Purpose::Call { id, .. } | Purpose::Initialize(id)) = exchange.purpose else { return };
        let current = self.transport.http().is_some_and(|http| exchange.session == http.session.number);
        let origin = if current { Origin::Reply(id) } else { Origin::Stale(Some(id)) };
        self.receive(effects, index, bytes, origin);
        if self.awaits(id) {
            let message = "the server's response holds no reply to the request";
            self.unanswered(effects, exchange.purpose, fault(FaultKind::ProtocolViolation, message));
        }
    }

    /// There will be no reply to what an exchange was for.
    pub(super) fn unanswered(&mut self, effects: &mut Effects, purpose: Purpose, fault: Fault) {
        match purpose {
            Purpose::Initialize(_) => self.give_up(effects, fault),
            Purpose::Call { id, .. } => self.fail_call(effects, id, fault),
            _ => {}
        }
    }

    /// Ends a call, and its stream with it.
    pub(super) fn fail_call(&mut self, effects: &mut Effects, id: RequestId, fault: Fault) {
        if let Some(http) = self.transport.http() {
            http.drop_reply(effects, id);
        }
        self.calls.fail(effects, id, fault);
    }

    /// The stream of a reply ended before the reply.
    pub(super) fn reply_interrupted(&mut self, effects: &mut Effects, id: RequestId, session: u32, end: End<'_>) {
        let Some(http) = self.transport.http() else { return };
        let current = session == http.session.number;
        let cursor = http.replies.get_mut(&id).filter(|cursor| cursor.event_id().is_some());
        let again = match cursor {
            Some(cursor) if current && end.is_passing() => cursor.again(effects.now(), MAX_RESUMPTIONS),
            _ => None,
        };
        match again {
            Some(at) => super::set_timer(effects, id.0, at),
            None => self.fail_call(effects, id, end.fault("the stream of the reply ended before the reply")),
        }
    }

    /// It is time to take the stream of a reply up again.
    pub(super) fn reply_due(&mut self, effects: &mut Effects, id: RequestId) {
        if !matches!(self.phase, Phase::Ready(_)) {
            return;
        }
        let Some(http) = self.transport.http() else { return };
        let Some(cursor) = http.replies.get_mut(&id) else { return };
        if cursor.awaken() {
            let last = cursor.event_id().map(str::to_owned);
            http.get(effects, Purpose::Call { id, resumed: true }, last.as_deref());
        }
    }
}
