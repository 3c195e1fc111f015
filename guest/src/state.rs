//! The whole state of a client, and the form in which it goes to another guest.
//!
//! A snapshot is JSON: `{"format": …, "state": …}`. The format names this very
//! shape of the state; whoever changes the shape gives it another name, and
//! decides whether the old one can still be restored. Maps are ordered, so that
//! equal states have equal snapshots. Indexes are left out and rebuilt, and what
//! was read is checked: a snapshot may have been damaged, or written by another
//! guest that claims this format.

use crate::boundary::{RestoreError, SnapshotError};
use crate::json;
use crate::session::Session;
use crate::transport::Transport;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

/// Name of the format of snapshots.
pub(crate) const FORMAT: &str = "innkeeper-mcp/2";

/// The format before there was more than one transport. A state in it is one of
/// [`FORMAT`] that leaves the transport out.
const FORMAT_1: &str = "innkeeper-mcp/1";

/// The formats that can be read, newest first.
pub(crate) const RESTORABLE: [&str; 2] = [FORMAT, FORMAT_1];

/// All that a client knows.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// `open` has not come.
    Unopened,
    /// The session is open.
    Open(Box<Session>),
    /// The session was closed, or could not be opened.
    Over,
}

#[derive(Serialize)]
struct Written<'a> {
    format: &'a str,
    state: &'a State,
}

#[derive(Deserialize)]
struct Probe {
    format: String,
    #[serde(rename = "state")]
    _state: IgnoredAny,
}

#[derive(Deserialize)]
struct Read {
    #[serde(rename = "format")]
    _format: IgnoredAny,
    state: State,
}

impl State {
    pub(crate) fn write(&self) -> Result<Vec<u8>, SnapshotError> {
        serde_json::to_vec(&Written { format: FORMAT, state: self })
            .map_err(|error| SnapshotError::NotNow(error.to_string()))
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, RestoreError> {
        let malformed = |error: serde_json::Error| RestoreError::Malformed(error.to_string());

        let text = json::text(bytes).map_err(|reason| RestoreError::Malformed(reason.to_string()))?;
        let Probe { format, .. } = serde_json::from_str(text).map_err(malformed)?;
        if !RESTORABLE.contains(&&*format) {
            return Err(RestoreError::UnknownFormat);
        }
        let Read { mut state, .. } = serde_json::from_str(text).map_err(malformed)?;
        let sound = match &mut state {
            State::Open(session) => session.index() && (format == FORMAT || session.transport == Transport::Stream),
            State::Unopened | State::Over => true,
        };
        if sound { Ok(state) } else { Err(RestoreError::Malformed("the state contradicts itself".to_owned())) }
    }
}
