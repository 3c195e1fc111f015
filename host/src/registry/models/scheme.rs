//! One scene for several schemes: somebody takes a lease of an idle session while the reaper looks for idle ones.
//!
//! Ours and those that must fail go through the same, and the same is asked of each: a lease is never refused, and what is
//! held is never closed.

use std::sync::Arc;

use super::world::{REFUSED, Session, World, explore, explore_bounded};
use crate::explore::{Explored, check, named};

/// A way to keep the session of one key.
pub(super) trait Scheme: Sized + Send + Sync + 'static {
    /// Dropping it gives it back.
    type Lease;

    fn new(world: &Arc<World>) -> Self;

    /// Leases the session, and opens it if there is none.
    fn lease(&self) -> Option<Self::Lease>;

    fn session(lease: &Self::Lease) -> &Session;

    /// Closes the session, if nobody holds it.
    fn reap(&self);
}

/// Somebody who takes, uses and drops a lease, and the reaper, at once. There is an idle session when they begin.
pub(super) fn take_and_reap<S: Scheme>() -> Explored {
    explore(scene::<S>(1))
}

/// The same with two who take one.
pub(super) fn two_take_and_reap<S: Scheme>() -> Explored {
    explore_bounded(scene::<S>(2))
}

fn scene<S: Scheme>(takers: usize) -> impl Fn(&Arc<World>) {
    move |world| {
        let scheme = Arc::new(S::new(world));
        drop(scheme.lease());

        let mut threads: Vec<_> = (0..takers)
            .map(|_| {
                let scheme = scheme.clone();
                named("taker", move || {
                    let lease = scheme.lease();
                    check(lease.is_some(), REFUSED);
                    if let Some(lease) = &lease {
                        S::session(lease).is_used();
                    }
                })
            })
            .collect();
        let reaped = scheme.clone();
        threads.push(named("reaper", move || reaped.reap()));
        for thread in threads {
            thread.join().unwrap();
        }

        // Nobody holds it now.
        scheme.reap();
    }
}
