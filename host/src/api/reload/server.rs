//! One server: another entry in the place of the one that is in force.
//!
//! Nothing here keeps the tenant alive while it waits: where that is gone, there is nothing to replace.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use super::{
    super::{Replace, Scope, Server, Tenant, WeakTenant},
    report::Reloaded,
    worker::Target,
};
use crate::{
    Error,
    names::ServerName,
    registry::{CheckedOut, Holder, Key, Registry, Tenure},
    session::{Session, Watched},
    upgrade,
};

/// Sessions that are tried, one after another, until one can be opened. A server that cannot be reached is as unreachable for the
/// hundredth user as for the first; what is wrong with one user's secret is not wrong with another's.
const PILOTS: usize = 3;

/// Sessions of one server that are opened at a time.
const AT_A_TIME: usize = 16;

/// A session that is to be replaced.
struct Old {
    key: Key,
    session: Arc<Session>,
    /// Whether it can be leased: whoever finds out that its entry is not in force any more leaves it to its holders, as this does.
    is_open: bool,
}

/// One server of a reload.
#[derive(Clone)]
pub(super) struct Reloading {
    pub(super) tenant: WeakTenant,
    pub(super) name: ServerName,
    pub(super) target: Arc<Target>,
    /// For whom it was tried last and could not be opened.
    pub(super) failed_for: FailedFor,
}

/// For whom a server could not be opened: whoever had a session then may have none by now, and it is no better for that.
#[derive(Clone, Default)]
pub(super) struct FailedFor(Arc<Mutex<Option<Holder>>>);

impl FailedFor {
    fn get(&self) -> Option<Holder> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, holder: Option<&Holder>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = holder.cloned();
    }
}

impl Reloading {
    /// Does what there is to do. None: the tenant is gone.
    pub(super) async fn reload(self) -> Option<Reloaded> {
        let tenant = self.tenant.upgrade()?;
        let present = tenant.inner.admission.get();
        let (before, after) = (present.catalog.get(&self.name), self.target.admission.catalog.get(&self.name));
        let outcome = match (before, after) {
            (None, None) => {
                // It is denied, or was.
                self.switch(&tenant);
                Reloaded::Unchanged
            }
            (None, Some(after)) => {
                self.switch(&tenant);
                tenant.inner.edge.replaced(&self.name);
                self.leave(&tenant, Some(after));
                Reloaded::Added
            }
            (Some(_), None) => {
                self.switch(&tenant);
                tenant.inner.edge.replaced(&self.name);
                Reloaded::Removed { sessions: self.leave(&tenant, None) }
            }
            (Some(before), Some(after)) if before.digest() == after.digest() => {
                let is_same = before.is_as_patient_as(after);
                self.switch(&tenant);
                // What a reload has left that came to no end.
                self.leave(&tenant, Some(after));
                if is_same { Reloaded::Unchanged } else { Reloaded::Updated }
            }
            (Some(before), Some(after)) => {
                let (before, after) = (before.clone(), after.clone());
                drop((tenant, present));
                return match after.replace {
                    Replace::Overlap => self.overlap(&after).await,
                    Replace::After => self.one_after_the_other(&before, &after).await,
                };
            }
        };
        Some(outcome)
    }

    /// Puts the entry of the target in force.
    fn switch(&self, tenant: &Tenant) {
        tenant.inner.admission.change(|present| present.taking(&self.name, &self.target.admission));
    }

    /// The new sessions first.
    async fn overlap(&self, entry: &Server) -> Option<Reloaded> {
        let old = self.old(&self.tenant.upgrade()?, entry);
        let holders = Self::holders(old.into_iter().map(|old| old.key.holder), entry);
        let pilot = match self.pilot(&holders, entry).await? {
            Ok(pilot) => pilot,
            Err(error) => return Some(Reloaded::Kept { reason: error.to_string() }),
        };
        let tenant = self.tenant.upgrade()?;
        self.switch(&tenant);
        tenant.inner.edge.replaced(&self.name);
        let (opened, rest) = match pilot {
            Some(pilot) => {
                let holder = pilot.keep();
                (1, holders.into_iter().filter(|other| *other != holder).collect())
            }
            None => (0, Vec::new()),
        };
        drop(tenant);
        let (more, unopened) = self.open(rest, entry).await;
        // Whoever took a lease of an old one meanwhile is among them.
        self.leave(&self.tenant.upgrade()?, Some(entry));
        Some(Reloaded::Replaced { opened: opened + more, unopened })
    }

    /// The end of the old sessions first.
    async fn one_after_the_other(&self, before: &Server, entry: &Server) -> Option<Reloaded> {
        let tenant = self.tenant.upgrade()?;
        // Whoever had a lease before this is found below; whoever comes later waits.
        let gate = tenant.inner.reloads.gates.close(&self.name);
        let old = self.old(&tenant, entry).into_iter().map(|old| old.key.holder);
        let holders = Self::holders(old, entry);
        self.leave_all(&tenant, Some(entry), true);
        let ends = self.remaining(&tenant, entry);
        drop(tenant);
        for end in ends {
            end.closed().await;
        }

        let tenant = self.tenant.upgrade()?;
        self.switch(&tenant);
        tenant.inner.edge.replaced(&self.name);
        drop(tenant);
        let (opened, rest) = match self.pilot(&holders, entry).await? {
            Ok(Some(pilot)) => {
                let holder = pilot.keep();
                (1, holders.into_iter().filter(|other| *other != holder).collect())
            }
            Ok(None) => (0, Vec::new()),
            Err(error) => {
                let tenant = self.tenant.upgrade()?;
                tenant.inner.admission.change(|present| present.with(&self.name, before));
                return Some(Reloaded::Kept { reason: error.to_string() });
            }
        };
        drop(gate);
        let (more, unopened) = self.open(rest, entry).await;
        Some(Reloaded::Replaced { opened: opened + more, unopened })
    }

    /// The sessions with the server that have another entry, the last that was made first: of users, or of the tenant.
    fn old(&self, tenant: &Tenant, entry: &Server) -> Vec<Old> {
        let mut old = self.others(tenant, Some(entry));
        old.retain(|old| old.is_open);
        old.sort_by_key(|old| std::cmp::Reverse(old.session.id()));
        old
    }

    /// Those who get a session with the new entry in place of these, each once. Where who shares a session is another matter now,
    /// there may be none: whoever needs one has it made.
    fn holders(old: impl Iterator<Item = Holder>, entry: &Server) -> Vec<Holder> {
        let mut holders = Vec::new();
        for holder in old {
            let next = match (entry.shared_by(), holder) {
                (Scope::Tenant, Holder::Tenant | Holder::User(_)) => Holder::Tenant,
                (Scope::User, holder @ Holder::User(_)) => holder,
                _ => continue,
            };
            if !holders.contains(&next) {
                holders.push(next);
            }
        }
        holders
    }

    /// The ends of all sessions with the server that have another entry, those that end already included.
    fn remaining(&self, tenant: &Tenant, entry: &Server) -> Vec<Watched> {
        let rows = tenant.inner.shared.registry.rows().into_iter();
        rows.filter(|row| row.key.generation == tenant.inner.generation && row.key.server == self.name)
            .filter(|row| row.key.digest != entry.digest())
            .map(|row| row.session.watched())
            .collect()
    }

    fn others(&self, tenant: &Tenant, entry: Option<&Server>) -> Vec<Old> {
        let digest = entry.map(Server::digest);
        let rows = tenant.inner.shared.registry.rows().into_iter();
        rows.filter(|row| row.key.generation == tenant.inner.generation && row.key.server == self.name)
            .filter(|row| row.tenure != Tenure::Closing && digest != Some(row.key.digest))
            .map(|row| Old { is_open: matches!(row.tenure, Tenure::Open(_)), key: row.key, session: row.session })
            .collect()
    }

    /// Opens one session with the new entry, for one of these. None: there is nobody.
    async fn pilot(&self, holders: &[Holder], entry: &Server) -> Option<Result<Option<Pilot>, Error>> {
        let before = Self::holders(self.failed_for.get().into_iter(), entry);
        let holders = if holders.is_empty() { &before } else { holders };
        let mut last = None;
        for holder in holders.iter().take(PILOTS) {
            match self.open_one(holder.clone(), entry).await? {
                Ok(pilot) => return Some(Ok(Some(pilot))),
                Err(error) => last = Some(error),
            }
        }
        self.failed_for.set(holders.first());
        Some(last.map_or(Ok(None), Err))
    }

    async fn open_one(&self, holder: Holder, entry: &Server) -> Option<Result<Pilot, Error>> {
        let tenant = self.tenant.upgrade()?;
        let checked_out = match tenant.check_out(holder, self.name.clone(), entry) {
            Ok(checked_out) => checked_out,
            Err(error) => return Some(Err(error)),
        };
        let pilot = Pilot { registry: tenant.inner.shared.registry.clone(), checked_out, is_kept: false };
        drop(tenant);
        match pilot.checked_out.session().ready().await {
            Ok(_) => Some(Ok(pilot)),
            Err(error) => Some(Err(error)),
        }
    }

    /// Opens the others with the new entry. Returns how many are open, and how many are not.
    async fn open(&self, holders: Vec<Holder>, entry: &Server) -> (usize, usize) {
        let (mut opened, mut unopened) = (0, 0);
        // Within this task, so that nothing of it goes on when this is dropped.
        let opening = holders.into_iter().map(|holder| self.open_one(holder, entry));
        let mut opening = stream::iter(opening).buffer_unordered(AT_A_TIME);
        while let Some(pilot) = opening.next().await {
            match pilot {
                Some(Ok(pilot)) => {
                    pilot.keep();
                    opened += 1;
                }
                Some(Err(_)) | None => unopened += 1,
            }
        }
        (opened, unopened)
    }

    /// Leaves the sessions that have another entry to those who hold them. Returns how many.
    fn leave(&self, tenant: &Tenant, entry: Option<&Server>) -> usize {
        self.leave_all(tenant, entry, false)
    }

    fn leave_all(&self, tenant: &Tenant, entry: Option<&Server>, exclusive_too: bool) -> usize {
        let shared = &tenant.inner.shared;
        let limits = &shared.limits;
        let (until, grace) = (Instant::now() + limits.drain, limits.close_input + limits.close_terminate);
        let mut left = 0;
        for Old { key, session, is_open } in self.others(tenant, entry) {
            // Those are their leases' own, and end with them.
            if !exclusive_too && matches!(key.holder, Holder::Lease { .. }) {
                continue;
            }
            shared.registry.retire(&key, session.id());
            let registry = Arc::downgrade(&shared.registry);
            // On its own, whatever becomes of the reload.
            shared.tokio.spawn(async move { upgrade::drained(&registry, &key, &session, until, grace).await });
            left += usize::from(is_open);
        }
        left
    }
}

/// A session that is opened with an entry which is not in force yet: it goes where that never is.
struct Pilot {
    registry: Arc<Registry>,
    checked_out: CheckedOut,
    is_kept: bool,
}

impl Pilot {
    /// It is one like any other now. Returns whose.
    fn keep(mut self) -> Holder {
        self.is_kept = true;
        self.checked_out.key().holder.clone()
    }
}

impl Drop for Pilot {
    fn drop(&mut self) {
        if !self.is_kept {
            self.registry.retire(self.checked_out.key(), self.checked_out.session().id());
        }
    }
}
