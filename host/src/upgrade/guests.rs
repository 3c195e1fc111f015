//! Which guest the sessions of a tenant get that are made from now on.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Mutex as Turns, OwnedMutexGuard};

use super::trial::Trial;
use crate::{Error, ServerName, guest::Component, names::SessionId};

/// The guests of one tenant.
pub(crate) struct Guests {
    assigned: Mutex<Assigned>,
    /// Whether the tenant has one of its own, which upgrades of the runtime pass by.
    is_own: bool,
    /// What is being watched.
    trial: Mutex<Option<Arc<Trial>>>,
    /// One upgrade at a time.
    turns: Arc<Turns<()>>,
}

/// Who gets which guest.
#[derive(Clone)]
pub(super) struct Assigned {
    all: Component,
    of_server: BTreeMap<ServerName, Component>,
}

impl Guests {
    pub(crate) fn new(all: Component, is_own: bool) -> Self {
        let assigned = Assigned { all, of_server: BTreeMap::new() };
        Self { assigned: Mutex::new(assigned), is_own, trial: Mutex::default(), turns: Arc::default() }
    }

    pub(crate) fn is_own(&self) -> bool {
        self.is_own
    }

    /// The guest of the next session with a server.
    pub(crate) fn of(&self, server: &ServerName) -> Component {
        let assigned = self.assigned();
        assigned.of_server.get(server).unwrap_or(&assigned.all).clone()
    }

    /// All that may be given to a session.
    pub(super) fn all(&self) -> Vec<Component> {
        let assigned = self.assigned();
        assigned.of_server.values().chain([&assigned.all]).cloned().collect()
    }

    /// Gives a guest to the sessions with one server, or to all. Returns what was before.
    pub(super) fn assign(&self, server: Option<&ServerName>, component: &Component) -> Assigned {
        let mut assigned = self.assigned();
        let before = assigned.clone();
        match server {
            Some(server) => drop(assigned.of_server.insert(server.clone(), component.clone())),
            None => *assigned = Assigned { all: component.clone(), of_server: BTreeMap::new() },
        }
        before
    }

    pub(super) fn go_back(&self, to: Assigned) {
        *self.assigned() = to;
    }

    fn assigned(&self) -> MutexGuard<'_, Assigned> {
        // Every change is a single assignment.
        self.assigned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn turn(&self) -> OwnedMutexGuard<()> {
        self.turns.clone().lock_owned().await
    }

    pub(super) fn watch(&self, trial: Option<Arc<Trial>>) {
        *self.trial.lock().unwrap_or_else(PoisonError::into_inner) = trial;
    }

    /// A session has lost its connection.
    pub(crate) fn disconnected(&self, id: SessionId, error: &Error) {
        let trial = self.trial.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(trial) = trial {
            trial.disconnected(id, error);
        }
    }
}
