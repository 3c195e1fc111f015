//! The users, and what disturbs them.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use innkeeper::{Catalog, Command, Error, Lease, Runtime, Scope, Server, Tenant};
use innkeeper_tests::{
    artifacts,
    awkward::{Scenario, tool},
    hosting::signal_to,
};
use rustix::process::Signal;
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::tally::Tally;

const TENANTS: usize = 4;
const USERS_PER_TENANT: usize = 50;

/// What any single thing may take before it counts as lost: longer than every deadline below.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long a call may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// Servers that are killed, and sessions that are reaped by hand, come this often.
const KILL_EVERY: Duration = Duration::from_millis(150);
const REAP_EVERY: Duration = Duration::from_secs(2);

/// Servers of each tenant, by name.
const SERVERS: [(&str, Scenario, Scope); 4] = [
    ("own", Scenario::Plain, Scope::User),
    ("shared", Scenario::Plain, Scope::Tenant),
    ("alone", Scenario::Plain, Scope::Exclusive),
    ("messy", Scenario::Grandchild, Scope::User),
];

pub(crate) struct House {
    runtime: Runtime,
    tenants: Vec<Tenant>,
}

impl House {
    pub(crate) async fn open(runtime: &Runtime) -> Self {
        let mut tenants = Vec::new();
        for number in 0..TENANTS {
            let catalog = SERVERS.iter().fold(Catalog::new(), |catalog, (name, scenario, scope)| {
                let found = artifacts::awkward_server(*scenario);
                let server = Server::command(
                    Command::new(found.program.to_str().expect("paths of the target folder are text")).args(found.args),
                );
                catalog.server(*name, server.scope(*scope).call_timeout(DEADLINE))
            });
            let tenant = runtime.tenant(format!("tenant-{number}")).catalog(catalog).apply().await;
            tenants.push(tenant.expect("the embedded guest is there"));
        }
        Self { runtime: runtime.clone(), tenants }
    }

    pub(crate) async fn warm_up(&self) {
        for tenant in &self.tenants {
            let lease = tenant.lease("warm-up", "own").await.expect("a plain server opens");
            lease.ping().await.expect("and answers");
        }
        self.close().await;
    }

    pub(crate) async fn close(&self) {
        for tenant in &self.tenants {
            tenant.close(Duration::from_secs(10)).await;
        }
    }

    /// Everybody, until it is time. Ends when all that was begun has ended.
    pub(crate) fn churn(&self, tally: &Tally, until: Instant) -> impl Future<Output = ()> + use<> {
        let mut tasks = JoinSet::new();
        for tenant in &self.tenants {
            for number in 0..USERS_PER_TENANT {
                tasks.spawn(user(tenant.clone(), format!("user-{number}"), tally.clone(), until));
            }
            tasks.spawn(reap(tenant.clone(), until));
        }
        tasks.spawn(kill(self.runtime.clone(), until));
        async move {
            while let Some(ended) = tasks.join_next().await {
                ended.expect("no user of the soak panics");
            }
        }
    }
}

async fn user(tenant: Tenant, name: String, tally: Tally, until: Instant) {
    while Instant::now() < until {
        let (server, _, _) = SERVERS[fastrand::usize(..SERVERS.len())];
        match bounded(&tally, "lease", tenant.lease(name.as_str(), server)).await {
            Some(Ok(lease)) => visit(&lease, &tally).await,
            Some(Err(error)) => sleep(error.retry_after().unwrap_or_default().min(Duration::from_secs(2))).await,
            None => {}
        }
        sleep(Duration::from_millis(fastrand::u64(..2_000))).await;
    }
}

/// Some calls with one lease, of which some are given up, and once in a while a restart.
async fn visit(lease: &Lease, tally: &Tally) {
    for _ in 0..fastrand::usize(1..10) {
        let text = "x".repeat(if fastrand::u8(..) < 8 { 256 * 1024 } else { fastrand::usize(..2_000) });
        let (name, arguments) = match fastrand::u8(..10) {
            0 => (tool::SLEEP, json!({ "ms": fastrand::u64(..500) })),
            _ => (tool::ECHO, json!({ "text": text })),
        };
        let call = lease.call_tool(name, &arguments).expect("arguments of this test are objects").start();
        if fastrand::u8(..20) == 0 {
            // Dropped after a moment, which cancels it.
            let gave_up = timeout(Duration::from_millis(fastrand::u64(..20)), call).await;
            tally.ended("call", if gave_up.is_err() { "dropped" } else { "ended before it was dropped" });
        } else {
            bounded(tally, "call", call).await;
        }
        if fastrand::u8(..100) == 0 {
            bounded(tally, "restart", lease.restart()).await;
        }
    }
}

async fn bounded<T>(
    tally: &Tally,
    what: &'static str,
    work: impl Future<Output = Result<T, Error>>,
) -> Option<Result<T, Error>> {
    match timeout(PATIENCE, work).await {
        Ok(outcome) => {
            tally.outcome(what, &outcome);
            Some(outcome)
        }
        Err(_) => {
            tally.never_ended(what);
            None
        }
    }
}

/// Kills some process of some session, as the system does when memory is short.
async fn kill(runtime: Runtime, until: Instant) {
    while Instant::now() < until {
        sleep(KILL_EVERY).await;
        let sessions = runtime.status().sessions;
        let processes: Vec<u32> = sessions.into_iter().flat_map(|session| session.processes).collect();
        if let Some(process) = fastrand::choice(processes) {
            signal_to(process, Signal::KILL);
        }
    }
}

async fn reap(tenant: Tenant, until: Instant) {
    while Instant::now() < until {
        sleep(REAP_EVERY).await;
        tenant.reap(Duration::from_millis(fastrand::u64(..1_000))).await;
    }
}
