//! The servers of a run: each connection meets one of some temper, and all note what they see.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use innkeeper::{
    SessionId, TenantName,
    transport::{BoxFuture, ConnectContext, ConnectError, Connection, Connector, ExitStatus, Framing, Peer},
};
use tokio::{
    io::{duplex, split},
    sync::{Notify, mpsc},
    time::sleep,
};

use super::{
    conversation,
    plan::{Order, Random},
};

/// Bytes that a pipe holds, as one of the system does.
const PIPE: usize = 64 * 1024;

/// How a server treats one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Temper {
    Honest,
    /// Takes so long until it is connected to.
    Slow(Duration),
    /// Cannot be connected to.
    Unreachable,
    /// Cuts the connection at once.
    Curt,
    /// Never answers `initialize`.
    Mute,
    /// Answers `initialize` with an error.
    Unwelcoming,
    /// Ends after so many calls.
    Mortal(u32),
    /// Answers, before each call, others that there are not.
    Liar,
    /// Takes a while to end.
    SlowToEnd,
    /// Ends only when it is killed.
    Stubborn,
}

impl Temper {
    fn of(random: &mut Random) -> Self {
        random.weighted(&[
            (12, Self::Honest),
            (2, Self::Slow(Duration::from_millis(700))),
            // Longer than opening a session may take.
            (1, Self::Slow(Duration::from_secs(10))),
            (1, Self::Unreachable),
            (1, Self::Curt),
            (1, Self::Mute),
            (1, Self::Unwelcoming),
            (2, Self::Mortal(0)),
            (2, Self::Mortal(2)),
            (2, Self::Liar),
            (2, Self::SlowToEnd),
            (1, Self::Stubborn),
        ])
    }
}

/// All servers of a run.
#[derive(Clone)]
pub(super) struct Servers(Arc<Mutex<Seen>>);

struct Seen {
    seed: u64,
    /// How often each server of a tenant was connected to.
    connected: BTreeMap<(usize, usize), usize>,
    /// Connections that the host has not let go of, by their number, and whose session each is of.
    held: BTreeMap<usize, (TenantName, SessionId)>,
    /// Sessions of a tenant that may have connections at a time.
    sessions_per_tenant: usize,
    connections: usize,
    /// Servers that run.
    running: BTreeMap<usize, mpsc::UnboundedSender<Order>>,
    /// How often each call has come to a server.
    calls: BTreeMap<u64, usize>,
    faults: Vec<String>,
}

impl Servers {
    pub(super) fn new(seed: u64, sessions_per_tenant: usize) -> Self {
        Self(Arc::new(Mutex::new(Seen {
            seed,
            connected: BTreeMap::new(),
            held: BTreeMap::new(),
            sessions_per_tenant,
            connections: 0,
            running: BTreeMap::new(),
            calls: BTreeMap::new(),
            faults: Vec::new(),
        })))
    }

    /// One of them, for a tenant.
    pub(super) fn server(&self, tenant: usize, server: usize) -> Arc<dyn Connector> {
        Arc::new(ServerOf { servers: self.clone(), tenant, server })
    }

    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// Tells one that runs what to do.
    pub(super) fn order(&self, which: usize, order: Order) -> bool {
        self.seen(|seen| {
            let running: Vec<_> = seen.running.values().collect();
            !running.is_empty() && running[which % running.len()].send(order).is_ok()
        })
    }

    pub(super) fn call_came(&self, call: u64) {
        self.seen(|seen| *seen.calls.entry(call).or_default() += 1);
    }

    /// How often a call has come to a server.
    pub(super) fn times(&self, call: u64) -> usize {
        self.seen(|seen| seen.calls.get(&call).copied().unwrap_or_default())
    }

    /// Connections that the host has, and servers that run.
    pub(super) fn open(&self) -> (usize, usize) {
        self.seen(|seen| (seen.held.len(), seen.running.len()))
    }

    /// What must not have happened.
    pub(super) fn faults(&self) -> Vec<String> {
        self.seen(|seen| seen.faults.clone())
    }

    fn hold(&self, connection: usize, context: &ConnectContext) {
        self.seen(|seen| {
            seen.held.insert(connection, (context.tenant.clone(), context.session));
            let of_tenant = seen.held.values().filter(|(tenant, _)| *tenant == context.tenant);
            let sessions: BTreeSet<_> = of_tenant.map(|(_, session)| session).collect();
            if sessions.len() > seen.sessions_per_tenant {
                let fault = format!("{} sessions of {} have connections", sessions.len(), context.tenant);
                seen.faults.push(fault);
            }
        });
    }
}

/// One server of one tenant.
struct ServerOf {
    servers: Servers,
    tenant: usize,
    server: usize,
}

impl Connector for ServerOf {
    fn describe(&self) -> String {
        format!("server {} of tenant {}", self.server, self.tenant)
    }

    fn connect(&self, context: ConnectContext) -> BoxFuture<'static, Result<Connection, ConnectError>> {
        let servers = self.servers.clone();
        let (number, mut random) = servers.seen(|seen| {
            let times = seen.connected.entry((self.tenant, self.server)).or_default();
            *times += 1;
            let random = Random::of(seen.seed, [1, self.tenant, self.server, *times]);
            seen.connections += 1;
            (seen.connections, random)
        });
        let temper = Temper::of(&mut random);
        Box::pin(async move {
            match temper {
                Temper::Slow(time) => sleep(time).await,
                Temper::Unreachable => return Err(ConnectError::new("it is not there")),
                _ => {}
            }
            let (ours, theirs) = duplex(PIPE);
            let running = Running::begin(&servers, number);
            tokio::spawn(conversation::serve(running, theirs, temper));
            servers.hold(number, &context);
            let (reader, writer) = split(ours);
            let peer = ServerPeer { servers, number, temper, closed: Arc::default(), killed: Arc::default() };
            Ok(Connection::with_peer(reader, writer, Framing::Lines, peer))
        })
    }
}

/// A server that runs, until it is dropped.
pub(super) struct Running {
    pub(super) servers: Servers,
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
    number: usize,
}

impl Running {
    fn begin(servers: &Servers, number: usize) -> Self {
        let (sender, orders) = mpsc::unbounded_channel();
        servers.seen(|seen| seen.running.insert(number, sender));
        Self { servers: servers.clone(), orders, number }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.servers.seen(|seen| seen.running.remove(&self.number));
    }
}

/// What the host has of a server. Dropped when it has let go of the connection.
struct ServerPeer {
    servers: Servers,
    number: usize,
    temper: Temper,
    closed: Arc<Notify>,
    killed: Arc<Notify>,
}

impl Peer for ServerPeer {
    fn ended(&self) -> Option<BoxFuture<'static, ExitStatus>> {
        let (closed, killed) = (self.closed.clone(), self.killed.clone());
        match self.temper {
            Temper::SlowToEnd => Some(Box::pin(async move {
                closed.notified().await;
                sleep(Duration::from_millis(500)).await;
                ExitStatus::default()
            })),
            Temper::Stubborn => Some(Box::pin(async move {
                killed.notified().await;
                ExitStatus::default()
            })),
            _ => None,
        }
    }

    fn close(&self) {
        self.closed.notify_one();
    }

    fn kill(&self) {
        self.killed.notify_one();
    }
}

impl Drop for ServerPeer {
    fn drop(&mut self) {
        self.servers.seen(|seen| seen.held.remove(&self.number));
    }
}
