//! The list of effects that a batch of events leads to.

use crate::boundary::{Completion, DisconnectCause, Effect, Fault, FaultKind, Instant, LogLevel, LogLine, Outcome};

/// A call of the platform, by the id that the host gave it.
pub(crate) type CallId = u64;

/// What the host is to do, in order.
#[derive(Debug)]
pub(crate) struct Effects {
    now: Instant,
    list: Vec<Effect>,
    disconnected: Option<DisconnectCause>,
}

impl Effects {
    /// Those of a batch that came at `now`.
    pub(crate) const fn new(now: Instant) -> Self {
        Effects { now, list: Vec::new(), disconnected: None }
    }

    /// The time of the batch.
    pub(crate) const fn now(&self) -> Instant {
        self.now
    }

    pub(crate) fn into_list(mut self) -> Vec<Effect> {
        self.settle();
        self.list
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        self.list.push(effect);
    }

    pub(crate) fn complete(&mut self, call: CallId, outcome: Outcome) {
        self.push(Effect::Complete(Completion { call, outcome }));
    }

    pub(crate) fn fail(&mut self, call: CallId, fault: Fault) {
        self.complete(call, Outcome::Fault(fault));
    }

    /// Gives the connection up, as the last thing of the batch: with this the host
    /// completes what is open, calls that are still to come in the batch among it,
    /// and each of those gets its one completion from here.
    pub(crate) fn disconnect(&mut self, cause: DisconnectCause) {
        self.disconnected.get_or_insert(cause);
    }

    /// Gives the connection up now, if it is to be: another one begins.
    pub(crate) fn settle(&mut self) {
        self.list.extend(self.disconnected.take().map(Effect::Disconnected));
    }

    pub(crate) fn log(&mut self, level: LogLevel, message: impl Into<String>) {
        self.push(Effect::Log(LogLine { level, message: message.into() }));
    }
}

/// A fault. The message is one line, of which the boundary takes 1 KiB; what it
/// quotes has to be an [`excerpt`](crate::json::excerpt).
pub(crate) fn fault(kind: FaultKind, message: impl Into<String>) -> Fault {
    Fault { kind, message: message.into() }
}
