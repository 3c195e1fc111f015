//! Closing what nobody uses: by timer, not by traffic, so that the last user's session goes too.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use tokio::time::{Instant, sleep_until};

use super::{Registry, lock::Lock};

/// Closes sessions that have been without a lease for too long. Ends by being aborted.
pub(crate) async fn reap_idle(registry: Arc<Registry>) {
    loop {
        let (expired, next) = registry.take_expired(Instant::now());
        for session in expired {
            tracing::debug!(session = %session.id(), "closing an idle session");
            session.close(Instant::now() + registry.grace());
        }
        let due = async {
            match next {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = registry.idled.notified() => {}
            () = due => {}
        }
    }
}

impl<L: Lock> Registry<L> {
    /// Takes sessions that are idle for too long out of the table. Also when the next one will be.
    pub(super) fn take_expired(&self, now: Instant) -> (Vec<L::Session>, Option<Instant>) {
        let mut table = self.table();
        let expired = table.take_idle(self.limits.idle, now, |_| true);
        let next = table.longest_idle().map(|since| since + self.limits.idle);
        // Under the lock: whoever makes a session idle after this finds it set.
        self.reaper_sleeps.store(next.is_none(), Relaxed);
        drop(table);
        (expired.into_iter().map(|(_, session)| session).collect(), next)
    }
}
