//! What a tenant may use, what it may bring, and what its servers are given that nobody else sees.
//!
//! Which rule says what has unit tests beside the code. Here it is whether the rule holds: that a server which is denied is not
//! started, and one which is allowed is what was allowed. A file is a subject; this one has what they share.

mod definitions;
mod guests;
mod masking;
mod plan;
mod secrets;
mod servers;

use std::{future::Future, path::PathBuf, time::Duration};

use innkeeper::{Command, Error, Limits, Runtime, RuntimeBuilder};
use innkeeper_tests::{artifacts, awkward::Scenario, processes::Marker};
use tokio::time::timeout;

/// Far more than anything here takes on a busy machine.
const BOUND: Duration = Duration::from_secs(20);

/// A runtime that does not wait long for servers that do not go.
fn builder() -> RuntimeBuilder {
    let mut limits = Limits::default();
    limits.close_input = Duration::from_millis(100);
    limits.close_terminate = Duration::from_millis(100);
    Runtime::builder().limits(limits)
}

/// The file of the awkward server.
fn program() -> PathBuf {
    artifacts::awkward_server(Scenario::Plain).program
}

/// An awkward server with a mark.
fn command(scenario: Scenario, marker: &Marker) -> Command {
    let found = artifacts::awkward_server(scenario);
    Command::new(found.program.to_str().unwrap()).args(found.args).env(Marker::VARIABLE, marker.value())
}

/// That no process was ever started: the first one would have had a supervisor.
#[track_caller]
fn assert_nothing_was_started(runtime: &Runtime, marker: &Marker) {
    let status = runtime.status();
    assert_eq!((status.sessions.len(), status.children_alive, status.supervisor), (0, 0, None), "{status:?}");
    assert_eq!(marker.processes(), [0; 0]);
}

/// What is said of something that is denied.
#[track_caller]
fn denied<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(error @ Error::Denied { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(BOUND, future).await.expect("it takes too long")
}
