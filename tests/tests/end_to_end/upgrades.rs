//! Guests replaced while their sessions live: what goes on, what is left to its holders, what begins anew, and what goes back.
//!
//! The other guest is the candidate of `tests/guests`, with a fault where a file is about faults. Servers are in process, so that they
//! can count what they were told; those of `crowds` have real processes beside them.

mod candidates;
mod crowds;
mod drained;
mod fleets;
mod live;

use innkeeper::{Lease, Runtime, Tenant};
use innkeeper_tests::in_process::limits_for_paused_clock;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::sessions::{Scripted, open, scripted, tenant_of};

/// A tenant with one session, and the server's end of it.
struct Scene {
    runtime: Runtime,
    tenant: Tenant,
    lease: Lease,
    server: Scripted,
    servers: mpsc::UnboundedReceiver<Scripted>,
}

impl Scene {
    /// One with a clock that stands still.
    async fn paused() -> Self {
        Self::of(Runtime::builder().limits(limits_for_paused_clock())).await
    }

    async fn of(builder: innkeeper::RuntimeBuilder) -> Self {
        let (connector, mut servers) = scripted();
        let (runtime, tenant) = tenant_of(builder, connector).await;
        let (lease, server) = open(&tenant, &mut servers).await;
        Self { runtime, tenant, lease, server, servers }
    }

    /// A call that the server has read and not answered, and its request there.
    async fn call(&mut self) -> (innkeeper::Call, Value) {
        let call = self.lease.call("work").params(&json!({ "part": 1 })).start();
        let request = self.server.message().await.unwrap();
        (call, request)
    }

    fn guest(&self) -> String {
        self.lease.info().guest.clone()
    }

    fn incarnation(&self) -> u32 {
        self.lease.info().incarnation
    }
}
