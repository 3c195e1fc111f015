//! Clients that are closed, replaced and broken: the faults that make programs with many MCP clients pile up tasks, processes and
//! connections over reloads. The list is that of [QwenPaw PR 4152](https://github.com/agentscope-ai/QwenPaw/pull/4152), which
//! mended them one by one, and each test is named after what must hold in place of one of them.
//!
//! Each is written once, and run over streams, in virtual time, and over HTTP. How much *time* a client may take, and what becomes
//! of one under traffic, is the matter of `sessions` and `reloads`; processes are counted in `processes::reloads`.

mod breaks;
mod closes;
mod replaces;
mod site;

use std::time::Duration;

use innkeeper::{Catalog, Error, Lease, Limits, Runtime, Server, Tenant};
use innkeeper_tests::in_process::limits_for_paused_clock;

use site::{Over, Site};

const SERVER: &str = "server";

/// How long a close may take before force is used: longer than any takes over HTTP, on whatever machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// Longer than anything waits by itself.
const HOUR: Duration = Duration::from_secs(3600);

/// Limits under which a test is not hurried by the real time that HTTP takes: what is not about a limit does not meet one.
fn limits() -> Limits {
    let mut limits = limits_for_paused_clock();
    (limits.open, limits.close_input) = (Duration::from_secs(300), Duration::from_secs(300));
    limits
}

async fn house(limits: Limits, catalog: Catalog) -> (Runtime, Tenant) {
    let runtime = Runtime::builder().limits(limits).start().await.unwrap();
    let tenant = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();
    (runtime, tenant)
}

/// A catalog of one server.
fn only(server: Server) -> Catalog {
    Catalog::new().server(SERVER, server)
}

/// A site, and a tenant that has nothing else.
async fn one(over: Over) -> (Site, Runtime, Tenant) {
    let site = Site::new(over, "old").await;
    let (runtime, tenant) = house(limits(), only(site.server())).await;
    (site, runtime, tenant)
}

async fn lease(tenant: &Tenant, user: &str) -> Result<Lease, Error> {
    site::soon(tenant.lease(user, SERVER)).await
}

/// Which server answers, and in which of its sessions.
async fn which(lease: &Lease) -> String {
    serde_json::from_slice(&site::soon(lease.call("which").start()).await.unwrap()).unwrap()
}
