//! Work of the host's on the low-priority threads, beside the slow bursts of guests and in the same turns.
//!
//! What takes milliseconds of a processor for one tenant must not run where calls of all are passed on, nor beside it on a
//! thread that the scheduler prefers no less: on two cores two such threads are both of them. Here it gets what nobody else
//! wants, and tenants take turns: with work of this kind as if it were another tenant's, so that the bursts of its guests, whose
//! time is counted, do not stand behind it. It counts as one turn however long it takes, so it is for what has a bound; and whoever
//! begins it bounds how much waits.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::{Arc, atomic::AtomicBool},
    task::{Context, Poll, ready},
};

use tokio::sync::oneshot;

use super::{
    turns::Party,
    workers::{Job, Workers},
};

/// The low-priority threads, for one tenant. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Background {
    workers: Arc<Workers>,
    party: Party,
}

/// Work that was begun: a future of what comes of it; none where it is not done, because the runtime is gone or no thread could be
/// started. Panics if the work did. If it is dropped before the work has begun, that never begins; what it holds is kept until its
/// turn.
pub(crate) struct Work<T>(oneshot::Receiver<std::thread::Result<T>>);

impl Background {
    pub(super) fn new(workers: Arc<Workers>) -> Self {
        Self { workers, party: Party::new() }
    }

    /// Of a tenant that is alone.
    #[cfg(test)]
    pub(crate) fn alone() -> Self {
        Self::new(Arc::new(Workers::new()))
    }

    /// On a machine that has no room for another thread.
    #[cfg(test)]
    pub(crate) fn without_threads() -> Self {
        Self::new(Arc::new(Workers::without_threads()))
    }

    /// Begins with it when it is its turn. Needs no tokio runtime.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Work<T> {
        let (done, outcome) = oneshot::channel();
        let burst = async move {
            if !done.is_closed() {
                let _ = done.send(catch_unwind(AssertUnwindSafe(work)));
            }
        };
        let abandoned = Arc::new(AtomicBool::new(false));
        self.workers.submit(self.party, Job { burst: Box::pin(burst), abandoned });
        Work(outcome)
    }
}

impl<T> Future for Work<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(Pin::new(&mut self.0).poll(context)) {
            Ok(Ok(value)) => Some(value),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread, time::Duration};

    use super::*;

    /// Far longer than any test takes.
    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn work_is_done_on_another_thread() {
        let background = Background::alone();

        let done = background.run(thread::current).await;

        assert_ne!(done.unwrap().id(), thread::current().id());
    }

    #[tokio::test]
    async fn where_no_thread_can_be_started_nothing_comes_of_it() {
        let background = Background::without_threads();

        assert_eq!(background.run(|| ()).await, None);
    }

    #[tokio::test]
    async fn a_panic_is_that_of_whoever_waits() {
        let background = Background::alone();
        let work = background.run(|| panic!("a fault of this test"));

        let panic = tokio::spawn(work).await.unwrap_err().into_panic();

        assert_eq!(panic.downcast_ref(), Some(&"a fault of this test"));
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_begun() {
        let background = Background::new(Arc::new(Workers::with_threads(1)));
        let (begun, begins) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let first = background.run(move || released.recv_timeout(LIMIT));

        drop(background.run(move || begun.send(())));
        drop(release);

        first.await.unwrap().unwrap_err();
        // The only sender is gone with the work, which sent nothing.
        assert_eq!(begins.recv_timeout(LIMIT), Err(mpsc::RecvTimeoutError::Disconnected));
    }

    #[tokio::test]
    async fn work_that_waits_when_the_runtime_goes_comes_to_nothing() {
        let background = Background::new(Arc::new(Workers::with_threads(1)));
        let (release, released) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel();
        let first = background.run(move || {
            begin.send(()).unwrap();
            released.recv_timeout(LIMIT)
        });
        begun.recv_timeout(LIMIT).unwrap();
        let second = background.run(|| ());

        drop(background);

        assert_eq!(second.await, None);
        drop(release);
        first.await.unwrap().unwrap_err();
    }
}
