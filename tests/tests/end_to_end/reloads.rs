//! Another catalog for a tenant under traffic: what is touched, what is left alone, and what becomes of calls and leases meanwhile.
//!
//! In virtual time, with servers in process. What becomes of real processes is in `processes::reloads`.

mod followed;
mod orders;
mod replaced;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use innkeeper::{
    Catalog, Runtime, Server, Tenant,
    transport::{Connection, Connector, Framing, connector_fn},
};
use innkeeper_tests::in_process::{Pipes, limits_for_paused_clock};
use serde_json::{Value, json};
use tokio::time::sleep;

/// An edition of a server's definition: a connector of its own, and what it counts.
#[derive(Clone)]
struct Edition {
    connector: Arc<dyn Connector>,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    /// Of them, those that are open.
    open: AtomicUsize,
    /// How many the next fail.
    failures: AtomicUsize,
}

impl Edition {
    /// One that is connected to after a while, and answers calls with its name: the method `slow` after a minute.
    fn new(name: &'static str, connects_in: Duration) -> Self {
        let seen = Arc::<Seen>::default();
        let counts = seen.clone();
        let connector = connector_fn(name, move |_| {
            counts.connections.fetch_add(1, SeqCst);
            let counts = counts.clone();
            async move {
                sleep(connects_in).await;
                if counts.failures.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
                    return Err("it does not want to".to_owned());
                }
                let (ours, pipes) = Pipes::pair();
                tokio::spawn(serve(pipes, name, counts));
                let (reader, writer) = tokio::io::split(ours);
                Ok(Connection::new(reader, writer, Framing::Lines))
            }
        });
        Self { connector, seen }
    }

    fn fails(self, times: usize) -> Self {
        self.seen.failures.store(times, SeqCst);
        self
    }

    fn server(&self) -> Server {
        Server::connector(self.connector.clone())
    }

    fn connections(&self) -> usize {
        self.seen.connections.load(SeqCst)
    }

    fn open(&self) -> usize {
        self.seen.open.load(SeqCst)
    }
}

async fn serve(mut pipes: Pipes, name: &'static str, counts: Arc<Seen>) {
    counts.open.fetch_add(1, SeqCst);
    let (answers, mut answered) = tokio::sync::mpsc::unbounded_channel::<Value>();
    loop {
        tokio::select! {
            line = pipes.line() => {
                let Some(line) = line else { break };
                let message: Value = serde_json::from_str(&line).unwrap();
                let (id, slow) = (message["id"].clone(), message["method"] == "slow");
                if id.is_null() {
                    continue;
                }
                let result = match message["method"].as_str() {
                    Some("initialize") => json!({
                        "protocolVersion": "2025-11-25",
                        "capabilities": { "tools": {} },
                        "serverInfo": { "name": name, "version": "1" },
                    }),
                    Some("tools/list") => json!({ "tools": [{ "name": name, "inputSchema": { "type": "object" } }] }),
                    _ => json!(name),
                };
                let answers = answers.clone();
                tokio::spawn(async move {
                    if slow {
                        sleep(Duration::from_secs(30)).await;
                    }
                    let _ = answers.send(json!({ "jsonrpc": "2.0", "id": id, "result": result }));
                });
            }
            Some(answer) = answered.recv() => pipes.write_line(&answer.to_string()).await,
        }
    }
    counts.open.fetch_sub(1, SeqCst);
}

async fn house() -> Runtime {
    Runtime::builder().limits(limits_for_paused_clock()).start().await.unwrap()
}

async fn acme(runtime: &Runtime, catalog: Catalog) -> Tenant {
    runtime.tenant("acme").catalog(catalog).apply().await.unwrap()
}

fn only(edition: &Edition) -> Catalog {
    Catalog::new().server("server", edition.server())
}

/// Which edition answers whoever leases now.
async fn answers(tenant: &Tenant, user: &str) -> String {
    let lease = tenant.lease(user, "server").await.unwrap();
    serde_json::from_slice(&lease.call("which").start().await.unwrap()).unwrap()
}

const AT_ONCE: Duration = Duration::ZERO;
const SECOND: Duration = Duration::from_secs(1);
