//! The budget of a burst: CPU time, beside a wall-clock limit.
//!
//! CPU time is the fair measure: on a busy machine an honest guest waits for its turn, and a wall-clock limit of the same
//! length would end it. Reading a thread's CPU clock is a system call, so nothing is read for a burst that ends within
//! its first tick, which is nearly every one.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use wasmtime::UpdateDeadline;

use super::{GuestFault, ticker::TICK};
use crate::Limits;

/// Where a slice of a burst runs, as the CPU clock of the worker's thread when the slice began. Zero: on the thread of the
/// session, whose clock nobody read.
#[derive(Clone, Default)]
pub(super) struct SliceClock(Arc<AtomicU64>);

impl SliceClock {
    /// To be called on the worker's thread before each slice.
    pub(super) fn begin_slice(&self) {
        self.0.store(thread_cpu_time().max(1), Relaxed);
    }

    /// To be called on the session's thread, before the first slice.
    pub(super) fn reset(&self) {
        self.0.store(0, Relaxed);
    }

    /// CPU time since the slice began or since the last look; none where the slice runs on the session's thread.
    fn lap(&self) -> Option<Duration> {
        match self.0.load(Relaxed) {
            0 => None,
            before => {
                let now = thread_cpu_time();
                self.0.store(now.max(1), Relaxed);
                Some(Duration::from_nanos(now.saturating_sub(before)))
            }
        }
    }
}

/// The meter of one guest, restarted for each burst.
pub(super) struct Meter {
    clock: SliceClock,
    started: Instant,
    used: Duration,
    slice: Duration,
    cpu_limit: Duration,
    wall_limit: Duration,
}

impl Meter {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            clock: SliceClock::default(),
            started: Instant::now(),
            used: Duration::ZERO,
            slice: limits.guest_slice,
            cpu_limit: limits.guest_cpu,
            wall_limit: limits.guest_wall,
        }
    }

    pub(super) fn clock(&self) -> SliceClock {
        self.clock.clone()
    }

    pub(super) fn begin_burst(&mut self) {
        self.started = Instant::now();
        self.used = Duration::ZERO;
    }

    /// What is to become of a burst that a tick has met.
    pub(super) fn tick(&mut self) -> Result<UpdateDeadline, Exceeded> {
        let wall = self.started.elapsed();
        if wall > self.wall_limit {
            return Err(Exceeded(GuestFault::WallClock(self.wall_limit)));
        }
        match self.clock.lap() {
            Some(lap) => self.used += lap,
            // The first slice runs on the session's thread. It may have waited, so its wall-clock time is an upper bound.
            None if wall < self.slice => return Ok(UpdateDeadline::Continue(1)),
            None => self.used += wall.min(TICK),
        }
        if self.used > self.cpu_limit {
            return Err(Exceeded(GuestFault::CpuTime(self.cpu_limit)));
        }
        Ok(UpdateDeadline::Yield(1))
    }
}

/// Carries the fault through wasmtime's error type.
#[derive(Debug)]
pub(super) struct Exceeded(pub(super) GuestFault);

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Exceeded {}

/// Nanoseconds of CPU time of this thread (clock_gettime(2), `CLOCK_THREAD_CPUTIME_ID`).
#[cfg(unix)]
fn thread_cpu_time() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Elsewhere the wall clock stands in: an upper bound.
#[cfg(not(unix))]
fn thread_cpu_time() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}
