//! Servers of MCP over HTTP, with the guest that everybody gets. What the host does with an exchange is tested with a guest of
//! its own; this is about both together: what reaches a server, and what a caller hears of it.

mod everything;
mod old;
mod refusals;
mod replies;
mod session;
mod unasked;

use std::time::Duration;

use innkeeper::{
    Catalog, Endpoint, Lease, Runtime, RuntimeBuilder, Server, Tenant,
    mcp::{ToolCall, ToolResult},
};
use innkeeper_tests::{
    http::BOUND,
    remote::{Manner, Remote},
};
use serde_json::json;
use tokio::time::timeout;

/// A runtime with one server.
struct House {
    runtime: Runtime,
    tenant: Tenant,
}

impl House {
    async fn of(remote: &Remote) -> Self {
        Self::at(remote.url()).await
    }

    async fn at(endpoint: impl Into<Endpoint>) -> Self {
        Self::with(Runtime::builder(), endpoint).await
    }

    async fn with(builder: RuntimeBuilder, endpoint: impl Into<Endpoint>) -> Self {
        let runtime = builder.start().await.unwrap();
        let server = Server::url(endpoint).open_timeout(BOUND).call_timeout(BOUND);
        let tenant = runtime.tenant("acme").catalog(Catalog::new().server("remote", server)).apply().await.unwrap();
        Self { runtime, tenant }
    }

    /// A session that is open.
    async fn lease(&self) -> Lease {
        let lease = self.opened().await.unwrap();
        assert_eq!(lease.info().incarnation, 1);
        lease
    }

    async fn opened(&self) -> Result<Lease, innkeeper::Error> {
        timeout(BOUND, self.tenant.lease("alice", "remote")).await.expect("opening is bounded")
    }

    /// Closes everything, in time.
    async fn close(self) {
        let report = self.runtime.drain(Duration::from_secs(5)).await;
        assert!(report.closed.iter().all(|session| session.in_time && session.gone), "{report:?}");
    }
}

fn start(lease: &Lease, tool: &str) -> ToolCall {
    lease.call_tool(tool, &json!({ "message": "hello" })).unwrap().deadline(BOUND).start()
}

/// Calls a tool and gives its result as one text.
async fn call(lease: &Lease, tool: &str) -> String {
    said(&ended(start(lease, tool)).await.unwrap())
}

async fn ended(call: ToolCall) -> Result<ToolResult, innkeeper::Error> {
    timeout(2 * BOUND, call).await.expect("a call is bounded")
}

fn said(result: &ToolResult) -> String {
    let result: serde_json::Value = serde_json::from_slice(&result.raw).unwrap();
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

/// Both forms of replies.
const FORMS: [Manner; 2] = [
    Manner { events: false, sessions: true, listening: true, channel: false },
    Manner { events: true, sessions: true, listening: true, channel: false },
];
