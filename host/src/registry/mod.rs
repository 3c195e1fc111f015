//! The registry: which session belongs to which key, who holds it, and when it goes.
//!
//! One short lock guards the table. Under it, and only under it, a lease is minted, released, or a session is taken out of
//! the table to be closed: so handing out a lease and deciding to reap or evict are one atomic decision, and no session is
//! closed between being found and being used. Nothing is awaited under the lock, and nothing takes longer for one tenant
//! because of what another has.
//!
//! A session counts a lease from the moment that somebody waits for it to open, so that a slow open is not idle. One key has
//! one opening session however many wait for it.

mod reap;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

pub(crate) use reap::reap_idle;

use crate::{
    Error, Limits, MayHaveRun,
    names::{ServerName, SessionId, TenantName, UserName},
    session::Session,
};

/// Whose session of what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) tenant: TenantName,
    /// Which tenant of that name: one that is made anew does not get the sessions of the old.
    pub(crate) generation: u64,
    pub(crate) user: UserName,
    pub(crate) server: ServerName,
}

pub(crate) struct Registry {
    table: Mutex<Table>,
    /// Told when a session may have become idle.
    idled: Notify,
    limits: Arc<Limits>,
}

#[derive(Default)]
struct Table {
    open: HashMap<Key, Entry>,
    /// Taken out of `open`, but not yet gone.
    closing: HashMap<SessionId, (Key, Arc<Session>)>,
    /// Tenants with a session in `open`.
    tenants: HashMap<TenantName, OfTenant>,
    last_id: u64,
    /// The runtime is being closed.
    draining: bool,
    /// Nothing is idle as far as the reaper knows: it waits to be told.
    reaper_sleeps: bool,
}

struct Entry {
    session: Arc<Session>,
    leases: usize,
    /// Since when it has none.
    idle_since: Instant,
}

/// What the table knows of one tenant's sessions in `open`.
#[derive(Default)]
struct OfTenant {
    sessions: usize,
    /// Those without a lease, the longest idle first.
    idle: BTreeMap<(Instant, SessionId), Key>,
}

impl Entry {
    fn place_among_idle(&self) -> (Instant, SessionId) {
        (self.idle_since, self.session.id())
    }
}

impl Table {
    /// Takes a session out of `open`, to be closed.
    fn take(&mut self, key: &Key) -> Option<Arc<Session>> {
        let entry = self.open.remove(key)?;
        if let Some(tenant) = self.tenants.get_mut(&key.tenant) {
            tenant.idle.remove(&entry.place_among_idle());
            tenant.sessions -= 1;
            if tenant.sessions == 0 {
                self.tenants.remove(&key.tenant);
            }
        }
        self.closing.insert(entry.session.id(), (key.clone(), entry.session.clone()));
        Some(entry.session)
    }

    fn insert(&mut self, key: Key, session: Arc<Session>) {
        self.tenants.entry(key.tenant.clone()).or_default().sessions += 1;
        self.open.insert(key, Entry { session, leases: 1, idle_since: Instant::now() });
    }
}

/// A session as the table has it.
pub(crate) struct Row {
    pub(crate) key: Key,
    pub(crate) session: Arc<Session>,
    pub(crate) leases: usize,
}

impl Registry {
    pub(crate) fn new(limits: Arc<Limits>) -> Arc<Self> {
        Arc::new(Self { table: Mutex::default(), idled: Notify::new(), limits })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // What runs under the lock cannot panic between two changes that belong together.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Mints a lease for the session of a key, which `open` begins to open if there is none. Where the tenant or the runtime has
    /// as many as it may, the tenant's own longest idle session is closed for it.
    pub(crate) fn check_out(
        self: &Arc<Self>,
        key: Key,
        open: impl FnOnce(SessionId) -> Arc<Session>,
    ) -> Result<CheckedOut, Error> {
        let mut table = self.table();
        if table.draining {
            return Err(Error::Closing { what: "the runtime".to_owned(), may_have_run: MayHaveRun::No });
        }
        let Table { open: entries, tenants, .. } = &mut *table;
        if let Some(entry) = entries.get_mut(&key) {
            if entry.leases == 0
                && let Some(tenant) = tenants.get_mut(&key.tenant)
            {
                tenant.idle.remove(&entry.place_among_idle());
            }
            entry.leases += 1;
            let session = entry.session.clone();
            drop(table);
            return Ok(CheckedOut { key, session, registry: self.clone() });
        }
        let evicted = self.make_room(&mut table, &key.tenant)?;
        table.last_id += 1;
        let session = open(SessionId(table.last_id));
        table.insert(key.clone(), session.clone());
        drop(table);
        if let Some(evicted) = evicted {
            tracing::debug!(session = %evicted.id(), "closing an idle session for another of its tenant");
            evicted.close(Instant::now() + self.grace());
        }
        Ok(CheckedOut { key, session, registry: self.clone() })
    }

    /// Takes a session out of the table, if there is no room for one more of a tenant.
    fn make_room(&self, table: &mut Table, tenant: &TenantName) -> Result<Option<Arc<Session>>, Error> {
        let of_tenant = table.tenants.get(tenant);
        let full_tenant = of_tenant.map_or(0, |tenant| tenant.sessions) >= self.limits.sessions_per_tenant;
        let full_runtime = table.open.len() >= self.limits.sessions_per_runtime;
        if !full_tenant && !full_runtime {
            return Ok(None);
        }
        // Never another tenant's: its use of the runtime is not this one's to end.
        let longest_idle = of_tenant.and_then(|tenant| tenant.idle.values().next()).cloned();
        if let Some(evicted) = longest_idle.and_then(|key| table.take(&key)) {
            return Ok(Some(evicted));
        }
        Err(if full_tenant {
            Error::AtCapacity {
                scope: format!("tenant `{tenant}`"),
                limit: self.limits.sessions_per_tenant,
                setting: "sessions_per_tenant",
            }
        } else {
            Error::AtCapacity {
                scope: "the runtime".to_owned(),
                limit: self.limits.sessions_per_runtime,
                setting: "sessions_per_runtime",
            }
        })
    }

    /// How long a session that is closed for nobody's wish may take, before it is killed.
    fn grace(&self) -> Duration {
        self.limits.close_input + self.limits.close_terminate
    }

    fn check_in(&self, key: &Key, id: SessionId) {
        let mut table = self.table();
        let Table { open, tenants, reaper_sleeps, .. } = &mut *table;
        let Some(entry) = open.get_mut(key).filter(|entry| entry.session.id() == id) else { return };
        entry.leases -= 1;
        if entry.leases > 0 {
            return;
        }
        entry.idle_since = Instant::now();
        if let Some(tenant) = tenants.get_mut(&key.tenant) {
            tenant.idle.insert(entry.place_among_idle(), key.clone());
        }
        // All may be idle for equally long, so nothing is due before what the reaper waits for already.
        let sleeps = std::mem::take(reaper_sleeps);
        drop(table);
        if sleeps {
            self.idled.notify_one();
        }
    }

    /// A session takes no more calls: the next lease of its key opens another.
    pub(crate) fn closing(&self, key: &Key, id: SessionId) {
        let mut table = self.table();
        if table.open.get(key).is_some_and(|entry| entry.session.id() == id) {
            table.take(key);
        }
    }

    /// Nothing is left of a session.
    pub(crate) fn closed(&self, id: SessionId) {
        let closed = self.table().closing.remove(&id);
        // Outside of the lock, because the last handle may go with it.
        drop(closed);
    }

    /// Takes all sessions, or those of one generation of a tenant, out of the table, leased or not, to be closed.
    pub(crate) fn take_all(&self, tenant: Option<u64>) -> Vec<(Key, Arc<Session>)> {
        let chosen = |key: &Key| tenant.is_none_or(|generation| key.generation == generation);
        let mut table = self.table();
        table.draining |= tenant.is_none();
        let keys: Vec<Key> = table.open.keys().filter(|key| chosen(key)).cloned().collect();
        for key in keys {
            table.take(&key);
        }
        let closing = table.closing.values();
        closing.filter(|(key, _)| chosen(key)).cloned().collect()
    }

    /// All sessions, those that are being closed included.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let table = self.table();
        let open = table.open.iter().map(|(key, entry)| Row {
            key: key.clone(),
            session: entry.session.clone(),
            leases: entry.leases,
        });
        let closing =
            table.closing.values().map(|(key, session)| Row { key: key.clone(), session: session.clone(), leases: 0 });
        open.chain(closing).collect()
    }
}

/// A lease as the registry counts it: dropping it gives it back, wherever that happens.
pub(crate) struct CheckedOut {
    key: Key,
    session: Arc<Session>,
    registry: Arc<Registry>,
}

impl CheckedOut {
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }
}

impl Drop for CheckedOut {
    fn drop(&mut self) {
        self.registry.check_in(&self.key, self.session.id());
    }
}
