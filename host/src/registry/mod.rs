//! The registry: which session belongs to which key, who holds it, and when it goes.
//!
//! One short lock guards the table. Under it, and only under it, a lease is minted, released, or a session is taken out of
//! the table to be closed: so handing out a lease and deciding to reap are one atomic decision, and no session is closed
//! between being found and being used. Nothing is awaited under the lock.
//!
//! A session counts a lease from the moment that somebody waits for it to open, so that a slow open is not idle. One key has
//! one opening session however many wait for it.

mod reap;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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

    /// Mints a lease for the session of a key, which `open` begins to open if there is none.
    pub(crate) fn check_out(
        self: &Arc<Self>,
        key: Key,
        open: impl FnOnce(SessionId) -> Arc<Session>,
    ) -> Result<CheckedOut, Error> {
        let mut table = self.table();
        if table.draining {
            return Err(Error::Closing { what: "the runtime".to_owned(), may_have_run: MayHaveRun::No });
        }
        let session = match table.open.get_mut(&key) {
            Some(entry) => {
                entry.leases += 1;
                entry.session.clone()
            }
            None => {
                self.check_capacity(&table, &key.tenant)?;
                table.last_id += 1;
                let session = open(SessionId(table.last_id));
                let entry = Entry { session: session.clone(), leases: 1, idle_since: Instant::now() };
                table.open.insert(key.clone(), entry);
                session
            }
        };
        drop(table);
        Ok(CheckedOut { key, session, registry: self.clone() })
    }

    fn check_capacity(&self, table: &Table, tenant: &TenantName) -> Result<(), Error> {
        // Those that are being closed still have their processes, so they count.
        let of_tenant = table.open.keys().chain(table.closing.values().map(|(key, _)| key));
        let of_tenant = of_tenant.filter(|key| key.tenant == *tenant).count();
        if of_tenant >= self.limits.sessions_per_tenant {
            return Err(Error::AtCapacity {
                scope: format!("tenant `{tenant}`"),
                limit: self.limits.sessions_per_tenant,
                setting: "sessions_per_tenant",
            });
        }
        if table.open.len() + table.closing.len() >= self.limits.sessions_per_runtime {
            return Err(Error::AtCapacity {
                scope: "the runtime".to_owned(),
                limit: self.limits.sessions_per_runtime,
                setting: "sessions_per_runtime",
            });
        }
        Ok(())
    }

    fn check_in(&self, key: &Key, id: SessionId) {
        let mut table = self.table();
        if let Some(entry) = table.open.get_mut(key).filter(|entry| entry.session.id() == id) {
            entry.leases -= 1;
            if entry.leases == 0 {
                entry.idle_since = Instant::now();
                // All may be idle for equally long, so nothing is due before what the reaper waits for already.
                let sleeps = std::mem::take(&mut table.reaper_sleeps);
                drop(table);
                if sleeps {
                    self.idled.notify_one();
                }
            }
        }
    }

    /// A session takes no more calls: the next lease of its key opens another.
    pub(crate) fn closing(&self, key: &Key, id: SessionId) {
        let mut table = self.table();
        if table.open.get(key).is_some_and(|entry| entry.session.id() == id)
            && let Some(entry) = table.open.remove(key)
        {
            table.closing.insert(id, (key.clone(), entry.session));
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
            if let Some(entry) = table.open.remove(&key) {
                table.closing.insert(entry.session.id(), (key, entry.session));
            }
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
