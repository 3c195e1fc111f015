//! The lock around the table, and what the registry asks of a session.
//!
//! In a runtime that is a lock of the standard library and a session with an owner. They stand behind traits so that the
//! models can put a checker's lock in their place, which tries every order in which threads may take it: what the models
//! then show holds for the registry's own code, and not for a copy of it. A default type hides them from everybody else.

use std::{
    ops::DerefMut,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::time::Instant;

use super::table::Table;
use crate::{names::SessionId, session::Session};

/// A session, as the registry has it.
pub(crate) trait Handle: Clone {
    fn id(&self) -> SessionId;

    /// Closes the session: politely, and by force at `kill_at`.
    fn close(&self, kill_at: Instant);
}

impl Handle for Arc<Session> {
    fn id(&self) -> SessionId {
        Session::id(self)
    }

    fn close(&self, kill_at: Instant) {
        Session::close(self, kill_at);
    }
}

/// A table that one thread at a time sees.
pub(crate) trait Lock: Default {
    type Session: Handle;

    /// Waits for its turn. Dropping what is returned ends it.
    fn table(&self) -> impl DerefMut<Target = Table<Self::Session>>;
}

impl<S: Handle> Lock for Mutex<Table<S>> {
    type Session = S;

    fn table(&self) -> impl DerefMut<Target = Table<S>> {
        // What runs under the lock cannot panic between two changes that belong together.
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
