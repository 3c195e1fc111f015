//! The registry: which session belongs to which key, who holds it, and when it goes.
//!
//! One short lock guards the table. Under it, and only under it, a lease is minted, released, or a session is taken out of
//! the table to be closed: so handing out a lease and deciding to reap or evict are one atomic decision, and no session is
//! closed between being found and being used. Nothing is awaited under the lock, and nothing takes longer for one tenant
//! because of what another has.
//!
//! A session counts a lease from the moment that somebody waits for it to open, so that a slow open is not idle. One key has
//! one opening session however many wait for it.

mod lock;
#[cfg(test)]
mod models;
mod reap;
mod session_key;
mod table;

use std::{
    ops::DerefMut,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use lock::{Handle, Lock};
pub(crate) use reap::reap_idle;
pub use session_key::SessionKey;
pub(crate) use table::Tenure;
use table::{Left, Minted, Refused, Room, Table};

use crate::{
    Error, Limits, MayHaveRun,
    names::{ServerName, SessionId, SpecDigest, TenantName, UserName},
    session::Session,
    telemetry,
};

/// Whose session of what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) tenant: TenantName,
    /// Which tenant of that name: one that is made anew does not get the sessions of the old.
    pub(crate) generation: u64,
    pub(crate) holder: Holder,
    pub(crate) server: ServerName,
    /// What its connections are made from: after an edit of that, another session.
    pub(crate) digest: SpecDigest,
}

/// Who may lease a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// One user, as often as they like.
    User(UserName),
    /// Every user of the tenant.
    Tenant,
    /// One lease, by its number.
    Lease { user: UserName, number: u64 },
}

impl Key {
    /// Whose session it is. None: its tenant's.
    pub(crate) fn user(&self) -> Option<&UserName> {
        match &self.holder {
            Holder::User(user) | Holder::Lease { user, .. } => Some(user),
            Holder::Tenant => None,
        }
    }

    /// Whether nobody can lease the session again.
    fn is_exclusive(&self) -> bool {
        matches!(self.holder, Holder::Lease { .. })
    }
}

pub(crate) struct Registry<L = Mutex<Table<Arc<Session>>>> {
    table: L,
    /// Told when a session has become idle and the reaper sleeps.
    idled: Notify,
    /// Nothing is idle as far as the reaper knows: it waits to be told.
    reaper_sleeps: AtomicBool,
    limits: Arc<Limits>,
}

/// A session as the table has it.
pub(crate) struct Row<S = Arc<Session>> {
    pub(crate) key: Key,
    pub(crate) session: S,
    pub(crate) tenure: Tenure,
}

impl<L: Lock> Registry<L> {
    pub(crate) fn new(limits: Arc<Limits>) -> Arc<Self> {
        Arc::new(Self { table: L::default(), idled: Notify::new(), reaper_sleeps: AtomicBool::new(false), limits })
    }

    fn table(&self) -> impl DerefMut<Target = Table<L::Session>> {
        self.table.table()
    }

    /// Mints a lease for the session of a key, which `open` begins to open if there is none. Where the tenant or the runtime has
    /// as many as it may, the tenant's own longest idle session is closed for it.
    pub(crate) fn check_out(
        self: &Arc<Self>,
        key: Key,
        open: impl FnOnce(SessionId) -> L::Session,
    ) -> Result<CheckedOut<L>, Error> {
        let room = Room { of_tenant: self.limits.sessions_per_tenant, of_runtime: self.limits.sessions_per_runtime };
        let minted = self.table().check_out(&key, room, Instant::now(), open);
        let Minted { session, evicted } = minted.map_err(|refused| self.refusal(refused, &key.tenant))?;
        if let Some(evicted) = evicted {
            tracing::debug!(session = %evicted.id(), "closing an idle session for another of its tenant");
            telemetry::evicted(&key.tenant);
            evicted.close(Instant::now() + self.grace());
        }
        Ok(CheckedOut::new(key, session, self.clone(), true))
    }

    /// Mints a lease for a session that can be leased, and for no other of its key. That is no use of it: when the lease is given
    /// back, the session has been idle for as long as without it.
    pub(crate) fn rejoin(self: &Arc<Self>, key: Key, id: SessionId) -> Option<CheckedOut<L>> {
        let session = self.table().rejoin(&key, id)?;
        Some(CheckedOut::new(key, session, self.clone(), false))
    }

    /// Whether leases are minted at all, or why not.
    pub(crate) fn admit(&self) -> Result<(), Error> {
        if self.table().is_draining() { Err(closing("the runtime".to_owned())) } else { Ok(()) }
    }

    fn refusal(&self, refused: Refused, tenant: &TenantName) -> Error {
        match refused {
            Refused::Draining => closing("the runtime".to_owned()),
            Refused::TenantClosing => closing(format!("tenant `{tenant}`")),
            Refused::TenantFull => Error::AtCapacity {
                scope: format!("tenant `{tenant}`"),
                limit: self.limits.sessions_per_tenant,
                setting: "sessions_per_tenant",
            },
            Refused::RuntimeFull => Error::AtCapacity {
                scope: "the runtime".to_owned(),
                limit: self.limits.sessions_per_runtime,
                setting: "sessions_per_runtime",
            },
        }
    }

    /// How long a session that is closed for nobody's wish may take, before it is killed.
    fn grace(&self) -> Duration {
        self.limits.close_input + self.limits.close_terminate
    }

    fn check_in(&self, key: &Key, id: SessionId) {
        let left = self.table().check_in(key, id, Instant::now());
        match left {
            Left::Over(session) => session.close(Instant::now() + self.grace()),
            // All may be idle for equally long, so nothing is due before what the reaper waits for already.
            Left::Idle if self.reaper_sleeps.swap(false, Relaxed) => self.idled.notify_one(),
            Left::Idle | Left::Held | Left::Gone => {}
        }
    }

    fn leave(&self, key: &Key, id: SessionId) {
        let left = self.table().leave(key, id);
        match left {
            Left::Over(session) => session.close(Instant::now() + self.grace()),
            // It may be due for longer than the reaper waits for the next one.
            Left::Idle => {
                self.reaper_sleeps.store(false, Relaxed);
                self.idled.notify_one();
            }
            Left::Held | Left::Gone => {}
        }
    }

    /// Leaves a session to those who hold it: the next lease of its key opens another. It is closed when the last of its own is given
    /// back.
    pub(crate) fn retire(&self, key: &Key, id: SessionId) {
        let over = self.table().retire(key, id);
        if let Some(session) = over {
            session.close(Instant::now() + self.grace());
        }
    }

    /// Nothing is left of a session.
    pub(crate) fn closed(&self, id: SessionId) {
        let closed = self.table().forget(id);
        // Outside of the lock, because the last handle may go with it.
        drop(closed);
    }

    /// Takes all sessions, or those of one generation of a tenant, out of the table, leased or not, to be closed.
    pub(crate) fn take_all(&self, tenant: Option<u64>) -> Vec<(Key, L::Session)> {
        let mut table = self.table();
        if tenant.is_none() {
            table.drain();
        }
        let chosen = of_generation(tenant);
        table.take_all(|key, _| chosen(key))
    }

    /// Takes one session of a tenant out of the table, leased or not, to be closed. None: it is gone.
    pub(crate) fn take_one(&self, generation: u64, id: SessionId) -> Option<(Key, L::Session)> {
        self.table().take_all(|key, of| key.generation == generation && of == id).pop()
    }

    /// Takes a session out of the table, leased or not, to be closed. None: it is gone, or was taken out before.
    pub(crate) fn expel(&self, key: &Key, id: SessionId) -> Option<L::Session> {
        self.table().take_one(key, id)
    }

    /// Mints no lease of a tenant until what this returns is dropped.
    pub(crate) fn refuse_leases(self: &Arc<Self>, generation: u64) -> LeasesRefused<L> {
        self.table().refuse(generation);
        LeasesRefused { registry: self.clone(), generation }
    }

    /// Takes sessions of one generation of a tenant, or of all, out of the table that have been without a lease for so long.
    pub(crate) fn take_idle(&self, tenant: Option<u64>, older_than: Duration) -> Vec<(Key, L::Session)> {
        self.table().take_idle(older_than, Instant::now(), of_generation(tenant))
    }

    /// All sessions, those that are being closed included.
    pub(crate) fn rows(&self) -> Vec<Row<L::Session>> {
        let table = self.table();
        let row = |(key, session, tenure): (&Key, &L::Session, Tenure)| Row {
            key: key.clone(),
            session: session.clone(),
            tenure,
        };
        table.rows().map(row).collect()
    }
}

fn closing(what: String) -> Error {
    Error::Closing { what, may_have_run: MayHaveRun::No }
}

/// Chooses the sessions of one generation of a tenant, or all.
fn of_generation(tenant: Option<u64>) -> impl Fn(&Key) -> bool {
    move |key| tenant.is_none_or(|generation| key.generation == generation)
}

/// The leases of a tenant are refused for as long as this lives.
pub(crate) struct LeasesRefused<L: Lock = Mutex<Table<Arc<Session>>>> {
    registry: Arc<Registry<L>>,
    generation: u64,
}

impl<L: Lock> Drop for LeasesRefused<L> {
    fn drop(&mut self) {
        self.registry.table().reopen(self.generation);
    }
}

/// A lease as the registry counts it: dropping it gives it back, wherever that happens.
pub(crate) struct CheckedOut<L: Lock = Mutex<Table<Arc<Session>>>> {
    key: Key,
    session: L::Session,
    registry: Arc<Registry<L>>,
    /// Whether the session counts as used when it is given back.
    is_use: bool,
}

impl<L: Lock> CheckedOut<L> {
    fn new(key: Key, session: L::Session, registry: Arc<Registry<L>>, is_use: bool) -> Self {
        telemetry::leases(&key.tenant, 1.0);
        Self { key, session, registry, is_use }
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    pub(crate) fn session(&self) -> &L::Session {
        &self.session
    }
}

impl<L: Lock> Drop for CheckedOut<L> {
    fn drop(&mut self) {
        let (key, id) = (&self.key, self.session.id());
        if self.is_use {
            self.registry.check_in(key, id);
        } else {
            self.registry.leave(key, id);
        }
        telemetry::leases(&key.tenant, -1.0);
    }
}
