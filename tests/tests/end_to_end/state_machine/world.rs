//! A run: the runtime and all who use it, from the first step to the drain. What a step does is in `steps`, what is true after it in
//! `invariants`.
//!
//! Everybody is polled by the one task that runs the plan, so that a step is a step: who gives up has given up when the next
//! begins. The sessions and the servers are tasks of their own, and go on when that task waits.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use innkeeper::{
    Call, Catalog, ComponentSource, DrainReport, Error, Event, Events, Lagged, Lease, Limits, MayHaveRun, Runtime,
    Server, SessionId, SessionInfo, SessionKey, Tenant, Watch, transport::BoxFuture,
};
use innkeeper_tests::{faulty::faulty, in_process::limits_for_paused_clock};
use tokio::{
    task::{unconstrained, yield_now},
    time::{Instant, sleep},
};

use super::{
    conversation::FLOOD,
    plan::{Ask, Plan, SERVERS, TENANTS, scope},
    servers::Servers,
    steps::poll,
};

/// The tenant whose guest is the one that misbehaves.
pub(super) const FAULTY: usize = TENANTS - 1;

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
    pub(super) closings: usize,
    pub(super) lease: BoxFuture<'static, Result<Lease, Error>>,
}

/// A lease, or calls that were made with it and hold the session as it did.
pub(super) struct Held {
    pub(super) number: usize,
    pub(super) lease: Option<Arc<Lease>>,
    pub(super) session: SessionKey,
    pub(super) watch: Watch,
    pub(super) tenant: usize,
    /// Of its tenant, when it was asked for.
    pub(super) closings: usize,
}

/// A call that is waited for.
pub(super) struct UnderWay {
    pub(super) number: u64,
    pub(super) holder: usize,
    pub(super) ask: Ask,
    pub(super) idempotent: bool,
    pub(super) overdue: Instant,
    pub(super) call: Call,
}

/// How a call ended.
pub(super) struct Ended {
    pub(super) number: u64,
    /// Whether a server was to see it.
    pub(super) of_server: bool,
    pub(super) idempotent: bool,
    /// None: it was dropped.
    pub(super) outcome: Option<Result<(), MayHaveRun>>,
}

/// A session that gets a new connection.
pub(super) struct Restarting {
    pub(super) holder: usize,
    /// Of its session, before.
    pub(super) incarnation: u32,
    pub(super) since: Instant,
    pub(super) done: BoxFuture<'static, Result<Arc<SessionInfo>, Error>>,
}

/// Sessions that are being closed.
pub(super) struct Job {
    /// Those that were held when it began, and that it must not close.
    pub(super) spares: BTreeSet<SessionId>,
    /// The tenant that is closed, and has no leases meanwhile.
    pub(super) closes: Option<usize>,
    pub(super) report: BoxFuture<'static, DrainReport>,
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
    pub(super) restarting: Vec<Restarting>,
    /// Sessions whose connection somebody wanted to be another, so that calls have failed for it.
    pub(super) restarted: BTreeSet<SessionId>,
    pub(super) jobs: Vec<Job>,
    pub(super) ended: Vec<Ended>,
    /// Sessions that were heard of, and whether they are closing.
    pub(super) lives: BTreeMap<SessionId, bool>,
    pub(super) leases: usize,
    pub(super) started: u64,
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
    // The host's dice for its waits. All of a run is on this thread.
    fastrand::seed(plan.seed);
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
    limits.mailbox = 2;
    limits
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
                catalog.server(
                    format!("server-{server}"),
                    Server::connector(servers.server(tenant, server)).scope(scope(server)),
                )
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
            restarting: Vec::new(),
            restarted: BTreeSet::new(),
            jobs: Vec::new(),
            ended: Vec::new(),
            lives: BTreeMap::new(),
            leases: 0,
            started: 0,
            ran: Ran::default(),
            began: Instant::now(),
        }
    }

    pub(super) fn say(&mut self, what: &str) {
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

    /// Polls everybody, has everybody do what can be done at once, and checks what has to be true then.
    async fn settle(&mut self) -> Checked {
        self.poll_all()?;
        for _ in 0..TURNS {
            yield_now().await;
        }
        self.check()
    }

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
