//! The engine, and what is written down of the calls that go through it.

use innkeeper_guest::boundary::{Effect, Event, GuestInfo, Instant, LogLevel, LogLine};

use crate::snapshot;
use crate::statistics::Statistics;

/// The client side of one session, which keeps statistics of its calls.
#[derive(Debug, Default)]
pub struct Client {
    pub(crate) engine: innkeeper_guest::Client,
    pub(crate) statistics: Statistics,
}

impl Client {
    /// A client that waits for [`Event::Open`].
    #[must_use]
    pub const fn new() -> Self {
        Self { engine: innkeeper_guest::Client::new(), statistics: Statistics::new() }
    }

    /// Takes events in order, and returns what the host is to do, in order: what the engine says, and after a `close` the
    /// statistics as lines for the log.
    pub fn handle(&mut self, now: Instant, events: Vec<Event>) -> Vec<Effect> {
        let mut closed = false;
        for event in &events {
            match event {
                Event::Call(call) => self.statistics.made(call.id, &call.method),
                Event::Close => closed = true,
                _ => {}
            }
        }
        let mut effects = self.engine.handle(now, events);
        self.statistics.take(&effects);
        if closed {
            // Taken out, so that they are said once.
            let lines = std::mem::take(&mut self.statistics).lines();
            effects.extend(lines.into_iter().map(|message| Effect::Log(LogLine { level: LogLevel::Info, message })));
        }
        effects
    }

    /// What this guest is: the engine, but for its name, its version and its snapshots.
    #[must_use]
    pub fn describe() -> GuestInfo {
        let engine = innkeeper_guest::Client::describe();
        GuestInfo {
            name: "innkeeper-mcp-v2".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            snapshot_formats: snapshot::before(engine.snapshot_formats),
            restorable_formats: snapshot::before(engine.restorable_formats),
            ..engine
        }
    }
}

#[cfg(test)]
mod tests;
