//! Closing what nobody uses: by timer, not by traffic, so that the last user's session goes too.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{Key, Registry, Table};
use crate::session::Session;

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

impl Registry {
    /// Takes sessions that are idle for too long out of the table. Also when the next one will be.
    fn take_expired(&self, now: Instant) -> (Vec<Arc<Session>>, Option<Instant>) {
        let mut table = self.table();
        let expired = table.idle_for(self.limits.idle, now, |_| true);
        let sessions = expired.into_iter().filter_map(|key| table.take(&key)).collect();
        let longest_idle = table.tenants.values().filter_map(|tenant| tenant.idle.keys().next());
        let next = longest_idle.map(|(since, _)| *since + self.limits.idle).min();
        table.reaper_sleeps = next.is_none();
        (sessions, next)
    }

    /// Takes sessions of a generation of a tenant, or of all, out of the table that have been without a lease for so long.
    pub(crate) fn take_idle(&self, tenant: Option<u64>, older_than: Duration) -> Vec<(Key, Arc<Session>)> {
        let mut table = self.table();
        let chosen = |key: &Key| tenant.is_none_or(|generation| key.generation == generation);
        let idle = table.idle_for(older_than, Instant::now(), chosen);
        idle.into_iter().filter_map(|key| table.take(&key).map(|session| (key, session))).collect()
    }
}

impl Table {
    /// Those that have been without a lease for so long.
    fn idle_for(&self, long: Duration, now: Instant, chosen: impl Fn(&Key) -> bool) -> Vec<Key> {
        let of_tenant = |idle: &std::collections::BTreeMap<_, Key>| {
            let long_enough = idle.iter().take_while(|((since, _), _): &(&(Instant, _), _)| *since + long <= now);
            long_enough.map(|(_, key)| key.clone()).collect::<Vec<_>>()
        };
        self.tenants.values().flat_map(|tenant| of_tenant(&tenant.idle)).filter(chosen).collect()
    }
}
