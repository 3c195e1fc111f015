//! A session in the place of another, for the same key: after an upgrade that restarts, or because the first one ended.

use std::{mem, sync::Arc};

use tokio::time::Instant;

use super::{
    Checked, close_the_rest, is_gone, key, reap, registry, take,
    world::{LEASED_AGAIN, LEFT_BEHIND, OPENED_TWICE, USED_WHILE_CLOSING, explore, explore_bounded},
};
use crate::{
    explore::{Explored, check, named},
    names::SessionId,
    registry::{CheckedOut, Registry, Tenure, lock::Handle},
};

#[test]
fn whoever_takes_a_lease_gets_the_session_or_the_one_in_its_place_and_nobody_a_third() {
    let explored = explore(|world| {
        let registry = registry(10);
        let old = take(&registry, world, "alice").unwrap().session().clone();

        let taker = named("taker", {
            let (registry, world) = (registry.clone(), world.clone());
            move || {
                let mut replaced = false;
                for _ in 0..2 {
                    let lease = take(&registry, &world, "alice").unwrap();
                    lease.session().is_used();
                    // Once there is the new one, nobody gets the old one.
                    check(!replaced || lease.session().id() > SessionId(1), LEASED_AGAIN);
                    replaced = lease.session().id() > SessionId(1);
                }
            }
        });
        let upgrader = named("upgrader", {
            let (registry, world) = (registry.clone(), world.clone());
            move || {
                registry.table().take_one(&key("alice"), old.id());
                let new = take(&registry, &world, "alice").unwrap();
                old.is_revoked();
                is_gone(&registry, &old);
                check(new.session().id() != old.id(), LEASED_AGAIN);
                new.session().is_used();
            }
        });
        [taker, upgrader].into_iter().for_each(|thread| thread.join().unwrap());

        check(world.opened() == 2, OPENED_TWICE);
        close_the_rest(&registry);
    });

    explored.holds(10);
}

/// Somebody holds a session and somebody else takes it, while it is left to its holders with `retire`. A new lease is another
/// session's then.
fn drain(retire: fn(&Arc<Registry<Checked>>, SessionId)) -> Explored {
    explore(move |world| {
        let registry = registry(10);
        let held = take(&registry, world, "alice").unwrap();
        let old = held.session().clone();

        let holder = named("holder", move || {
            held.session().is_used();
            drop(held);
        });
        let taker = named("taker", {
            let (registry, world) = (registry.clone(), world.clone());
            move || take(&registry, &world, "alice").unwrap().session().is_used()
        });
        let upgrader = named("upgrader", {
            let (registry, world, old) = (registry.clone(), world.clone(), old.id());
            move || {
                retire(&registry, old);
                let new = take(&registry, &world, "alice").unwrap();
                check(new.session().id() != old, LEASED_AGAIN);
                new.session().is_used();
            }
        });
        [holder, taker, upgrader].into_iter().for_each(|thread| thread.join().unwrap());

        check(old.was_closed(), LEFT_BEHIND);
        close_the_rest(&registry);
    })
}

#[test]
fn a_session_that_is_left_to_its_holders_serves_them_and_nobody_else_and_ends_with_the_last() {
    drain(|registry, id| registry.retire(&key("alice"), id)).holds(10);
}

#[test]
fn the_model_fails_where_a_session_that_nobody_held_a_moment_ago_is_closed() {
    let in_two_steps = |registry: &Arc<Registry<Checked>>, id: SessionId| {
        let row = registry.rows().into_iter().find(|row| row.session.id() == id);
        let Some(row) = row else { return };
        if row.tenure == Tenure::Open(0) {
            if let Some(session) = registry.expel(&key("alice"), id) {
                session.close(Instant::now());
            }
        } else {
            registry.retire(&key("alice"), id);
        }
    };

    drain(in_two_steps).fails(USED_WHILE_CLOSING);
}

/// Somebody gives a lease back whose session ends, while somebody else takes one of the same key, and the reaper looks. A
/// lease is given back with `check_in`.
fn give_back_late(check_in: fn(&Arc<Registry<Checked>>, CheckedOut<Checked>)) -> Explored {
    explore_bounded(move |world| {
        let registry = registry(10);
        let held = take(&registry, world, "alice").unwrap();
        let dying = held.session().clone();

        let holder = named("holder", {
            let registry = registry.clone();
            move || check_in(&registry, held)
        });
        let taker = named("taker", {
            let (registry, world) = (registry.clone(), world.clone());
            move || {
                let lease = take(&registry, &world, "alice").unwrap();
                lease.session().is_used();
                check_in(&registry, lease);
            }
        });
        let owner = named("owner", {
            let registry = registry.clone();
            move || {
                registry.table().take_one(&key("alice"), dying.id());
                dying.is_revoked();
                is_gone(&registry, &dying);
                // Whatever has come in its place.
                reap(&registry);
            }
        });
        [holder, taker, owner].into_iter().for_each(|thread| thread.join().unwrap());

        close_the_rest(&registry);
    })
}

#[test]
fn a_lease_of_a_session_that_has_ended_does_not_release_the_one_in_its_place() {
    give_back_late(|_, lease| drop(lease)).holds(100);
}

/// Gives back a lease of the session that the key has now, whichever was leased.
fn check_in_by_key(registry: &Arc<Registry<Checked>>, lease: CheckedOut<Checked>) {
    let mut table = registry.table();
    let now_leased = table.rows().find(|(_, _, held)| held.leases() > Some(0)).map(|(_, session, _)| session.id());
    if let Some(id) = now_leased {
        table.check_in(lease.key(), id, Instant::now());
    }
    drop(table);
    mem::forget(lease);
}

#[test]
fn the_model_fails_where_a_lease_is_given_back_by_its_key_alone() {
    give_back_late(check_in_by_key).fails(USED_WHILE_CLOSING);
}
