//! The way from the owner back to one caller: any number of progress reports, then one outcome.
//!
//! One allocation for both, because this is on the path of every call. Reports are bounded: a caller that takes none must
//! not make the host keep them, so the oldest is dropped.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

use crate::{Error, MayHaveRun};

/// Bytes of reports that nobody has taken, beyond the newest.
const BACKLOG_BYTES: usize = 1024 * 1024;

/// The outcome of a call: the result of the server, verbatim.
pub(crate) type Outcome = Result<Bytes, Error>;

/// The caller's end. Dropping it abandons the call.
pub(crate) struct Reply(Arc<Mutex<Slot>>);

/// The owner's end. Dropping it without an outcome says that the session is being closed.
pub(super) struct ReplySender(Arc<Mutex<Slot>>);

/// Proof that a call was abandoned before its outcome, which its cancellation takes: a session that finds the call in its mailbox
/// after it has found the cancellation must see that nobody waits.
#[derive(Debug)]
pub(crate) struct Abandoned(());

#[derive(Default)]
struct Slot {
    progress: VecDeque<Bytes>,
    progress_bytes: usize,
    backlog: usize,
    outcome: Option<Outcome>,
    /// Set with the outcome, which may be taken; nothing follows.
    complete: bool,
    abandoned: bool,
    caller: Option<Waker>,
}

pub(super) fn reply(backlog: usize) -> (ReplySender, Reply) {
    let slot = Arc::new(Mutex::new(Slot { backlog, ..Slot::default() }));
    (ReplySender(slot.clone()), Reply(slot))
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    // Nothing under this lock can panic half-way.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ReplySender {
    pub(super) fn progress(&self, report: Bytes) {
        let mut slot = lock(&self.0);
        if slot.abandoned || slot.complete || slot.backlog == 0 {
            return;
        }
        slot.progress_bytes += report.len();
        slot.progress.push_back(report);
        while slot.progress.len() > slot.backlog || (slot.progress.len() > 1 && slot.progress_bytes > BACKLOG_BYTES) {
            let oldest = slot.progress.pop_front().map_or(0, |report| report.len());
            slot.progress_bytes -= oldest;
        }
        let caller = slot.caller.take();
        drop(slot);
        caller.into_iter().for_each(Waker::wake);
    }

    /// The first outcome counts.
    pub(super) fn complete(&self, outcome: Outcome) {
        let mut slot = lock(&self.0);
        if slot.complete {
            return;
        }
        slot.complete = true;
        slot.outcome = Some(outcome);
        let caller = slot.caller.take();
        drop(slot);
        caller.into_iter().for_each(Waker::wake);
    }

    pub(super) fn is_abandoned(&self) -> bool {
        lock(&self.0).abandoned
    }
}

impl Drop for ReplySender {
    fn drop(&mut self) {
        // Unknown, because whoever drops it without a word no longer knows.
        self.complete(Err(Error::Closing { what: "the session".to_owned(), may_have_run: MayHaveRun::Unknown }));
    }
}

impl Reply {
    /// A reply that is there already.
    pub(crate) fn ready(outcome: Outcome) -> Self {
        let (sender, reply) = reply(0);
        sender.complete(outcome);
        reply
    }

    /// The next progress report; none when the call is complete.
    pub(crate) fn poll_progress(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut slot = lock(&self.0);
        if let Some(report) = slot.progress.pop_front() {
            slot.progress_bytes -= report.len();
            return Poll::Ready(Some(report));
        }
        if slot.complete {
            return Poll::Ready(None);
        }
        slot.caller = Some(context.waker().clone());
        Poll::Pending
    }

    /// Why the call failed, if it has and nobody took the outcome.
    pub(crate) fn error(&self) -> Option<Error> {
        lock(&self.0).outcome.as_ref()?.as_ref().err().cloned()
    }

    /// The outcome, once.
    pub(crate) fn poll_outcome(&mut self, context: &mut Context<'_>) -> Poll<Outcome> {
        let mut slot = lock(&self.0);
        if let Some(outcome) = slot.outcome.take() {
            return Poll::Ready(outcome);
        }
        if slot.complete {
            return Poll::Ready(Err(Error::Cancelled { may_have_run: MayHaveRun::Yes }));
        }
        slot.caller = Some(context.waker().clone());
        Poll::Pending
    }

    /// Says that nobody waits any more. None: there is an outcome, so nothing is left to cancel.
    pub(crate) fn abandon(&mut self) -> Option<Abandoned> {
        let mut slot = lock(&self.0);
        slot.abandoned = true;
        slot.progress.clear();
        slot.progress_bytes = 0;
        (!slot.complete).then_some(Abandoned(()))
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.abandon();
    }
}
