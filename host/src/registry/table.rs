//! The table: which sessions there are, who holds them, and which one goes first.
//!
//! Plain data without a lock, a clock or a task, and with any handle in place of a session: so what is decided about leases
//! can be tried in every order. The registry puts one short lock around it, and does outside of that lock what follows from
//! a decision.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use tokio::time::Instant;

use super::Key;
use crate::names::{SessionId, TenantName};

/// Sessions, each by its handle `S`.
pub(crate) struct Table<S> {
    open: HashMap<Key, Entry<S>>,
    /// Taken out of `open`, for those alone who hold them already.
    retired: HashMap<SessionId, (Key, Entry<S>)>,
    /// Taken out of `open`, but not yet gone.
    closing: HashMap<SessionId, (Key, S)>,
    /// Tenants with a session in `open`.
    tenants: HashMap<TenantName, OfTenant>,
    last_id: u64,
    draining: bool,
    /// Generations of tenants that are being closed, and how often.
    closing_tenants: HashMap<u64, usize>,
}

struct Entry<S> {
    id: SessionId,
    session: S,
    leases: usize,
    /// Since when it has none, or would have none but for those that are no use of it.
    idle_since: Instant,
}

/// What there is of one tenant in `open`.
#[derive(Default)]
struct OfTenant {
    sessions: usize,
    /// Those without a lease, the longest idle first.
    idle: BTreeMap<(Instant, SessionId), Key>,
}

/// How many sessions there may be that can be leased.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) of_tenant: usize,
    pub(super) of_runtime: usize,
}

/// A lease that was minted.
#[derive(Debug)]
pub(super) struct Minted<S> {
    pub(super) session: S,
    /// What was taken out of the table to make room, and is to be closed.
    pub(super) evicted: Option<S>,
}

/// By how many a session is held, and whether others can get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tenure {
    /// So many leases, and whoever leases it next.
    Open(usize),
    /// So many leases, and nobody else will.
    Retired(usize),
    /// It was taken out to be closed, whether or not it has heard of that.
    Closing,
}

impl Tenure {
    /// Leases that count. None: it is to be closed.
    pub(crate) fn leases(self) -> Option<usize> {
        match self {
            Self::Open(leases) | Self::Retired(leases) => Some(leases),
            Self::Closing => None,
        }
    }
}

/// What became of a session of which a lease was given back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left<S> {
    /// Others hold it.
    Held,
    /// Nobody holds it.
    Idle,
    /// Nobody holds it or will. It was taken out of the table, and is to be closed.
    Over(S),
    /// It had been taken out before.
    Gone,
}

/// Why no lease was minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Everything is being closed.
    Draining,
    /// All of the tenant is.
    TenantClosing,
    /// All sessions of the tenant are held, and there may be no more of it.
    TenantFull,
    /// All sessions of the tenant are held, and there may be no more of anybody.
    RuntimeFull,
}

impl<S> Default for Table<S> {
    fn default() -> Self {
        Self {
            open: HashMap::new(),
            retired: HashMap::new(),
            closing: HashMap::new(),
            tenants: HashMap::new(),
            last_id: 0,
            draining: false,
            closing_tenants: HashMap::new(),
        }
    }
}

impl<S: Clone> Table<S> {
    /// Mints a lease for the session of a key, which `open` begins to open if there is none. Where there is no room for it, the
    /// tenant's own longest idle session is taken out; never another's, whose use of the runtime is not this one's to end.
    pub(super) fn check_out(
        &mut self,
        key: &Key,
        room: Room,
        now: Instant,
        open: impl FnOnce(SessionId) -> S,
    ) -> Result<Minted<S>, Refused> {
        self.admit(key)?;
        if let Some(session) = self.lease(key) {
            return Ok(Minted { session, evicted: None });
        }
        let evicted = self.make_room(&key.tenant, room)?;
        self.last_id += 1;
        let id = SessionId(self.last_id);
        let session = open(id);
        self.tenants.entry(key.tenant.clone()).or_default().sessions += 1;
        self.open.insert(key.clone(), Entry { id, session: session.clone(), leases: 1, idle_since: now });
        Ok(Minted { session, evicted })
    }

    fn make_room(&mut self, tenant: &TenantName, room: Room) -> Result<Option<S>, Refused> {
        let of_tenant = self.tenants.get(tenant);
        let full_tenant = of_tenant.map_or(0, |tenant| tenant.sessions) >= room.of_tenant;
        if !full_tenant && self.open.len() < room.of_runtime {
            return Ok(None);
        }
        let longest_idle = of_tenant.and_then(|tenant| tenant.idle.values().next()).cloned();
        match longest_idle.and_then(|key| self.take(&key)) {
            Some(evicted) => Ok(Some(evicted)),
            None if full_tenant => Err(Refused::TenantFull),
            None => Err(Refused::RuntimeFull),
        }
    }

    /// Mints a lease for a session that is there, and for no other.
    pub(super) fn rejoin(&mut self, key: &Key, id: SessionId) -> Option<S> {
        self.admit(key).ok()?;
        self.open.get(key).filter(|entry| entry.id == id)?;
        self.lease(key)
    }

    fn admit(&self, key: &Key) -> Result<(), Refused> {
        if self.draining {
            return Err(Refused::Draining);
        }
        if self.closing_tenants.contains_key(&key.generation) {
            return Err(Refused::TenantClosing);
        }
        Ok(())
    }

    fn lease(&mut self, key: &Key) -> Option<S> {
        let entry = self.open.get_mut(key)?;
        if entry.leases == 0
            && let Some(tenant) = self.tenants.get_mut(&key.tenant)
        {
            tenant.idle.remove(&(entry.idle_since, entry.id));
        }
        entry.leases += 1;
        Some(entry.session.clone())
    }

    /// Gives a lease back.
    pub(super) fn check_in(&mut self, key: &Key, id: SessionId, now: Instant) -> Left<S> {
        if let Some(entry) = self.open.get_mut(key).filter(|entry| entry.id == id) {
            entry.idle_since = now;
        }
        self.leave(key, id)
    }

    /// Gives a lease back that was no use of the session: it is idle since it was before.
    pub(super) fn leave(&mut self, key: &Key, id: SessionId) -> Left<S> {
        let (entry, is_retired) = match self.open.get_mut(key) {
            Some(entry) if entry.id == id => (entry, false),
            _ => match self.retired.get_mut(&id) {
                Some((_, entry)) => (entry, true),
                None => return Left::Gone,
            },
        };
        entry.leases -= 1;
        if entry.leases > 0 {
            return Left::Held;
        }
        let since = entry.idle_since;
        // Nobody can lease it again.
        if is_retired || key.is_exclusive() {
            return self.take_one(key, id).map_or(Left::Gone, Left::Over);
        }
        if let Some(tenant) = self.tenants.get_mut(&key.tenant) {
            tenant.idle.insert((since, id), key.clone());
        }
        Left::Idle
    }

    /// Leaves a session to those who hold it: the next lease of its key opens another, and it is over when the last of its own is
    /// given back. Returned is one that nobody holds, which is to be closed.
    pub(super) fn retire(&mut self, key: &Key, id: SessionId) -> Option<S> {
        let entry = self.open.get(key).filter(|entry| entry.id == id)?;
        if entry.leases == 0 {
            return self.take(key);
        }
        let entry = self.remove(key)?;
        self.retired.insert(id, (key.clone(), entry));
        None
    }

    /// Takes a session out of the table, held or not, to be closed. None: it was taken out before.
    pub(super) fn take_one(&mut self, key: &Key, id: SessionId) -> Option<S> {
        if let Some((key, entry)) = self.retired.remove(&id) {
            return Some(self.closes(key, entry));
        }
        self.open.get(key).filter(|entry| entry.id == id)?;
        self.take(key)
    }

    /// Nothing is left of a session.
    pub(super) fn forget(&mut self, id: SessionId) -> Option<S> {
        self.closing.remove(&id).map(|(_, session)| session)
    }

    /// No lease is minted any more.
    pub(super) fn drain(&mut self) {
        self.draining = true;
    }

    /// No lease of a tenant is minted until [`reopen`](Self::reopen) was called as often as this.
    pub(super) fn refuse(&mut self, generation: u64) {
        *self.closing_tenants.entry(generation).or_default() += 1;
    }

    pub(super) fn reopen(&mut self, generation: u64) {
        if let Some(closings) = self.closing_tenants.get_mut(&generation) {
            *closings -= 1;
            if *closings == 0 {
                self.closing_tenants.remove(&generation);
            }
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    /// Takes sessions out of the table, held or not. Returns all that are not gone, by id, those that were taken out before
    /// included.
    pub(super) fn take_all(&mut self, chosen: impl Fn(&Key, SessionId) -> bool) -> Vec<(Key, S)> {
        let keys: Vec<Key> =
            self.open.iter().filter(|(key, entry)| chosen(key, entry.id)).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.take(&key);
        }
        let retired = self.retired.extract_if(|id, (key, _)| chosen(key, *id));
        let retired: Vec<_> = retired.map(|(_, retired)| retired).collect();
        for (key, entry) in retired {
            self.closes(key, entry);
        }
        let all = self.closing.iter().filter(|(id, (key, _))| chosen(key, **id));
        let by_id: BTreeMap<_, _> = all.map(|(id, session)| (*id, session.clone())).collect();
        by_id.into_values().collect()
    }

    /// Takes sessions out of the table that nobody has held for so long. Returns them by id.
    pub(super) fn take_idle(&mut self, long: Duration, now: Instant, chosen: impl Fn(&Key) -> bool) -> Vec<(Key, S)> {
        let long_enough = |since: &Instant| *since + long <= now;
        let idle = self
            .tenants
            .values()
            .flat_map(|tenant| tenant.idle.iter().take_while(|((since, _), _)| long_enough(since)));
        let by_id: BTreeMap<SessionId, Key> =
            idle.filter(|(_, key)| chosen(key)).map(|((_, id), key)| (*id, key.clone())).collect();
        by_id.into_values().filter_map(|key| self.take(&key).map(|session| (key, session))).collect()
    }

    /// Since when somebody's session has been idle for longest.
    pub(super) fn longest_idle(&self) -> Option<Instant> {
        self.tenants.values().filter_map(|tenant| tenant.idle.keys().next()).map(|(since, _)| *since).min()
    }

    /// All sessions, those that are not gone yet included.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&Key, &S, Tenure)> {
        let open = self.open.iter().map(|(key, entry)| (key, &entry.session, Tenure::Open(entry.leases)));
        let retired = self.retired.values().map(|(key, entry)| (key, &entry.session, Tenure::Retired(entry.leases)));
        open.chain(retired).chain(self.closing.values().map(|(key, session)| (key, session, Tenure::Closing)))
    }

    /// Takes a session out of `open`, to be closed.
    fn take(&mut self, key: &Key) -> Option<S> {
        let entry = self.remove(key)?;
        Some(self.closes(key.clone(), entry))
    }

    fn closes(&mut self, key: Key, entry: Entry<S>) -> S {
        self.closing.insert(entry.id, (key, entry.session.clone()));
        entry.session
    }

    fn remove(&mut self, key: &Key) -> Option<Entry<S>> {
        let entry = self.open.remove(key)?;
        if let Some(tenant) = self.tenants.get_mut(&key.tenant) {
            tenant.idle.remove(&(entry.idle_since, entry.id));
            tenant.sessions -= 1;
            if tenant.sessions == 0 {
                self.tenants.remove(&key.tenant);
            }
        }
        Some(entry)
    }
}

#[cfg(test)]
#[path = "table/tests.rs"]
mod tests;
