//! How long a session goes on while it always has something to do, and how many of its tenant's do at a time.
//!
//! tokio has its tasks yield after so many operations, and to it a batch of many frames is one operation: a session that is
//! flooded would keep its thread for tens of milliseconds. Here time counts, and a turn begins anew whenever the session had to
//! wait.
//!
//! Yielding alone is fair between sessions, and so would give a tenant as much as it has sessions: whoever wakes up would wait for
//! one turn of each of a hundred, and tokio looks at its sockets only when a thread has nothing to do, or after 61 tasks. So
//! where there are several tenants, the sessions of one are in a turn on all threads but one, and the rest of them wait here and
//! not in tokio's queue. A tenant alone has nobody to leave a thread to.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Time after which others go first. About what a batch takes at most, since nothing yields within one, and a hundred times
/// what yielding costs.
const TURN: Duration = Duration::from_micros(200);

/// The threads that sessions run on, and how many tenants share them.
#[derive(Debug)]
pub(crate) struct Threads {
    count: usize,
    tenants: Arc<AtomicUsize>,
}

impl Threads {
    /// The workers of a tokio runtime.
    pub(crate) fn of(runtime: &tokio::runtime::Handle) -> Self {
        Self { count: runtime.metrics().num_workers(), tenants: Arc::default() }
    }

    /// The share of one more tenant: all but one; one where there is no other.
    pub(crate) fn share(&self) -> Share {
        self.tenants.fetch_add(1, Relaxed);
        let turns = Arc::new(Semaphore::new(self.count.saturating_sub(1).max(1)));
        Share(Arc::new(OfTenant { turns, tenants: self.tenants.clone() }))
    }
}

/// The share of one tenant's sessions in the threads. Its tenant counts until the last clone is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Share(Arc<OfTenant>);

#[derive(Debug)]
struct OfTenant {
    /// How many more of its sessions may be in a turn.
    turns: Arc<Semaphore>,
    tenants: Arc<AtomicUsize>,
}

impl Drop for OfTenant {
    fn drop(&mut self) {
        self.tenants.fetch_sub(1, Relaxed);
    }
}

impl Share {
    /// Waits until one more session may be in a turn. None: there is no need to count it.
    async fn take(&self) -> Option<OwnedSemaphorePermit> {
        if self.0.tenants.load(Relaxed) <= 1 {
            return None;
        }
        // Never closed.
        self.0.turns.clone().acquire_owned().await.ok()
    }
}

/// The turns of one session.
pub(super) struct Turn {
    share: Share,
    /// Since when it has one. None while it waits for something.
    began: Option<Instant>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// That of a session which has done nothing yet.
    pub(super) fn of(share: Share) -> Self {
        Self { share, began: None, permit: None }
    }

    /// Goes on with the turn, or waits for one: if the last was ended, or is over and others are to go first.
    ///
    /// Nothing of the session is looked at meanwhile, unless whoever waits does. That takes as long as the turns of the tenant's other
    /// sessions do, none of which waits for anything in its own.
    pub(super) async fn take(&mut self) {
        if self.began.is_some_and(|began| began.elapsed() >= TURN) {
            self.end();
            tokio::task::yield_now().await;
        }
        if self.began.is_none() {
            self.permit = self.share.take().await;
            self.began = Some(Instant::now());
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
        self.began = None;
        self.permit = None;
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn threads(count: usize) -> Threads {
        Threads { count, tenants: Arc::default() }
    }

    fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    /// A session in its turn.
    fn taken(share: &Share) -> Turn {
        let mut turn = Turn::of(share.clone());
        assert!(poll(turn.take()).is_ready());
        turn
    }

    #[tokio::test]
    async fn a_session_whose_turn_is_over_lets_others_go_first() {
        let mut turn = taken(&threads(1).share());
        turn.began = Instant::now().checked_sub(TURN);
        let went = Arc::new(AtomicUsize::new(0));
        let other = went.clone();
        tokio::spawn(async move { other.fetch_add(1, Relaxed) });

        turn.take().await;

        assert_eq!(went.load(Relaxed), 1);
        assert!(turn.began.is_some());
    }

    #[test]
    fn what_is_there_already_does_not_end_a_turn() {
        let mut turn = taken(&threads(1).share());
        let began = turn.began;

        assert_eq!(poll(turn.wait_for(async { 7 })), Poll::Ready(7));

        assert_eq!(turn.began, began);
    }

    #[test]
    fn beside_another_tenant_sessions_of_one_leave_a_thread_to_others() {
        let threads = threads(3);
        let (share, _other) = (threads.share(), threads.share());
        let (mut first, _second) = (taken(&share), taken(&share));
        let mut third = Turn::of(share);

        assert!(poll(third.take()).is_pending());
        assert!(poll(first.wait_for(std::future::pending::<()>())).is_pending());

        assert!(poll(third.take()).is_ready());
    }

    #[test]
    fn a_tenant_takes_no_turn_of_another() {
        let threads = threads(2);
        let (acme, other) = (threads.share(), threads.share());
        let _of_acme = taken(&acme);

        let _of_other = taken(&other);

        assert!(poll(Turn::of(acme).take()).is_pending());
    }

    #[test]
    fn a_tenant_alone_has_all_threads() {
        let threads = threads(2);
        let share = threads.share();
        drop(threads.share());

        let turns: Vec<Turn> = (0..10).map(|_| taken(&share)).collect();

        assert!(turns.iter().all(|turn| turn.began.is_some()));
    }
}
