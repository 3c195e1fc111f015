//! The end of a client: its calls settled, the last words of its guest, and nothing of its server left.
//!
//! The order is that of who must not wait: first whoever would make another call, then those who wait for an answer, then the
//! server. Each step has a bound, and whoever closes the session may shorten all of them.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::{
    client::State,
    effects::of_call,
    link::{Closing, Link},
    owner::{Connecting, Owner, Reached, nanoseconds, refuse_calls},
    payloads::queue_writes,
};
use crate::{Error, guest::boundary::Event};

/// How long the last words of a guest may take to be found, and to be written.
pub(super) const LAST_BURST: Duration = Duration::from_millis(500);
const LAST_FRAMES: Duration = Duration::from_millis(100);

/// How long to wait for a connection that was being made when the session ended, in order to close it.
const CONNECTING: Duration = Duration::from_secs(2);

/// How long a process may take to be gone after `SIGKILL`.
const AFTER_KILL: Duration = Duration::from_secs(5);

impl Owner {
    /// Ends the client: no new calls, every open call settled, a last word of the guest, the process gone.
    pub(super) async fn end(mut self, error: Error) {
        self.turn.end();
        // First of all, so that whoever hears of the end and tries again gets another session.
        self.birth.observer.closing(self.incarnation, &error);
        self.state.send_replace(State::Closing(error.clone()));
        refuse_calls(&mut self.calls_in, &error, &self.spec.server).await;
        self.waiting.clear();
        // Whoever asked for another guest asks the next client.
        self.handovers.clear();
        self.orders.close();
        while self.orders.try_recv().is_ok() {}
        let mut link = self.link.take();
        if let Some(link) = &mut link {
            self.cut_queue(link);
        }
        self.end_exchanges();
        let server = &self.spec.server;
        self.calls.settle_all(&mut self.deadlines, |may_have_run| Err(of_call(&error, server, may_have_run)));
        self.requests.clear();

        let by_itself = Instant::now() + self.spec.limits.close_input + self.spec.limits.close_terminate;
        if let Some(mut link) = link {
            self.last_words(&mut link, by_itself).await;
            self.ending.push(link.close());
        }
        if let Some(exchanges) = self.exchanges.take() {
            self.last_requests(&exchanges, by_itself).await;
        }
        // A process may be about to start; it is closed when it is there. One that nobody has begun to start never is.
        if let Some(Connecting { connection, begun }) = self.connecting.take()
            && begun.load(Relaxed)
        {
            let until = self.close.borrow().unwrap_or(by_itself).min(Instant::now() + CONNECTING);
            if let Ok(Ok((Reached::Stream(connection), place))) = timeout_at(until, connection).await {
                self.place = self.place.take().or(place);
                self.ending.push(Link::new(connection, self.spec.limits.frame).close());
            }
        }
        let is_gone = self.await_ends(by_itself).await;
        self.place = None;
        self.state.send_replace(State::Closed(error));
        self.birth.observer.closed(is_gone);
    }

    /// Has the guest say goodbye, which must not hold up the end.
    async fn last_words(&mut self, link: &mut Link, by_itself: Instant) {
        if self.runner.is_alive() {
            let kill_at = self.close.borrow().unwrap_or(by_itself).min(Instant::now() + LAST_BURST);
            let goodbye = self.runner.handle(nanoseconds(self.began), vec![Event::Close]);
            if let Ok(Ok(batch)) = timeout_at(kill_at, goodbye).await {
                // Nobody is there to hear of the fault.
                let may_be_said = |parts: &[&[u8]]| !self.is_inspected() || self.inspect(&parts.concat(), None).is_ok();
                queue_writes(&batch, link, may_be_said);
            }
        }
        let _ = timeout(LAST_FRAMES, link.write_all()).await;
    }

    /// Waits until all peers have ended, and ends them by force when it is time. False: some have not ended all the same.
    async fn await_ends(&mut self, by_itself: Instant) -> bool {
        let mut ending = std::mem::take(&mut self.ending);
        let in_time = tokio::select! {
            () = all_ended(&mut ending) => true,
            () = self.until_killed(by_itself) => false,
        };
        if in_time {
            return true;
        }
        ending.iter().for_each(Closing::kill);
        // SIGKILL cannot be refused; a process in an uninterruptible system call takes it when that ends.
        let is_gone = timeout(AFTER_KILL, all_ended(&mut ending)).await.is_ok();
        if !is_gone {
            let processes: Vec<_> = ending.iter().filter_map(Closing::process).collect();
            tracing::warn!(?processes, "processes of the server do not end");
        }
        is_gone
    }
}

impl Owner {
    /// Resolves when the end is to be made by force: at this time, or when somebody says so.
    pub(super) fn until_killed(&self, by_itself: Instant) -> impl Future<Output = ()> + use<> {
        let mut close = self.close.clone();
        // Somebody may become less patient while we wait.
        async move {
            loop {
                let at = close.borrow_and_update().unwrap_or(by_itself).min(by_itself);
                match timeout_at(at, close.changed()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return sleep_until(at).await,
                    Err(_) => return,
                }
            }
        }
    }
}

async fn all_ended(ending: &mut [Closing]) {
    for closing in ending {
        closing.ended().await;
    }
}
