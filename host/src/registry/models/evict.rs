//! Taking a lease of a session and making room for another of the same tenant, which may have one session only.

use std::sync::Arc;

use super::{
    Checked, close_the_rest, end, registry, take,
    world::{REFUSED, USED_WHILE_CLOSING, World, explore},
};
use crate::{
    explore::{Explored, check, named},
    registry::{CheckedOut, Registry, Tenure},
};

type Take = fn(&Arc<Registry<Checked>>, &Arc<World>, &str) -> Option<CheckedOut<Checked>>;

/// Alice has an idle session, and takes it, while Bob takes one that there is room for only in its place.
fn take_and_evict(bobs: Take) -> Explored {
    explore(move |world| {
        let registry = registry(1);
        drop(take(&registry, world, "alice"));

        let user = |name: &'static str, take: Take| {
            let (registry, world) = (registry.clone(), world.clone());
            named(name, move || {
                let lease = take(&registry, &world, name);
                if let Some(lease) = &lease {
                    lease.session().is_used();
                }
                lease.is_some()
            })
        };
        let users = [user("alice", take), user("bob", bobs)];
        let served = users.map(|user| user.join().unwrap());

        // One of them may find that the other holds the only session there may be; not each that the other does.
        check(served.contains(&true), REFUSED);
        close_the_rest(&registry);
    })
}

#[test]
fn a_session_that_is_leased_is_not_evicted_and_one_that_is_evicted_is_not_leased() {
    take_and_evict(take).holds(10);
}

/// Ours, if it chose what to evict, gave up the lock, and took it again to evict that.
fn evict_later(registry: &Arc<Registry<Checked>>, world: &Arc<World>, user: &str) -> Option<CheckedOut<Checked>> {
    let longest_idle = registry.rows().into_iter().find(|row| row.tenure == Tenure::Open(0));
    if let Some(row) = longest_idle {
        end(registry, &row.key, &row.session);
    }
    take(registry, world, user)
}

#[test]
fn the_model_fails_where_what_to_evict_is_chosen_earlier_than_it_is_taken_out() {
    take_and_evict(evict_later).fails(USED_WHILE_CLOSING);
}
