//! What can go wrong, as a caller can act on it.
//!
//! One case per reaction, not per cause: whoever matches on [`Error`] decides whether to try again, to tell the user, or to
//! mend a configuration. Nothing is turned into prose for a model; a server's own error stays verbatim in
//! [`Error::Server`].

use std::{fmt, time::Duration};

use bytes::Bytes;

use crate::{Isolation, config::ConfigError, names::ServerName};

/// Whether a call that failed may have had an effect at the server.
///
/// The host knows, because it alone writes: as long as no byte of a call has left, the call has not run. Of two, the greater one
/// holds for a call that was made twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MayHaveRun {
    /// No byte of the call has left the host. It is safe to call again.
    No,
    /// Bytes of it may have left, and no answer came. Only a caller who knows that the call is idempotent may repeat it.
    Unknown,
    /// The server answered, so it has dealt with the call, if only to refuse it.
    Yes,
}

/// What a deadline was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Opening a session: start, connection, handshake.
    Open,
    /// A call.
    Call,
    /// Closing.
    Close,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "opening the session",
            Self::Call => "the call",
            Self::Close => "closing the session",
        })
    }
}

/// The error object of a server, verbatim; in place of secrets that the server was given it has `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerError {
    raw: Bytes,
}

impl ServerError {
    pub(crate) fn new(raw: Bytes) -> Self {
        Self { raw }
    }

    /// The bytes as the server sent them, without secrets: a JSON-RPC error object, unless the guest speaks something else.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The numeric code, where the error is a JSON object that has one.
    pub fn code(&self) -> Option<i64> {
        self.member("code")?.as_i64()
    }

    /// The message, where the error is a JSON object that has one.
    pub fn message(&self) -> Option<String> {
        Some(self.member("message")?.as_str()?.to_owned())
    }

    /// Further data, where the error is a JSON object that has some.
    pub fn data(&self) -> Option<serde_json::Value> {
        self.member("data")
    }

    fn member(&self, name: &str) -> Option<serde_json::Value> {
        match serde_json::from_slice(&self.raw).ok()? {
            serde_json::Value::Object(mut object) => object.remove(name),
            _ => None,
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.message(), self.code()) {
            (Some(message), Some(code)) => write!(f, "{message} (code {code})"),
            _ => f.write_str(&String::from_utf8_lossy(&self.raw)),
        }
    }
}

impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerError").field(&String::from_utf8_lossy(&self.raw)).finish()
    }
}

/// How a server's process ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerExit {
    /// Exit code, where it exited.
    pub code: Option<i32>,
    /// Signal, where one ended it.
    pub signal: Option<i32>,
    /// The last lines that it wrote to standard error, oldest first; see
    /// [`Limits::stderr_lines`](crate::Limits::stderr_lines).
    pub stderr: Vec<String>,
}

impl fmt::Display for ServerExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exited with status {code}"),
            (_, Some(signal)) => write!(f, "was ended by signal {signal}"),
            _ => f.write_str("closed the connection"),
        }
    }
}

/// What went wrong. There is one case per reaction of a caller, not per cause.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such server in the tenant's catalog, or no such tool.
    #[error("there is no {what} `{name}`{}", known_names(.known))]
    NotFound {
        /// What was looked for: `server`, `tool`.
        what: &'static str,
        /// The name that was given.
        name: String,
        /// Names that exist, at most 20, sorted.
        known: Vec<String>,
    },
    /// Policy does not allow it. Nothing was done.
    #[error("{what} is denied: {reason}")]
    Denied {
        /// What was refused.
        what: String,
        /// The rule, and how to change it.
        reason: String,
    },
    /// A limit on the number of sessions is reached. Nothing was done; later there may be room.
    #[error("{scope} has {limit} sessions, which is its limit; close some, or raise `Limits::{setting}`")]
    AtCapacity {
        /// What is full: `tenant acme`, `the runtime`.
        scope: String,
        /// The limit that was reached.
        limit: usize,
        /// The name of the limit.
        setting: &'static str,
    },
    /// The session has more calls waiting than it may have. Nothing was sent.
    #[error("server `{server}` has {limit} calls waiting, which is the limit; try again when some are done")]
    Busy {
        /// The server.
        server: ServerName,
        /// The limit that was reached.
        limit: usize,
    },
    /// Something is larger than its limit.
    #[error("{what} is larger than {limit} bytes, the limit `Limits::{setting}`")]
    TooLarge {
        /// What is too large.
        what: String,
        /// The limit, in bytes.
        limit: usize,
        /// The name of the limit.
        setting: &'static str,
        /// Whether the call may have had an effect.
        may_have_run: MayHaveRun,
    },
    /// A call came to a bound that its guest keeps: [`Limits::pages`](crate::Limits::pages),
    /// [`Limits::gathered_result`](crate::Limits::gathered_result), [`Limits::frame`](crate::Limits::frame).
    #[error("the call of server `{server}` came to a limit: {detail}")]
    BeyondLimit {
        /// The server.
        server: ServerName,
        /// Which bound was reached.
        detail: String,
        /// Whether the call may have had an effect.
        may_have_run: MayHaveRun,
    },
    /// A deadline passed. What belongs to it is stopped: the process tree of a session that did not open is gone, the server
    /// is told that the call is cancelled.
    #[error("{phase} with server `{server}` took longer than {}", duration(*.after))]
    Timeout {
        /// What the deadline was for.
        phase: Phase,
        /// The server.
        server: ServerName,
        /// The time that it had.
        after: Duration,
        /// Whether the call may have had an effect.
        may_have_run: MayHaveRun,
    },
    /// The call was cancelled by its caller.
    #[error("the call was cancelled")]
    Cancelled {
        /// Whether the call may have had an effect.
        may_have_run: MayHaveRun,
    },
    /// The server cannot be used at present.
    #[error("server `{server}` is not available: {reason}")]
    Unavailable {
        /// The server.
        server: ServerName,
        /// Why.
        reason: String,
        /// When it is worth trying again, where that is known.
        retry_after: Option<Duration>,
        /// Whether the call may have had an effect.
        may_have_run: MayHaveRun,
    },
    /// The server's process could not be started, or its connection not be made.
    #[error("server `{server}` could not be started: {reason}")]
    Start {
        /// The server.
        server: ServerName,
        /// What the system said, and what to try.
        reason: String,
    },
    /// The machine does not give the isolation that the server is to have. Nothing was started.
    #[error("server `{server}` cannot be isolated as `{wanted}`: {reason}")]
    Isolation {
        /// The server.
        server: ServerName,
        /// What it was to have.
        wanted: Isolation,
        /// What is missing.
        reason: String,
    },
    /// The server's process ended, or its connection.
    #[error("server `{server}` {exit}{}", last_lines(.exit))]
    ServerExited {
        /// The server.
        server: ServerName,
        /// How it ended.
        exit: ServerExit,
        /// Whether the call may have had an effect.
        may_have_run: MayHaveRun,
    },
    /// The server wants to know who is asking, or does not let them: the final status of the HTTP exchange was 401 or 403. Give
    /// its entry other credentials; those that come from a store, or a file, count from the next request on.
    #[error("server `{server}` requires authorization (status {status}){}", challenge_of(.challenge))]
    AuthorizationRequired {
        /// The server.
        server: ServerName,
        /// The status: 401 or 403.
        status: u16,
        /// How it wants its client to authenticate, as its `WWW-Authenticate` says it (RFC 9110, section 11.6.1), without secrets.
        challenge: Option<String>,
        /// Whether the call may have had an effect. A request that got the status 401 was not applied (section 15.5.2).
        may_have_run: MayHaveRun,
    },
    /// The server answered with an error.
    #[error("{0}")]
    Server(ServerError),
    /// The server broke its protocol.
    #[error("server `{server}` broke the protocol: {detail}")]
    Protocol {
        /// The server.
        server: ServerName,
        /// What it did.
        detail: String,
        /// Whether the call may have had an effect.
        may_have_run: MayHaveRun,
    },
    /// What was asked cannot be said in the protocol, or is not offered on this connection.
    #[error("{detail}")]
    Unsupported {
        /// What, and why not.
        detail: String,
    },
    /// The guest failed: a trap, a budget exceeded, a rule of the boundary broken. The session is closed; the next lease
    /// opens another.
    #[error("guest {guest} failed: {detail}")]
    GuestFault {
        /// Name and digest of the guest.
        guest: String,
        /// What it did.
        detail: String,
        /// Whether the call may have had an effect.
        may_have_run: MayHaveRun,
    },
    /// The component is not one that this host runs.
    #[error("the guest component cannot be used: {reason}")]
    Component {
        /// Why, and what to try.
        reason: String,
    },
    /// The session, its tenant or the runtime is being closed.
    #[error("{what} is being closed")]
    Closing {
        /// What is being closed.
        what: String,
        /// Whether the call may have had an effect.
        may_have_run: MayHaveRun,
    },
    /// A configuration is not valid. Every problem that was found is listed, each with file, line and key.
    #[error("{}", lines(.0))]
    Config(Vec<ConfigError>),
    /// The system refused something that the runtime needs.
    #[error("{what}: {reason}")]
    System {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        reason: String,
    },
    /// What an embedder gave cannot be used as it is, such as arguments that are not JSON.
    #[error("{what}: {reason}")]
    InvalidInput {
        /// What was given.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// A stable name of the case, for logs, metrics and other programs: lower case with underscores.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::Denied { .. } => "denied",
            Self::AtCapacity { .. } => "at_capacity",
            Self::Busy { .. } => "busy",
            Self::TooLarge { .. } | Self::BeyondLimit { .. } => "too_large",
            Self::Timeout { .. } => "timeout",
            Self::Cancelled { .. } => "cancelled",
            Self::Unavailable { .. } => "unavailable",
            Self::Start { .. } => "start_failed",
            Self::Isolation { .. } => "isolation",
            Self::ServerExited { .. } => "server_exited",
            Self::AuthorizationRequired { .. } => "authorization_required",
            Self::Server(_) => "server_error",
            Self::Protocol { .. } => "protocol_violation",
            Self::Unsupported { .. } => "unsupported",
            Self::GuestFault { .. } => "guest_fault",
            Self::Component { .. } => "bad_component",
            Self::Closing { .. } => "closing",
            Self::Config(_) => "bad_configuration",
            Self::System { .. } => "system",
            Self::InvalidInput { .. } => "invalid_input",
        }
    }

    /// After what time it is worth trying again. `None`: not by waiting alone, or not known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            // Both clear up when somebody else finishes; a second is long against a call and short for a person.
            Self::AtCapacity { .. } | Self::Busy { .. } => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// Whether the call that failed may have had an effect at the server. [`MayHaveRun::No`] for what is not a call.
    pub fn may_have_run(&self) -> MayHaveRun {
        match self {
            Self::TooLarge { may_have_run, .. }
            | Self::BeyondLimit { may_have_run, .. }
            | Self::Unavailable { may_have_run, .. }
            | Self::Timeout { may_have_run, .. }
            | Self::Cancelled { may_have_run }
            | Self::ServerExited { may_have_run, .. }
            | Self::AuthorizationRequired { may_have_run, .. }
            | Self::Protocol { may_have_run, .. }
            | Self::GuestFault { may_have_run, .. }
            | Self::Closing { may_have_run, .. } => *may_have_run,
            Self::Server(_) => MayHaveRun::Yes,
            _ => MayHaveRun::No,
        }
    }

    /// The same error for a call that may have run, where the case says so.
    pub(crate) fn with_may_have_run(mut self, value: MayHaveRun) -> Self {
        match &mut self {
            Self::TooLarge { may_have_run, .. }
            | Self::BeyondLimit { may_have_run, .. }
            | Self::Unavailable { may_have_run, .. }
            | Self::Timeout { may_have_run, .. }
            | Self::Cancelled { may_have_run }
            | Self::ServerExited { may_have_run, .. }
            | Self::AuthorizationRequired { may_have_run, .. }
            | Self::Protocol { may_have_run, .. }
            | Self::GuestFault { may_have_run, .. }
            | Self::Closing { may_have_run, .. } => *may_have_run = value,
            _ => {}
        }
        self
    }
}

impl From<Vec<ConfigError>> for Error {
    fn from(problems: Vec<ConfigError>) -> Self {
        Self::Config(problems)
    }
}

fn known_names(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; there are: {}", names.join(", ")) }
}

fn lines(problems: &[ConfigError]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn last_lines(exit: &ServerExit) -> String {
    // Three lines are enough to name the cause; all that are kept are in `exit.stderr`.
    let skip = exit.stderr.len().saturating_sub(3);
    exit.stderr.iter().skip(skip).map(|line| format!("\n  | {line}")).collect()
}

fn challenge_of(challenge: &Option<String>) -> String {
    challenge.as_ref().map(|challenge| format!(": {challenge}")).unwrap_or_default()
}

fn duration(duration: Duration) -> String {
    format!("{duration:?}")
}
