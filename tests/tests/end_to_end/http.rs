//! HTTP, from the guest's request to the bytes of a server and back. The guest is one that makes the exchanges that it is told to
//! and says what it was told of them; the server writes exact bytes.

mod answers;
mod calls;
mod closing;
mod credentials;
mod exchanges;
mod guest_faults;
mod redirects;
mod streams;

use std::time::Duration;

use innkeeper::{Call, Catalog, Component, ComponentSource, Lease, Limits, Runtime, RuntimeBuilder, Server, Tenant};
use innkeeper_tests::{artifacts, http::BOUND};
use tokio::time::timeout;

/// A runtime with the guest.
struct House {
    runtime: Runtime,
    guest: Component,
}

impl House {
    async fn new() -> Self {
        Self::of(Runtime::builder()).await
    }

    async fn with(change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits::default();
        change(&mut limits);
        Self::of(Runtime::builder().limits(limits)).await
    }

    async fn of(builder: RuntimeBuilder) -> Self {
        let runtime = builder.start().await.unwrap();
        let guest = ComponentSource::File(artifacts::guest("innkeeper-courier-guest"));
        let guest = runtime.load_component(guest).await.unwrap();
        Self { runtime, guest }
    }

    async fn tenant(&self, name: &str, server: Server) -> Tenant {
        let catalog = Catalog::new().server("remote", server);
        self.runtime.tenant(name).guest(self.guest.clone()).catalog(catalog).apply().await.unwrap()
    }

    /// A session with a server.
    async fn lease(&self, server: impl Into<innkeeper::Endpoint>) -> Lease {
        self.tenant("acme", Server::url(server)).await.lease("alice", "remote").await.unwrap()
    }

    /// Closes everything, and says whether all of it ended in time.
    async fn drain(&self) -> bool {
        let report = self.runtime.drain(Duration::from_secs(5)).await;
        report.closed.iter().all(|session| session.in_time && session.gone)
    }
}

/// Makes a call with a request as it is written.
fn call(lease: &Lease, method: &str, request: &str) -> Call {
    lease.call(method).raw_params(request.to_owned().into()).deadline(BOUND).start()
}

/// What the guest was told of an exchange.
async fn fetch(lease: &Lease, request: &str) -> String {
    text(call(lease, "fetch", request)).await
}

async fn text(call: Call) -> String {
    let result = timeout(2 * BOUND, call).await.expect("a call is bounded").expect("the guest completes it");
    String::from_utf8(result.to_vec()).unwrap()
}

/// Why a call failed.
async fn error(call: Call) -> innkeeper::Error {
    timeout(2 * BOUND, call).await.expect("a call is bounded").expect_err("the call fails")
}
