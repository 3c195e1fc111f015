//! What there is, right now.

use serde::Serialize;

use crate::{
    Isolation,
    registry::{Row, SessionKey, Tenure},
    session::{BreakerState, SessionState},
    transport::{Census, SessionProcesses},
};

/// A session, right now.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SessionStatus {
    /// Which session.
    #[serde(flatten)]
    pub session: SessionKey,
    /// How far it is.
    pub state: SessionState,
    /// Leases that are held, or waited for.
    pub leases: usize,
    /// Whether it is left to those who hold it: nobody else gets it, and it is closed when they have given it back.
    pub draining: bool,
    /// The revision of the protocol, once it is ready.
    pub revision: Option<String>,
    /// Name, version and digest of its guest, or of the one that it gets when it is opened again.
    pub guest: String,
    /// The server's process, once it is ready, if it has one on this machine.
    pub process: Option<u32>,
    /// What keeps its processes from others, once there are some.
    pub isolation: Option<Isolation>,
    /// All processes of the session: servers, and what they started. Sorted.
    pub processes: Vec<u32>,
    /// Connections that it has had.
    pub incarnation: u32,
    /// Whether its server is tried again.
    pub breaker: BreakerState,
    /// Why its last connection was lost, or why it is being closed.
    pub error: Option<String>,
}

/// A runtime, right now. Made without waiting for any session.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// Its sessions, by id.
    pub sessions: Vec<SessionStatus>,
    /// Leases that are held, or waited for, in all.
    pub leases: usize,
    /// Processes of sessions that are alive, in all: those of sessions that nobody waits for any more included, supervisors
    /// not.
    pub children_alive: usize,
    /// The process of the supervisor, if it runs. A runtime without sessions has no other.
    pub supervisor: Option<u32>,
}

impl Status {
    pub(super) fn new(rows: Vec<Row>, mut census: Census) -> Self {
        let mut sessions: Vec<SessionStatus> = rows
            .into_iter()
            .map(|row| {
                let processes = census.sessions.remove(&row.session.id()).unwrap_or_default();
                SessionStatus::new(row, processes)
            })
            .collect();
        sessions.sort_by_key(|status| status.session.id);
        let leases = sessions.iter().map(|session| session.leases).sum();
        Self { sessions, leases, children_alive: census.alive, supervisor: census.root }
    }
}

impl SessionStatus {
    fn new(row: Row, processes: SessionProcesses) -> Self {
        let session = SessionKey::new(row.session.id(), &row.key);
        let now = row.session.now();
        Self {
            session,
            // One that was taken out of the table is closed in a moment, if it was not told so yet.
            state: if row.tenure == Tenure::Closing { SessionState::Closing } else { now.state },
            leases: row.tenure.leases().unwrap_or_default(),
            draining: matches!(row.tenure, Tenure::Retired(_)),
            guest: row.session.guest().to_string(),
            revision: now.info.as_ref().map(|info| info.revision.clone()),
            process: now.info.and_then(|info| info.process),
            isolation: processes.isolation,
            processes: processes.processes,
            incarnation: now.incarnation,
            breaker: now.breaker,
            error: now.error.map(|error| error.to_string()),
        }
    }
}
