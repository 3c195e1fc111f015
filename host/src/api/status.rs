//! What there is, right now.

use serde::Serialize;

use crate::{
    Isolation,
    names::{ServerName, SessionId, TenantName, UserName},
    registry::{Key, Row},
    session::State,
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
    /// Its user.
    #[serde(serialize_with = "as_text")]
    pub user: UserName,
    /// Its server.
    #[serde(serialize_with = "as_text")]
    pub server: ServerName,
}

impl SessionKey {
    pub(super) fn new(id: SessionId, key: &Key) -> Self {
        Self { id, tenant: key.tenant.clone(), user: key.user.clone(), server: key.server.clone() }
    }
}

fn as_text<S: serde::Serializer>(value: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// A session, right now.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SessionStatus {
    /// Which session.
    #[serde(flatten)]
    pub session: SessionKey,
    /// `opening`, `ready`, `closing` or `closed`.
    pub state: &'static str,
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
    /// Why it is being closed, if it is.
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
        let (state, info, error) = match row.session.watched().now() {
            State::Opening | State::Ready(_) if row.leases.is_none() => ("closing", None, None),
            State::Opening => ("opening", None, None),
            State::Ready(info) => ("ready", Some(info), None),
            State::Closing(error) => ("closing", None, Some(error.to_string())),
            State::Closed(error) => ("closed", None, Some(error.to_string())),
        };
        Self {
            session,
            state,
            leases: row.leases.unwrap_or_default(),
            revision: info.as_ref().map(|info| info.revision.clone()),
            process: info.and_then(|info| info.process),
            isolation: processes.isolation,
            processes: processes.processes,
            error,
        }
    }
}
