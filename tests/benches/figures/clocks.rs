//! The CPU clocks of the runtime's threads: what else they did while a call waited for one of them.
//!
//! On a machine where others work too, the time of a call says what the system's scheduler did. The CPU time that the thread
//! which took the call at last had for other things meanwhile does not depend on them: it is what the runtime has it wait.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The clocks of the threads, those that have ended included.
static CLOCKS: Mutex<Vec<libc::clockid_t>> = Mutex::new(Vec::new());

/// To be called on each thread of the runtime when it starts.
pub(crate) fn add_this_thread() {
    CLOCKS.lock().unwrap_or_else(PoisonError::into_inner).push(of_this_thread());
}

/// All clocks at one moment.
pub(crate) struct Look(Vec<(libc::clockid_t, Duration)>);

impl Look {
    pub(crate) fn now() -> Self {
        let clocks = CLOCKS.lock().unwrap_or_else(PoisonError::into_inner);
        Self(clocks.iter().filter_map(|&clock| Some((clock, time(clock)?))).collect())
    }

    /// CPU time of this thread since then. None: it was not there.
    pub(crate) fn of_this_thread_since(&self) -> Option<Duration> {
        let this = of_this_thread();
        let (_, then) = self.0.iter().find(|(clock, _)| *clock == this)?;
        Some(time(this)?.saturating_sub(*then))
    }
}

fn of_this_thread() -> libc::clockid_t {
    let mut clock = 0;
    // SAFETY: pthread_self(3) takes nothing; pthread_getcpuclockid(3) writes a clock id to where it may.
    let error = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock) };
    assert_eq!(error, 0, "a thread has a CPU clock");
    clock
}

/// None: its thread has ended.
fn time(clock: libc::clockid_t) -> Option<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime(2) writes a time to where it may.
    let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
    (result == 0).then(|| Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0)))
}
