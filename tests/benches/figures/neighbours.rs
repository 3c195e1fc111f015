//! Tenants that nobody wants beside them.
//!
//! Each does all the time what one kind of accident or attack does, as hard as the host lets it, on tasks of the same tokio
//! runtime. What it gets done is counted, because keeping a tenant from its work is no fairness either.

use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use innkeeper::{Catalog, Component, Error, Event, Events, Lease, Runtime, Tenant};
use innkeeper_tests::{
    artifacts,
    awkward::{Scenario, tool},
    faulty,
};
use serde_json::json;
use tokio::{io::AsyncWriteExt, task::JoinSet};

use crate::{ours, server};

/// Sessions of a neighbour that computes or calls: twice the cores of the smallest machine that runs this.
const BUSY: usize = 4;

/// Calls that a neighbour has under way on one session: as many as its mailbox takes.
const FLOOD: usize = 1024;

/// Nearly the largest frame.
const LARGE: usize = (16 << 20) - 1024;

/// How long a neighbour waits for a server that hangs.
const HANG: Duration = Duration::from_millis(250);

/// Far more than closing a tenant takes.
const CLOSE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Neighbour {
    Spins,
    FloodsCalls,
    LargeResults,
    OpensSessions,
    HangsAtConnect,
    NearlySpins,
    ComputesBriefly,
    FloodsNotifications,
    ForeignProcesses,
}

/// The first five are what happens to platforms. The next three are as bad as one can be within every limit: guests that are slow
/// and never killed, guests that are never slow, servers that cost the host more than themselves. The last is no neighbour: what
/// the servers with large results do to the machine, without a host that reads from them.
pub(crate) const NEIGHBOURS: [Neighbour; 9] = [
    Neighbour::Spins,
    Neighbour::FloodsCalls,
    Neighbour::LargeResults,
    Neighbour::OpensSessions,
    Neighbour::HangsAtConnect,
    Neighbour::NearlySpins,
    Neighbour::ComputesBriefly,
    Neighbour::FloodsNotifications,
    Neighbour::ForeignProcesses,
];

impl Neighbour {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Spins => "whose guests spin",
            Self::NearlySpins => "whose guests compute for 45 ms for each call",
            Self::ComputesBriefly => "whose guests compute for 1 ms for each call",
            Self::FloodsCalls => "that floods calls",
            Self::LargeResults => "with results of 16 MiB",
            Self::OpensSessions => "that opens sessions without end",
            Self::HangsAtConnect => "whose servers hang at connect",
            Self::FloodsNotifications => "whose servers flood notifications",
            Self::ForeignProcesses => "(none: four servers of 16 MiB outside of the host)",
        }
    }

    /// What is counted of it.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Spins => "kills",
            Self::NearlySpins | Self::ComputesBriefly | Self::FloodsCalls => "calls",
            Self::LargeResults => "results",
            Self::OpensSessions => "sessions",
            Self::HangsAtConnect => "time-outs",
            Self::FloodsNotifications => "notifications",
            Self::ForeignProcesses => "of ours",
        }
    }
}

/// Their tenants.
pub(crate) struct Neighbours {
    runtime: Runtime,
    faulty: Tenant,
    honest: Tenant,
}

/// What a neighbour has running.
pub(crate) struct Running {
    tasks: JoinSet<()>,
    tenant: Tenant,
}

impl Running {
    /// Ends it, and waits until nothing of it is left.
    pub(crate) async fn stop(mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            ended.expect("a neighbour does what it does until it is stopped");
        }
        self.tasks.shutdown().await;
        let report = self.tenant.close(CLOSE).await;
        assert!(report.closed.iter().all(|session| session.gone), "{report:?}");
    }
}

impl Neighbours {
    pub(crate) async fn new(runtime: &Runtime, guest: &Component) -> Self {
        let faulty = faulty::tenant(runtime, "faulty", &faulty::faulty(runtime).await, faulty::quiet()).await;
        let catalog = Catalog::new()
            .server("plain", server(Scenario::Plain))
            .server("hanging", server(Scenario::NeverAnswersInitialize).open_timeout(HANG))
            .server("flooding", server(Scenario::NotificationsFlood));
        let honest = runtime.tenant("honest").guest(guest.clone()).catalog(catalog);
        let honest = honest.apply().await.expect("the name is free");
        Self { runtime: runtime.clone(), faulty, honest }
    }

    /// Starts one. Its sessions are open when this returns, where it is not about opening them.
    pub(crate) async fn start(&self, neighbour: Neighbour, work: &Arc<AtomicU64>) -> Running {
        let mut tasks = JoinSet::new();
        let tenant = match neighbour {
            Neighbour::Spins | Neighbour::NearlySpins | Neighbour::ComputesBriefly => &self.faulty,
            _ => &self.honest,
        };
        for number in 0..BUSY {
            let (tenant, work, user) = (tenant.clone(), work.clone(), format!("user-{number}"));
            match neighbour {
                Neighbour::Spins => _ = tasks.spawn(spin(tenant, user, work)),
                Neighbour::NearlySpins => _ = tasks.spawn(compute(tenant, user, "slow:45", work)),
                Neighbour::ComputesBriefly => _ = tasks.spawn(compute(tenant, user, "slow:1", work)),
                Neighbour::FloodsCalls => {
                    let lease = Arc::new(tenant.lease(user, "plain").await.expect("the server opens"));
                    (0..FLOOD).for_each(|_| _ = tasks.spawn(call(lease.clone(), 64, work.clone())));
                }
                Neighbour::LargeResults => {
                    let lease = Arc::new(tenant.lease(user, "plain").await.expect("the server opens"));
                    tasks.spawn(call(lease, LARGE, work));
                }
                Neighbour::OpensSessions => _ = tasks.spawn(open(tenant, user, work)),
                Neighbour::HangsAtConnect => _ = tasks.spawn(hang(tenant, user, work)),
                Neighbour::FloodsNotifications => {
                    let lease = tenant.lease(user, "flooding").await.expect("the server opens");
                    tasks.spawn(hold(lease));
                }
                Neighbour::ForeignProcesses => _ = tasks.spawn(foreign()),
            }
        }
        if neighbour == Neighbour::FloodsNotifications {
            tasks.spawn(count_notifications(self.runtime.events(), work.clone()));
        }
        Running { tasks, tenant: tenant.clone() }
    }
}

/// Has guests killed for computing without end, one after the other. Each for another user: the session of one that failed a few
/// times would wait before it has another guest.
async fn spin(tenant: Tenant, user: String, work: Arc<AtomicU64>) {
    for number in 0_u64.. {
        let lease = tenant.lease(format!("{user}-{number}"), "quiet").await.expect("it opens");
        lease.call("spin").start().await.expect_err("it is stopped");
        work.fetch_add(1, Relaxed);
    }
}

/// Has a guest compute for each call, within its budget.
async fn compute(tenant: Tenant, user: String, method: &str, work: Arc<AtomicU64>) {
    for number in 0_u64.. {
        // On a machine that is much slower it may be beyond the budget, and is then opened again.
        let lease = tenant.lease(format!("{user}-{number}"), "quiet").await.expect("it opens");
        while lease.call(method).start().await.is_ok() {
            work.fetch_add(1, Relaxed);
        }
    }
}

async fn call(lease: Arc<Lease>, bytes: usize, work: Arc<AtomicU64>) {
    loop {
        ours(&lease, bytes).await;
        work.fetch_add(1, Relaxed);
    }
}

/// Opens sessions of ever new users, beyond what the tenant may have: for each, an older one is closed.
async fn open(tenant: Tenant, user: String, work: Arc<AtomicU64>) {
    for number in 0_u64.. {
        match tenant.lease(format!("{user}-{number}"), "plain").await {
            Ok(_) => _ = work.fetch_add(1, Relaxed),
            // All that it may have are being opened or closed.
            Err(error) => assert!(matches!(error, Error::AtCapacity { .. }), "{error}"),
        }
    }
}

async fn hang(tenant: Tenant, user: String, work: Arc<AtomicU64>) {
    for number in 0_u64.. {
        tenant.lease(format!("{user}-{number}"), "hanging").await.expect_err("it does not open");
        work.fetch_add(1, Relaxed);
    }
}

async fn hold(lease: Lease) {
    std::future::pending::<()>().await;
    drop(lease);
}

/// Has a server of nobody's write large results, which nobody reads.
async fn foreign() {
    let server = artifacts::awkward_server(Scenario::Plain);
    let mut process = tokio::process::Command::new(&server.program)
        .args(&server.args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the server is built");
    let params = json!({"name": tool::FILL, "arguments": {"bytes": LARGE}});
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let mut input = process.stdin.take().expect("it is a pipe");
    // The pipe is full of requests nearly all the time: this is woken now and then.
    while input.write_all(format!("{request}\n").as_bytes()).await.is_ok() {}
}

async fn count_notifications(mut events: Events, work: Arc<AtomicU64>) {
    while let Some(event) = events.next().await {
        // Whoever is behind is told how many it missed.
        work.fetch_add(
            event.map_or_else(|lagged| lagged.0, |event| matches!(event, Event::Notification { .. }).into()),
            Relaxed,
        );
    }
}
