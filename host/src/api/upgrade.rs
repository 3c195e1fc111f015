//! An upgrade under way, as an embedder sees it.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    sync::watch,
    task::{AbortHandle, JoinHandle},
};

use super::runtime::Shared;
use crate::{
    Error, MayHaveRun,
    guest::Component,
    upgrade::{Fleet, Rollout, Upgrade, UpgradeProgress, UpgradeReport},
};

/// An upgrade under way. Awaiting it returns what became of each session; dropping it ends the upgrade, and leaves each session
/// with the one guest or with the other.
#[must_use = "dropping it ends the upgrade"]
pub struct Upgrading {
    upgrade: JoinHandle<Result<UpgradeReport, Error>>,
    progress: watch::Receiver<UpgradeProgress>,
    _abort: AbortOnDrop,
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Upgrading {
    pub(super) fn of_tenant(shared: &Arc<Shared>, fleet: Fleet, guest: Component, how: Upgrade) -> Self {
        let (rollout, progress) = rollout(shared, vec![fleet], guest, how);
        Self::begin(shared, progress, rollout.run())
    }

    pub(super) fn of_runtime(shared: &Arc<Shared>, guest: Component, how: Upgrade) -> Self {
        let is_of_all = !how.is_of_one_server();
        let (rollout, progress) = rollout(shared, Vec::new(), guest.clone(), how);
        let this = shared.clone();
        Self::begin(shared, progress, async move {
            // Whoever makes a tenant meanwhile waits, and gets the guest that is in force then.
            let mut default = this.lock_guest().await;
            let report = Rollout { fleets: this.fleets(), ..rollout }.run().await?;
            if is_of_all && report.is_in_force() {
                *default = Some(guest);
            }
            Ok(report)
        })
    }

    fn begin(
        shared: &Shared,
        progress: watch::Receiver<UpgradeProgress>,
        upgrade: impl Future<Output = Result<UpgradeReport, Error>> + Send + 'static,
    ) -> Self {
        let upgrade = shared.tokio.spawn(upgrade);
        Self { _abort: AbortOnDrop(upgrade.abort_handle()), upgrade, progress }
    }

    /// Waits until it is further than it was when this was asked last; none when it is over.
    ///
    /// Cancellation safe.
    pub async fn progress(&mut self) -> Option<UpgradeProgress> {
        self.progress.changed().await.ok()?;
        Some(*self.progress.borrow_and_update())
    }
}

fn rollout(
    shared: &Shared,
    fleets: Vec<Fleet>,
    to: Component,
    plan: Upgrade,
) -> (Rollout, watch::Receiver<UpgradeProgress>) {
    let (progress, told) = watch::channel(Rollout::begin());
    let rollout = Rollout {
        registry: shared.registry.clone(),
        limits: shared.limits.clone(),
        client_info: shared.client_info.clone(),
        fleets,
        plan,
        to,
        progress,
    };
    (rollout, told)
}

impl Future for Upgrading {
    type Output = Result<UpgradeReport, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = ready!(Pin::new(&mut self.upgrade).poll(context));
        Poll::Ready(ended.unwrap_or_else(|error| {
            // It ends so only with the tokio runtime of the sessions, or by a panic of ours.
            let what = format!("the upgrade, which did not end by itself ({error})");
            Err(Error::Closing { what, may_have_run: MayHaveRun::No })
        }))
    }
}

impl fmt::Debug for Upgrading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrading").field("progress", &*self.progress.borrow()).finish_non_exhaustive()
    }
}
