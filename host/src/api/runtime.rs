//! The runtime: what all tenants share, and the end of all of it.

#[cfg(target_os = "linux")]
use std::path::PathBuf;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use serde::Serialize;
use tokio::{
    sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard, Semaphore, broadcast},
    task::{AbortHandle, JoinSet},
    time::{Instant, timeout_at},
};

use super::{Edge, Event, Events, RefuseAll, ServerRequestHandler, SessionKey, Status, TenantBuilder, Upgrading};
#[cfg(not(unix))]
use crate::transport::Census;
#[cfg(unix)]
use crate::transport::process::{PrivateFolders, Supervisors};
use crate::{
    Error, Isolation, Limits,
    guest::{Component, ComponentSource, GuestEngine},
    limits::LONGEST,
    names::{ServerName, SessionId, TenantName},
    policy::{NoSecrets, SecretStore},
    registry::{Key, Registry, reap_idle},
    session::{Places, Session, Threads},
    telemetry,
    upgrade::{Fleet, Guests, Upgrade},
};

/// After the deadline of a drain has passed and everything was killed: how long the ends of tasks and processes may take.
const AFTER_KILL: Duration = Duration::from_secs(6);

/// The host of guests: the wasm engine, the tenants, the sessions and their processes. Cheap to clone.
///
/// Dropping the last of a runtime, its tenants and its leases closes all sessions without waiting for them;
/// [`Runtime::drain`] waits.
#[derive(Clone)]
pub struct Runtime {
    pub(super) shared: Arc<Shared>,
}

/// What everything of one runtime holds on to.
pub(super) struct Shared {
    pub(super) limits: Arc<Limits>,
    pub(super) engine: Arc<GuestEngine>,
    pub(super) registry: Arc<Registry>,
    /// Places of the sessions of all tenants.
    pub(super) places: Arc<Semaphore>,
    /// What the sessions of all tenants run on.
    pub(super) threads: Threads,
    pub(super) handler: Arc<dyn ServerRequestHandler>,
    pub(super) edge: Arc<dyn Edge>,
    pub(super) secrets: Arc<dyn SecretStore>,
    pub(super) client_info: Bytes,
    pub(super) tokio: tokio::runtime::Handle,
    pub(super) events: broadcast::Sender<Event>,
    #[cfg(unix)]
    pub(super) supervisors: Arc<Supervisors>,
    #[cfg(unix)]
    pub(super) folders: Arc<PrivateFolders>,
    allows_basic_isolation: bool,
    tenants: Mutex<Tenants>,
    /// The guest of tenants that bring none. None: nobody has needed it yet.
    guest: AsyncMutex<Option<Component>>,
    /// The last number that was given to something of which there may be another with the same name.
    numbers: AtomicU64,
    reaping: AbortHandle,
}

/// Who is there, and what they may not all have at a time.
#[derive(Default)]
struct Tenants {
    names: BTreeMap<TenantName, Fleet>,
    /// Whether there ever were several at a time: what one of them left behind outlives it.
    had_several: bool,
    /// Whether a server with [`Isolation::Basic`] was ever leased: it may live, and do harm, for as long as the runtime.
    had_basic: bool,
}

/// Settings of a [`Runtime`].
#[must_use = "a runtime is made by `start`"]
pub struct RuntimeBuilder {
    limits: Limits,
    handler: Arc<dyn ServerRequestHandler>,
    edge: Arc<dyn Edge>,
    secrets: Arc<dyn SecretStore>,
    client_info: serde_json::Value,
    #[cfg(target_os = "linux")]
    supervisor: Option<PathBuf>,
    allows_basic_isolation: bool,
}

impl RuntimeBuilder {
    /// Settings, each with its default.
    pub(crate) fn new(edge: Arc<dyn Edge>) -> Self {
        Self {
            limits: Limits::default(),
            handler: Arc::new(RefuseAll),
            edge,
            secrets: Arc::new(NoSecrets),
            client_info: serde_json::json!({ "name": "innkeeper", "version": env!("CARGO_PKG_VERSION") }),
            #[cfg(target_os = "linux")]
            supervisor: None,
            allows_basic_isolation: false,
        }
    }

    /// The bounds of everything. Default: [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Who answers requests of servers. Default: [`RefuseAll`].
    pub fn server_requests(mut self, handler: impl ServerRequestHandler) -> Self {
        self.handler = Arc::new(handler);
        self
    }

    /// Where the secrets are kept that catalogs name, by [`Command::env_secret`](crate::Command::env_secret),
    /// [`Endpoint::bearer_secret`](crate::Endpoint::bearer_secret) and the like, or as `${secret:NAME}`. Default: nowhere, and a server that names one is [`Error::Start`].
    pub fn secrets(mut self, store: impl SecretStore) -> Self {
        self.secrets = Arc::new(store);
        self
    }

    /// What servers are told of the client: a name and a version. Default: this crate's.
    pub fn client_info(mut self, name: &str, version: &str) -> Self {
        self.client_info = serde_json::json!({ "name": name, "version": version });
        self
    }

    /// The file of the supervisor, which starts servers and ends them. Default: the one in this library, executed from
    /// memory. It takes a file where the system forbids that; [`supervisor_program`](crate::supervisor_program) gives what is to be
    /// in it. If it cannot be executed, no server can be started: the default is not tried in its place.
    ///
    /// Linux only: other systems have no supervisor.
    #[cfg(target_os = "linux")]
    pub fn supervisor(mut self, path: impl Into<PathBuf>) -> Self {
        self.supervisor = Some(path.into());
        self
    }

    /// Allows servers with [`Isolation::Basic`] in a runtime with several tenants. Default: they are
    /// [`Error::Denied`] there, because such a server can harm those of other tenants; and where one tenant has leased such a
    /// server, there cannot be another.
    pub fn allow_basic_isolation(mut self) -> Self {
        self.allows_basic_isolation = true;
        self
    }

    /// Starts the runtime, on the tokio runtime that this is called on. A thread is started that advances the clock of guests
    /// while any runs. The supervisor, and a thread that waits for it, are started with the first server that is a command.
    ///
    /// # Errors
    ///
    /// [`Error::System`] where threads or descriptors cannot be had.
    pub async fn start(mut self) -> Result<Runtime, Error> {
        self.limits = self.limits.clamped();
        self.limits.sessions_per_runtime = self.limits.sessions_per_runtime.min(system_sessions());
        let limits = Arc::new(self.limits);
        let registry = Registry::new(limits.clone());
        let (events, _) = broadcast::channel(limits.event_backlog.max(1));
        let shared = Shared {
            engine: GuestEngine::new(limits.clone())?,
            #[cfg(target_os = "linux")]
            supervisors: Supervisors::new(self.supervisor),
            #[cfg(all(unix, not(target_os = "linux")))]
            supervisors: Arc::default(),
            #[cfg(unix)]
            folders: Arc::default(),
            allows_basic_isolation: self.allows_basic_isolation,
            reaping: tokio::spawn(reap_idle(registry.clone())).abort_handle(),
            handler: self.handler,
            edge: self.edge,
            secrets: self.secrets,
            client_info: self.client_info.to_string().into(),
            threads: Threads::of(&tokio::runtime::Handle::current()),
            tokio: tokio::runtime::Handle::current(),
            tenants: Mutex::default(),
            guest: AsyncMutex::default(),
            numbers: AtomicU64::new(0),
            places: Places::of_runtime(limits.sessions_per_runtime),
            registry,
            events,
            limits,
        };
        Ok(Runtime { shared: Arc::new(shared) })
    }
}

impl fmt::Debug for RuntimeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeBuilder").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Runtime {
    /// Loads a guest component: compiles it, checks that it imports nothing, and tries it out.
    ///
    /// # Errors
    ///
    /// [`Error::Component`] says why it cannot be used.
    pub async fn load_component(&self, source: ComponentSource) -> Result<Component, Error> {
        Component::load(&self.shared.engine, source).await
    }

    /// Prepares a tenant.
    pub fn tenant(&self, name: impl Into<TenantName>) -> TenantBuilder {
        TenantBuilder::new(self.shared.clone(), name.into())
    }

    /// The bounds in force, after what the system allows.
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Subscribes to what happens from now on.
    pub fn events(&self) -> Events {
        Events(self.shared.events.subscribe())
    }

    /// Replaces the guest of all tenants that brought none of their own, and of those that are made from now on. Those that brought one
    /// are left alone: see [`Tenant::upgrade`](crate::Tenant::upgrade), which says the rest.
    pub fn upgrade(&self, guest: Component, how: Upgrade) -> Upgrading {
        Upgrading::of_runtime(&self.shared, guest, how)
    }

    /// What there is, right now. Waits for no session. The metric `innkeeper.children_alive` is that of the last status. The processes are read from /proc, which takes as long as there are
    /// processes on the machine: a few milliseconds for a thousand. On systems other than Linux they are the servers only, and not
    /// what those started.
    pub fn status(&self) -> Status {
        #[cfg(unix)]
        let census = self.shared.supervisors.census();
        #[cfg(not(unix))]
        let census = Census::default();
        let status = Status::new(self.shared.registry.rows(), census);
        telemetry::children(status.children_alive);
        status
    }

    /// Closes the sessions of all tenants that have been without a lease for `older_than` or longer, and waits for their end.
    /// Returns which they were.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the future leaves what has begun: the sessions go on closing.
    pub async fn reap(&self, older_than: Duration) -> DrainReport {
        self.shared.reap(None, older_than).await
    }

    /// Closes everything: no new leases from now on, every session closed politely, and by force when `deadline` has passed.
    /// Returns when nothing is left, the supervisor included. May be called more than once; each call waits for the same end.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves what has begun: sessions go on closing.
    pub async fn drain(&self, deadline: Duration) -> DrainReport {
        self.shared.close(None, deadline).await
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without processes, which would have to be looked for.
        f.debug_struct("Runtime")
            .field("sessions", &self.shared.registry.rows().len())
            .field("limits", self.limits())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn tenants(&self) -> MutexGuard<'_, Tenants> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that nothing else of this runtime has.
    pub(super) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Relaxed)
    }

    /// Takes a tenant's name, if it is free, and returns a number that no other tenant has.
    pub(super) fn claim(&self, tenant: &TenantName, guests: &Arc<Guests>) -> Result<u64, Error> {
        let mut tenants = self.tenants();
        if tenants.names.contains_key(tenant) {
            let reason =
                format!("there is a tenant `{tenant}` already; its name is free when the last handle of it is dropped");
            return Err(Error::InvalidInput { what: "the tenant", reason });
        }
        if !tenants.names.is_empty() {
            if tenants.had_basic && !self.allows_basic_isolation {
                return Err(Error::Denied {
                    what: format!("tenant `{tenant}` beside another"),
                    reason:
                        "a server of this runtime had `basic` isolation, and could harm those of another tenant; guard \
                             it, or call `RuntimeBuilder::allow_basic_isolation`"
                            .to_owned(),
                });
            }
            tenants.had_several = true;
        }
        let generation = self.number();
        tenants.names.insert(tenant.clone(), Fleet { generation, guests: guests.clone() });
        Ok(generation)
    }

    /// The guest of tenants that bring none, which nobody gets or changes meanwhile.
    pub(super) async fn lock_guest(&self) -> AsyncMutexGuard<'_, Option<Component>> {
        self.guest.lock().await
    }

    /// The guest of tenants that bring none. It is compiled by whoever needs it first.
    pub(super) async fn guest(&self) -> Result<Component, Error> {
        let mut guest = self.lock_guest().await;
        if let Some(guest) = &*guest {
            return Ok(guest.clone());
        }
        let embedded = Component::load(&self.engine, ComponentSource::Embedded).await?;
        Ok(guest.insert(embedded).clone())
    }

    /// The sessions of tenants that have the runtime's guest, by generation.
    pub(super) fn fleets(&self) -> Vec<Fleet> {
        let mut fleets: Vec<Fleet> =
            self.tenants().names.values().filter(|fleet| !fleet.guests.is_own()).cloned().collect();
        fleets.sort_by_key(|fleet| fleet.generation);
        fleets
    }

    /// Whether sessions of several tenants may meet in this runtime.
    pub(super) fn had_several_tenants(&self) -> bool {
        self.tenants().had_several
    }

    /// Whether a server may have this isolation here, or why not.
    pub(super) fn admit_isolation(&self, server: &ServerName, isolation: Isolation) -> Result<(), Error> {
        if isolation == Isolation::Guarded || self.allows_basic_isolation {
            return Ok(());
        }
        let mut tenants = self.tenants();
        if !tenants.had_several {
            tenants.had_basic = true;
            return Ok(());
        }
        Err(Error::Denied {
            what: format!("`{isolation}` isolation of server `{server}`"),
            reason: "the runtime has several tenants, whose servers could harm each other; guard the server, or call \
                     `RuntimeBuilder::allow_basic_isolation`"
                .to_owned(),
        })
    }

    pub(super) fn release(&self, tenant: &TenantName) {
        self.tenants().names.remove(tenant);
    }

    /// Closes all sessions, or those of one generation of a tenant.
    pub(super) async fn close(&self, tenant: Option<u64>, deadline: Duration) -> DrainReport {
        // Before they are taken: what is opened after that would be left.
        let _refused = tenant.map(|generation| self.registry.refuse_leases(generation));
        let report = self.end(self.registry.take_all(tenant), deadline.min(LONGEST)).await;
        // It ends at once when there is no session left.
        #[cfg(target_os = "linux")]
        if tenant.is_none() {
            let _ = timeout_at(Instant::now() + AFTER_KILL, self.supervisors.end()).await;
        }
        report
    }

    /// Closes one of a tenant.
    pub(super) async fn close_one(&self, tenant: u64, id: SessionId, deadline: Duration) -> DrainReport {
        let session = self.registry.take_one(tenant, id);
        self.end(session.into_iter().collect(), deadline.min(LONGEST)).await
    }

    /// Closes those that have been idle for so long.
    pub(super) async fn reap(&self, tenant: Option<u64>, older_than: Duration) -> DrainReport {
        let grace = self.limits.close_input + self.limits.close_terminate;
        self.end(self.registry.take_idle(tenant, older_than.min(LONGEST)), grace).await
    }

    /// Closes sessions that were taken out of the table, and waits for their ends.
    async fn end(&self, sessions: Vec<(Key, Arc<Session>)>, deadline: Duration) -> DrainReport {
        let kill_at = Instant::now() + deadline;
        #[cfg(unix)]
        let ids: Vec<SessionId> = sessions.iter().map(|(_, session)| session.id()).collect();
        let mut ends = JoinSet::new();
        for (key, session) in sessions {
            session.close(kill_at);
            ends.spawn_on(end(key, session, kill_at), &self.tokio);
        }
        let mut closed = Vec::new();
        // A task that was cancelled went with its tokio runtime, and so did the session.
        while let Some(end) = ends.join_next().await {
            closed.extend(end.ok());
        }
        // Their private folders go with them, and a program that ends now would leave them.
        #[cfg(unix)]
        let _ = timeout_at(kill_at + AFTER_KILL, self.folders.removed(&ids)).await;
        closed.sort_by_key(|closed: &ClosedSession| closed.session.id);
        DrainReport { closed }
    }

    /// Closes them without waiting.
    pub(super) fn close_in_background(&self, tenant: Option<u64>) {
        let kill_at = Instant::now() + self.limits.close_input + self.limits.close_terminate;
        for (_, session) in self.registry.take_all(tenant) {
            session.close(kill_at);
        }
    }
}

async fn end(key: Key, session: Arc<Session>, kill_at: Instant) -> ClosedSession {
    let in_time = timeout_at(kill_at, session.watched().closed()).await.is_ok();
    let closed = in_time || timeout_at(kill_at + AFTER_KILL, session.watched().closed()).await.is_ok();
    let gone = closed && !session.has_left_something();
    ClosedSession { session: SessionKey::new(session.id(), &key), in_time, gone }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.reaping.abort();
        self.close_in_background(None);
    }
}

/// What a drain closed.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct DrainReport {
    /// The sessions, by id.
    pub closed: Vec<ClosedSession>,
}

/// A session that a drain closed.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ClosedSession {
    /// Which session.
    #[serde(flatten)]
    pub session: SessionKey,
    /// Whether it ended before the deadline, without force.
    pub in_time: bool,
    /// Whether nothing is left of it. False is a fault of the system, such as a process that `SIGKILL` does not end, or of an
    /// embedder's own transport: then what is left is waited for no longer.
    pub gone: bool,
}

/// Sessions that the system has room for: each takes about five descriptors, six memory mappings and three processes, and
/// half of what there is belongs to the embedder.
fn system_sessions() -> usize {
    #[cfg(unix)]
    let by_files =
        rustix::process::getrlimit(rustix::process::Resource::Nofile).current.map_or(u64::MAX, |files| files / 2 / 5);
    #[cfg(not(unix))]
    let by_files = u64::MAX;
    #[cfg(target_os = "linux")]
    let by_system = {
        let setting = |path: &str| {
            let count = std::fs::read_to_string(path).ok().and_then(|count| count.trim().parse().ok());
            count.unwrap_or(u64::MAX)
        };
        let (maps, processes) = (setting("/proc/sys/vm/max_map_count"), setting("/proc/sys/kernel/pid_max"));
        (maps / 2 / 6).min(processes / 2 / 3)
    };
    #[cfg(not(target_os = "linux"))]
    let by_system = u64::MAX;
    usize::try_from(by_files.min(by_system)).unwrap_or(usize::MAX).max(1)
}
