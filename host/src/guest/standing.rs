//! How a tenant stands with the engine: whose turn its bursts take, and which of its sessions begin them on their own thread.
//!
//! A burst that turns out to be slow has had its first slice on a thread of the embedder. Once is an accident; who may do it
//! again and again has the thread. So a session that was slow is on probation: its bursts begin on the low-priority threads
//! until it has not been slow for a while. That bounds a session and not a tenant, which has a hundred of them and opens new
//! ones. So while any of a tenant's sessions was slow lately, they are let onto their own threads one by one, new ones too.
//! And after a guest has used up a whole budget, none is, for the same while.
//!
//! What is long over is forgotten: a guest that had one large frame to read is where it was ten seconds later.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::turns::Party;

/// How long a session is on probation after it was slow. With one slow slice in it, of a tick and a little at most, a session
/// has 0.1 % of a thread.
pub(super) const PROBATION: Duration = Duration::from_secs(10);

/// Time between two sessions of a tenant that are let onto their own threads while any of them was slow lately: however many it
/// has, it has 1 % of a thread.
const BETWEEN: Duration = Duration::from_secs(1);

/// What is remembered of one tenant's guests. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Standing(Arc<Shared>);

struct Shared {
    party: Party,
    record: Mutex<Record>,
}

/// When what happened last.
#[derive(Default)]
struct Record {
    slow: Option<Instant>,
    used_up: Option<Instant>,
    admitted: Option<Instant>,
}

impl Default for Standing {
    /// That of somebody who was never seen before.
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(Arc::new(Shared { party: Party(NEXT.fetch_add(1, Relaxed)), record: Mutex::default() }))
    }
}

impl Standing {
    pub(super) fn party(&self) -> Party {
        self.0.party
    }

    /// A burst was slow.
    pub(super) fn slow(&self, now: Instant) {
        self.record().slow = Some(now);
    }

    /// A burst has used up its budget.
    pub(super) fn used_up(&self, now: Instant) {
        self.record().used_up = Some(now);
    }

    /// Whether a session that is new, or whose probation is over, may begin its bursts on its own thread from now on. Asked
    /// again later where it may not.
    pub(super) fn admits(&self, now: Instant) -> bool {
        self.record().admits(now)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        // Every change is a single assignment.
        self.0.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn admits(&mut self, now: Instant) -> bool {
        let within =
            |time: Option<Instant>, limit| time.is_some_and(|time| now.saturating_duration_since(time) < limit);
        if within(self.used_up, PROBATION) {
            return false;
        }
        if within(self.slow, PROBATION) {
            if within(self.admitted, BETWEEN) {
                return false;
            }
            self.admitted = Some(now);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn a_tenant_that_was_never_slow_has_all_its_sessions_on_their_own_threads() {
        let (mut record, now) = (Record::default(), Instant::now());

        assert!((0..100).all(|_| record.admits(now)));
    }

    #[test]
    fn while_a_tenant_was_slow_lately_its_sessions_are_let_back_one_by_one() {
        let (mut record, now) = (Record { slow: Some(Instant::now()), ..Record::default() }, Instant::now());

        let admitted = (0..5_000).filter(|&after| record.admits(now + MILLISECOND * after)).count();

        assert_eq!(admitted, 5);
        assert!((0..100).all(|_| record.admits(now + PROBATION)));
    }

    #[test]
    fn after_a_budget_was_used_up_none_is_let_back_until_that_is_long_ago() {
        let now = Instant::now();
        let mut record = Record { used_up: Some(now), ..Record::default() };

        assert!(!record.admits(now));
        assert!(!record.admits(now + PROBATION - MILLISECOND));
        assert!(record.admits(now + PROBATION));
    }

    #[test]
    fn no_two_tenants_are_one_party() {
        let (acme, other) = (Standing::default(), Standing::default());
        let again = acme.clone();

        assert_ne!(acme.party(), other.party());
        assert_eq!(acme.party(), again.party());
    }
}
