//! The low-priority threads that slow bursts move to, and where large results are read.
//!
//! A guest that computes for long must not do so on the embedder's tokio workers, yielding or not: beside two spinning
//! guests on two cores the p99 of another tenant's calls was 596 ms when they yielded there, and 1.2 ms when they ran here.
//! A thread takes a burst, runs it until its next tick, and puts it back among those that wait, where tenants take turns (see
//! [`turns`](super::turns)). There is at most one burst per session, and two
//! results that are read per tenant, which bounds how many there are.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Waker},
    thread,
};

use super::turns::{Party, Turns};

/// Niceness of the threads: the lowest priority (nice(2)).
#[cfg(target_os = "linux")]
const NICE: i32 = 19;

/// A burst on its way through the queue. It delivers its result by itself.
pub(super) struct Job {
    pub(super) burst: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Set when nobody wants the result any more: the burst is dropped at its next tick, and its guest with it.
    pub(super) abandoned: Arc<AtomicBool>,
}

pub(super) struct Workers {
    queue: Arc<Queue>,
    /// One per core: they only get what nobody else wants.
    most_threads: usize,
    start: fn(Arc<Queue>) -> io::Result<()>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: Turns<Job>,
    threads: usize,
    idle: usize,
    stop: bool,
}

impl Workers {
    /// Starts no thread: the first slow burst does.
    pub(super) fn new() -> Self {
        Self::with_threads(thread::available_parallelism().map_or(1, usize::from))
    }

    pub(super) fn with_threads(most_threads: usize) -> Self {
        Self { queue: Arc::default(), most_threads, start: start_thread }
    }

    /// Those of a machine that has no room for another thread.
    #[cfg(test)]
    pub(super) fn without_threads() -> Self {
        Self { queue: Arc::default(), most_threads: 1, start: |_| Err(io::ErrorKind::WouldBlock.into()) }
    }

    /// Queues a burst. If no thread can be started it is dropped, and whoever waits for its result sees that.
    pub(super) fn submit(&self, party: Party, job: Job) {
        let mut state = self.queue.lock();
        state.jobs.push(party, job);
        // A thread that was woken counts as idle until it runs, and may have a burst already.
        if state.jobs.waiting() > state.idle && state.threads < self.most_threads {
            match (self.start)(self.queue.clone()) {
                Ok(()) => state.threads += 1,
                Err(error) if state.threads == 0 => {
                    tracing::error!(%error, "no low-priority thread could be started");
                    state.jobs.clear();
                }
                Err(_) => {}
            }
        }
        drop(state);
        self.queue.changed.notify_one();
    }
}

fn start_thread(queue: Arc<Queue>) -> io::Result<()> {
    thread::Builder::new().name("innkeeper-slow".into()).spawn(move || queue.work()).map(drop)
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
        while let Some((party, job)) = self.next() {
            let unfinished = run_slice(job);
            let mut state = self.lock();
            let dropped = match unfinished {
                Some(job) if !state.stop => {
                    state.jobs.push(party, job);
                    None
                }
                other => other,
            };
            state.jobs.over(party);
            drop(state);
            // A guest's memory goes with it, which takes a while.
            drop(dropped);
        }
    }

    fn next(&self) -> Option<(Party, Job)> {
        let mut state = self.lock();
        loop {
            if state.stop {
                state.threads -= 1;
                return None;
            }
            if let Some(next) = state.jobs.take() {
                return Some(next);
            }
            state.idle += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}

/// Runs a burst until its next tick, and returns it if it is to go on.
fn run_slice(mut job: Job) -> Option<Job> {
    if job.abandoned.load(Relaxed) {
        return None;
    }
    let mut context = Context::from_waker(Waker::noop());
    // A panic in here would be a fault of the engine or of this crate. It ends that burst, not the thread.
    let polled = catch_unwind(AssertUnwindSafe(|| job.burst.as_mut().poll(&mut context).is_pending()));
    matches!(polled, Ok(true)).then_some(job)
}

#[cfg(target_os = "linux")]
fn lower_priority() {
    // On Linux the niceness is an attribute of the thread (sched(7)), so its own id is given.
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
        tracing::debug!(%error, "slow guests run at normal priority, and large results are read at it");
    }
}

/// Elsewhere niceness belongs to the whole process, which is not ours to slow down.
#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, task::Poll, time::Duration};

    use super::*;

    const ACME: Party = Party(1);
    const OTHER: Party = Party(2);

    /// Far longer than any test takes.
    const LIMIT: Duration = Duration::from_secs(60);

    fn job(burst: impl Future<Output = ()> + Send + 'static) -> Job {
        Job { burst: Box::pin(burst), abandoned: Arc::default() }
    }

    /// A burst of so many slices, each of which is reported.
    fn slices(count: usize, party: Party, report: &mpsc::Sender<Party>) -> Job {
        let (mut left, report) = (count, report.clone());
        job(std::future::poll_fn(move |_| {
            report.send(party).unwrap();
            left -= 1;
            if left == 0 { Poll::Ready(()) } else { Poll::Pending }
        }))
    }

    /// A burst that takes a thread, and gives it back when the returned sender is dropped.
    fn occupy(workers: &Workers, party: Party) -> mpsc::Sender<()> {
        let (release, released) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel();
        workers.submit(
            party,
            job(async move {
                begin.send(()).unwrap();
                let _ = released.recv_timeout(LIMIT);
            }),
        );
        begun.recv_timeout(LIMIT).unwrap();
        release
    }

    #[test]
    fn a_tenant_with_a_thousand_slow_bursts_delays_that_of_another_by_one_slice() {
        let workers = Workers::with_threads(1);
        let (report, reports) = mpsc::channel();
        let release = occupy(&workers, ACME);
        for _ in 0..1000 {
            workers.submit(ACME, slices(10, ACME, &report));
        }
        workers.submit(OTHER, slices(3, OTHER, &report));

        drop(release);

        let order: Vec<Party> = (0..7).map(|_| reports.recv_timeout(LIMIT).unwrap()).collect();
        assert_eq!(order, [OTHER, ACME, OTHER, ACME, OTHER, ACME, ACME]);
    }

    #[test]
    fn a_burst_that_nobody_waits_for_is_dropped_without_a_slice() {
        let workers = Workers::with_threads(1);
        let (report, reports) = mpsc::channel();
        let release = occupy(&workers, ACME);
        let abandoned = slices(1, ACME, &report);
        abandoned.abandoned.store(true, Relaxed);
        workers.submit(ACME, abandoned);
        workers.submit(OTHER, slices(1, OTHER, &report));

        drop((release, report));

        // All there is, because the senders are gone with their bursts.
        assert_eq!(reports.iter().collect::<Vec<_>>(), [OTHER]);
    }

    #[test]
    fn a_burst_that_panics_ends_by_itself() {
        let workers = Workers::with_threads(1);
        let (report, reports) = mpsc::channel();
        workers.submit(ACME, job(async { panic!("a fault of this test") }));

        workers.submit(ACME, slices(2, ACME, &report));

        assert_eq!(reports.recv_timeout(LIMIT), Ok(ACME));
        assert_eq!(reports.recv_timeout(LIMIT), Ok(ACME));
    }
}
