//! Where results are read: small ones at once, large ones on a low-priority thread.
//!
//! Reading a result of the largest size takes tens of milliseconds, for which a thread of the embedder must not stand still, nor
//! compete with another for a core. A tenant that has many large results waits for its turn.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;

use crate::guest::{Background, Work};

/// Bytes of a result from which on it is read aside. Reading so many takes some hundred microseconds, about a session's turn on a
/// thread; handing them over takes some ten.
const LARGE: usize = 256 * 1024;

/// The readers of one tenant. Cheap to clone.
#[derive(Clone)]
pub(super) struct Readers(Background);

type Read<T> = Result<T, String>;

/// A result that is read: a future of what it says, or of what is wrong with it. Dropping it leaves a reader to finish.
pub(super) enum Reading<T> {
    AtOnce(Option<Read<T>>),
    Aside(Work<Read<T>>),
}

impl Readers {
    pub(super) fn new(background: Background) -> Self {
        Self(background)
    }

    /// Begins to read. At once where the result is small.
    pub(super) fn read<T: Send + 'static>(&self, raw: Bytes, read: fn(Bytes) -> Read<T>) -> Reading<T> {
        if raw.len() < LARGE { Reading::AtOnce(Some(read(raw))) } else { Reading::Aside(self.0.run(move || read(raw))) }
    }
}

impl<T: Unpin> Future for Reading<T> {
    type Output = Read<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::AtOnce(read) => Poll::Ready(read.take().unwrap_or_else(|| Err("it was read already".to_owned()))),
            Self::Aside(work) => Poll::Ready(
                ready!(Pin::new(work).poll(context))
                    .unwrap_or_else(|| Err("it was not read before the end of the runtime".to_owned())),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

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
}
