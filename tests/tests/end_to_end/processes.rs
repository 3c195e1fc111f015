//! The processes of servers, as an embedder sees them: what they get, what is said of them, and how they end.
//!
//! What is left of them under torture has a program of its own, `supervisor`. Here a runtime is used as it is meant to be. A
//! file is a subject; this one has what they share.

mod closing;
mod ends;
mod folders;
mod isolation;
mod limits;
mod package_runners;
mod reloads;
mod status;

use std::{collections::BTreeMap, future::Future, time::Duration};

use innkeeper::{Catalog, Command, Error, Lease, Limits, Runtime, RuntimeBuilder, Server, Tenant};
use innkeeper_tests::{
    artifacts,
    awkward::{Scenario, tool},
    processes::Marker,
};
use serde_json::{Value, json};
use tokio::time::timeout;

/// Far more than anything here takes on a busy machine, and less than the time that opening a session may take, so that it is
/// never that which ends a wait.
const BOUND: Duration = Duration::from_secs(20);

const SERVER: &str = "server";

/// Variables that lead programs which load packages to a port that nobody listens at, in place of a network.
pub(crate) const WITHOUT_NETWORK: [(&str, &str); 4] = [
    ("HTTP_PROXY", "http://127.0.0.1:9/"),
    ("HTTPS_PROXY", "http://127.0.0.1:9/"),
    ("ALL_PROXY", "http://127.0.0.1:9/"),
    ("npm_config_registry", "http://127.0.0.1:9/"),
];

/// A runtime that does not wait long for servers that do not go.
fn builder() -> RuntimeBuilder {
    let mut limits = Limits::default();
    limits.close_input = Duration::from_millis(100);
    limits.close_terminate = Duration::from_millis(100);
    Runtime::builder().limits(limits)
}

/// An awkward server with a mark.
fn command(scenario: Scenario, marker: &Marker) -> Command {
    let found = artifacts::awkward_server(scenario);
    Command::new(found.program.to_str().unwrap()).args(found.args).env(Marker::VARIABLE, marker.value())
}

/// A tenant with one server.
async fn tenant(runtime: &Runtime, name: &str, server: Server) -> Tenant {
    runtime.tenant(name).catalog(Catalog::new().server(SERVER, server)).apply().await.unwrap()
}

async fn lease(tenant: &Tenant, user: &str) -> Result<Lease, Error> {
    in_time(tenant.lease(user, SERVER)).await
}

/// The text that a tool answers with.
async fn said(lease: &Lease, tool: &str) -> String {
    let result = in_time(lease.call_tool(tool, &json!({})).unwrap().start()).await.unwrap();
    let result: Value = serde_json::from_slice(&result.raw).unwrap();
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

/// What a server has in its environment.
async fn environment(lease: &Lease) -> BTreeMap<String, String> {
    let listed = said(lease, tool::ENVIRONMENT).await;
    let pairs = listed.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Closes all sessions of a runtime. None leaves anything.
async fn close(runtime: &Runtime) {
    let report = in_time(runtime.drain(BOUND)).await;
    assert!(report.closed.iter().all(|session| session.gone), "{report:?}");
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(BOUND, future).await.expect("it takes too long")
}

/// Waits until something is so, looking again whenever there is nothing else to do: for what there is no event for.
async fn until(mut so: impl FnMut() -> bool) {
    in_time(async {
        while !so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
