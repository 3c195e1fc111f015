//! A run: the runtime, all who use it, and what each step does. What is true meanwhile is in `invariants`.
//!
//! Everybody is polled by the one task that runs the plan, so that a step is a step: who gives up has given up when the next
//! begins. The sessions and the servers are tasks of their own, and go on when that task waits.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use innkeeper::{
    Call, Catalog, ComponentSource, DrainReport, Error, Event, Events, Lagged, Lease, Limits, MayHaveRun, Runtime,
    Server, SessionId, SessionKey, Tenant, Watch, transport::BoxFuture,
};
use innkeeper_tests::{faulty::faulty, in_process::limits_for_paused_clock};
use serde_json::json;
use tokio::{
    task::{unconstrained, yield_now},
    time::{Instant, sleep},
};

use super::{
    conversation::FLOOD,
    plan::{Ask, Plan, SERVERS, Step, TENANTS},
    servers::Servers,
};

/// The tenant whose guest is the one that misbehaves.
const FAULTY: usize = TENANTS - 1;

pub(super) const OPEN: Duration = Duration::from_secs(3);
pub(super) const CALL_TOTAL: Duration = Duration::from_secs(20);
const IDLE: Duration = Duration::from_secs(30);

/// Turns after which everybody has done what can be done without time passing.
const TURNS: usize = 10;

/// What went wrong, or nothing.
pub(super) type Checked = Result<(), String>;

/// A tenant, and how often its sessions were closed by force.
pub(super) struct TenantOf {
    pub(super) tenant: Tenant,
    pub(super) closings: usize,
}

/// Somebody who waits for a lease.
pub(super) struct Waiting {
    pub(super) tenant: usize,
    pub(super) user: String,
    pub(super) server: String,
    pub(super) since: Instant,
    closings: usize,
    lease: BoxFuture<'static, Result<Lease, Error>>,
}

/// A lease, or calls that were made with it and hold the session as it did.
pub(super) struct Held {
    number: usize,
    pub(super) lease: Option<Lease>,
    pub(super) session: SessionKey,
    pub(super) watch: Watch,
    pub(super) tenant: usize,
    /// Of its tenant, when it was asked for.
    pub(super) closings: usize,
}

/// A call that is waited for.
pub(super) struct UnderWay {
    pub(super) number: u64,
    holder: usize,
    ask: Ask,
    pub(super) overdue: Instant,
    call: Call,
}

/// How a call ended.
pub(super) struct Ended {
    pub(super) number: u64,
    /// Whether a server was to see it.
    pub(super) of_server: bool,
    /// None: it was dropped.
    pub(super) outcome: Option<Result<(), MayHaveRun>>,
}

/// Sessions that are being closed.
struct Job {
    /// Those that were held when it began, and that it must not close.
    spares: BTreeSet<SessionId>,
    report: BoxFuture<'static, DrainReport>,
}

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) runtime: Runtime,
    pub(super) tenants: Vec<TenantOf>,
    pub(super) servers: Servers,
    events: Events,
    pub(super) waiting: Vec<Waiting>,
    pub(super) held: Vec<Held>,
    pub(super) calls: Vec<UnderWay>,
    jobs: Vec<Job>,
    pub(super) ended: Vec<Ended>,
    /// Sessions that were heard of, and whether they are closing.
    pub(super) lives: BTreeMap<SessionId, bool>,
    leases: usize,
    started: u64,
    ran: Ran,
    began: Instant,
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Ran {
    /// How often each thing was seen.
    pub(super) seen: BTreeMap<String, usize>,
    /// What happened, in order.
    pub(super) trace: Vec<String>,
}

/// Runs a plan. What went wrong comes with what happened until then.
pub(super) fn run(plan: &Plan) -> Result<Ran, (String, Vec<String>)> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let plan = plan.clone();
    let ran = catch_unwind(AssertUnwindSafe(|| {
        tokio.block_on(async move {
            let mut world = World::new(plan).await;
            let checked = match world.live().await {
                Ok(()) => world.end().await,
                failed => failed,
            };
            checked.map(|()| world.ran.clone()).map_err(|fault| (fault, world.ran.trace))
        })
    }));
    ran.unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().cloned();
        Err((message.unwrap_or_else(|| "a panic".to_owned()), Vec::new()))
    })
}

fn limits(plan: &Plan) -> Limits {
    let mut limits = limits_for_paused_clock();
    limits.sessions_per_tenant = plan.sessions_per_tenant;
    limits.sessions_per_runtime = plan.sessions_per_runtime;
    limits.idle = IDLE;
    limits.open = OPEN;
    limits.call = Duration::from_secs(5);
    limits.call_total = CALL_TOTAL;
    limits.close_input = Duration::from_secs(1);
    limits.close_terminate = Duration::from_secs(1);
    limits.frame = FLOOD / 2;
    limits.calls_in_flight = 2;
    limits.mailbox = 3;
    limits
}

/// Polls once. Whoever waits is polled again after each step, so nobody has to be woken.
fn poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

impl World {
    async fn new(plan: Plan) -> Self {
        let servers = Servers::new(plan.seed, plan.sessions_per_tenant);
        let runtime = Runtime::builder().limits(limits(&plan)).start().await.unwrap();
        let honest = runtime.load_component(ComponentSource::Embedded).await.unwrap();
        let faulty = faulty(&runtime).await;
        let mut tenants = Vec::new();
        for tenant in 0..TENANTS {
            let catalog = (0..SERVERS).fold(Catalog::new(), |catalog, server| {
                catalog.server(format!("server-{server}"), Server::connector(servers.server(tenant, server)))
            });
            let guest = if tenant == FAULTY { &faulty } else { &honest };
            let tenant = runtime.tenant(format!("tenant-{tenant}")).catalog(catalog).guest(guest.clone());
            tenants.push(TenantOf { tenant: tenant.apply().await.unwrap(), closings: 0 });
        }
        Self {
            plan,
            events: runtime.events(),
            runtime,
            tenants,
            servers,
            waiting: Vec::new(),
            held: Vec::new(),
            calls: Vec::new(),
            jobs: Vec::new(),
            ended: Vec::new(),
            lives: BTreeMap::new(),
            leases: 0,
            started: 0,
            ran: Ran::default(),
            began: Instant::now(),
        }
    }

    fn say(&mut self, what: &str) {
        self.ran.trace.push(format!("{:>12?}  {what}", self.began.elapsed()));
    }

    pub(super) fn saw(&mut self, what: impl Into<String>) {
        *self.ran.seen.entry(what.into()).or_default() += 1;
    }

    async fn live(&mut self) -> Checked {
        for step in self.plan.steps.clone() {
            self.say(&format!("{step:?}"));
            self.take(step).await?;
            self.settle().await?;
        }
        Ok(())
    }

    async fn take(&mut self, step: Step) -> Checked {
        match step {
            Step::Lease { tenant, user, server } => return self.lease(tenant, user, server),
            Step::GiveUp(which) => {
                if !self.waiting.is_empty() {
                    self.waiting.remove(which % self.waiting.len());
                    self.saw("lease: given up");
                }
            }
            Step::Call { lease, ask, deadline } => self.call(lease, ask, deadline),
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
                self.begin(spares, report)?;
            }
            Step::Close { tenant, deadline } => {
                self.tenants[tenant].closings += 1;
                let tenant = self.tenants[tenant].tenant.clone();
                self.begin(BTreeSet::new(), Box::pin(async move { tenant.close(deadline).await }))?;
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

    /// Polls everybody, has everybody do what can be done at once, and checks what has to be true then.
    async fn settle(&mut self) -> Checked {
        self.poll_all()?;
        for _ in 0..TURNS {
            yield_now().await;
        }
        self.check()
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
                let closed = self.tenants[waiting.tenant].closings > waiting.closings;
                return self.check_error("lease", &error, closed);
            }
        };
        let session = lease.session();
        if (session.user.as_str(), session.server.as_str()) != (&waiting.user, &waiting.server)
            || session.tenant != *self.tenants[waiting.tenant].tenant.name()
        {
            return Err(format!("{} of {} got {session:?}", waiting.user, waiting.tenant));
        }
        self.leases += 1;
        self.say(&format!("    lease {} of {}", self.leases, session.id));
        self.saw("lease");
        let watch = lease.watch();
        let (tenant, closings) = (waiting.tenant, waiting.closings);
        self.held.push(Held { number: self.leases, lease: Some(lease), session, watch, tenant, closings });
        Ok(())
    }

    /// Forgets leases that are dropped and whose calls have ended.
    fn let_go(&mut self) {
        let calls = &self.calls;
        self.held.retain(|held| held.lease.is_some() || calls.iter().any(|call| call.holder == held.number));
    }

    // ------------------------------------------------------------------------------------------------ calls

    fn call(&mut self, which: usize, ask: Ask, deadline: Option<Duration>) {
        let leases: Vec<_> = self.held.iter().filter(|held| held.lease.is_some()).collect();
        let Some(held) = leases.get(which % leases.len().max(1)) else { return };
        let (Some(lease), holder) = (&held.lease, held.number) else { return };
        let is_faulty = held.tenant == FAULTY;
        self.started += 1;
        let number = self.started;
        let mut call = lease.call(method(ask, is_faulty)).params(&json!({ "call": number }));
        if let Some(deadline) = deadline {
            call = call.deadline(deadline);
        }
        let overdue = Instant::now() + deadline.unwrap_or(CALL_TOTAL);
        let session = held.session.id;
        let call = UnderWay { number, holder, ask, overdue, call: call.start() };
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
        self.ended.push(Ended { number: call.number, of_server, outcome });
        self.let_go();
    }

    fn call_completed(&mut self, call: &UnderWay, outcome: Result<bytes::Bytes, Error>) -> Checked {
        let number = call.number;
        let Some(held) = self.held.iter().find(|held| held.number == call.holder) else {
            return Err(format!("call {number} is of no lease"));
        };
        let tenant = held.tenant;
        let closed = self.tenants[tenant].closings > held.closings;
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

    fn begin(&mut self, spares: BTreeSet<SessionId>, report: BoxFuture<'static, DrainReport>) -> Checked {
        let mut job = Job { spares, report: Box::pin(unconstrained(report)) };
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

    fn poll_all(&mut self) -> Checked {
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
        for mut job in std::mem::take(&mut self.jobs) {
            match poll(&mut job.report) {
                Some(report) => self.closed(&job, &report)?,
                None => self.jobs.push(job),
            }
        }
        Ok(())
    }

    /// Nobody waits for anything.
    fn all_done(&self) -> Checked {
        let left = (self.waiting.len(), self.calls.len(), self.jobs.len());
        if left == (0, 0, 0) {
            return Ok(());
        }
        Err(format!("leases that are waited for, calls, and sessions being closed do not end: {left:?}"))
    }

    // ------------------------------------------------------------------------------------------------ the end

    async fn end(&mut self) -> Checked {
        if self.plan.ends_quietly {
            self.say("an hour passes");
            sleep(Duration::from_secs(3600)).await;
            self.settle().await?;
            self.all_done()?;
            // Whoever had an answer all that time has heard of it only now, and let go of the session.
            sleep(2 * IDLE).await;
            self.settle().await?;
            self.check_nothing_is_idle()?;
        }
        // Half of the leases outlive the runtime.
        self.held.iter_mut().step_by(2).for_each(|held| held.lease = None);
        self.let_go();
        self.say("drain");
        self.tenants.iter_mut().for_each(|tenant| tenant.closings += 1);
        let drained = tokio::time::timeout(Duration::from_secs(3600), self.runtime.drain(self.plan.drain)).await;
        let Ok(report) = drained else { return Err("the drain does not end".to_owned()) };
        if let Some(left) = report.closed.iter().find(|closed| !closed.gone) {
            return Err(format!("{left:?} is not gone"));
        }
        sleep(Duration::from_secs(1)).await;
        self.poll_all()?;
        self.settle().await?;
        self.all_done()?;
        self.check_the_end().await
    }

    pub(super) fn next_event(&mut self) -> Option<Result<Event, Lagged>> {
        poll(&mut unconstrained(pin!(self.events.next()))).flatten()
    }

    /// Drops every lease.
    pub(super) fn let_go_of_all(&mut self) {
        self.held.clear();
    }

    pub(super) async fn turns(&self) {
        for _ in 0..TURNS {
            yield_now().await;
        }
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
