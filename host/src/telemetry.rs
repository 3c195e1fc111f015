//! Metrics of ours, through the `metrics` facade: what there is of each tenant, and what happened to it.
//!
//! Those that the protocol has names for are in the edge that speaks it. All are in `docs/telemetry.md`.

use metrics::{SharedString, counter, gauge};

use crate::{Error, names::TenantName};

fn label(tenant: &TenantName) -> SharedString {
    SharedString::from(tenant.shared())
}

/// Leases were minted or given back.
pub(crate) fn leases(tenant: &TenantName, more: f64) {
    gauge!("innkeeper.leases", "innkeeper.tenant" => label(tenant)).increment(more);
}

/// Sessions are there, or are gone.
pub(crate) fn sessions(tenant: &TenantName, more: f64) {
    gauge!("innkeeper.sessions", "innkeeper.tenant" => label(tenant)).increment(more);
}

/// An idle session was closed for another of its tenant.
pub(crate) fn evicted(tenant: &TenantName) {
    counter!("innkeeper.sessions.evicted", "innkeeper.tenant" => label(tenant)).increment(1);
}

/// A session has a connection.
pub(crate) fn connected(tenant: &TenantName) {
    counter!("innkeeper.connections", "innkeeper.tenant" => label(tenant)).increment(1);
}

/// A session has lost its connection, or could not make one.
pub(crate) fn connection_lost(tenant: &TenantName, error: &Error) {
    let (tenant, code) = (label(tenant), error.code());
    counter!("innkeeper.connections.lost", "innkeeper.tenant" => tenant, "error.type" => code).increment(1);
}

/// Processes of sessions that are alive.
pub(crate) fn children(alive: usize) {
    // Never as many as a float could not count.
    gauge!("innkeeper.children_alive").set(alive as f64);
}
