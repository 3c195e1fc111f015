//! When a server that fails may be tried again.
//!
//! Each failure makes the wait before the next try longer, so that a server that cannot live is not started over and over.
//! After so many in a row the breaker is *open*: nobody waits for a server that will most likely fail again, but is told when
//! it is worth another try. Then it is *half open*: the next one who asks tries, and what becomes of that decides.
//!
//! Plain data: the clock and the dice are given. See "Circuit Breaker" in M. Nygard, *Release It!*, and "full jitter" in the
//! literature on back-off; half of the wait is certain here, so that no dice makes a loop of it.

use std::{fmt, time::Duration};

use serde::Serialize;
use tokio::time::Instant;

use crate::Limits;

/// The failures of one server for one user, in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Breaker {
    failures: u32,
    /// Before this, nothing is tried.
    next: Option<Instant>,
}

/// Whether a server may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Yes, from then on.
    At(Instant),
    /// Not before so much time has passed, and nobody need wait for it.
    Refused(Duration),
}

/// Whether a server is tried again ("circuit breaker").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BreakerState {
    /// It is.
    Closed,
    /// It failed too often in a row: nobody tries it before its time.
    Open,
    /// The next lease or call decides.
    HalfOpen,
}

impl fmt::Display for BreakerState {
    /// `closed`, `open` or `half-open`, as it is serialised.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        })
    }
}

impl Breaker {
    pub(crate) fn admit(&self, now: Instant, limits: &Limits) -> Admission {
        let next = self.next.unwrap_or(now).max(now);
        match self.state(now, limits) {
            BreakerState::Open => Admission::Refused(next - now),
            BreakerState::Closed | BreakerState::HalfOpen => Admission::At(next),
        }
    }

    /// It failed: it could not be reached, or was lost soon after that. `dice` is evenly spread over 0 to 1.
    pub(crate) fn failed(&mut self, now: Instant, limits: &Limits, dice: f64) {
        self.failures = self.failures.saturating_add(1);
        let wait = if self.is_tripped(limits) {
            // Whoever asks then tries, and nobody asks by the clock.
            limits.breaker_pause
        } else {
            let doublings = self.failures.saturating_sub(1).min(31);
            let wait = limits.reconnect_delay.saturating_mul(1 << doublings).min(limits.reconnect_delay_max);
            wait.mul_f64(0.5 + dice / 2.0)
        };
        self.next = Some(now + wait);
    }

    /// It lived, or somebody wants it tried anew.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    pub(crate) fn state(&self, now: Instant, limits: &Limits) -> BreakerState {
        match self.next {
            Some(next) if self.is_tripped(limits) && now < next => BreakerState::Open,
            Some(_) if self.is_tripped(limits) => BreakerState::HalfOpen,
            _ => BreakerState::Closed,
        }
    }

    fn is_tripped(&self, limits: &Limits) -> bool {
        self.failures >= limits.breaker_failures.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits::default()
    }

    fn waits(dice: f64) -> Vec<f64> {
        let (mut breaker, limits) = (Breaker::default(), Limits { breaker_failures: 100, ..limits() });
        let now = Instant::now();
        let failing = (0..10).map(|_| {
            breaker.failed(now, &limits, dice);
            match breaker.admit(now, &limits) {
                Admission::At(at) => (at - now).as_secs_f64(),
                Admission::Refused(_) => panic!("it is not open before 100 failures"),
            }
        });
        failing.collect()
    }

    #[test]
    fn a_server_that_never_failed_is_tried_at_once() {
        let now = Instant::now();

        assert_eq!(Breaker::default().admit(now, &limits()), Admission::At(now));
    }

    #[test]
    fn the_wait_doubles_up_to_its_bound() {
        assert_eq!(waits(1.0), [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]);
    }

    #[test]
    fn the_dice_takes_off_half_of_it_at_most() {
        assert_eq!(waits(0.0), [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]);
    }

    #[test]
    fn after_so_many_failures_it_is_open_for_a_while_and_then_one_may_try() {
        let (mut breaker, limits, now) = (Breaker::default(), limits(), Instant::now());

        for _ in 0..limits.breaker_failures {
            assert_eq!(breaker.state(now, &limits), BreakerState::Closed);
            breaker.failed(now, &limits, 1.0);
        }

        assert_eq!(breaker.admit(now, &limits), Admission::Refused(limits.breaker_pause));
        assert_eq!(breaker.state(now, &limits), BreakerState::Open);
        let later = now + limits.breaker_pause;
        assert_eq!(breaker.admit(later, &limits), Admission::At(later));
        assert_eq!(breaker.state(later, &limits), BreakerState::HalfOpen);
    }

    #[test]
    fn a_failed_try_opens_it_again_and_one_that_lives_closes_it() {
        let (mut breaker, limits, now) = (Breaker::default(), limits(), Instant::now());
        for _ in 0..limits.breaker_failures {
            breaker.failed(now, &limits, 1.0);
        }
        let later = now + limits.breaker_pause;

        let mut failed = breaker;
        failed.failed(later, &limits, 1.0);
        breaker.reset();

        assert_eq!(failed.state(later, &limits), BreakerState::Open);
        assert_eq!(breaker.state(later, &limits), BreakerState::Closed);
        assert_eq!(breaker.failures(), 0);
    }
}
