//! Calls, leases and sessions, in virtual time: what is promised about deadlines, cancellation, idleness and closing.
//!
//! The servers here keep to the protocol and do the rest as a test says, step by step. A file is a subject; this one has what
//! they share.

mod bounds;
mod cancellation;
mod closing;
mod deadlines;
mod end;
mod errors;
mod eviction;
mod given_up;
mod leases;
mod neighbours;
mod opening;
mod questions;
mod reconnect;
mod scope;
mod telemetry;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use innkeeper::{
    Catalog, Component, ComponentSource, Limits, Runtime, RuntimeBuilder, Server, Tenant,
    transport::{ConnectContext, Connection, Connector, Framing, connector_fn},
};
use innkeeper_tests::in_process::{self, Pipes};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// A server that answers the handshake by itself and leaves the rest to a test.
pub(crate) struct Scripted {
    pub(crate) pipes: Pipes,
}

impl Scripted {
    /// The next message that is not part of the handshake; none when the client is gone.
    pub(crate) async fn message(&mut self) -> Option<Value> {
        loop {
            let message: Value = serde_json::from_str(&self.pipes.line().await?).unwrap();
            match message["method"].as_str() {
                Some("initialize") => {
                    let info = json!({ "name": "scripted", "version": "1" });
                    let result = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": info });
                    self.answer(&message, result).await;
                }
                Some("notifications/initialized") => {}
                _ => return Some(message),
            }
        }
    }

    pub(crate) async fn answer(&mut self, request: &Value, result: Value) {
        self.say(json!({ "jsonrpc": "2.0", "id": request["id"], "result": result })).await;
    }

    /// Reports how far a call is.
    pub(crate) async fn progress(&mut self, call: &Value, step: u32) {
        let params = json!({ "progressToken": call["params"]["_meta"]["progressToken"], "progress": step });
        self.say(json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })).await;
    }

    pub(crate) async fn say(&mut self, message: Value) {
        self.pipes.write_line(&message.to_string()).await;
    }

    /// Answers every call with its own method.
    pub(crate) async fn obey(mut self) {
        while let Some(message) = self.message().await {
            if !message["id"].is_null() {
                self.answer(&message, message["method"].clone()).await;
            }
        }
    }
}

/// A connector, and the server's end of each connection that it makes.
pub(crate) fn scripted() -> (Arc<dyn Connector>, mpsc::UnboundedReceiver<Scripted>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let connector = in_process::server(Framing::Lines, move |pipes| {
        let _ = sender.send(Scripted { pipes });
        async {}
    });
    (connector, receiver)
}

/// What a server is to whoever connects to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// It answers every call with its own method.
    Obeys,
    /// Connecting to it takes for ever.
    NeverConnects,
    /// It reads, and says nothing.
    NeverGreets,
    /// It does the handshake, and answers no call.
    NeverAnswers,
    /// It ends before the handshake.
    Ends,
}

/// A connector to servers that each have a manner.
fn mannered(manner: impl Fn(&ConnectContext) -> Manner + Send + Sync + 'static) -> Arc<dyn Connector> {
    connector_fn("one with manners", move |context| {
        let manner = manner(&context);
        async move {
            let (ours, mut pipes) = Pipes::pair();
            match manner {
                Manner::NeverConnects => std::future::pending().await,
                Manner::NeverGreets => drop(tokio::spawn(async move { pipes.drain().await })),
                Manner::NeverAnswers => {
                    let mut server = Scripted { pipes };
                    tokio::spawn(async move { while server.message().await.is_some() {} });
                }
                Manner::Obeys => drop(tokio::spawn(Scripted { pipes }.obey())),
                Manner::Ends => drop(pipes),
            }
            let (reader, writer) = tokio::io::split(ours);
            Ok(Connection::new(reader, writer, Framing::Lines))
        }
    })
}

/// Whether something needs no time at all.
async fn at_once<T>(work: impl Future<Output = T>) -> T {
    let began = tokio::time::Instant::now();
    let done = work.await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    done
}

pub(crate) async fn tenant_of(builder: RuntimeBuilder, connector: Arc<dyn Connector>) -> (Runtime, Tenant) {
    let runtime = builder.start().await.unwrap();
    let catalog = Catalog::new().server("scripted", Server::connector(connector));
    let tenant = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();
    (runtime, tenant)
}

/// A runtime, and what it takes to make tenants of it: compiling the guest is most of what a tenant costs, so a test of many
/// does it once.
struct House {
    runtime: Runtime,
    guest: Component,
}

impl House {
    async fn with(limits: Limits) -> Self {
        let runtime = Runtime::builder().limits(limits).start().await.unwrap();
        let guest = runtime.load_component(ComponentSource::Embedded).await.unwrap();
        Self { runtime, guest }
    }

    /// A tenant with one server.
    async fn tenant(&self, name: &str, server: Server) -> Tenant {
        let catalog = Catalog::new().server("scripted", server);
        self.runtime.tenant(name).guest(self.guest.clone()).catalog(catalog).apply().await.unwrap()
    }
}

/// A tenant whose server obeys, and how often it was connected to.
async fn obedient(builder: RuntimeBuilder) -> (Runtime, Tenant, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    let connector = in_process::server(Framing::Lines, move |pipes| {
        count.fetch_add(1, SeqCst);
        Scripted { pipes }.obey()
    });
    let (runtime, tenant) = tenant_of(builder, connector).await;
    (runtime, tenant, connections)
}

/// Leases the session and takes the server's end of it.
pub(crate) async fn open(
    tenant: &Tenant,
    servers: &mut mpsc::UnboundedReceiver<Scripted>,
) -> (innkeeper::Lease, Scripted) {
    let (sender, first) = tokio::sync::oneshot::channel();
    let mut server = None;
    let lease = tokio::join!(tenant.lease("alice", "scripted"), async {
        let mut opened = servers.recv().await.unwrap();
        // Nothing but the handshake comes before the lease is there.
        let _ = tokio::time::timeout(Duration::from_millis(1), opened.message()).await;
        let _ = sender.send(opened);
    })
    .0
    .unwrap();
    if let Ok(opened) = first.await {
        server = Some(opened);
    }
    (lease, server.unwrap())
}
