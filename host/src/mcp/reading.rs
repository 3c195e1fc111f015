//! Where results are read: small ones at once, large ones on a low-priority thread, a few of each tenant at a time.
//!
//! Reading a result of the largest size takes tens of milliseconds, for which a thread of the embedder must not stand still, nor
//! compete with another for a core. A tenant that has many large results waits for its own. On a machine that has no time left for
//! low priority the wait has an end, and the result is read by whoever waits for it.

use std::{
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::{runtime::Handle, sync::Semaphore, time::timeout};

use crate::{future::BoxFuture, guest::Background};

/// Bytes of a result from which on it is read aside. Reading so many takes some hundred microseconds, about a session's turn on a
/// thread; handing them over takes some ten.
const LARGE: usize = 256 * 1024;

/// Results of one tenant that are read aside at a time. One alone would leave it waiting while another thread has nothing to do.
const AT_A_TIME: usize = 2;

/// How long a result may wait for being read aside.
const PATIENCE: Duration = Duration::from_secs(5);

/// The readers of one tenant. Cheap to clone.
#[derive(Clone)]
pub(super) struct Readers {
    background: Background,
    places: Arc<Semaphore>,
}

type Read<T> = Result<T, String>;

/// A result that is read: a future of what it says, or of what is wrong with it. Dropping it before it is being read has it never be.
pub(super) enum Reading<T> {
    AtOnce(Option<Read<T>>),
    Aside(BoxFuture<'static, Read<T>>),
}

/// A result until somebody takes it, which is whoever waits for it or a reader.
#[derive(Clone)]
struct Unread(Arc<Mutex<Option<Bytes>>>);

impl Unread {
    fn new(raw: Bytes) -> Self {
        Self(Arc::new(Mutex::new(Some(raw))))
    }

    fn take(&self) -> Option<Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Takes a result along when whoever waits for it goes. A reader that never comes to it leaves it where it is.
struct Waiting(Unread);

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.0.take());
    }
}

impl Readers {
    pub(super) fn new(background: Background) -> Self {
        Self { background, places: Arc::new(Semaphore::new(AT_A_TIME)) }
    }

    /// Begins to read. At once where the result is small, and where this is no tokio runtime, whose timer the wait needs.
    pub(super) fn read<T: Send + 'static>(&self, raw: Bytes, read: fn(Bytes) -> Read<T>) -> Reading<T> {
        if raw.len() < LARGE || Handle::try_current().is_err() {
            return Reading::AtOnce(Some(read(raw)));
        }
        let Self { background, places } = self.clone();
        Reading::Aside(Box::pin(async move {
            let theirs = Unread::new(raw);
            let waiting = Waiting(theirs.clone());
            let mut aside = pin!(async move {
                // Never closed.
                let _place = places.acquire().await;
                background.run(move || theirs.take().map(read)).await.flatten()
            });
            let read_aside = timeout(PATIENCE, aside.as_mut()).await;
            match (read_aside, waiting.0.take()) {
                (Ok(Some(read)), _) => read,
                // No thread could be started, or none has come to it.
                (_, Some(raw)) => read(raw),
                // It is being read: that ends.
                (Err(_), None) => aside.await.unwrap_or_else(|| Err(LOST.to_owned())),
                (Ok(None), None) => Err(LOST.to_owned()),
            }
        }))
    }
}

/// Whoever takes a result reads it.
const LOST: &str = "it was taken and not read, which is a fault of this library";

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
        sync::{
            atomic::{AtomicUsize, Ordering::SeqCst},
            mpsc,
        },
        thread,
    };

    use super::*;

    fn reader(_: Bytes) -> Read<thread::ThreadId> {
        Ok(thread::current().id())
    }

    fn zeros(count: usize) -> Bytes {
        vec![0; count].into()
    }

    fn readers() -> Readers {
        Readers::new(Background::alone())
    }

    #[tokio::test]
    async fn a_large_result_is_read_on_another_thread() {
        let read = readers().read(zeros(LARGE), reader).await;

        assert_ne!(read, Ok(thread::current().id()));
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_large_result_is_said_as_of_a_small_one() {
        let read = readers().read(zeros(LARGE), |_| Err::<(), _>("it is no list".to_owned())).await;

        assert_eq!(read, Err("it is no list".to_owned()));
    }

    #[tokio::test]
    async fn a_small_result_is_read_at_once() {
        let read = readers().read(zeros(LARGE - 1), reader).await;

        assert_eq!(read, Ok(thread::current().id()));
    }

    #[test]
    fn outside_of_a_tokio_runtime_all_are_read_at_once() {
        assert!(matches!(readers().read(zeros(LARGE), reader), Reading::AtOnce(Some(Ok(_)))));
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
        let readers = readers();

        let mut all = tokio::task::JoinSet::new();
        for _ in 0..50 {
            all.spawn(readers.read(zeros(LARGE), count));
        }
        let all = all.join_all().await;

        assert!(all.into_iter().all(|read| read == Ok(())));
        assert!(MOST.load(SeqCst) <= AT_A_TIME);
    }

    /// Readers whose threads are all taken until the returned senders are dropped.
    fn busy_readers() -> (Readers, Vec<mpsc::Sender<()>>) {
        let background = Background::alone();
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let busy = (0..threads).map(|_| {
            let (release, released) = mpsc::channel::<()>();
            drop(tokio::spawn(background.run(move || released.recv())));
            release
        });
        (Readers::new(background.clone()), busy.collect())
    }

    #[tokio::test]
    async fn where_no_thread_can_be_started_a_result_is_read_by_whoever_waits_for_it() {
        let readers = Readers::new(Background::without_threads());

        let read = readers.read(zeros(LARGE), reader).await;

        assert_eq!(read, Ok(thread::current().id()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_result_that_nobody_comes_to_is_read_by_whoever_waits_for_it() {
        let (readers, _busy) = busy_readers();

        let read = readers.read(zeros(LARGE), reader).await;

        assert_eq!(read, Ok(thread::current().id()));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_a_result_no_longer_takes_it_along() {
        struct Told(mpsc::Sender<()>);
        impl AsRef<[u8]> for Told {
            fn as_ref(&self) -> &[u8] {
                &[0; LARGE]
            }
        }
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.send(()).unwrap();
            }
        }
        let (readers, _busy) = busy_readers();
        let (told, dropped) = mpsc::channel();

        let reading = readers.read(Bytes::from_owner(Told(told)), reader);
        timeout(PATIENCE / 2, reading).await.unwrap_err();

        dropped.try_recv().unwrap();
    }
}
