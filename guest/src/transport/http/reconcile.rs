//! Going on from a snapshot: what this guest and its host both know of, and what
//! only one of them does.

use super::exchange::{End, Exchange, Purpose};
use super::{Http, LISTENING_TIMER, Route, headers, sse};
use crate::boundary::{Effect, ExchangeFailure, ExchangeId, Outstanding, TimerId};
use crate::effects::Effects;
use crate::jsonrpc::RequestId;
use crate::session::{Phase, Session};
use std::collections::{BTreeMap, BTreeSet};

impl Session {
    /// Compares the exchanges and timers with those of the host. Its calls have been
    /// compared.
    pub(crate) fn reconcile_exchanges(&mut self, effects: &mut Effects, held: &Outstanding) {
        let opening = match &self.phase {
            Phase::Handshake(handshake) => Some(handshake.id),
            _ => None,
        };
        let calls = &self.calls;
        let wanted = |id: RequestId| calls.is_sent(id) || opening == Some(id);
        let Some(http) = self.transport.http() else { return };

        let known: BTreeSet<ExchangeId> = held.exchanges.iter().copied().collect();
        for number in &known {
            // One of a call that the host has ended by itself is of no use either.
            let unwanted = match http.exchanges.get(number).map(|exchange| exchange.purpose) {
                Some(Purpose::Call { id, .. }) => !wanted(id),
                Some(_) => false,
                None => true,
            };
            if unwanted {
                http.exchanges.remove(number);
                http.next = http.next.max(number.saturating_add(1));
                effects.push(Effect::Abort(*number));
            }
        }
        http.replies.retain(|id, _| wanted(*id));
        http.reconcile_timers(effects, held);

        // In order, and with the tables as they are when their turn comes.
        let lost: Vec<ExchangeId> = http.exchanges.keys().copied().filter(|number| !known.contains(number)).collect();
        for number in lost {
            let Some(exchange) = self.transport.http().and_then(|http| http.exchanges.remove(&number)) else {
                continue;
            };
            let end = End::Failed(ExchangeFailure::Reset, "the exchange did not outlast a change of guest");
            if !matches!(exchange.purpose, Purpose::Call { id, .. } if !self.calls.is_sent(id)) {
                self.ended(effects, &exchange, end);
            }
        }
    }

    /// Whether what a snapshot says of exchanges agrees with the rest of it.
    pub(crate) fn are_exchanges_sound(&self) -> bool {
        let crate::transport::Transport::Http(http) = &self.transport else { return true };
        let revision = match &self.phase {
            Phase::Ready(revision) | Phase::Confirming { revision, .. } => Some(*revision),
            Phase::Unconnected | Phase::Handshake(_) | Phase::Disconnected => None,
        };
        let carried = |id: &RequestId| {
            matches!(http.route, Route::Sse { .. })
                || http.replies.get(id).is_some_and(|cursor| cursor.wake().is_some())
                || http.exchanges.values().any(|exchange| exchange.is_for(*id))
        };
        http.is_sound()
            && (revision.is_none() || revision == http.session.revision)
            && http.replies.keys().all(|id| self.calls.is_sent(*id))
            && self.calls.sent().all(|id| carried(&id))
            && match &self.phase {
                Phase::Handshake(handshake) => carried(&handshake.id),
                Phase::Confirming { .. } => http.has(|purpose| purpose == Purpose::Confirmation),
                Phase::Unconnected => http.has(|purpose| purpose == Purpose::Channel),
                Phase::Ready(_) | Phase::Disconnected => true,
            }
    }
}

impl Http {
    fn reconcile_timers(&mut self, effects: &mut Effects, held: &Outstanding) {
        let mut due: BTreeMap<TimerId, u64> = BTreeMap::new();
        due.extend(self.listening.cursor.wake().map(|at| (LISTENING_TIMER, at)));
        due.extend(self.replies.iter().filter_map(|(id, cursor)| cursor.wake().map(|at| (id.0, at))));
        for timer in held.timers.iter().filter(|timer| due.remove(&timer.id).is_none()) {
            effects.push(Effect::CancelTimer(timer.id));
        }
        for (id, at) in due {
            super::set_timer(effects, id, at);
        }
    }

    fn has(&self, wanted: impl Fn(Purpose) -> bool) -> bool {
        self.exchanges.values().any(|exchange: &Exchange| wanted(exchange.purpose))
    }

    fn is_sound(&self) -> bool {
        let endpoint = match &self.route {
            Route::Sse { endpoint } => sse::is_endpoint(endpoint),
            Route::Streamable | Route::Probing { .. } => true,
        };
        endpoint
            && self.exchanges.keys().all(|number| *number < self.next)
            && self.exchanges.values().all(|exchange| exchange.session <= self.session.number)
            && self.session.id.as_deref().is_none_or(headers::is_session_id)
            && self.listening.cursor.is_sound()
            && self.replies.values().all(super::Cursor::is_sound)
    }
}
