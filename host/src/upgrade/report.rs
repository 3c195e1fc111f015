//! What becomes of an upgrade, and of each session.

use std::{fmt, time::Duration};

use serde::Serialize;

use crate::{registry::SessionKey, session::Carried};

/// How far an upgrade is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum UpgradePhase {
    /// It waits for another of the same tenant.
    Waiting,
    /// The new guest is tried out; no session was touched.
    TryingOut,
    /// Sessions are replaced.
    Replacing,
    /// It is watched whether the new guest fails.
    Watching,
    /// Sessions go back to their old guests.
    GoingBack,
    /// It is over.
    Over,
}

/// How far an upgrade is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UpgradeProgress {
    /// What it does.
    pub phase: UpgradePhase,
    /// Sessions of which it is known what became of them.
    pub done: usize,
    /// Sessions that it was to replace, as far as is known.
    pub sessions: usize,
}

/// What became of an upgrade.
#[derive(Clone, Debug, Serialize)]
#[must_use = "an upgrade may have gone back"]
#[non_exhaustive]
pub struct UpgradeReport {
    /// The new guest: name, version and digest.
    pub guest: String,
    /// What became of each session, by id.
    pub sessions: Vec<SessionUpgrade>,
    /// Why the sessions went back to the guests that they had, if they did.
    pub went_back: Option<String>,
    /// Faults of the new guest.
    pub faults: usize,
    /// From the first session to the last, without the time in which it was watched.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
}

impl UpgradeReport {
    /// Whether the new guest is in force. There may be sessions that it did not reach, each with its reason, where the upgrade
    /// [tolerates](crate::Upgrade::tolerate) faults.
    pub fn is_in_force(&self) -> bool {
        self.went_back.is_none()
    }

    /// Calls that were under way in the moment in which their sessions were handed over.
    pub fn calls_carried(&self) -> usize {
        self.sessions.iter().filter_map(SessionUpgrade::carried).map(|carried| carried.calls).sum()
    }
}

impl fmt::Display for UpgradeReport {
    /// For people, in a few lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count =
            |is: fn(&UpgradeOutcome) -> bool| self.sessions.iter().filter(|session| is(&session.outcome)).count();
        write!(f, "{} to {} of {} sessions", self.guest, count(UpgradeOutcome::is_upgraded), self.sessions.len())?;
        write!(f, " in {:.0?}, with {} calls under way", self.took, self.calls_carried())?;
        if let Some(reason) = &self.went_back {
            write!(f, "; all went back: {reason}")?;
        }
        Ok(())
    }
}

/// What became of one session.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SessionUpgrade {
    /// Which.
    #[serde(flatten)]
    pub session: SessionKey,
    /// What was done.
    #[serde(flatten)]
    pub outcome: UpgradeOutcome,
    /// How it went back to the guest that it had, if it did.
    pub went_back: Option<Return>,
}

impl SessionUpgrade {
    /// What went over to the new guest, where it was handed over live.
    pub fn carried(&self) -> Option<&Carried> {
        match &self.outcome {
            UpgradeOutcome::Live(carried) => Some(carried),
            _ => None,
        }
    }
}

/// What an upgrade did to a session.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum UpgradeOutcome {
    /// It went on with the new guest, and nobody noticed.
    Live(Carried),
    /// It had no connection. The next one has the new guest.
    Unconnected,
    /// It is left to its holders, and the upgrade went back before they gave it back.
    Draining,
    /// Its holders gave it back, and it was closed.
    Drained,
    /// Its holders had it when the deadline came, and it was closed.
    Expired,
    /// It has another connection, with the new guest.
    Restarted,
    /// It goes on with the guest that it had.
    Kept {
        /// Why.
        reason: String,
    },
    /// It was restarted, and its server could not be reached, or refused. The next one who needs it tries again.
    Unopened {
        /// Why.
        reason: String,
    },
    /// It ended meanwhile, for other reasons.
    Ended,
}

impl UpgradeOutcome {
    /// Whether no old guest has the session.
    pub fn is_upgraded(&self) -> bool {
        !matches!(self, Self::Kept { .. })
    }
}

/// How a session went back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Return {
    /// From where the new guest was: nobody noticed.
    Live,
    /// It had no connection: as when the new guest had failed. The next one has the old guest.
    Unconnected,
    /// By another connection.
    Restarted,
    /// It had ended.
    Ended,
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}
