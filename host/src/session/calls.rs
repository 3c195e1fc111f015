//! Open calls.
//!
//! The host keeps the params of a call until it is complete, so that the guest need not, and knows whether bytes of it may
//! have left. A call is *settled* when its caller has its outcome; it stays open until the guest has completed it too,
//! because the guest may still name it.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    deadlines::{Deadlines, Due},
    reply::{Outcome, ReplySender},
};
use crate::{Limits, MayHaveRun};

/// What a caller asks for.
pub(crate) struct CallRequest {
    pub(crate) method: String,
    pub(crate) params: Option<Bytes>,
    pub(crate) progress: bool,
    pub(crate) all_pages: bool,
    /// In all; none: the limits, which progress extends.
    pub(crate) deadline: Option<Duration>,
}

struct OpenCall {
    params: Option<Bytes>,
    reply: ReplySender,
    settled: bool,
    sent: bool,
    allowed: Duration,
    total: Duration,
    /// When it is due; not in the deadlines while it is paused or settled.
    due: Instant,
    /// How far progress may move that.
    latest: Instant,
    /// Since when requests of the server hold its time, and how many do.
    paused: Option<(Instant, u32)>,
}

#[derive(Default)]
pub(super) struct Calls {
    open: HashMap<u64, OpenCall>,
}

impl Calls {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn contains(&self, id: u64) -> bool {
        self.open.contains_key(&id)
    }

    pub(super) fn params(&self, id: u64) -> Option<&Bytes> {
        self.open.get(&id)?.params.as_ref()
    }

    pub(super) fn add(
        &mut self,
        id: u64,
        request: &CallRequest,
        reply: ReplySender,
        limits: &Limits,
        deadlines: &mut Deadlines,
    ) {
        let now = Instant::now();
        // A deadline of the caller's own is in all; the default one says how long to wait without news.
        let (allowed, total) = match request.deadline {
            Some(deadline) => (deadline, deadline),
            None => (limits.call, limits.call_total.max(limits.call)),
        };
        let due = now + allowed;
        deadlines.set(due, Due::Call(id));
        let call = OpenCall {
            params: request.params.clone(),
            reply,
            settled: false,
            sent: false,
            allowed,
            total,
            due,
            latest: now + total,
            paused: None,
        };
        self.open.insert(id, call);
    }

    pub(super) fn mark_sent(&mut self, id: u64) {
        if let Some(call) = self.open.get_mut(&id) {
            call.sent = true;
        }
    }

    /// Gives the caller its outcome; `outcome` is told whether bytes of the call may have left. False: it has one already,
    /// or there is no such call.
    pub(super) fn settle(
        &mut self,
        id: u64,
        deadlines: &mut Deadlines,
        outcome: impl FnOnce(MayHaveRun) -> Outcome,
    ) -> bool {
        let Some(call) = self.open.get_mut(&id).filter(|call| !call.settled) else { return false };
        call.settled = true;
        deadlines.clear(call.due, Due::Call(id));
        call.reply.complete(outcome(call.may_have_run()));
        true
    }

    /// Closes a call: the guest has completed it.
    pub(super) fn remove(&mut self, id: u64) {
        self.open.remove(&id);
    }

    /// Settles what is left.
    pub(super) fn settle_all(&mut self, deadlines: &mut Deadlines, outcome: impl Fn(MayHaveRun) -> Outcome) {
        let ids: Vec<u64> = self.open.keys().copied().collect();
        for id in ids {
            self.settle(id, deadlines, &outcome);
            self.remove(id);
        }
    }

    /// A report came: the caller hears of it, and the call has its time anew.
    pub(super) fn progress(&mut self, id: u64, report: Bytes, deadlines: &mut Deadlines) {
        let Some(call) = self.open.get_mut(&id).filter(|call| !call.settled) else { return };
        call.reply.progress(report);
        if call.paused.is_none() {
            let due = (Instant::now() + call.allowed).min(call.latest);
            if due > call.due {
                deadlines.clear(call.due, Due::Call(id));
                deadlines.set(due, Due::Call(id));
                call.due = due;
            }
        }
    }

    /// Stops the time of a call, or of all of them, while the server waits for an answer of the platform.
    pub(super) fn pause(&mut self, id: Option<u64>, deadlines: &mut Deadlines) {
        let now = Instant::now();
        for (id, call) in self.chosen(id) {
            match &mut call.paused {
                Some((_, holders)) => *holders += 1,
                None => {
                    call.paused = Some((now, 1));
                    deadlines.clear(call.due, Due::Call(id));
                }
            }
        }
    }

    /// Lets it run again, where nothing else holds it.
    pub(super) fn resume(&mut self, id: Option<u64>, deadlines: &mut Deadlines) {
        let now = Instant::now();
        for (id, call) in self.chosen(id) {
            match &mut call.paused {
                Some((_, holders)) if *holders > 1 => *holders -= 1,
                Some((since, _)) => {
                    let held = now - *since;
                    call.due += held;
                    call.latest += held;
                    call.paused = None;
                    if !call.settled {
                        deadlines.set(call.due, Due::Call(id));
                    }
                }
                // It came after the request.
                None => {}
            }
        }
    }

    /// The time that a call had: without news, or in all where that was what ran out.
    pub(super) fn allowed(&self, id: u64) -> Duration {
        self.open.get(&id).map_or(Duration::ZERO, |call| if call.due < call.latest { call.allowed } else { call.total })
    }

    fn chosen(&mut self, id: Option<u64>) -> impl Iterator<Item = (u64, &mut OpenCall)> {
        self.open.iter_mut().filter(move |(other, _)| id.is_none_or(|id| id == **other)).map(|(id, call)| (*id, call))
    }
}

impl OpenCall {
    fn may_have_run(&self) -> MayHaveRun {
        if self.sent { MayHaveRun::Unknown } else { MayHaveRun::No }
    }
}
