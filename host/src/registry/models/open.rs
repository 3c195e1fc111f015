//! Waiting for a session: it opens or fails, and whoever waits may give up at each step. A lease is counted from the moment of
//! waiting.

use std::sync::Arc;

use super::{
    Checked, close_the_rest, end, is_gone, key, reap, registry, take_opening,
    world::{Explored, LEASED_AGAIN, OPENED_TWICE, Session, World, explore_bounded, named},
};
use crate::{
    names::SessionId,
    registry::{CheckedOut, Registry, lock::Handle},
};

const FIRST: SessionId = SessionId(1);

/// Leases Alice's session. The task of the first one that is opened runs `owner`; those after it are ready at once.
fn take(
    registry: &Arc<Registry<Checked>>,
    world: &Arc<World>,
    owner: fn(&Registry<Checked>, &Session),
) -> CheckedOut<Checked> {
    let owned = registry.clone();
    take_opening(registry, "alice", |id| match id {
        FIRST => Session::with_owner(world, id, move |session| owner(&owned, &session)),
        _ => Session::ready_at_once(world, id),
    })
    .unwrap()
}

/// Several wait for a session that fails, and try again.
fn wait_for_one_that_fails(owner: fn(&Registry<Checked>, &Session)) -> Explored {
    explore_bounded(move |world| {
        let registry = registry(10);

        let waiter = || {
            let (registry, world) = (registry.clone(), world.clone());
            named("waiter", move || {
                let mut lease = take(&registry, &world, owner);
                while !lease.session().opened() {
                    let failed = lease.session().id();
                    drop(lease);
                    lease = take(&registry, &world, owner);
                    if lease.session().id() == failed {
                        world.check(false, LEASED_AGAIN);
                        return;
                    }
                }
                lease.session().is_used();
            })
        };
        [waiter(), waiter()].into_iter().for_each(|waiter| waiter.join().unwrap());
        world.join_owners();

        world.check(world.opened() <= 2, OPENED_TWICE);
        close_the_rest(&registry, world);
    })
}

#[test]
fn all_who_wait_for_a_session_that_fails_hear_of_it_and_open_one_more_together() {
    wait_for_one_that_fails(|registry, session| end(registry, &key("alice"), session)).holds(100);
}

#[test]
fn the_model_fails_where_a_failure_is_told_earlier_than_the_session_is_taken_out() {
    let tell_first = |registry: &Registry<Checked>, session: &Session| {
        session.is_closing();
        registry.table().retire(&key("alice"), session.id());
        is_gone(registry, session);
    };

    wait_for_one_that_fails(tell_first).fails(LEASED_AGAIN);
}

/// When somebody stops waiting. Before that nothing was minted: the future of a lease does nothing before it is polled.
#[derive(Clone, Copy)]
enum GivesUp {
    Minted,
    Ready,
}

/// Somebody gives up at a step, while somebody else waits for the same session, and the reaper looks.
fn give_up(when: GivesUp, owner: fn(&Registry<Checked>, &Session)) -> Explored {
    explore_bounded(move |world| {
        let registry = registry(10);

        let quitter = named("quitter", {
            let (registry, world) = (registry.clone(), world.clone());
            move || {
                let lease = take(&registry, &world, owner);
                if let GivesUp::Ready = when {
                    lease.session().opened();
                }
                lease.session().say("gives up");
            }
        });
        let waiter = named("waiter", {
            let (registry, world) = (registry.clone(), world.clone());
            move || {
                let lease = take(&registry, &world, owner);
                if lease.session().opened() {
                    lease.session().is_used();
                }
            }
        });
        reap(&registry);
        [quitter, waiter].into_iter().for_each(|thread| thread.join().unwrap());
        world.join_owners();

        close_the_rest(&registry, world);
    })
}

#[test]
fn whoever_gives_up_waiting_leaves_no_lease_and_takes_nobody_elses() {
    for when in [GivesUp::Minted, GivesUp::Ready] {
        give_up(when, |_, session| session.is_ready()).holds(10);
    }
}

#[test]
fn whoever_gives_up_waiting_for_a_session_that_fails_leaves_no_lease_either() {
    for when in [GivesUp::Minted, GivesUp::Ready] {
        give_up(when, |registry, session| end(registry, &key("alice"), session)).holds(10);
    }
}
