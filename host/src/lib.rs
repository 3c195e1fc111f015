//! Innkeeper hosts MCP clients as WebAssembly guests.
//!
//! One line divides the work: **the host owns every process, connection, clock and secret; the guest knows the protocol
//! and owns nothing.** So the client logic of one tenant can be replaced under live traffic, is metered and killable, and
//! reaches nothing; and no lifetime depends on client code being correct, because the host alone holds leases, processes
//! and connections.
//!
//! An embedder meets these types, from the outside in:
//!
//! | type | what it is |
//! |---|---|
//! | [`Runtime`] | the wasm engine, the tenants, the session registry, the threads that guests may run on |
//! | [`Tenant`] | a customer of the platform: its catalog of servers and the guest that speaks to them |
//! | [`Lease`] | a counted right to use one session: while one is held, the session is not closed for being idle |
//! | [`Call`] | one request to the server: a future, a source of progress, cancelled by being dropped |
//!
//! ```no_run
//! use innkeeper::{Catalog, ComponentSource, Runtime, Server};
//!
//! # async fn example() -> Result<(), innkeeper::Error> {
//! let runtime = Runtime::builder().start().await?;
//! let guest = runtime.load_component(ComponentSource::Embedded).await?;
//! let acme = runtime
//!     .tenant("acme")
//!     .guest(guest)
//!     .catalog(Catalog::new().server("time", Server::command("mcp-server-time")))
//!     .apply()
//!     .await?;
//!
//! let lease = acme.lease("alice", "time").await?;
//! let arguments = serde_json::json!({ "timezone": "Europe/Vienna" });
//! let result = lease.call_tool("get_current_time", &arguments)?.start().await?;
//! println!("{:?}", result.content);
//!
//! drop(lease);
//! runtime.drain(std::time::Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```
//!
//! # Runtimes of async Rust
//!
//! The library runs on tokio, of either flavour, with time and I/O enabled. [`RuntimeBuilder::start`] remembers the tokio
//! runtime that it is called on; everything else may be dropped anywhere, also outside of one.
#![deny(missing_docs)]
#![cfg_attr(not(unix), allow(dead_code, reason = "what only servers that are commands need"))]

mod api;
pub mod config;
mod error;
#[cfg(test)]
mod explore;
mod future;
pub mod guest;
mod isolation;
mod limits;
pub mod mcp;
mod names;
mod policy;
mod registry;
mod session;
mod telemetry;
pub mod transport;
mod upgrade;

pub use api::{
    Answer, Call, CallBuilder, Catalog, Change, ClosedSession, Diagnosis, DrainReport, Event, Events, Lagged, Lease,
    Plan, PlannedServer, RefuseAll, ReloadReport, Reloaded, Replace, Runtime, RuntimeBuilder, Scope, Server,
    ServerReload, ServerRequest, ServerRequestHandler, SessionKey, SessionStatus, Status, Tenant, TenantBuilder,
    Upgrading, Watch,
};
#[cfg(feature = "config")]
pub use api::{Followed, Following};
pub use error::{Error, MayHaveRun, Phase, ServerError, ServerExit};
pub use guest::{Component, ComponentSource};
pub use isolation::{Isolation, ProcessLimits};
pub use limits::Limits;
pub use names::{SecretName, ServerName, SessionId, SpecDigest, TenantName, UserName};
pub use policy::{Policy, Secret, SecretError, SecretRequest, SecretStore, ToolRules};
pub use session::{BreakerState, CallId, Carried, SessionInfo, SessionState};
pub use transport::{Command, Endpoint};
pub use upgrade::{Return, SessionUpgrade, Upgrade, UpgradeOutcome, UpgradePhase, UpgradeProgress, UpgradeReport};

impl Runtime {
    /// Settings, each with its default.
    pub fn builder() -> RuntimeBuilder {
        // The one place where the neutral core and what speaks the protocol are put together.
        RuntimeBuilder::new(std::sync::Arc::new(mcp::McpEdge::default()))
    }
}

/// The supervisor, as the content of a file: for [`RuntimeBuilder::supervisor`], on systems that forbid to execute it from memory.
/// It belongs to this version of the library.
///
/// # Errors
///
/// [`Error::System`] where the library was built without, and why.
#[cfg(target_os = "linux")]
pub fn supervisor_program() -> Result<&'static [u8], Error> {
    transport::process::PROGRAM
        .map_err(|reason| Error::System { what: "this build has no supervisor", reason: reason.to_owned() })
}
