//! All servers of a reload, again and again until it is done or something newer is wanted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    super::{WeakTenant, admission::Admission},
    report::{ReloadReport, Reloaded, ServerReload},
    server::{FailedFor, Reloading},
};
use crate::{Limits, ServerName};

/// What a tenant is to have.
pub(super) struct Target {
    pub(super) version: u64,
    pub(super) admission: Admission,
}

/// Does it, for as long as the tenant lives.
pub(super) async fn work(tenant: WeakTenant, mut target: watch::Receiver<Option<Arc<Target>>>) {
    let mut failures = 0;
    let mut failed_for = BTreeMap::new();
    let mut under_way = JoinSet::new();
    loop {
        let Some(wanted) = target.borrow_and_update().clone() else { return };
        let report = tokio::select! {
            biased;
            changed = target.changed() => match changed {
                // What was begun is dropped, and is over before anything else begins: sessions of entries that are not in force go
                // with it.
                Ok(()) => {
                    under_way.shutdown().await;
                    failures = 0;
                    failed_for.clear();
                    continue;
                }
                Err(_) => return,
            },
            report = reload(&tenant, &wanted, &mut failed_for, &mut under_way) => report,
        };
        let Some(report) = report else { return };
        for (server, reason) in report.kept() {
            tracing::warn!(%server, reason, "a server stays as it was before the reload, and is tried again");
        }
        let is_done = report.is_in_force();
        let wait = {
            let Some(tenant) = tenant.upgrade() else { return };
            tenant.inner.reloads.told.send_replace(Some(report));
            (!is_done).then(|| pause(failures, &tenant.inner.shared.limits))
        };
        failures = if is_done { 0 } else { failures + 1 };
        let again = async {
            match wait {
                Some(wait) => sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            changed = target.changed() => match changed {
                Ok(()) => {
                    failures = 0;
                    failed_for.clear();
                }
                Err(_) => return,
            },
            () = again => {}
        }
    }
}

/// How long to wait after so many failures: as for a server that is reconnected to.
fn pause(failures: u32, limits: &Limits) -> Duration {
    let doubled = limits.reconnect_delay.saturating_mul(2_u32.saturating_pow(failures));
    doubled.min(limits.reconnect_delay_max).mul_f64(1.0 - fastrand::f64() / 2.0)
}

async fn reload(
    tenant: &WeakTenant,
    target: &Arc<Target>,
    failed_for: &mut BTreeMap<ServerName, FailedFor>,
    under_way: &mut JoinSet<(ServerName, Option<Reloaded>)>,
) -> Option<ReloadReport> {
    let began = Instant::now();
    let names: BTreeSet<_> = {
        let tenant = tenant.upgrade()?;
        let present = tenant.inner.admission.get();
        let of = |admission: &Admission| {
            let denied = admission.denied.iter();
            admission.catalog.servers().map(|(name, _)| name).chain(denied).cloned().collect::<Vec<_>>()
        };
        of(&present).into_iter().chain(of(&target.admission)).collect()
    };
    for name in names {
        let failed_for = failed_for.entry(name.clone()).or_default().clone();
        let reloading = Reloading { tenant: tenant.clone(), name: name.clone(), target: target.clone(), failed_for };
        under_way.spawn(async move { (name, reloading.reload().await) });
    }
    let mut servers = Vec::new();
    while let Some(ended) = under_way.join_next().await {
        // A task ends by itself, unless its tokio runtime does.
        let Ok((server, outcome)) = ended else { continue };
        servers.push(ServerReload { server, outcome: outcome? });
    }
    // Those that are denied before and after are nobody's.
    servers.retain(|reload| {
        let is_denied = target.admission.denied.contains(&reload.server);
        !(is_denied && reload.outcome == Reloaded::Unchanged)
    });
    servers.sort_by(|one, other| one.server.cmp(&other.server));
    Some(ReloadReport { version: target.version, servers, took: began.elapsed() })
}
