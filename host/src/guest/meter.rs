//! The budget of a burst: CPU time, beside a wall-clock limit.
//!
//! CPU time is the fair measure: on a busy machine an honest guest waits for its turn, and a wall-clock limit of the same
//! length would end it, or count it as slow. Reading a thread's CPU clock is a system call, so it is not read for each burst
//! on the thread of a session, nearly all of which end within microseconds: the clock as it was up to a millisecond earlier
//! will do, because what is asked is whether a burst has run for milliseconds.

use std::{
    cell::Cell,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use wasmtime::UpdateDeadline;

use super::GuestFault;
use crate::Limits;

/// How old a look at the CPU clock of a session's thread may be. So much may be counted against a burst that others have used.
const RECENT: Duration = Duration::from_millis(1);

/// Where a slice of a burst runs, as the CPU clock of the worker's thread when the slice began. Zero: on the thread of the
/// session.
#[derive(Clone, Default)]
pub(super) struct SliceClock(Arc<AtomicU64>);

impl SliceClock {
    /// To be called on the worker's thread before each slice.
    pub(super) fn begin_slice(&self) -> Slice {
        let slice = Slice(thread_cpu_time());
        self.0.store(slice.0.max(1), Relaxed);
        slice
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

/// A slice on a worker's thread, as the CPU clock of the thread when it began.
pub(super) struct Slice(u64);

impl Slice {
    /// CPU time since it began. To be called on the same thread.
    pub(super) fn used(&self) -> Duration {
        Duration::from_nanos(thread_cpu_time().saturating_sub(self.0))
    }
}

/// The meter of one guest, restarted for each burst.
pub(super) struct Meter {
    clock: SliceClock,
    started: Instant,
    /// The CPU clock of the thread that the burst began on, as it was then or a moment before.
    recent: Slice,
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
            recent: Slice(0),
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
        self.recent = recent(self.started);
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
            None => {
                let used = self.recent.used();
                if used < self.slice {
                    return Ok(UpdateDeadline::Continue(1));
                }
                self.used += used;
            }
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

/// The CPU clock of this thread, as it was when somebody looked lately. Looks, if nobody did.
fn recent(now: Instant) -> Slice {
    thread_local! {
        static LOOK: Cell<Option<(Instant, u64)>> = const { Cell::new(None) };
    }
    match LOOK.get() {
        Some((at, time)) if now.saturating_duration_since(at) < RECENT => Slice(time),
        _ => {
            let time = thread_cpu_time();
            LOOK.set(Some((now, time)));
            Slice(time)
        }
    }
}

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
