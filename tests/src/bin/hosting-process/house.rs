//! A runtime with one tenant, one server, and the leases that a test asked for.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use innkeeper::{Catalog, Command, ComponentSource, Error, Isolation, Lease, Limits, Runtime, Server, Tenant};
use innkeeper_tests::hosting::{self, Answer, Settings};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// The two waits of the ladder: enough for a server that goes by itself, and what most tests here wait for in full.
const LADDER: Duration = Duration::from_millis(100);

/// Far more than the ladder: what takes so long is a fault.
const DRAIN: Duration = Duration::from_secs(10);

/// The name of tokio's threads. It has as many as it has found work for, and ends them when they have had none for a while.
pub(crate) const TOKIO: &str = "tokio";

const TENANT: &str = "acme";
const SERVER: &str = "server";

pub(crate) struct House {
    leases: Vec<Lease>,
    tenant: Tenant,
    runtime: Runtime,
    tokio: Option<tokio::runtime::Runtime>,
    /// How many sessions were ever asked for. Each is a user's.
    users: usize,
}

impl House {
    pub(crate) fn open(settings: Settings) -> Self {
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name(TOKIO)
            .enable_all()
            .build()
            .expect("tokio starts");
        let (runtime, tenant) = tokio.block_on(start(settings)).expect("the runtime starts");
        Self { leases: Vec::new(), tenant, runtime, tokio: Some(tokio), users: 0 }
    }

    pub(crate) fn lease(&mut self, sessions: usize) -> Answer {
        let opened = self.run(lease_all(self.tenant.clone(), self.users, sessions))?;
        self.users += sessions;
        let leases = opened.map_err(|error| error.to_string())?;
        let processes = leases.iter().map(|lease| lease.info().process).collect();
        self.leases.extend(leases);
        Ok(processes)
    }

    pub(crate) fn begin_to_lease(&mut self) -> Answer {
        let (tenant, user) = (self.tenant.clone(), self.users);
        self.users += 1;
        let tokio = self.tokio.as_ref().ok_or("tokio is gone")?;
        tokio.spawn(async move { tenant.lease(user.to_string(), SERVER).await.map(drop) });
        Ok(Value::Null)
    }

    pub(crate) fn call_tool(&self, session: usize, tool: &str, arguments: &Value) -> Answer {
        let lease = self.leases.get(session).ok_or("there is no such session")?;
        let call = async { lease.call_tool(tool, arguments)?.start().await };
        let result = self.run(call)?.map_err(|error| error.to_string())?;
        let result: Value = serde_json::from_slice(&result.raw).map_err(|error| error.to_string())?;
        Ok(result["content"][0]["text"].clone())
    }

    /// Has the guests of all sessions fail.
    pub(crate) fn fail(&self, method: &str) -> Answer {
        let mut errors = Vec::new();
        for lease in &self.leases {
            let outcome = self.run(async { lease.call(method).start().await })?;
            errors.push(outcome.err().ok_or("the guest did not fail")?.to_string());
        }
        Ok(json!(errors))
    }

    pub(crate) fn release(&mut self) -> Answer {
        self.leases.clear();
        Ok(Value::Null)
    }

    pub(crate) fn drain(&self) -> Answer {
        let report = self.run(self.runtime.drain(DRAIN))?;
        let gone = report.closed.iter().filter(|session| session.gone).count();
        if gone == report.closed.len() { Ok(json!(gone)) } else { Err(format!("{report:?}")) }
    }

    /// Drops the future of a drain when it has begun, which it has when it was polled once.
    pub(crate) fn abandon_drain(&self) -> Answer {
        let ended = self.run(async {
            let mut drain = pin!(self.runtime.drain(DRAIN));
            poll_fn(|context| Poll::Ready(drain.as_mut().poll(context).is_ready())).await
        })?;
        if ended { Err("there was nothing to close".into()) } else { Ok(Value::Null) }
    }

    pub(crate) fn rounds(&self, rounds: usize, sessions: usize) -> Answer {
        let round = async {
            for _ in 0..rounds {
                let leases = lease_all(self.tenant.clone(), 0, sessions).await.map_err(|error| error.to_string())?;
                let report = self.tenant.close(DRAIN).await;
                if report.closed.len() != leases.len() || report.closed.iter().any(|session| !session.gone) {
                    return Err(format!("{report:?}"));
                }
            }
            Ok(Value::Null)
        };
        self.run(round)?
    }

    pub(crate) fn drop_tokio(&mut self) -> Answer {
        drop(self.tokio.take());
        Ok(Value::Null)
    }

    fn run<T>(&self, future: impl Future<Output = T>) -> Result<T, String> {
        self.tokio.as_ref().map(|tokio| tokio.block_on(future)).ok_or_else(|| "tokio is gone".into())
    }
}

async fn start(settings: Settings) -> Result<(Runtime, Tenant), Error> {
    let mut limits = Limits::default();
    limits.sessions_per_tenant = 1_000;
    limits.close_input = LADDER;
    limits.close_terminate = LADDER;
    if settings.reaps_at_once {
        limits.idle = Duration::ZERO;
    }
    let runtime = Runtime::builder().limits(limits).start().await?;
    let command = settings
        .env
        .into_iter()
        .fold(Command::new(settings.program).args(settings.args), |command, (name, value)| command.env(name, value));
    let isolation = match settings.isolation {
        hosting::Isolation::Guarded => Isolation::Guarded,
        hosting::Isolation::Basic => Isolation::Basic,
    };
    let catalog = Catalog::new().server(SERVER, Server::command(command).isolation(isolation));
    let mut tenant = runtime.tenant(TENANT).catalog(catalog);
    if let Some(guest) = settings.guest {
        tenant = tenant.guest(runtime.load_component(ComponentSource::File(guest)).await?);
    }
    let tenant = tenant.apply().await?;
    Ok((runtime, tenant))
}

/// Leases of the sessions of so many users, in their order.
async fn lease_all(tenant: Tenant, first: usize, count: usize) -> Result<Vec<Lease>, Error> {
    let mut opening = JoinSet::new();
    for user in first..first + count {
        let tenant = tenant.clone();
        opening.spawn(async move { (user, tenant.lease(user.to_string(), SERVER).await) });
    }
    let mut opened = opening.join_all().await;
    opened.sort_by_key(|(user, _)| *user);
    opened.into_iter().map(|(_, lease)| lease).collect()
}
