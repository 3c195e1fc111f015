//! The times of a session, in order, behind one tokio timer.
//!
//! A call sets and clears a deadline that nearly never passes, so setting one must not touch tokio's timer wheel each time:
//! the timer is moved only when something earlier than all else is set. What was cleared may let it fire for nothing, once.

use std::{collections::BTreeSet, pin::Pin};

use tokio::time::{Instant, Sleep, sleep_until};

/// What a time is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// The session must be ready.
    Open,
    /// A call must be complete.
    Call(u64),
    /// A call whose caller has its outcome must be completed by the guest.
    Completion(u64),
    /// A timer of the guest.
    Timer(u64),
    /// An HTTP exchange that nothing else bounds must have its response.
    Exchange(u64),
    /// A guest that has grown is renewed, if it is idle.
    Renewal,
}

pub(super) struct Deadlines {
    times: BTreeSet<(Instant, Due)>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadlines {
    pub(super) fn new() -> Self {
        Self { times: BTreeSet::new(), timer: None }
    }

    pub(super) fn set(&mut self, at: Instant, due: Due) {
        self.times.insert((at, due));
    }

    pub(super) fn clear(&mut self, at: Instant, due: Due) {
        self.times.remove(&(at, due));
    }

    /// Takes what is due by `now`.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Due> {
        let first = *self.times.first().filter(|(at, _)| *at <= now)?;
        self.times.remove(&first);
        Some(first.1)
    }

    /// Resolves when something may be due; never, if nothing is set. Cancellation safe.
    pub(super) async fn wait(&mut self) {
        let Some((first, _)) = self.times.first() else { return std::future::pending().await };
        let timer = match &mut self.timer {
            Some(timer) => {
                if timer.is_elapsed() || *first < timer.deadline() {
                    timer.as_mut().reset(*first);
                }
                timer
            }
            None => self.timer.insert(Box::pin(sleep_until(*first))),
        };
        timer.await;
    }
}
