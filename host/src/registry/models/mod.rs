//! Models of the lease protocol: every order in which threads may take the registry's lock, one after the other.
//!
//! What runs is the registry itself, with its table, under a lock of a checker (`loom`) that stops each thread before it takes
//! the lock and lets another go first, until no order is left. A session is played by [`world::Session`], which knows how far
//! it is and reports when somebody uses it while it is being closed.
//!
//! That such a model finds anything is shown by others that must fail: two schemes that a client manager in use has had
//! ([`faulty`]), which go through the same scene as ours, and the registry with one step of each scene taken apart. What is
//! found is printed with the shortest execution in which it was.
//!
//! | file | what meets what |
//! |---|---|
//! | `reap`, `faulty` | taking a lease and closing what is idle |
//! | `evict` | taking a lease and making room for another key of the tenant |
//! | `close` | taking a lease and closing everything; leases that are dropped after that |
//! | `replace` | taking a lease and putting another session in the place of one; leases of one that is gone |
//! | `open` | waiting for a session that opens or fails, and giving up at each step |
//!
//! A lease cannot be dropped twice: `CheckedOut` is neither `Clone` nor `Copy`, and the compiler says so where somebody tries
//! to make it either ([`a_lease_cannot_be_copied`]).
//!
//! Not modelled: when the reaper wakes, which the end-to-end tests see in virtual time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod close;
mod evict;
mod faulty;
mod open;
mod reap;
mod replace;
mod scheme;
mod world;

use std::{sync::Arc, time::Duration};

use loom::sync::Mutex;

use super::{
    CheckedOut, Holder, Key, Registry, Tenure,
    lock::{Handle, Lock},
    table::Table,
};
use crate::{
    Limits,
    explore::{check, say},
    names::{SessionId, SpecDigest},
};
use world::{Session, World};

/// The registry's lock in a model.
type Checked = Mutex<Table<Session>>;

impl Lock for Checked {
    type Session = Session;

    fn table(&self) -> impl std::ops::DerefMut<Target = Table<Session>> {
        self.lock().unwrap()
    }
}

/// A registry in which a tenant may have so many sessions, and whatever nobody holds is idle for long enough.
fn registry(sessions_per_tenant: usize) -> Arc<Registry<Checked>> {
    let limits = Limits { sessions_per_tenant, idle: Duration::ZERO, ..Limits::default() };
    Registry::new(Arc::new(limits))
}

fn key(user: &str) -> Key {
    Key {
        tenant: "acme".into(),
        generation: 0,
        holder: Holder::User(user.into()),
        server: "server".into(),
        digest: SpecDigest([0; 32]),
    }
}

/// Leases the session of a user. One that is not there is opened, and is ready at once.
fn take(registry: &Arc<Registry<Checked>>, world: &Arc<World>, user: &str) -> Option<CheckedOut<Checked>> {
    take_opening(registry, user, |id| Session::ready_at_once(world, id))
}

/// Leases the session of a user. One that is not there is opened by `open`.
fn take_opening(
    registry: &Arc<Registry<Checked>>,
    user: &str,
    open: impl FnOnce(SessionId) -> Session,
) -> Option<CheckedOut<Checked>> {
    let taken = registry.check_out(key(user), open).ok();
    match &taken {
        Some(lease) => lease.session().say("leases"),
        None => say("is refused"),
    }
    taken
}

/// What becomes of a session that is closed, in this order. One that was taken out of the table already is not taken again.
fn end(registry: &Registry<Checked>, key: &Key, session: &Session) {
    registry.table().take_one(key, session.id());
    session.is_closing();
    is_gone(registry, session);
}

fn is_gone(registry: &Registry<Checked>, session: &Session) {
    registry.closed(session.id());
    session.is_closed();
}

/// Closes whatever nobody holds.
fn reap(registry: &Registry<Checked>) {
    let mut idle = registry.take_idle(None, Duration::ZERO);
    // In the same order each time, whatever that of the table's map is.
    idle.sort_by_key(|(_, session)| session.id());
    for (key, session) in idle {
        end(registry, &key, &session);
    }
}

/// Closes what is left when nobody holds anything. What cannot be closed was lost.
fn close_the_rest(registry: &Registry<Checked>) {
    reap(registry);
    for row in registry.rows() {
        check(row.tenure == Tenure::Closing && row.session.was_closed(), world::LEFT_BEHIND);
        is_gone(registry, &row.session);
    }
    check(registry.rows().is_empty(), world::LEFT_BEHIND);
}

/// Compiles only as long as a lease can be neither cloned nor copied: else there were two ways to choose the item.
#[test]
fn a_lease_cannot_be_copied() {
    trait Item<Way> {
        fn item() {}
    }
    impl<T> Item<()> for T {}
    impl<T: Clone> Item<u8> for T {}

    <CheckedOut as Item<_>>::item();
}
