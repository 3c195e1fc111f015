//! Which session has which server: what a runtime tells of itself.
//!
//! The host does not follow what servers start, and these systems have no portable way to find it: so a session's processes
//! are its servers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{Isolation, names::SessionId, transport::Census};

/// The servers of a runtime.
#[derive(Default)]
pub(crate) struct Supervisors(Mutex<BTreeMap<u32, SessionId>>);

/// A server as long as somebody holds on to it. Dropping it takes it off the list, and nothing else.
pub(super) struct Listed {
    server: u32,
    list: Arc<Supervisors>,
}

impl Supervisors {
    fn table(&self) -> MutexGuard<'_, BTreeMap<u32, SessionId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn list(self: &Arc<Self>, server: u32, session: SessionId) -> Listed {
        self.table().insert(server, session);
        Listed { server, list: self.clone() }
    }

    /// The servers that have not ended.
    pub(crate) fn census(&self) -> Census {
        let table = self.table();
        let mut census = Census { alive: table.len(), ..Census::default() };
        for (server, session) in &*table {
            let entry = census.sessions.entry(*session).or_default();
            entry.isolation = Some(Isolation::Basic);
            // In the order of the table, which is that of the ids.
            entry.processes.push(*server);
        }
        census
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.list.table().remove(&self.server);
    }
}
