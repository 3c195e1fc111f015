//! What the host tells of exchanges, and what it means for what they are for.
//!
//! Events of an exchange that is not in the table are of one that was aborted in
//! the same batch, and are ignored.

use super::exchange::{Body, End, Exchange, Purpose};
use super::headers::{self, Content};
use super::{LISTENING_TIMER, Route};
use crate::boundary::{self, Event, ExchangeId, FaultKind, ResponseHead, ServerSentEvent, TimerId};
use crate::effects::{Effects, fault};
use crate::incoming::Origin;
use crate::jsonrpc::RequestId;
use crate::session::{Phase, Session};
use crate::tally::Nuisance;

impl Session {
    /// Takes an event of an exchange, or of a timer.
    pub(crate) fn exchange_event(&mut self, effects: &mut Effects, index: u32, event: Event) {
        match event {
            Event::ResponseHead(head) => self.response_head(effects, &head),
            Event::ResponseBody(body) => self.response_body(effects, index, body.exchange, &body.bytes),
            Event::ServerSentEvent(event) => self.server_sent_event(effects, index, &event),
            Event::ResponseEnd(number) => self.exchange_ended(effects, number, End::Complete),
            Event::ExchangeFailed(failed) => {
                let boundary::ExchangeFailed { exchange, failure, message } = failed;
                self.exchange_ended(effects, exchange, End::Failed(failure, &message));
            }
            Event::Timer(timer) => self.timer(effects, timer),
            _ => {}
        }
    }

    fn response_head(&mut self, effects: &mut Effects, head: &ResponseHead) {
        let Some(http) = self.transport.http() else { return };
        let Some(exchange) = http.exchanges.get_mut(&head.exchange) else { return };
        if exchange.body != Body::Awaited {
            return;
        }
        let content = headers::content(&head.headers);
        if !(200..300).contains(&head.status) {
            let challenge = headers::challenge(&head.headers);
            exchange.body = Body::Refusal { status: head.status, challenge };
            if content == Content::EventStream {
                // No reason is given in events, and they might never end.
                let exchange = exchange.clone();
                http.abort(effects, head.exchange);
                self.refused(effects, None, &exchange);
            }
            return;
        }
        exchange.body = Body::Ignored;
        let Exchange { purpose, session, .. } = *exchange;
        let replies_here = matches!(http.route, Route::Streamable);
        match purpose {
            Purpose::Message | Purpose::Settled => {}
            Purpose::Confirmation => self.confirmed(effects),
            Purpose::Initialize(_) if replies_here => self.initialize_accepted(effects, head),
            Purpose::Call { .. } if replies_here => {
                http.session.proven |= session == http.session.number;
                self.reply_begins(effects, head);
            }
            // The reply comes on the channel.
            Purpose::Initialize(_) | Purpose::Call { .. } => {}
            Purpose::Listening => self.listening_begins(effects, head.exchange, content),
            Purpose::Channel => self.channel_begins(effects, head, content),
        }
    }

    fn response_body(&mut self, effects: &mut Effects, index: u32, number: ExchangeId, bytes: &[u8]) {
        let Some(http) = self.transport.http() else { return };
        let Some(exchange) = http.exchanges.get_mut(&number) else { return };
        match &exchange.body {
            Body::Json => {
                let exchange = exchange.clone();
                self.reply(effects, index, bytes, &exchange);
                if let Some(http) = self.transport.http() {
                    http.settle(effects, number);
                }
            }
            Body::Refusal { .. } => {
                let exchange = exchange.clone();
                http.settle(effects, number);
                self.refused(effects, Some((index, bytes)), &exchange);
            }
            Body::Awaited | Body::Events | Body::Ignored => {}
        }
    }

    fn server_sent_event(&mut self, effects: &mut Effects, index: u32, event: &ServerSentEvent) {
        let Some(http) = self.transport.http() else { return };
        let number = event.exchange;
        let Some(exchange) = http.exchanges.get(&number).filter(|exchange| exchange.body == Body::Events) else {
            return;
        };
        let Exchange { purpose, session, .. } = *exchange;
        let stale = session != http.session.number;
        let origin = match purpose {
            Purpose::Channel => return self.channel_event(effects, index, event),
            Purpose::Call { id, .. } => {
                http.replies.entry(id).or_default().advance(event);
                if stale { Origin::Stale(Some(id)) } else { Origin::Reply(id) }
            }
            Purpose::Initialize(id) => Origin::Reply(id),
            Purpose::Listening => {
                http.listening.cursor.advance(event);
                Origin::Listening
            }
            _ if stale => Origin::Stale(None),
            _ => Origin::Listening,
        };
        self.message_event(effects, index, event, origin);
        if let Purpose::Call { id, .. } | Purpose::Initialize(id) = purpose
            && !self.awaits(id)
            && let Some(http) = self.transport.http()
        {
            http.drop_reply(effects, id);
            http.settle(effects, number);
        }
    }

    /// Takes the messages of an event. One that only sets an id or a time has none.
    pub(super) fn message_event(&mut self, effects: &mut Effects, index: u32, event: &ServerSentEvent, origin: Origin) {
        if !matches!(event.event_type.as_deref(), None | Some("" | "message")) {
            let what = format_args!("an event of a type that has no meaning here was ignored");
            self.tally.log(effects, Nuisance::Garbage, what);
        } else if !event.data.is_empty() {
            self.receive(effects, index, &event.data, origin);
        }
    }

    /// Whether the reply to this request has not come.
    pub(super) fn awaits(&self, id: RequestId) -> bool {
        let opening = matches!(&self.phase, Phase::Handshake(handshake) if handshake.id == id);
        opening || self.calls.is_sent(id)
    }

    fn exchange_ended(&mut self, effects: &mut Effects, number: ExchangeId, end: End<'_>) {
        let Some(http) = self.transport.http() else { return };
        let Some(exchange) = http.exchanges.remove(&number) else { return };
        self.ended(effects, &exchange, end);
    }

    /// Settles what an exchange was for that is not in the table any more.
    pub(super) fn ended(&mut self, effects: &mut Effects, exchange: &Exchange, end: End<'_>) {
        let body = &exchange.body;
        if matches!(body, Body::Refusal { .. }) {
            return self.refused(effects, None, exchange);
        }
        match exchange.purpose {
            Purpose::Settled => {}
            Purpose::Message => {
                if *body == Body::Awaited {
                    let reason = end.fault("a message did not reach the server").message;
                    self.tally.log(effects, Nuisance::Stray, format_args!("{reason}"));
                }
            }
            // Accepted: the confirmation needs no more, and the replies come on the channel.
            Purpose::Confirmation | Purpose::Initialize(_) | Purpose::Call { .. } if *body == Body::Ignored => {}
            Purpose::Confirmation => self.give_up(effects, end.fault("the session could not be confirmed")),
            Purpose::Initialize(_) => self.give_up(effects, end.fault("`initialize` was not answered")),
            Purpose::Call { id, resumed } if resumed || *body == Body::Events => {
                self.reply_interrupted(effects, id, exchange.session, end);
            }
            Purpose::Call { id, .. } => {
                let reason = match (body, end) {
                    (Body::Json, End::Complete) => {
                        fault(FaultKind::ProtocolViolation, "the server's reply to the call is empty")
                    }
                    _ => end.fault("the call was not answered"),
                };
                self.calls.fail(effects, id, reason);
            }
            Purpose::Listening => self.listening_ended(effects, end),
            Purpose::Channel => self.channel_ended(effects, end),
        }
    }

    fn timer(&mut self, effects: &mut Effects, timer: TimerId) {
        if timer == LISTENING_TIMER {
            self.listening_due(effects);
        } else {
            self.reply_due(effects, RequestId(timer));
        }
    }
}
