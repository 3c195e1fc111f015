//! Waiting for a session: it opens or fails, and whoever waits may give up at each step. A lease is counted from the moment of
//! waiting.
//!
//! A session that fails stays in the table, where the next who needs it has it try again: see the models of a session's clients.

use std::sync::Arc;

use super::{
    Checked, close_the_rest, reap, registry, take_opening,
    world::{Session, World, explore_bounded},
};
use crate::{
    explore::{Explored, named},
    registry::{CheckedOut, Registry},
};

/// Leases Alice's session, whose task runs `owner`.
fn take(registry: &Arc<Registry<Checked>>, world: &Arc<World>, owner: fn(&Session)) -> CheckedOut<Checked> {
    let open = |id| Session::with_owner(world, id, move |session| owner(&session));
    take_opening(registry, "alice", open).unwrap()
}

/// When somebody stops waiting. Before that nothing was minted: the future of a lease does nothing before it is polled.
#[derive(Clone, Copy)]
enum GivesUp {
    Minted,
    Ready,
}

/// Somebody gives up at a step, while somebody else waits for the same session, and the reaper looks.
fn give_up(when: GivesUp, owner: fn(&Session)) -> Explored {
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

        close_the_rest(&registry);
    })
}

#[test]
fn whoever_gives_up_waiting_leaves_no_lease_and_takes_nobody_elses() {
    for when in [GivesUp::Minted, GivesUp::Ready] {
        give_up(when, Session::is_ready).holds(10);
    }
}

#[test]
fn whoever_gives_up_waiting_for_a_session_that_fails_leaves_no_lease_either() {
    for when in [GivesUp::Minted, GivesUp::Ready] {
        give_up(when, Session::has_failed).holds(10);
    }
}
