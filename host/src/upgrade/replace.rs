//! One session: another guest in the place of the one that it has, in the way that the plan says.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout_at},
};

use super::{
    plan::{Fallback, Mode, Upgrade},
    report::{Return, UpgradeOutcome},
    trial::Trial,
};
use crate::{
    Error,
    guest::{Component, boundary::SnapshotError},
    registry::{Key, Registry},
    session::{Carried, NotHandedOver, Session},
};

/// How often, and how long after one another, a guest is asked again that gives no snapshot now. In all about a second.
const PATIENCE: [Duration; 5] = [
    Duration::from_millis(10),
    Duration::from_millis(30),
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(600),
];

/// A session that an upgrade is about.
#[derive(Clone)]
pub(super) struct Chosen {
    pub(super) key: Key,
    pub(super) session: Arc<Session>,
    /// The guest that it has.
    pub(super) from: Component,
}

/// What replacing needs to know.
pub(super) struct Replacing {
    pub(super) registry: Arc<Registry>,
    pub(super) plan: Upgrade,
    pub(super) to: Component,
    pub(super) trial: Arc<Trial>,
    /// How long the end of a session that is closed may take.
    pub(super) grace: Duration,
    pub(super) began: Instant,
}

/// What became of a session, and whether the upgrade is to go back for it.
pub(super) struct Replaced {
    pub(super) outcome: UpgradeOutcome,
    pub(super) refused: Option<String>,
    /// The end of a session that is left to its holders. Whether they gave it back in time. It comes whoever waits for it.
    pub(super) end: Option<JoinHandle<bool>>,
}

impl From<UpgradeOutcome> for Replaced {
    fn from(outcome: UpgradeOutcome) -> Self {
        Self { outcome, refused: None, end: None }
    }
}

impl Replacing {
    pub(super) async fn replace(&self, chosen: &Chosen) -> Replaced {
        match self.plan.mode {
            Mode::Live => self.live(chosen).await,
            Mode::Drain(deadline) => self.drain(chosen, deadline),
            Mode::Restart => self.restart(chosen).await.into(),
        }
    }

    async fn live(&self, chosen: &Chosen) -> Replaced {
        let reason = match hand_over(&chosen.session, &self.to).await {
            Ok(Some(carried)) => return UpgradeOutcome::Live(carried).into(),
            Ok(None) => return UpgradeOutcome::Unconnected.into(),
            Err(NotHandedOver::Ended(_)) => return UpgradeOutcome::Ended.into(),
            Err(NotHandedOver::Failed(fault)) => {
                self.trial.failed(chosen.session.id(), &fault.to_string());
                return UpgradeOutcome::Kept { reason: fault.to_string() }.into();
            }
            Err(reason) => reason.to_string(),
        };
        match self.plan.fallback {
            Fallback::GoBack => {
                let refused = Some(format!("session {}: {reason}", chosen.session.id()));
                Replaced { outcome: UpgradeOutcome::Kept { reason }, refused, end: None }
            }
            Fallback::Drain(deadline) => self.drain(chosen, deadline),
            Fallback::Restart => self.restart(chosen).await.into(),
        }
    }

    async fn restart(&self, chosen: &Chosen) -> UpgradeOutcome {
        restart(&chosen.session, &self.to).await
    }

    fn drain(&self, Chosen { key, session, .. }: &Chosen, deadline: Duration) -> Replaced {
        self.registry.retire(key, session.id());
        let (registry, key, session) = (Arc::downgrade(&self.registry), key.clone(), session.clone());
        let (until, grace) = (self.began + deadline, self.grace);
        let end = tokio::spawn(async move { drained(&registry, &key, &session, until, grace).await });
        Replaced { outcome: UpgradeOutcome::Draining, refused: None, end: Some(end) }
    }

    /// Gives a session back the guest that it had.
    pub(super) async fn go_back(session: &Arc<Session>, to: &Component) -> Return {
        match hand_over(session, to).await {
            Ok(Some(_)) => Return::Live,
            Ok(None) => Return::Unconnected,
            Err(NotHandedOver::Ended(_)) => Return::Ended,
            Err(_) => match restart(session, to).await {
                UpgradeOutcome::Ended => Return::Ended,
                UpgradeOutcome::Restarted => Return::Restarted,
                _ => Return::Unconnected,
            },
        }
    }
}

/// Waits for the end of a session that was retired, and closes it at a time. False: it had to be closed. Its processes may take
/// `grace` to go.
pub(crate) async fn drained(
    registry: &Weak<Registry>,
    key: &Key,
    session: &Session,
    until: Instant,
    grace: Duration,
) -> bool {
    let watched = session.watched();
    let by_itself = timeout_at(until, watched.clone().closing()).await.is_ok();
    if !by_itself {
        let expelled = registry.upgrade().and_then(|registry| registry.expel(key, session.id()));
        if let Some(session) = expelled {
            session.close(Instant::now() + grace);
        }
    }
    watched.closed().await;
    by_itself
}

async fn hand_over(session: &Session, to: &Component) -> Result<Option<Carried>, NotHandedOver> {
    for wait in PATIENCE {
        match session.hand_over(to).await {
            Err(NotHandedOver::Snapshot(SnapshotError::NotNow(_))) => sleep(wait).await,
            outcome => return outcome,
        }
    }
    session.hand_over(to).await
}

async fn restart(session: &Session, to: &Component) -> UpgradeOutcome {
    match session.restart_with(to).await {
        Ok(true) => UpgradeOutcome::Restarted,
        Ok(false) => UpgradeOutcome::Unconnected,
        Err(Error::Closing { .. }) => UpgradeOutcome::Ended,
        Err(error) => UpgradeOutcome::Unopened { reason: error.to_string() },
    }
}
