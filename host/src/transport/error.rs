//! Why a connection could not be made.

use std::{fmt, time::Duration};

use crate::{
    Error, Isolation, MayHaveRun,
    names::ServerName,
    policy::{Mask, Unresolved},
};

/// When it is worth trying again what the system had no room for, or what failed with a supervisor: a second is long against
/// starting one and short for a person.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Why a connection could not be made: what the system said and what to try, for people, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectError {
    reason: String,
    kind: Kind,
}

/// What a caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Mend the server, or its configuration.
    Start,
    /// Try again.
    Unavailable,
    /// Choose another isolation, or another machine.
    Isolation(Isolation),
}

impl ConnectError {
    /// The server cannot be started or reached as it is configured.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), kind: Kind::Start }
    }

    /// It may work another time.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), kind: Kind::Unavailable }
    }

    /// The machine does not give the isolation that is asked for.
    pub(crate) fn isolation(wanted: Isolation, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), kind: Kind::Isolation(wanted) }
    }

    /// The same without what is hidden.
    pub(crate) fn masked(mut self, mask: &Mask) -> Self {
        self.reason = mask.text(&self.reason).into_owned();
        self
    }

    pub(crate) fn of(self, server: ServerName) -> Error {
        let reason = self.reason;
        match self.kind {
            Kind::Start => Error::Start { server, reason },
            Kind::Unavailable => {
                Error::Unavailable { server, reason, retry_after: Some(TRY_AGAIN), may_have_run: MayHaveRun::No }
            }
            Kind::Isolation(wanted) => Error::Isolation { server, wanted, reason },
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for ConnectError {}

impl From<Unresolved> for ConnectError {
    fn from(unresolved: Unresolved) -> Self {
        let reason = unresolved.to_string();
        if unresolved.is_temporary() { Self::unavailable(reason) } else { Self::new(reason) }
    }
}

impl From<String> for ConnectError {
    fn from(reason: String) -> Self {
        Self::new(reason)
    }
}
