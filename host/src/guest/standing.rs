//! How a tenant stands with the engine: whose turn its bursts take, and which of its sessions begin them on their own thread.
//!
//! A burst that turns out to be slow has had its first slice on a thread of the embedder. Once is an accident; who may do it
//! again and again has the thread. So a session that was slow is on probation: its bursts begin on the low-priority threads
//! until it has not been slow for a while. That bounds a session and not a tenant, which has a hundred of them and opens new
//! ones. So a tenant has a credit of such slices. Where it is used up, all of its sessions begin on the low-priority threads, and
//! are let back one by one; and after a guest has used up a whole budget, none is for a while.
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

/// Time in which a tenant earns one slow slice on its sessions' own threads. A slice takes about 10 ms: so however many sessions it
/// has, it has 1 % of a thread in the long run.
const BETWEEN: Duration = Duration::from_secs(1);

/// Slices that it may have earned. A tenant that reads a few large frames at a time is not slow.
const CREDIT: u32 = 8;

/// What is remembered of one tenant's guests. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Standing(Arc<Shared>);

struct Shared {
    party: Party,
    record: Mutex<Record>,
    /// Grows when all that were let onto their own threads are not any more.
    revoked: AtomicU64,
}

#[derive(Default)]
struct Record {
    /// When a burst was slow last, and when one used up its budget.
    slow: Option<Instant>,
    used_up: Option<Instant>,
    /// When all credit is there again.
    full_at: Option<Instant>,
}

/// That a session begins its bursts on its own thread, until that is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Admission(u64);

impl Default for Standing {
    /// That of somebody who was never seen before.
    fn default() -> Self {
        Self(Arc::new(Shared { party: Party::new(), record: Mutex::default(), revoked: AtomicU64::new(0) }))
    }
}

impl Standing {
    pub(super) fn party(&self) -> Party {
        self.0.party
    }

    /// A burst was slow on a low-priority thread.
    pub(super) fn slow(&self, now: Instant) {
        self.record().slow = Some(now);
    }

    /// A burst was slow on its session's own thread.
    pub(super) fn took_thread(&self, now: Instant) {
        let mut record = self.record();
        record.slow = Some(now);
        if !record.charge(now) {
            self.revoke();
        }
    }

    /// A burst has used up its budget.
    pub(super) fn used_up(&self, now: Instant) {
        self.record().used_up = Some(now);
        self.revoke();
    }

    fn revoke(&self) {
        self.0.revoked.fetch_add(1, Relaxed);
    }

    /// Whether a session that is new, whose probation is over, or that was revoked, may begin its bursts on its own thread. Asked
    /// again later where it may not.
    pub(super) fn admit(&self, now: Instant) -> Option<Admission> {
        let admission = Admission(self.0.revoked.load(Relaxed));
        self.record().admits(now).then_some(admission)
    }

    /// Whether that still holds. One load, because it is asked before each burst.
    pub(super) fn holds(&self, admission: Admission) -> bool {
        admission.0 == self.0.revoked.load(Relaxed)
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
        // While it was slow lately, whoever comes back pays for it: most likely it is slow again.
        !within(self.slow, PROBATION) || self.charge(now)
    }

    /// Takes one slice of the credit. False: there is none.
    fn charge(&mut self, now: Instant) -> bool {
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now)) + BETWEEN;
        let is_there = full_at <= now + BETWEEN * CREDIT;
        if is_there {
            self.full_at = Some(full_at);
        }
        is_there
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
    fn a_few_slow_slices_cost_the_other_sessions_of_the_tenant_nothing() {
        let (acme, now) = (Standing::default(), Instant::now());
        let other = acme.admit(now).unwrap();

        (0..CREDIT).for_each(|_| acme.took_thread(now));

        assert!(acme.holds(other));
    }

    #[test]
    fn a_tenant_of_a_hundred_slow_sessions_has_its_credit_and_then_one_slice_in_a_while() {
        let (acme, began) = (Standing::default(), Instant::now());
        let mut admissions: Vec<_> = (0..100).map(|_| acme.admit(began)).collect();
        let mut slices = 0;

        // All want to go on all the time, and are slow whenever they may.
        for after in 0..60_000 {
            let now = began + MILLISECOND * after;
            for admission in &mut admissions {
                *admission = admission.filter(|admission| acme.holds(*admission)).or_else(|| acme.admit(now));
                if admission.take().is_some() {
                    acme.took_thread(now);
                    slices += 1;
                }
            }
        }

        // One that is let back pays for that, and for being slow.
        assert!((CREDIT..=CREDIT + 61).contains(&slices), "{slices} in a minute");
    }

    #[test]
    fn after_a_while_without_a_slow_burst_all_are_let_back() {
        let (acme, now) = (Standing::default(), Instant::now());
        (0..=CREDIT).for_each(|_| acme.took_thread(now));

        assert_eq!(acme.admit(now), None);
        assert!((0..100).all(|_| acme.admit(now + PROBATION).is_some()));
    }

    #[test]
    fn a_budget_that_was_used_up_takes_all_sessions_off_their_threads() {
        let (acme, now) = (Standing::default(), Instant::now());
        let other = acme.admit(now).unwrap();

        acme.used_up(now);

        assert!(!acme.holds(other) && acme.admit(now).is_none());
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
