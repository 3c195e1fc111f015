//! Where reading a stream of events stands, and when to go on after it broke.
//!
//! A stream may break, or be closed by a server that wants to be polled, and goes
//! on behind the last event that had an id (2025-11-25, basic/transports,
//! "Resumability and Redelivery"). The server's `retry` is kept; beyond it, what
//! brings nothing new is tried at longer and longer intervals, and not for ever.

use super::headers;
use crate::boundary::{Instant, ServerSentEvent};
use serde::{Deserialize, Serialize};

/// The place in a stream.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Cursor {
    /// Id of the last event that had one.
    event_id: Option<String>,
    /// Milliseconds that the server wants to pass before another attempt.
    retry: Option<u64>,
    /// How often the stream has ended since it brought something.
    ends: u32,
    /// When the next attempt is due, while none is under way.
    wake: Option<Instant>,
}

const MILLISECOND: u64 = 1_000_000;

/// The time before another attempt, where the server says nothing.
const DEFAULT_DELAY: u64 = 1000 * MILLISECOND;

/// A server that asks for no delay at all gets this one: ten attempts a second are
/// as good as none, and cost no more than a slow loop.
const MIN_DELAY: u64 = 100 * MILLISECOND;

/// Attempts do not grow rarer than this.
const MAX_BACKOFF: u64 = 60_000 * MILLISECOND;

impl Cursor {
    /// Takes note of an event.
    pub(super) fn advance(&mut self, event: &ServerSentEvent) {
        if let Some(id) = &event.id
            && self.event_id.as_ref() != Some(id)
        {
            // An empty id resets; one that cannot be said in a header cannot be gone on
            // from, and an older one would bring back what has been read.
            self.event_id = headers::is_event_id(id).then(|| id.clone());
            self.ends = 0;
        }
        if !event.data.is_empty() {
            self.ends = 0;
        }
        self.retry = event.retry.or(self.retry);
    }

    pub(super) fn event_id(&self) -> Option<&str> {
        self.event_id.as_deref()
    }

    /// Forgives earlier ends: the stream was of use.
    pub(super) fn forgive(&mut self) {
        self.ends = 0;
    }

    /// The stream ended: when to try again, unless that has been in vain `attempts`
    /// times.
    pub(super) fn again(&mut self, now: Instant, attempts: u32) -> Option<Instant> {
        self.ends = self.ends.saturating_add(1);
        if self.ends > attempts {
            return None;
        }
        let wanted = self.retry.map_or(DEFAULT_DELAY, |retry| retry.saturating_mul(MILLISECOND));
        let backoff = match self.ends {
            1 => MIN_DELAY,
            ends => DEFAULT_DELAY.checked_shl(ends.saturating_sub(1)).unwrap_or(MAX_BACKOFF).min(MAX_BACKOFF),
        };
        self.wake = Some(now.saturating_add(wanted.max(backoff)));
        self.wake
    }

    /// When the next attempt is due.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.wake
    }

    /// The time has come; false if nothing was waited for.
    pub(super) fn awaken(&mut self) -> bool {
        self.wake.take().is_some()
    }

    pub(super) fn is_sound(&self) -> bool {
        self.event_id.as_deref().is_none_or(headers::is_event_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: Option<&str>, data: &str, retry: Option<u64>) -> ServerSentEvent {
        let (id, data) = (id.map(str::to_owned), data.as_bytes().to_vec());
        ServerSentEvent { exchange: 1, event_type: None, data, id, retry }
    }

    #[test]
    fn attempts_without_anything_new_grow_rarer_and_end() {
        let mut cursor = Cursor::default();

        let delays: Vec<Option<u64>> =
            (0..10).map(|_| cursor.again(0, 9).map(|at| at / (1000 * MILLISECOND))).collect();

        let expected = [Some(1), Some(2), Some(4), Some(8), Some(16), Some(32), Some(60), Some(60), Some(60), None];
        assert_eq!(delays, expected);
    }

    #[test]
    fn the_servers_retry_time_is_kept_and_never_undercut() {
        let mut cursor = Cursor::default();
        cursor.advance(&event(Some("1"), "", Some(500)));

        assert_eq!(cursor.again(7, 5), Some(7 + 500 * MILLISECOND));
        assert_eq!(cursor.again(7, 5), Some(7 + 2000 * MILLISECOND));
        cursor.advance(&event(None, "x", Some(u64::MAX)));
        assert_eq!(cursor.again(7, 5), Some(u64::MAX));
        cursor.advance(&event(None, "x", Some(0)));
        assert_eq!(cursor.again(7, 5), Some(7 + MIN_DELAY));
    }

    #[test]
    fn an_empty_id_resets_and_one_that_no_header_can_hold_counts_as_none() {
        let mut cursor = Cursor::default();

        for (id, expected) in [(Some("a"), Some("a")), (None, Some("a")), (Some(""), None), (Some("\u{e9}"), None)] {
            cursor.advance(&event(id, "", None));
            assert_eq!(cursor.event_id(), expected);
        }
    }
}
