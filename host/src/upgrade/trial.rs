//! Faults of a guest that is watched: those that sessions had with it, as the sessions tell of them.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::guests::Guests;
use crate::{Error, guest::Component, names::SessionId};

/// What is known of a new guest.
pub(super) struct Trial {
    /// As it is called in errors: name, version and digest.
    guest: String,
    tolerated: usize,
    seen: Mutex<Seen>,
    exceeded: Notify,
}

#[derive(Default)]
struct Seen {
    faults: usize,
    /// Sessions of which a fault was counted while they were handed over.
    sessions: BTreeSet<SessionId>,
    last: String,
}

impl Trial {
    pub(super) fn new(component: &Component, tolerated: usize) -> Arc<Self> {
        Arc::new(Self { guest: component.to_string(), tolerated, seen: Mutex::default(), exceeded: Notify::new() })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Whatever was counted half-way is a fault too few.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session has lost its connection: perhaps because this guest failed.
    pub(super) fn disconnected(&self, id: SessionId, error: &Error) {
        if let Error::GuestFault { guest, detail, .. } = error
            && *guest == self.guest
        {
            self.failed(id, detail);
        }
    }

    /// It failed in a session.
    pub(super) fn failed(&self, id: SessionId, detail: &str) {
        let mut seen = self.seen();
        // One that fails to open again and again has failed once.
        if seen.sessions.insert(id) {
            seen.faults += 1;
            seen.last = format!("the guest failed in session {id}: {detail}");
        }
        let is_exceeded = seen.faults > self.tolerated;
        drop(seen);
        if is_exceeded {
            self.exceeded.notify_one();
        }
    }

    pub(super) fn faults(&self) -> usize {
        self.seen().faults
    }

    /// Why the guest is to go, if it is.
    pub(super) fn verdict(&self) -> Result<(), String> {
        let seen = self.seen();
        if seen.faults <= self.tolerated {
            return Ok(());
        }
        Err(match seen.faults {
            1 => seen.last.clone(),
            faults => format!("{faults} faults; the last: {}", seen.last),
        })
    }

    /// Resolves when the guest is to go. One waits at a time.
    pub(super) async fn exceeded(&self) {
        while self.verdict().is_ok() {
            self.exceeded.notified().await;
        }
    }
}

/// Has the sessions of tenants tell of faults, for as long as it lives.
pub(super) struct Watching<'a>(Vec<&'a Guests>);

impl<'a> Watching<'a> {
    pub(super) fn new(tenants: impl Iterator<Item = &'a Guests>, trial: &Arc<Trial>) -> Self {
        let tenants: Vec<_> = tenants.collect();
        tenants.iter().for_each(|guests| guests.watch(Some(trial.clone())));
        Self(tenants)
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|guests| guests.watch(None));
    }
}
