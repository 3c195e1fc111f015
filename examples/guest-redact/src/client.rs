//! The engine, and what is done to the results that come out of it.

use innkeeper_guest::boundary::{
    CallId, Effect, Event, Fault, FaultKind, GuestInfo, Instant, LogLevel, LogLine, Outcome, Segment,
};

use crate::json;
use crate::results::Carried;
use crate::snapshot;

/// The client side of one session, which masks secrets in results.
#[derive(Debug, Default)]
pub struct Client {
    pub(crate) engine: innkeeper_guest::Client,
    /// Secrets masked so far, under this guest and those before it.
    pub(crate) masked: u64,
}

impl Client {
    /// A client that waits for [`Event::Open`].
    #[must_use]
    pub const fn new() -> Self {
        Self { engine: innkeeper_guest::Client::new(), masked: 0 }
    }

    /// Takes events in order, and returns what the host is to do, in order.
    pub fn handle(&mut self, now: Instant, events: Vec<Event>) -> Vec<Effect> {
        // The engine takes the events, and answers with ranges of them.
        let carried = Carried::of(&events);
        let effects = self.engine.handle(now, events);
        self.mask(effects, &carried)
    }

    /// What this guest is: the engine, but for its name and its snapshots.
    #[must_use]
    pub fn describe() -> GuestInfo {
        let engine = innkeeper_guest::Client::describe();
        GuestInfo {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            snapshot_formats: snapshot::before(engine.snapshot_formats),
            restorable_formats: snapshot::before(engine.restorable_formats),
            ..engine
        }
    }

    /// How many secrets have been masked in this session.
    #[must_use]
    pub const fn masked(&self) -> u64 {
        self.masked
    }

    /// Masks the results among effects. All other effects stay as they are, in their order.
    pub(crate) fn mask(&mut self, effects: Vec<Effect>, carried: &Carried) -> Vec<Effect> {
        let mut masked = Vec::with_capacity(effects.len());
        for mut effect in effects {
            let line = match &mut effect {
                Effect::Complete(completion) => self.mask_outcome(completion.call, &mut completion.outcome, carried),
                _ => None,
            };
            masked.push(effect);
            masked.extend(line);
        }
        masked
    }

    /// Masks a result, and says so where there was something to mask.
    fn mask_outcome(&mut self, call: CallId, outcome: &mut Outcome, carried: &Carried) -> Option<Effect> {
        let Outcome::Result(result) = outcome else { return None };
        let Some(text) = carried.text(result) else {
            // Closed rather than open: what cannot be looked at does not get out.
            *outcome = Outcome::Fault(Fault {
                kind: FaultKind::Other,
                message: "the result was withheld: it could not be searched for secrets".to_owned(),
            });
            return None;
        };
        // Without a secret the result stays the ranges that it is, and nothing of it is copied out.
        let json::Masked { text, count } = json::mask(&text)?;
        *result = vec![Segment::Bytes(text)];
        self.masked = self.masked.saturating_add(count);
        let message = format!("masked {count} in the result of call {call}, {} in this session", self.masked);
        Some(Effect::Log(LogLine { level: LogLevel::Info, message }))
    }
}

#[cfg(test)]
mod tests;
