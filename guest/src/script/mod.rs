//! Event scripts made from bytes, and the run of one.
//!
//! Property tests and fuzzing need the same thing: a sequence of events that no
//! reasonable host and server would produce, but that hangs together enough to
//! reach deep. So a script is a list of bytes, read as instructions to a host, to
//! a platform and to a server: the server remembers what the client wrote, and
//! answers it, rightly or wrongly.
//!
//! Any bytes are a script, equal bytes run equally, and most small changes to the
//! bytes make small changes to the run; that is what lets a fuzzer steer.
//!
//! A run checks, besides the duties that [`Checker`](crate::checker::Checker)
//! knows:
//!
//! - every frame is a JSON-RPC message, and every request has an id that is new;
//! - no request but `initialize` is sent before that is answered;
//! - nothing is left open at a disconnect;
//! - over HTTP, every request names the session that the server gave, and no call is
//!   left open when every exchange has ended and every timer has fired;
//! - another client, restored from snapshots of the first at places that the script
//!   chooses, gives the same effects.

mod bytes;
mod platform;
mod server;
mod web;
mod world;

use crate::boundary::{Effect, Event, Instant, Outstanding, TransportKind};
use std::collections::BTreeMap;

/// What a run came across, so that a test can tell that its scripts reach something.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    /// How often each thing was seen, by its name.
    pub seen: BTreeMap<&'static str, u64>,
}

/// A step of a run, for those who want another guest to do the same: the component
/// of this engine, or another build of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A batch was handled.
    Handle {
        /// When.
        now: Instant,
        /// The batch.
        events: Vec<Event>,
        /// What the client did.
        effects: Vec<Effect>,
    },
    /// The client was replaced by one that was restored from its snapshot.
    Restore {
        /// What the host held.
        outstanding: Outstanding,
        /// What the new client did.
        effects: Vec<Effect>,
    },
}

impl Report {
    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Adds what another run came across.
    pub fn merge(&mut self, other: &Report) {
        for (what, count) in &other.seen {
            *self.seen.entry(what).or_default() += count;
        }
    }
}

/// Runs a script to its end, against a server over this transport.
///
/// # Errors
///
/// What the client did wrong, and after which part of the script.
pub fn run(transport: TransportKind, script: &[u8]) -> Result<Report, String> {
    world::play(transport, script, |_| ())
}

/// Runs a script to its end and writes down all that was told to the client, and
/// what it did.
///
/// # Errors
///
/// As for [`run`].
pub fn record(transport: TransportKind, script: &[u8]) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    world::play(transport, script, |step| steps.push(step()))?;
    Ok(steps)
}
