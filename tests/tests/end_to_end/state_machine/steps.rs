//! What a step does, and what comes of leases, calls and closing sessions.

use std::{
    collections::BTreeSet,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use innkeeper::{DrainReport, Error, Lease, MayHaveRun, SessionInfo, transport::BoxFuture};
use serde_json::json;
use tokio::{
    task::{unconstrained, yield_now},
    time::{Instant, sleep},
};

use super::{
    invariants,
    plan::{Ask, Step},
    world::{CALL_TOTAL, Checked, Ended, FAULTY, Held, Job, Restarting, TenantOf, UnderWay, Waiting, World},
};

/// Polls once. Whoever waits is polled again after each step, so nobody has to be woken.
pub(super) fn poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

impl World {
    pub(super) async fn take(&mut self, step: Step) -> Checked {
        match step {
            Step::Lease { tenant, user, server } => return self.lease(tenant, user, server),
            Step::GiveUp(which) => {
                if !self.waiting.is_empty() {
                    self.waiting.remove(which % self.waiting.len());
                    self.saw("lease: given up");
                }
            }
            Step::Call { lease, ask, deadline, idempotent } => self.call(lease, ask, deadline, idempotent),
            Step::Restart(which) => self.restart(which),
            Step::DropCall(which) => {
                if !self.calls.is_empty() {
                    let call = self.calls.remove(which % self.calls.len());
                    self.call_ended(&call, None);
                }
            }
            Step::DropLease(which) => {
                let mut leases: Vec<_> = self.held.iter_mut().filter(|held| held.lease.is_some()).collect();
                if !leases.is_empty() {
                    let which = which % leases.len();
                    leases[which].lease = None;
                    self.let_go();
                }
            }
            Step::Order(which, order) => {
                if self.servers.order(which, order) {
                    self.saw(format!("server: {order:?}"));
                }
            }
            Step::Reap { tenant, older_than } => {
                let spares = self.held.iter().map(|held| held.session.id).collect();
                let report: BoxFuture<'static, _> = match tenant {
                    Some(tenant) => {
                        let tenant = self.tenants[tenant].tenant.clone();
                        Box::pin(async move { tenant.reap(older_than).await })
                    }
                    None => {
                        let runtime = self.runtime.clone();
                        Box::pin(async move { runtime.reap(older_than).await })
                    }
                };
                self.begin(Job { spares, closes: None, report: Box::pin(unconstrained(report)) })?;
            }
            Step::Close { tenant, deadline } => {
                self.tenants[tenant].closings += 1;
                let closed = self.tenants[tenant].tenant.clone();
                let report = unconstrained(async move { closed.close(deadline).await });
                self.begin(Job { spares: BTreeSet::new(), closes: Some(tenant), report: Box::pin(report) })?;
            }
            Step::Pass(time) => sleep(time).await,
            Step::Turns(turns) => {
                for _ in 0..turns {
                    yield_now().await;
                }
            }
        }
        Ok(())
    }

    // ------------------------------------------------------------------------------------------------ leases

    fn lease(&mut self, number: usize, user: usize, server: usize) -> Checked {
        let (user, server) = (format!("user-{user}"), format!("server-{server}"));
        let TenantOf { tenant, closings } = &self.tenants[number];
        let (tenant, names) = (tenant.clone(), (user.clone(), server.clone()));
        let lease = unconstrained(async move { tenant.lease(names.0, names.1).await });
        let mut waiting = Waiting {
            tenant: number,
            user,
            server,
            since: Instant::now(),
            closings: *closings,
            lease: Box::pin(lease),
        };
        let before = self.runtime.status();
        match poll(&mut waiting.lease) {
            Some(Err(Error::AtCapacity { .. })) => self.check_capacity(&before, number)?,
            Some(leased) => return self.leased(&waiting, leased),
            None => self.waiting.push(waiting),
        }
        Ok(())
    }

    fn leased(&mut self, waiting: &Waiting, leased: Result<Lease, Error>) -> Checked {
        let lease = match leased {
            Ok(lease) => lease,
            Err(error) => {
                let closed = self.tenants[waiting.tenant].closings > waiting.closings
                    || self.jobs.iter().any(|job| job.closes == Some(waiting.tenant));
                return self.check_error("lease", &error, closed);
            }
        };
        let session = lease.session();
        if !invariants::is_for(&session, waiting) || session.tenant != *self.tenants[waiting.tenant].tenant.name() {
            return Err(format!("{} of {} got {session:?}", waiting.user, waiting.tenant));
        }
        self.leases += 1;
        self.say(&format!("    lease {} of {}", self.leases, session.id));
        self.saw("lease");
        let watch = lease.watch();
        let (tenant, closings) = (waiting.tenant, waiting.closings);
        self.held.push(Held { number: self.leases, lease: Some(Arc::new(lease)), session, watch, tenant, closings });
        Ok(())
    }

    /// Forgets leases that are dropped and whose calls have ended.
    pub(super) fn let_go(&mut self) {
        let holders = self.calls.iter().map(|call| call.holder);
        let holders: BTreeSet<_> = holders.chain(self.restarting.iter().map(|restarting| restarting.holder)).collect();
        self.held.retain(|held| held.lease.is_some() || holders.contains(&held.number));
    }

    // ------------------------------------------------------------------------------------------------ calls

    /// One of those who hold a lease.
    fn holder(&self, which: usize) -> Option<(&Held, &Arc<Lease>)> {
        let leases: Vec<_> = self.held.iter().filter_map(|held| Some((held, held.lease.as_ref()?))).collect();
        leases.get(which % leases.len().max(1)).copied()
    }

    fn restart(&mut self, which: usize) {
        let Some((held, lease)) = self.holder(which) else { return };
        let (holder, session, lease) = (held.number, held.session.id, lease.clone());
        let incarnation = lease.info().incarnation;
        let done = Box::pin(unconstrained(async move { lease.restart().await }));
        self.restarting.push(Restarting { holder, incarnation, since: Instant::now(), done });
        self.restarted.insert(session);
    }

    fn has_restarted(&mut self, restarting: &Restarting, done: Result<Arc<SessionInfo>, Error>) -> Checked {
        let holder = restarting.holder;
        let Some(held) = self.held.iter().find(|held| held.number == holder) else {
            return Err(format!("the lease {holder}, which restarts its session, is not held"));
        };
        let closed = self.tenants[held.tenant].closings > held.closings;
        match done {
            Ok(info) if info.incarnation < restarting.incarnation => {
                Err(format!("a restart went from connection {} to {}", restarting.incarnation, info.incarnation))
            }
            Ok(_) => {
                self.saw("restart");
                Ok(())
            }
            Err(error) => self.check_error("restart", &error, closed || self.restarted.contains(&held.session.id)),
        }
    }

    fn call(&mut self, which: usize, ask: Ask, deadline: Option<Duration>, idempotent: bool) {
        let Some((held, lease)) = self.holder(which) else { return };
        let holder = held.number;
        let is_faulty = held.tenant == FAULTY;
        let number = self.started + 1;
        let mut call = lease.call(method(ask, is_faulty)).params(&json!({ "call": number })).idempotent(idempotent);
        if let Some(deadline) = deadline {
            call = call.deadline(deadline);
        }
        let overdue = Instant::now() + deadline.unwrap_or(CALL_TOTAL);
        let session = held.session.id;
        let call = UnderWay { number, holder, ask, idempotent, overdue, call: call.start() };
        self.started = number;
        self.say(&format!("    call {number} in {session}"));
        self.saw("call");
        self.calls.push(call);
    }

    fn call_ended(&mut self, call: &UnderWay, outcome: Option<Result<(), MayHaveRun>>) {
        self.saw(match outcome {
            Some(Ok(())) => "call: answered",
            Some(Err(_)) => "call: failed",
            None => "call: dropped",
        });
        let of_server = self.held.iter().any(|held| held.number == call.holder && held.tenant != FAULTY);
        self.ended.push(Ended { number: call.number, of_server, idempotent: call.idempotent, outcome });
        self.let_go();
    }

    fn call_completed(&mut self, call: &UnderWay, outcome: Result<bytes::Bytes, Error>) -> Checked {
        let number = call.number;
        let Some(held) = self.held.iter().find(|held| held.number == call.holder) else {
            return Err(format!("call {number} is of no lease"));
        };
        let tenant = held.tenant;
        let closed = self.tenants[tenant].closings > held.closings || self.restarted.contains(&held.session.id);
        self.say(&format!("    call {number}: {}", outcome.as_ref().map_or_else(Error::code, |_| "answered")));
        let outcome = match outcome {
            Ok(answer) => {
                let is_its_own = match tenant {
                    FAULTY => answer == json!({ "call": number }).to_string(),
                    _ => answer == number.to_string(),
                };
                if !is_its_own || matches!(call.ask, Ask::Never | Ask::Refuse | Ask::Die) {
                    return Err(format!("call {number}, {:?}, was answered with {answer:?}", call.ask));
                }
                Ok(())
            }
            Err(error) => {
                self.check_error("call", &error, closed)?;
                self.told_of_the_end(call.holder);
                Err(error.may_have_run())
            }
        };
        self.call_ended(call, Some(outcome));
        Ok(())
    }

    /// Most who are told that their session is gone drop their lease of it.
    fn told_of_the_end(&mut self, holder: usize) {
        let held = self.held.iter_mut().find(|held| held.number == holder && held.watch.check().is_err());
        if let Some(held) = held.filter(|held| !held.number.is_multiple_of(4)) {
            held.lease = None;
        }
    }

    // ------------------------------------------------------------------------------------------------ closing

    fn begin(&mut self, mut job: Job) -> Checked {
        match poll(&mut job.report) {
            Some(report) => self.closed(&job, &report),
            None => {
                self.jobs.push(job);
                Ok(())
            }
        }
    }

    fn closed(&mut self, job: &Job, report: &DrainReport) -> Checked {
        for closed in &report.closed {
            self.saw(if closed.in_time { "closed: in time" } else { "closed: by force" });
            if !closed.gone || job.spares.contains(&closed.session.id) {
                return Err(format!("{closed:?} was to be spared, or is not gone"));
            }
        }
        Ok(())
    }

    // ------------------------------------------------------------------------------------------------ all of them

    pub(super) fn poll_all(&mut self) -> Checked {
        for mut waiting in std::mem::take(&mut self.waiting) {
            match poll(&mut waiting.lease) {
                Some(leased) => self.leased(&waiting, leased)?,
                None => self.waiting.push(waiting),
            }
        }
        let mut index = 0;
        while let Some(call) = self.calls.get_mut(index) {
            match poll(&mut call.call) {
                Some(outcome) => {
                    let call = self.calls.remove(index);
                    self.call_completed(&call, outcome)?;
                }
                None => index += 1,
            }
        }
        for mut restarting in std::mem::take(&mut self.restarting) {
            match poll(&mut restarting.done) {
                Some(done) => {
                    self.has_restarted(&restarting, done)?;
                    self.let_go();
                }
                None => self.restarting.push(restarting),
            }
        }
        for mut job in std::mem::take(&mut self.jobs) {
            match poll(&mut job.report) {
                Some(report) => self.closed(&job, &report)?,
                None => self.jobs.push(job),
            }
        }
        Ok(())
    }

    /// Nobody waits for anything.
    pub(super) fn all_done(&self) -> Checked {
        let left = (self.waiting.len(), self.calls.len(), self.restarting.len(), self.jobs.len());
        if left == (0, 0, 0, 0) {
            return Ok(());
        }
        Err(format!("leases that are waited for, calls, restarts, and sessions being closed do not end: {left:?}"))
    }
}

/// The method that asks for it.
fn method(ask: Ask, is_faulty: bool) -> &'static str {
    match (ask, is_faulty) {
        (Ask::Now, false) => "now",
        (Ask::Later, false) => "later",
        (Ask::Slowly, false) => "slowly",
        (Ask::Never, false) => "never",
        (Ask::Refuse, false) => "refuse",
        (Ask::Die, false) => "die",
        (Ask::Lie, false) => "lie",
        (Ask::Now, true) => "echo",
        // Which the server does not answer.
        (Ask::Later | Ask::Slowly, true) => "send",
        (Ask::Never, true) => "hold",
        (Ask::Refuse, true) => "unknown",
        (Ask::Die, true) => "trap",
        (Ask::Lie, true) => "garbage",
    }
}
