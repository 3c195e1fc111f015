//! The transport of HTTP exchanges: streamable HTTP (2025-03-26 to 2025-11-25,
//! basic/transports), and HTTP+SSE (2024-11-05) where a server has nothing else.
//!
//! Every message to the server is a POST. The reply to a request is the response
//! to its POST, as one JSON text or as a stream of events; what the server says
//! by itself comes on such streams too, or on one that the client asks for.
//!
//! An exchange can end in any way at any time, and each call has to end exactly
//! once. So this module keeps a table of exchanges by what they are for, and the
//! rule is that whatever ends an exchange settles what it was for:
//!
//! - `events` takes what the host tells of an exchange, and finds out what it means;
//! - `opening` gets a session under way; `sse` does so with servers of old;
//! - `replies` is about the calls, and about streams that are taken up again;
//! - `refusal` reads statuses that say no;
//! - `renewal` begins another session when the server has forgotten the present one;
//! - `listening` keeps the stream of what the server says by itself;
//! - `reconcile` compares with the host after a change of guest.
//!
//! Redirects, credentials, compression, deadlines and the framing of events are the
//! host's.

mod cursor;
mod events;
mod exchange;
pub(crate) mod headers;
mod listening;
mod opening;
mod reconcile;
mod refusal;
mod renewal;
mod replies;
mod sse;

use crate::boundary::{Effect, ExchangeId, Header, HttpRequest, LogLevel, Payload, Target, Timer};
use crate::effects::{CallId, Effects};
use crate::jsonrpc::RequestId;
use crate::payload::Builder;
use crate::revision::Revision;
use crate::tally::Counter;
use cursor::Cursor;
use exchange::{Body, Exchange, Purpose};
use listening::Listening;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is known of the server's side, and every exchange that is open.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Http {
    next: ExchangeId,
    route: Route,
    session: ProtocolSession,
    /// Whether the host has been told that the session is open. It is told once,
    /// however many protocol sessions there are.
    announced: bool,
    exchanges: BTreeMap<ExchangeId, Exchange>,
    /// The streams that carry the reply to a call.
    replies: BTreeMap<RequestId, Cursor>,
    listening: Listening,
    /// Messages that were not sent.
    dropped: Counter,
}

/// Where messages go, and where replies come from.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
enum Route {
    /// To one endpoint, and as the response.
    Streamable,
    /// Not known: the server refused a POST, and may be one of old.
    Probing {
        /// Status of the refusal.
        status: u16,
        /// Its JSON-RPC error, if it had one.
        error: Option<String>,
    },
    /// To an endpoint that the server named, and on the channel.
    Sse {
        /// Path and query.
        endpoint: String,
    },
}

/// A session as the server has it. One of the host's outlives it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ProtocolSession {
    /// Counted from 1.
    number: u32,
    /// The id that the server gave it, if it did.
    id: Option<String>,
    /// The revision that is spoken, once it is agreed on.
    revision: Option<Revision>,
    /// Whether another may follow when this one is lost: not right after the last.
    proven: bool,
}

/// Messages on their way at a time, beside calls. They are as many as a server asks
/// for by its pings: one that does not read the answers is not to fill the tables.
const MAX_MESSAGES: usize = 256;

/// Settled exchanges whose response a server may leave open. Ending one costs its
/// connection, so servers have some time to end them themselves.
const MAX_SETTLED: usize = 32;

/// The timer of the listening stream. That of a call's stream is the id of its
/// request, which is 1 or more.
const LISTENING_TIMER: u64 = 0;

impl Http {
    pub(super) fn new() -> Self {
        Http {
            next: 1,
            route: Route::Streamable,
            session: ProtocolSession { number: 1, id: None, revision: None, proven: true },
            announced: false,
            exchanges: BTreeMap::new(),
            replies: BTreeMap::new(),
            listening: Listening::default(),
            dropped: Counter::default(),
        }
    }

    /// Sends a notification or a response.
    pub(super) fn send(&mut self, effects: &mut Effects, message: Builder) {
        let open = self.exchanges.values().filter(|exchange| exchange.purpose == Purpose::Message).count();
        if open < MAX_MESSAGES {
            self.post(effects, Purpose::Message, None, message);
        } else {
            self.dropped.log(
                effects,
                LogLevel::Warn,
                format_args!("a message was dropped: the server has not taken {open} earlier ones"),
            );
        }
    }

    /// Sends a request of a call.
    pub(super) fn send_for(&mut self, effects: &mut Effects, call: CallId, id: RequestId, message: Builder) {
        self.post(effects, Purpose::Call { id, resumed: false }, Some(call), message);
    }

    /// Whether a request was sent in the session that is spoken in now.
    pub(super) fn reaches(&self, id: RequestId) -> bool {
        let current = self.session.number;
        !self.exchanges.values().any(|exchange| exchange.is_for(id) && exchange.session != current)
    }

    /// Ends whatever is under way for a request that nobody waits for any more.
    pub(super) fn forget(&mut self, effects: &mut Effects, id: RequestId) {
        self.drop_reply(effects, id);
        let found = self.exchanges.iter().find(|(_, exchange)| exchange.is_for(id)).map(|(number, _)| *number);
        match (found, &self.route) {
            // The reply came, or would have come, by another exchange; this one is about done.
            (Some(number), Route::Sse { .. }) => self.settle(effects, number),
            (Some(number), _) => self.abort(effects, number),
            (None, _) => {}
        }
    }

    /// Forgets the stream of a reply.
    fn drop_reply(&mut self, effects: &mut Effects, id: RequestId) {
        if self.replies.remove(&id).is_some_and(|cursor| cursor.wake().is_some()) {
            effects.push(Effect::CancelTimer(id.0));
        }
    }

    /// Forgets everything that is under way, without a word to a host that does so
    /// itself.
    pub(crate) fn clear(&mut self) {
        self.exchanges.clear();
        self.replies.clear();
        self.listening = Listening::default();
    }

    fn post(&mut self, effects: &mut Effects, purpose: Purpose, call: Option<CallId>, message: Builder) {
        let target = match &self.route {
            Route::Streamable | Route::Probing { .. } => Target::Server,
            Route::Sse { endpoint } => Target::Origin(endpoint.clone()),
        };
        let headers = headers::of_message(&self.session);
        let request = self.request(call, "POST", target, headers, Some(message.finish()));
        self.start(effects, purpose, request);
    }

    fn get(&mut self, effects: &mut Effects, purpose: Purpose, last: Option<&str>) {
        let headers = headers::of_stream(&self.session, last);
        let request = self.request(None, "GET", Target::Server, headers, None);
        self.start(effects, purpose, request);
    }

    /// Says what the host is to send at the end, so that the server need not keep the
    /// session until it has timed out.
    fn arrange_goodbye(&mut self, effects: &mut Effects) {
        let goodbye = self.session.id.is_some().then(|| {
            let headers = headers::of_goodbye(&self.session);
            self.request(None, "DELETE", Target::Server, headers, None)
        });
        effects.push(Effect::OnCloseRequest(goodbye));
    }

    fn start(&mut self, effects: &mut Effects, purpose: Purpose, request: HttpRequest) {
        let exchange = Exchange { purpose, session: self.session.number, body: Body::Awaited };
        self.exchanges.insert(request.exchange, exchange);
        effects.push(Effect::Request(request));
    }

    fn request(
        &mut self,
        call: Option<CallId>,
        method: &str,
        target: Target,
        headers: Vec<Header>,
        body: Option<Payload>,
    ) -> HttpRequest {
        let exchange = self.next;
        self.next = self.next.saturating_add(1);
        HttpRequest { exchange, call, method: method.to_owned(), target, headers, body }
    }

    fn abort(&mut self, effects: &mut Effects, number: ExchangeId) {
        if self.exchanges.remove(&number).is_some() {
            effects.push(Effect::Abort(number));
        }
    }

    /// What an exchange was for is settled. Its response goes on until the server
    /// ends it, but not beside too many others.
    fn settle(&mut self, effects: &mut Effects, number: ExchangeId) {
        let Some(exchange) = self.exchanges.get_mut(&number) else { return };
        exchange.purpose = Purpose::Settled;
        if exchange.body != Body::Events {
            exchange.body = Body::Ignored;
            return;
        }
        let streams = || {
            self.exchanges
                .iter()
                .filter(|(_, exchange)| exchange.purpose == Purpose::Settled && exchange.body == Body::Events)
        };
        let oldest = streams().next().map(|(oldest, _)| *oldest);
        if let Some(oldest) = oldest.filter(|_| streams().count() > MAX_SETTLED) {
            self.abort(effects, oldest);
        }
    }
}

impl Exchange {
    /// Whether the reply to this request comes, or began to come, by this exchange.
    fn is_for(&self, request: RequestId) -> bool {
        match self.purpose {
            Purpose::Initialize(id) | Purpose::Call { id, .. } => id == request,
            _ => false,
        }
    }
}

fn set_timer(effects: &mut Effects, id: u64, at: u64) {
    effects.push(Effect::SetTimer(Timer { id, at }));
}
