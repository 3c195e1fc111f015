//! What an embedder sees: protocol-neutral. The typed calls of MCP are in [`mcp`](crate::mcp).
//!
//! | file | what it holds |
//! |---|---|
//! | `runtime` | [`Runtime`] and its builder; closing everything |
//! | `tenant` | [`Tenant`] and its builder |
//! | `catalog` | which servers a tenant has |
//! | `admission` | which of its servers a tenant may use |
//! | `digest` | whether two definitions make the same connection |
//! | `plan` | what another catalog would change |
//! | `diagnosis` | what the machine gives for servers |
//! | `current` | what is in force, and may be another in a moment |
//! | `opening` | how a session is made |
//! | `reload` | another catalog for a tenant whose sessions live |
//! | `follow` | what is written to a file, a tenant has |
//! | `edge` | what speaks the protocol by purpose, as this module sees it |
//! | `lease` | [`Lease`]: the right to use a session |
//! | `watch` | [`Watch`]: looking at one |
//! | `call` | [`Call`]: one request |
//! | `handler` | who answers requests of servers |
//! | `events` | what happens, for whoever subscribes |
//! | `status` | what there is, right now |
//! | `observer` | what becomes of a session, told on |
//! | `upgrade` | other guests for sessions that live |
//! | `operation` | what is measured of a call |

mod admission;
mod call;
mod catalog;
mod current;
mod diagnosis;
mod digest;
mod edge;
mod events;
#[cfg(feature = "config")]
mod follow;
mod handler;
mod lease;
mod observer;
mod opening;
mod operation;
mod plan;
mod reload;
mod runtime;
mod status;
mod tenant;
mod upgrade;
mod watch;

pub use crate::registry::SessionKey;
pub use call::{Call, CallBuilder};
pub use catalog::{Catalog, Replace, Scope, Server};
pub use diagnosis::Diagnosis;
pub(crate) use edge::{Edge, IdempotenceHint, TenantEdge};
pub use events::{Event, Events, Lagged};
#[cfg(feature = "config")]
pub use follow::{Followed, Following};
pub use handler::{Answer, RefuseAll, ServerRequest, ServerRequestHandler};
pub use lease::Lease;
pub(crate) use operation::{CallEnded, ConnectionEnded};
pub use plan::{Change, Plan, PlannedServer};
pub use reload::{ReloadReport, Reloaded, ServerReload};
pub use runtime::{ClosedSession, DrainReport, Runtime, RuntimeBuilder};
pub use status::{SessionStatus, Status};
pub(crate) use tenant::WeakTenant;
pub use tenant::{Tenant, TenantBuilder};
pub use upgrade::Upgrading;
pub use watch::Watch;
