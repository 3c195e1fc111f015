//! The low-priority threads that slow bursts move to.
//!
//! A guest that computes for long must not do so on the embedder's tokio workers, yielding or not: beside two spinning
//! guests on two cores the p99 of another tenant's calls was 596 ms when they yielded there, and 1.2 ms when they ran here.
//! A thread takes a burst, runs it until its next tick, and puts it at the end of the queue, so that slow guests share the
//! threads fairly. There is at most one burst per session, which bounds the queue.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Waker},
    thread,
};

use super::meter::SliceClock;

/// Niceness of the threads: the lowest priority (nice(2)).
#[cfg(target_os = "linux")]
const NICE: i32 = 19;

/// A burst on its way through the queue. It delivers its result by itself.
pub(super) struct Job {
    pub(super) burst: Pin<Box<dyn Future<Output = ()> + Send>>,
    pub(super) clock: SliceClock,
    /// Set when nobody wants the result any more: the burst is dropped at its next tick, and its guest with it.
    pub(super) abandoned: Arc<AtomicBool>,
}

pub(super) struct Workers {
    queue: Arc<Queue>,
    /// One per core: they only get what nobody else wants.
    most_threads: usize,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    stop: bool,
}

impl Workers {
    /// Starts no thread: the first slow burst does.
    pub(super) fn new() -> Self {
        Self { queue: Arc::default(), most_threads: thread::available_parallelism().map_or(1, usize::from) }
    }

    /// Queues a burst. If no thread can be started it is dropped, and whoever waits for its result sees that.
    pub(super) fn submit(&self, job: Job) {
        let mut state = self.queue.lock();
        state.jobs.push_back(job);
        // A thread that was woken counts as idle until it runs, and may have a burst already.
        if state.jobs.len() > state.idle && state.threads < self.most_threads {
            let queue = self.queue.clone();
            let spawned = thread::Builder::new().name("innkeeper-slow".into()).spawn(move || queue.work());
            match spawned {
                Ok(_) => state.threads += 1,
                Err(error) if state.threads == 0 => {
                    tracing::error!(%error, "no thread for slow guests could be started");
                    state.jobs.clear();
                }
                Err(_) => {}
            }
        }
        drop(state);
        self.queue.changed.notify_one();
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.stop = true;
        state.jobs.clear();
        drop(state);
        self.queue.changed.notify_all();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under this lock leaves the queue as it was: every change is a single operation.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        lower_priority();
        while let Some(mut job) = self.next() {
            if job.abandoned.load(Relaxed) {
                continue;
            }
            job.clock.begin_slice();
            let mut context = Context::from_waker(Waker::noop());
            // A panic in here would be a fault of the engine or of this crate. It ends that burst, not the thread.
            let polled = catch_unwind(AssertUnwindSafe(|| job.burst.as_mut().poll(&mut context).is_pending()));
            if let Ok(true) = polled {
                let mut state = self.lock();
                if !state.stop {
                    state.jobs.push_back(job);
                }
            }
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.stop {
                state.threads -= 1;
                return None;
            }
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            state.idle += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}

#[cfg(target_os = "linux")]
fn lower_priority() {
    // On Linux the niceness is an attribute of the thread (sched(7)), so its own id is given.
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
        tracing::debug!(%error, "slow guests run at normal priority");
    }
}

/// Elsewhere niceness belongs to the whole process, which is not ours to slow down.
#[cfg(not(target_os = "linux"))]
fn lower_priority() {}
