//! The processes of a runtime, right now.

use std::collections::HashMap;

use crate::{Isolation, names::SessionId};

/// All processes of a runtime. Empty where servers have none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Census {
    /// The supervisor.
    pub(crate) root: Option<u32>,
    pub(crate) sessions: HashMap<SessionId, SessionProcesses>,
    /// Processes of sessions, those that nobody holds on to any more included.
    pub(crate) alive: usize,
}

/// What a session has.
#[derive(Clone, Debug, Default)]
pub(crate) struct SessionProcesses {
    pub(crate) isolation: Option<Isolation>,
    /// The server and what it started, supervisors not among them; sorted.
    pub(crate) processes: Vec<u32>,
}
