//! Two schemes of a client manager in use, each in a few lines: the one that its issue on sessions closed in use describes,
//! and the patch that was proposed there. Its lock of readers and a writer is one here too, and each session has a lock of
//! its own for its count.
//!
//! Waiting for a lock and for a session to close are where its tasks may change; here every access to a lock is.

use std::sync::Arc;

use loom::sync::{Mutex, RwLock};

use super::{
    scheme::{Scheme, take_and_reap},
    world::{REFUSED, Session, USED_WHILE_CLOSING, World},
};
use crate::{explore::say, names::SessionId};

/// A session as both have it.
struct Entry {
    session: Session,
    /// Those that use it.
    count: Mutex<usize>,
}

/// The table of both, for one key.
struct Sessions {
    entry: RwLock<Option<Arc<Entry>>>,
    opened: Mutex<u64>,
    world: Arc<World>,
}

impl Sessions {
    fn new(world: &Arc<World>) -> Self {
        Self { entry: RwLock::new(None), opened: Mutex::new(0), world: world.clone() }
    }

    /// Finds the session, as a reader, or opens it, as the writer.
    fn find_or_open(&self) -> Arc<Entry> {
        if let Some(entry) = &*self.entry.read().unwrap() {
            entry.session.say("finds");
            return entry.clone();
        }
        let mut entry = self.entry.write().unwrap();
        let open = || {
            let mut opened = self.opened.lock().unwrap();
            *opened += 1;
            let session = Session::ready_at_once(&self.world, SessionId(*opened));
            Arc::new(Entry { session, count: Mutex::new(0) })
        };
        entry.get_or_insert_with(open).clone()
    }
}

/// A use that was counted.
struct Counted(Arc<Entry>);

impl Counted {
    fn new(entry: Arc<Entry>) -> Self {
        *entry.count.lock().unwrap() += 1;
        entry.session.say("counts its use of");
        Self(entry)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *self.0.count.lock().unwrap() -= 1;
    }
}

/// Found first, counted later: the count has nothing to do with the table's lock.
struct FoundThenCounted(Sessions);

impl Scheme for FoundThenCounted {
    type Lease = Counted;

    fn new(world: &Arc<World>) -> Self {
        Self(Sessions::new(world))
    }

    fn lease(&self) -> Option<Counted> {
        let entry = self.0.find_or_open();
        Some(Counted::new(entry))
    }

    fn session(lease: &Counted) -> &Session {
        &lease.0.session
    }

    /// The original reads the count without its lock. That would be one more fault; this one needs none.
    fn reap(&self) {
        let mut entry = self.0.entry.write().unwrap();
        if let Some(idle) = entry.take_if(|entry| *entry.count.lock().unwrap() == 0) {
            idle.session.is_closing();
            idle.session.is_closed();
        }
    }
}

/// The patch: counted as a reader of the table, and closed by its writer, who looks at the count under the session's lock. But
/// that there is a session at all is found out before.
struct FoundThenCountedByReader(Sessions);

impl Scheme for FoundThenCountedByReader {
    type Lease = Counted;

    fn new(world: &Arc<World>) -> Self {
        Self(Sessions::new(world))
    }

    fn lease(&self) -> Option<Counted> {
        self.0.find_or_open();
        let entry = self.0.entry.read().unwrap();
        let counted = entry.clone().map(Counted::new);
        if counted.is_none() {
            say("finds it gone");
        }
        counted
    }

    fn session(lease: &Counted) -> &Session {
        &lease.0.session
    }

    fn reap(&self) {
        let idle = self.0.entry.write().unwrap().take_if(|entry| *entry.count.lock().unwrap() == 0);
        if let Some(idle) = idle {
            idle.session.is_closing();
            idle.session.is_closed();
        }
    }
}

// The taker finds s1. The reaper sees that nobody uses it, and closes it. The taker counts its use of s1, and uses it.
#[test]
fn a_session_that_is_found_before_its_use_is_counted_is_closed_in_use() {
    take_and_reap::<FoundThenCounted>().fails(USED_WHILE_CLOSING);
}

// The taker finds s1, so it opens none. The reaper sees that nobody uses it, and closes it. The taker looks for s1 to count
// its use, finds nothing, and has to tell its caller to try again, although nothing was wrong.
#[test]
fn a_use_that_is_counted_under_the_lock_is_refused_where_the_session_was_found_before() {
    take_and_reap::<FoundThenCountedByReader>().fails(REFUSED);
}
