//! How long a session may go on while it always has something to do, and how many of its tenant's may at a time.
//!
//! tokio has its tasks yield after so many operations, and to it a batch of two hundred frames is one operation: a session
//! that is flooded would keep its thread for tens of milliseconds. Here time counts, and a turn begins anew whenever the
//! session had to wait.
//!
//! Yielding alone is fair between sessions, and so would give a tenant as much as it has sessions: whoever wakes up would wait for
//! one turn of each of a hundred. So the sessions of a tenant have one thread less among them than there are, and the others of
//! them wait here and not in the embedder's run queue.

use std::{
    pin::pin,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Time after which others are let go first. About what a batch takes at most, and a hundred times what yielding costs.
const TURN: Duration = Duration::from_micros(200);

/// The share of one tenant's sessions in the threads: how many of them are in a turn at a time.
#[derive(Clone, Debug)]
pub(crate) struct Share(Arc<Semaphore>);

impl Share {
    /// All threads but one, on the usual runtime that has one for each core; one where there is no other.
    pub(crate) fn of_tenant() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new((cores - 1).max(1))))
    }
}

pub(super) struct Turn {
    share: Share,
    /// None while the session waits for something.
    own: Option<OwnedSemaphorePermit>,
    began: Instant,
}

impl Turn {
    /// That of a session which has done nothing yet.
    pub(super) fn of(share: Share) -> Self {
        Self { share, own: None, began: Instant::now() }
    }

    /// Goes on with the turn, or waits for one: if the last was ended, or is over and others are to go first.
    pub(super) async fn take(&mut self) {
        if self.own.is_some() && self.began.elapsed() >= TURN {
            self.end();
            tokio::task::yield_now().await;
        }
        if self.own.is_none() {
            // Never closed.
            self.own = self.share.0.clone().acquire_owned().await.ok();
            self.began = Instant::now();
        }
    }

    /// Waits for something. If it is not there yet, that ends the turn.
    pub(super) async fn wait_for<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        std::future::poll_fn(|context| {
            let polled = future.as_mut().poll(context);
            if polled.is_pending() {
                self.end();
            }
            polled
        })
        .await
    }

    pub(super) fn end(&mut self) {
        self.own = None;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
        task::{Context, Poll, Waker},
    };

    use super::*;

    fn share_of(sessions: usize) -> Share {
        Share(Arc::new(Semaphore::new(sessions)))
    }

    fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    /// A turn as if it had begun a while ago.
    fn taken(share: &Share, ago: Duration) -> Turn {
        let mut turn = Turn::of(share.clone());
        assert!(poll(turn.take()).is_ready());
        turn.began = Instant::now().checked_sub(ago).expect("the machine has run for longer");
        turn
    }

    #[tokio::test]
    async fn a_session_whose_turn_is_over_lets_others_go_first() {
        let mut turn = taken(&share_of(1), TURN);
        let went = Arc::new(AtomicUsize::new(0));
        let other = went.clone();
        tokio::spawn(async move { other.fetch_add(1, Relaxed) });

        turn.take().await;

        assert_eq!(went.load(Relaxed), 1);
        assert!(turn.own.is_some());
    }

    #[test]
    fn what_is_there_already_does_not_end_a_turn() {
        let mut turn = taken(&share_of(1), Duration::ZERO);
        let began = turn.began;

        assert_eq!(poll(turn.wait_for(async { 7 })), Poll::Ready(7));

        assert!(turn.own.is_some() && turn.began == began);
    }

    #[test]
    fn as_many_sessions_of_a_tenant_as_its_share_are_in_a_turn_at_a_time() {
        let share = share_of(2);
        let (mut first, _second) = (taken(&share, Duration::ZERO), taken(&share, Duration::ZERO));
        let mut third = Turn::of(share);

        assert!(poll(third.take()).is_pending());
        assert!(poll(first.wait_for(std::future::pending::<()>())).is_pending());

        assert!(poll(third.take()).is_ready());
    }
}
