//! Taking a lease and closing what is idle.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Checked, close_the_rest, end, key, reap, registry,
    scheme::{Scheme, take_and_reap, two_take_and_reap},
    take,
    world::{Session, USED_WHILE_CLOSING, World, explore},
};
use crate::{
    explore::named,
    registry::{CheckedOut, Registry, Tenure},
};

/// The registry.
struct Ours {
    registry: Arc<Registry<Checked>>,
    world: Arc<World>,
}

impl Scheme for Ours {
    type Lease = CheckedOut<Checked>;

    fn new(world: &Arc<World>) -> Self {
        Self { registry: registry(10), world: world.clone() }
    }

    fn lease(&self) -> Option<Self::Lease> {
        take(&self.registry, &self.world, "alice")
    }

    fn session(lease: &Self::Lease) -> &Session {
        lease.session()
    }

    fn reap(&self) {
        reap(&self.registry);
    }
}

#[test]
fn a_session_that_is_leased_is_not_reaped_and_one_that_is_reaped_is_not_leased() {
    take_and_reap::<Ours>().holds(10);
}

#[test]
fn a_session_that_several_lease_at_once_is_not_reaped_either() {
    two_take_and_reap::<Ours>().holds(1_000);
}

#[test]
fn leases_that_are_dropped_at_once_leave_none_and_the_timer_finds_their_session_idle() {
    let explored = explore(|world| {
        let registry = registry(10);
        let leases = [take(&registry, world, "alice"), take(&registry, world, "alice")].map(Option::unwrap);

        let mut threads: Vec<_> = leases
            .into_iter()
            .map(|lease| {
                named("holder", move || {
                    lease.session().is_used();
                    drop(lease);
                })
            })
            .collect();
        let reaped = registry.clone();
        threads.push(named("timer", move || {
            // Than the moment in which the last lease is dropped.
            let later = Instant::now() + Duration::from_secs(1);
            for session in reaped.take_expired(later).0 {
                end(&reaped, &key("alice"), &session);
            }
        }));
        threads.into_iter().for_each(|thread| thread.join().unwrap());

        assert!(registry.rows().iter().all(|row| row.tenure == Tenure::Open(0)));
        close_the_rest(&registry);
    });

    explored.holds(10);
}

/// Ours, if a lease were what was found under the lock, and were counted when the lock is taken again.
struct CountedLater(Ours);

impl Scheme for CountedLater {
    type Lease = (CheckedOut<Checked>, Session);

    fn new(world: &Arc<World>) -> Self {
        Self(Ours::new(world))
    }

    fn lease(&self) -> Option<Self::Lease> {
        let found = self.0.registry.rows().pop().map(|row| row.session);
        let counted = self.0.lease()?;
        let found = found.unwrap_or_else(|| counted.session().clone());
        Some((counted, found))
    }

    fn session((_, found): &Self::Lease) -> &Session {
        found
    }

    fn reap(&self) {
        self.0.reap();
    }
}

#[test]
fn the_model_fails_where_a_lease_is_counted_later_than_it_is_found() {
    take_and_reap::<CountedLater>().fails(USED_WHILE_CLOSING);
}

/// Ours, if the reaper looked for what is idle, gave up the lock, and took it again to take that out.
struct ReapedLater(Ours);

impl Scheme for ReapedLater {
    type Lease = CheckedOut<Checked>;

    fn new(world: &Arc<World>) -> Self {
        Self(Ours::new(world))
    }

    fn lease(&self) -> Option<Self::Lease> {
        self.0.lease()
    }

    fn session(lease: &Self::Lease) -> &Session {
        lease.session()
    }

    fn reap(&self) {
        for row in self.0.registry.rows().into_iter().filter(|row| row.tenure == Tenure::Open(0)) {
            end(&self.0.registry, &row.key, &row.session);
        }
    }
}

#[test]
fn the_model_fails_where_the_reaper_decides_earlier_than_it_takes() {
    take_and_reap::<ReapedLater>().fails(USED_WHILE_CLOSING);
}
