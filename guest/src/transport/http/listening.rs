//! The stream of what the server says by itself: a GET after the session is open.
//!
//! Not every server has one (405 says so), and no call depends on it. So it is
//! opened again when it ends, at growing intervals while it brings nothing, and
//! given up in the end without harm to the session.

use super::LISTENING_TIMER;
use super::Route;
use super::cursor::Cursor;
use super::exchange::{Body, End, Purpose};
use super::headers::Content;
use crate::boundary::{ExchangeFailure, ExchangeId, Instant, LogLevel};
use crate::effects::Effects;
use crate::session::{Phase, Session};
use serde::{Deserialize, Serialize};

/// Where listening stands.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Listening {
    pub(super) cursor: Cursor,
    /// Whether the server has offered the stream in this session.
    offered: bool,
    /// Since when it has been open, while it is.
    since: Option<Instant>,
}

/// Attempts that bring nothing new: about five minutes of them.
const MAX_ATTEMPTS: u32 = 10;

/// A stream that was open for so long was of use though it brought nothing. Proxies
/// end idle connections after 30 seconds and more; servers that end every stream at
/// once are to be found out.
const STEADY: u64 = 20_000_000_000;

impl Session {
    /// Asks for the stream.
    pub(super) fn listen(&mut self, effects: &mut Effects) {
        let Some(http) = self.transport.http() else { return };
        if matches!(http.route, Route::Streamable) {
            let last = http.listening.cursor.event_id().map(str::to_owned);
            http.get(effects, Purpose::Listening, last.as_deref());
        }
    }

    pub(super) fn listening_begins(&mut self, effects: &mut Effects, number: ExchangeId, content: Content) {
        let Some(http) = self.transport.http() else { return };
        if content == Content::EventStream {
            http.listening.offered = true;
            http.listening.since = Some(effects.now());
            if let Some(exchange) = http.exchanges.get_mut(&number) {
                exchange.body = Body::Events;
            }
        } else {
            http.abort(effects, number);
            effects.log(LogLevel::Debug, "the server has no stream of what it says by itself");
        }
    }

    pub(super) fn listening_refused(&mut self, effects: &mut Effects, status: u16) {
        let Some(http) = self.transport.http() else { return };
        let session = http.session.number;
        match status {
            // Where there was a stream, this is about the session. Where there was none, 404
            // may come from a server that has no such method.
            400 | 404 if http.listening.offered => self.session_forgotten(effects, session),
            401 | 403 | 404 | 405 => {
                let message = format!("the server has no stream of what it says by itself: status {status}");
                effects.log(LogLevel::Debug, message);
            }
            _ => self.listening_ended(effects, End::Status(status)),
        }
    }

    pub(super) fn listening_ended(&mut self, effects: &mut Effects, end: End<'_>) {
        let Some(http) = self.transport.http() else { return };
        let now = effects.now();
        let since = http.listening.since.take();
        if since.is_some_and(|since| now.saturating_sub(since) >= STEADY) {
            http.listening.cursor.forgive();
        }
        let denied = matches!(end, End::Failed(ExchangeFailure::Denied, _));
        let again = if denied { None } else { http.listening.cursor.again(now, MAX_ATTEMPTS) };
        match again {
            Some(at) => super::set_timer(effects, LISTENING_TIMER, at),
            None => {
                let reason = end.fault("what the server says by itself is not heard any more").message;
                effects.log(LogLevel::Warn, reason);
            }
        }
    }

    /// It is time to ask again.
    pub(super) fn listening_due(&mut self, effects: &mut Effects) {
        if matches!(self.phase, Phase::Ready(_))
            && let Some(http) = self.transport.http()
            && http.listening.cursor.awaken()
        {
            self.listen(effects);
        }
    }
}
