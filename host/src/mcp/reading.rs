//! Where results are read: small ones at once, large ones on a thread for work that blocks, a few of each tenant at a time.
//!
//! Reading a result of the largest size takes tens of milliseconds, for which a thread of the embedder must not stand still. The
//! threads for work that blocks are everybody's too; a tenant that has many large results read waits for its own.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::future::BoxFuture;

/// Bytes of a result from which on it is read aside. Reading so many takes some hundred microseconds, about a session's turn on a
/// thread; handing them over takes some ten.
const LARGE: usize = 256 * 1024;

/// Results of one tenant that are read aside at a time. One alone would leave it waiting while another thread has nothing to do.
const AT_A_TIME: usize = 2;

/// The readers of one tenant. Cheap to clone.
#[derive(Clone)]
pub(super) struct Readers(Arc<Semaphore>);

impl Default for Readers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_A_TIME)))
    }
}

type Read<T> = Result<T, String>;

/// A result that is read: a future of what it says, or of what is wrong with it. Dropping it leaves a reader to finish.
pub(super) enum Reading<T> {
    AtOnce(Option<Read<T>>),
    Aside(BoxFuture<'static, Read<T>>),
}

impl Readers {
    /// Begins to read. At once where the result is small, and where this is no tokio runtime.
    pub(super) fn read<T: Send + 'static>(&self, raw: Bytes, read: fn(Bytes) -> Read<T>) -> Reading<T> {
        let tokio = tokio::runtime::Handle::try_current().ok().filter(|_| raw.len() >= LARGE);
        let Some(tokio) = tokio else { return Reading::AtOnce(Some(read(raw))) };
        let readers = self.0.clone();
        Reading::Aside(Box::pin(async move {
            // Never closed. It is the reader's until that has finished, whether or not somebody still waits.
            let reader = readers.acquire_owned().await.ok();
            let reading = tokio.spawn_blocking(move || {
                let _reader = reader;
                read(raw)
            });
            reading.await.unwrap_or_else(|error| match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err("it was not read before the end of the tokio runtime".to_owned()),
            })
        }))
    }
}

impl<T: Unpin> Future for Reading<T> {
    type Output = Read<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let read = match self.get_mut() {
            Self::AtOnce(read) => read.take(),
            Self::Aside(reading) => Some(ready!(reading.as_mut().poll(context))),
        };
        Poll::Ready(read.unwrap_or_else(|| Err("it was read already".to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
        thread,
    };

    use super::*;

    fn reader(_: Bytes) -> Read<thread::ThreadId> {
        Ok(thread::current().id())
    }

    fn zeros(count: usize) -> Bytes {
        vec![0; count].into()
    }

    #[tokio::test]
    async fn a_large_result_is_read_on_another_thread() {
        let read = Readers::default().read(zeros(LARGE), reader).await;

        assert_ne!(read, Ok(thread::current().id()));
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_large_result_is_said_as_of_a_small_one() {
        let read = Readers::default().read(zeros(LARGE), |_| Err::<(), _>("it is no list".to_owned())).await;

        assert_eq!(read, Err("it is no list".to_owned()));
    }

    #[tokio::test]
    async fn a_small_result_is_read_at_once() {
        let read = Readers::default().read(zeros(LARGE - 1), reader).await;

        assert_eq!(read, Ok(thread::current().id()));
    }

    #[test]
    fn outside_of_a_tokio_runtime_all_are_read_at_once() {
        assert!(matches!(Readers::default().read(zeros(LARGE), reader), Reading::AtOnce(Some(Ok(_)))));
    }

    #[tokio::test]
    async fn no_more_of_one_tenant_are_read_at_a_time_than_may_be() {
        static READING: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        fn count(_: Bytes) -> Read<()> {
            let now = READING.fetch_add(1, SeqCst) + 1;
            MOST.fetch_max(now, SeqCst);
            // As many more as could be there come here before this one goes.
            (0..1000).for_each(|_| thread::yield_now());
            READING.fetch_sub(1, SeqCst);
            Ok(())
        }
        let readers = Readers::default();

        let mut all = tokio::task::JoinSet::new();
        for _ in 0..50 {
            all.spawn(readers.read(zeros(LARGE), count));
        }
        let all = all.join_all().await;

        assert!(all.into_iter().all(|read| read == Ok(())));
        assert!(MOST.load(SeqCst) <= AT_A_TIME);
    }
}
