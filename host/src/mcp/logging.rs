//! What a server logs, and how much of it. "Server Features / Utilities / Logging".
//!
//! Not here: what the server writes to standard error, which is the host's ([`Limits::stderr_lines`](crate::Limits::stderr_lines)).

use std::{fmt, str::FromStr};

use serde_json::{Map, Value, json};

use super::{
    ServerFeature,
    decode::{required_text, text},
};
use crate::{Error, Lease};

/// How much a log message matters (RFC 5424, section 6.2.1). The greater, the more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LoggingLevel {
    /// For whoever looks for a fault.
    Debug,
    /// How things go on.
    Info,
    /// Normal, and worth a look.
    Notice,
    /// Something may go wrong.
    Warning,
    /// Something went wrong.
    Error,
    /// A part has failed.
    Critical,
    /// Somebody has to do something at once.
    Alert,
    /// Nothing can be used.
    Emergency,
}

/// What a server logged.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LogMessage {
    /// How much it matters.
    pub level: LoggingLevel,
    /// Which part of the server it comes from.
    pub logger: Option<String>,
    /// What it says: a text, or anything else in JSON.
    pub data: Value,
    /// The parameters of the notification as the server sent them.
    pub raw: Map<String, Value>,
}

impl LoggingLevel {
    const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// As the specification has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
        }
    }
}

impl fmt::Display for LoggingLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for LoggingLevel {
    type Err = Error;

    /// Reads a level as the specification has it.
    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|level| level.as_str() == name).ok_or_else(|| Error::InvalidInput {
            what: "the level of log messages",
            reason: format!("there is no `{name}`; there are {}", Self::ALL.map(Self::as_str).join(", ")),
        })
    }
}

impl LogMessage {
    pub(super) fn new(raw: Map<String, Value>) -> Result<Self, String> {
        let level = required_text(&raw, "level", "a log message")?;
        Ok(Self {
            level: level.parse().map_err(|error: Error| error.to_string())?,
            logger: text(&raw, "logger"),
            data: raw.get("data").cloned().ok_or("a log message has no `data`")?,
            raw,
        })
    }
}

impl Lease {
    /// Wants log messages of this level and above, and no others. They come as
    /// [`Notification::Log`](super::Notification), through the [`events`](crate::Runtime::events) of the runtime. Until a level is
    /// set, the server decides. A level is the connection's, and is lost with it.
    ///
    /// # Errors
    ///
    /// What a [`Call`](crate::Call) may return; [`Error::Unsupported`] where the server does not offer logging.
    pub async fn set_logging_level(&self, level: LoggingLevel) -> Result<(), Error> {
        self.require(ServerFeature::Logging).await?;
        self.tell("logging/setLevel", &json!({ "level": level.as_str() })).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_as_they_are_written_and_are_in_order() {
        for level in LoggingLevel::ALL {
            assert_eq!(level.to_string().parse::<LoggingLevel>().unwrap(), level);
        }
        assert!(LoggingLevel::ALL.is_sorted());
        let error = "warn".parse::<LoggingLevel>().unwrap_err().to_string();
        assert!(error.contains("there is no `warn`") && error.contains("warning"), "{error}");
    }
}
