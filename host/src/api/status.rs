//! What there is, right now.

use serde::Serialize;

use crate::{
    Isolation,
    names::{ServerName, SessionId, TenantName, UserName},
    registry::{Key, Row},
    session::{BreakerState, SessionState},
    transport::{Census, SessionProcesses},
};

/// Which session, and whose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SessionKey {
    /// The session.
    #[serde(serialize_with = "as_text")]
    pub id: SessionId,
    /// Its tenant.
    #[serde(serialize_with = "as_text")]
    pub tenant: TenantName,
    /// Its user. None: the users of the tenant share it.
    #[serde(serialize_with = "as_optional_text")]
    pub user: Option<UserName>,
    /// Its server.
    #[serde(serialize_with = "as_text")]
    pub server: ServerName,
}

impl SessionKey {
    pub(super) fn new(id: SessionId, key: &Key) -> Self {
        Self { id, tenant: key.tenant.clone(), user: key.user().cloned(), server: key.server.clone() }
    }
}

fn as_text<S: serde::Serializer>(value: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn as_optional_text<S: serde::Serializer>(
    value: &Option<impl std::fmt::Display>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

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
    /// The revision of the protocol, once it is ready.
    pub revision: Option<String>,
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
            state: if row.leases.is_none() { SessionState::Closing } else { now.state },
            leases: row.leases.unwrap_or_default(),
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
