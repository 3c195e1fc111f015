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
    inspection::SaidFor,
    reply::{Outcome, ReplySender},
};
use crate::{Limits, MayHaveRun, names::UserName};

/// What a caller asks for.
#[derive(Clone)]
pub(crate) struct CallRequest {
    /// For whom.
    pub(crate) user: Option<UserName>,
    pub(crate) method: String,
    pub(crate) params: Option<Bytes>,
    pub(crate) progress: bool,
    pub(crate) all_pages: bool,
    /// In all; none: the limits, which progress extends.
    pub(crate) deadline: Option<Duration>,
    /// How much of its time in all an earlier try has taken.
    pub(crate) spent: Duration,
}

/// How long a guest may take to complete a call whose caller has its outcome already.
const COMPLETION: Duration = Duration::from_secs(10);

struct OpenCall {
    user: Option<UserName>,
    method: Box<str>,
    params: Option<Bytes>,
    reply: ReplySender,
    settled: bool,
    /// Whether the guest was told of it, and may name it.
    told: bool,
    /// Frames for it that were queued, those that were cut off the queue again not counted.
    frames: u32,
    /// Those of them that the server has refused.
    refused: u32,
    allowed: Duration,
    total: Duration,
    /// When it is due; not in the deadlines while it is paused or settled.
    due: Instant,
    /// How far progress may move that.
    latest: Instant,
    /// Since when requests of the server hold its time, and how many do.
    paused: Option<(Instant, u32)>,
    /// How much longer they may, in all.
    patience: Duration,
}

#[derive(Default)]
pub(super) struct Calls {
    open: HashMap<u64, OpenCall>,
}

impl Calls {
    /// Whether the guest may name it.
    pub(super) fn is_told(&self, id: u64) -> bool {
        self.open.get(&id).is_some_and(|call| call.told)
    }

    /// The guest hears of it now.
    pub(super) fn tell(&mut self, id: u64) {
        if let Some(call) = self.open.get_mut(&id) {
            call.told = true;
        }
    }

    /// Whether its caller was told that nothing of it was sent, so that nothing may be sent any more.
    pub(super) fn must_stay_unsent(&self, id: u64) -> bool {
        self.open.get(&id).is_some_and(|call| call.settled && call.frames == 0)
    }

    /// What is known of it to whoever looks at what is said for it.
    pub(super) fn said_for(&self, id: u64) -> Option<SaidFor<'_>> {
        let call = self.open.get(&id)?;
        let before = call.frames.saturating_sub(call.refused);
        Some(SaidFor { method: &call.method, params: call.params.as_deref(), before })
    }

    /// The server has refused what was sent for it. That says nothing of whether it has run.
    pub(super) fn refused(&mut self, id: u64) {
        if let Some(call) = self.open.get_mut(&id) {
            call.refused = call.refused.saturating_add(1);
        }
    }

    /// Whether its caller still waits for its outcome.
    pub(super) fn is_awaited(&self, id: u64) -> bool {
        self.open.get(&id).is_some_and(|call| !call.settled)
    }

    /// Those that the guest knows of, in the order in which they were made: id, method, and whether bytes of it may have left.
    pub(super) fn outstanding(&self) -> Vec<(u64, String, bool)> {
        let told = self.open.iter().filter(|(_, call)| call.told);
        let mut told: Vec<_> =
            told.map(|(id, call)| (*id, call.method.clone().into_string(), call.frames > 0)).collect();
        told.sort_unstable_by_key(|(id, ..)| *id);
        told
    }

    pub(super) fn user(&self, id: u64) -> Option<&UserName> {
        self.open.get(&id)?.user.as_ref()
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
        let total = total.saturating_sub(request.spent);
        let allowed = allowed.min(total);
        let due = now + allowed;
        deadlines.set(due, Due::Call(id));
        let call = OpenCall {
            user: request.user.clone(),
            method: request.method.as_str().into(),
            params: request.params.clone(),
            reply,
            settled: false,
            told: false,
            frames: 0,
            refused: 0,
            allowed,
            total,
            due,
            latest: now + total,
            paused: None,
            patience: limits.server_request,
        };
        self.open.insert(id, call);
    }

    /// A frame of the call was queued: bytes of it may leave from now on.
    pub(super) fn queued(&mut self, id: u64) {
        if let Some(call) = self.open.get_mut(&id) {
            call.frames = call.frames.saturating_add(1);
        }
    }

    /// A frame of the call was cut off the queue before any byte of it left. Others may have left.
    pub(super) fn cut(&mut self, id: u64) {
        if let Some(call) = self.open.get_mut(&id) {
            call.frames = call.frames.saturating_sub(1);
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
        // From here on the guest has this long to complete it.
        call.due = Instant::now() + COMPLETION;
        deadlines.set(call.due, Due::Completion(id));
        call.reply.complete(outcome(call.may_have_run()));
        true
    }

    /// Closes a call: the guest has completed it.
    pub(super) fn remove(&mut self, id: u64, deadlines: &mut Deadlines) {
        if let Some(call) = self.open.remove(&id) {
            deadlines.clear(call.due, Due::Call(id));
            deadlines.clear(call.due, Due::Completion(id));
        }
    }

    /// Settles what is left.
    pub(super) fn settle_all(&mut self, deadlines: &mut Deadlines, outcome: impl Fn(MayHaveRun) -> Outcome) {
        let ids: Vec<u64> = self.open.keys().copied().collect();
        for id in ids {
            self.settle(id, deadlines, &outcome);
            self.remove(id, deadlines);
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

    /// Stops the time of a call, or of all of them, while the server waits for an answer of the platform. Returns whose.
    pub(super) fn pause(&mut self, id: Option<u64>, deadlines: &mut Deadlines) -> Vec<u64> {
        let now = Instant::now();
        let chosen = self.open.iter_mut().filter(|(other, call)| !call.settled && id.is_none_or(|id| id == **other));
        let mut paused = Vec::new();
        for (id, call) in chosen {
            paused.push(*id);
            match &mut call.paused {
                Some((_, holders)) => *holders += 1,
                None => {
                    call.paused = Some((now, 1));
                    // The time stands still, but not for ever: a server could ask without end.
                    deadlines.clear(call.due, Due::Call(*id));
                    let held = call.patience;
                    call.due += held;
                    call.latest += held;
                    deadlines.set(call.due, Due::Call(*id));
                }
            }
        }
        paused
    }

    /// Lets the time of these calls run again, where nothing else holds it.
    pub(super) fn resume(&mut self, ids: &[u64], deadlines: &mut Deadlines) {
        let now = Instant::now();
        for id in ids {
            let Some(call) = self.open.get_mut(id).filter(|call| !call.settled) else { continue };
            match &mut call.paused {
                Some((_, holders)) if *holders > 1 => *holders -= 1,
                Some((since, _)) => {
                    // What was not used of the patience is taken back from the deadline, which it had moved.
                    let left = call.patience.saturating_sub(now - *since);
                    deadlines.clear(call.due, Due::Call(*id));
                    call.due -= left;
                    call.latest -= left;
                    deadlines.set(call.due, Due::Call(*id));
                    call.patience = left;
                    call.paused = None;
                }
                None => {}
            }
        }
    }

    /// The time that a call had: without news, or in all where that was what ran out.
    pub(super) fn allowed(&self, id: u64) -> Duration {
        self.open.get(&id).map_or(Duration::ZERO, |call| if call.due < call.latest { call.allowed } else { call.total })
    }
}

impl OpenCall {
    fn may_have_run(&self) -> MayHaveRun {
        if self.frames > 0 { MayHaveRun::Unknown } else { MayHaveRun::No }
    }
}
