//! Taking leases while everything is closed: every session that was opened until then is closed, and none is opened after.

use super::{
    Checked, is_gone, registry, take,
    world::{LEFT_BEHIND, Session, explore_bounded},
};
use crate::{
    explore::{Explored, check, named},
    registry::{Key, Registry, lock::Handle},
};

/// Somebody holds a lease, somebody takes one of that session and one of another, and everything is closed with
/// [`Registry::take_all`] or what is given in its stead.
fn take_and_close(take_all: fn(&Registry<Checked>) -> Vec<(Key, Session)>) -> Explored {
    explore_bounded(move |world| {
        let registry = registry(10);
        let held = take(&registry, world, "alice").unwrap();

        let taker = named("taker", {
            let (registry, world) = (registry.clone(), world.clone());
            move || {
                for user in ["alice", "bob"] {
                    // It may be refused: everything is being closed.
                    if let Some(lease) = take(&registry, &world, user) {
                        lease.session().is_used();
                    }
                }
            }
        });
        let closed = registry.clone();
        let closer = named("closer", move || {
            let mut taken = take_all(&closed);
            taken.sort_by_key(|(_, session)| session.id());
            for (_, session) in taken {
                session.is_revoked();
                is_gone(&closed, &session);
            }
        });
        held.session().is_used();
        drop(held);
        [taker, closer].into_iter().for_each(|thread| thread.join().unwrap());

        // Nobody closes anything any more.
        check(registry.rows().is_empty(), LEFT_BEHIND);
        assert!(take(&registry, world, "alice").is_none());
    })
}

#[test]
fn no_session_is_left_that_was_leased_while_everything_was_closed() {
    take_and_close(|registry| registry.take_all(None)).holds(100);
}

#[test]
fn the_model_fails_where_leases_are_refused_later_than_sessions_are_taken_out() {
    let take_then_refuse = |registry: &Registry<Checked>| {
        let taken = registry.table().take_all(|_, _| true);
        registry.table().drain();
        taken
    };

    take_and_close(take_then_refuse).fails(LEFT_BEHIND);
}
