//! Closing what nobody uses: by timer, not by traffic, so that the last user's session goes too.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::{Entry, Key, Registry};
use crate::session::Session;

/// Closes sessions that have been without a lease for too long. Ends by being aborted.
pub(crate) async fn reap_idle(registry: Arc<Registry>) {
    let grace = registry.limits.close_input + registry.limits.close_terminate;
    loop {
        let (expired, next) = registry.take_idle(Instant::now());
        for session in expired {
            tracing::debug!(session = %session.id(), "closing an idle session");
            session.close(Instant::now() + grace);
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

impl Registry {
    /// Takes sessions that are idle for too long out of the table. Also when the next one will be.
    fn take_idle(&self, now: Instant) -> (Vec<Arc<Session>>, Option<Instant>) {
        let mut table = self.table();
        let due = |entry: &Entry| entry.idle_since + self.limits.idle;
        let expired: Vec<Key> = table
            .open
            .iter()
            .filter(|(_, entry)| entry.leases == 0 && due(entry) <= now)
            .map(|(key, _)| key.clone())
            .collect();
        let mut sessions = Vec::with_capacity(expired.len());
        for key in expired {
            if let Some(entry) = table.open.remove(&key) {
                sessions.push(entry.session.clone());
                table.closing.insert(entry.session.id(), (key, entry.session));
            }
        }
        let next = table.open.values().filter(|entry| entry.leases == 0).map(due).min();
        table.reaper_sleeps = next.is_none();
        (sessions, next)
    }
}
