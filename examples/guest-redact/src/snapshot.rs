//! What a successor must know: the count, and the engine's own snapshot.
//!
//! The engine's is carried as a text that this guest does not look into. But it is
//! part of the format all the same: with another format of the engine inside, this
//! one takes another name, or a guest that knows only the name would be given a
//! state that it cannot read.
//!
//! The engine's formats are written and read too. So the default guest is replaced
//! by this one and this one by the default guest while calls are open; what the
//! default guest has no place for, the count, is then lost.

use std::borrow::Cow;

use innkeeper_guest::boundary::{Effect, Outstanding, RestoreError, SnapshotError};
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::results::Carried;

/// The format of this guest. Of the engine's formats it holds `innkeeper-mcp/2`.
pub(crate) const FORMAT: &str = "guest-redact/1";

/// This guest's format and then the engine's: a host takes the first that both guests know, and in this one nothing is lost.
pub(crate) fn before(engine: Vec<String>) -> Vec<String> {
    std::iter::once(FORMAT.to_owned()).chain(engine).collect()
}

#[derive(Serialize, Deserialize)]
struct State<'a> {
    #[serde(borrow)]
    format: Cow<'a, str>,
    masked: u64,
    #[serde(borrow)]
    engine: Cow<'a, str>,
}

/// What tells the formats apart.
#[derive(Deserialize)]
struct Probe<'a> {
    #[serde(borrow)]
    format: Cow<'a, str>,
}

impl Client {
    /// The whole state, in one of the formats that [`describe`](Self::describe) lists.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::UnknownFormat`] for any other, and what the engine says.
    pub fn snapshot(&self, format: &str) -> Result<Vec<u8>, SnapshotError> {
        if format != FORMAT {
            return self.engine.snapshot(format);
        }
        let engine = self.engine.snapshot(innkeeper_guest::Client::SNAPSHOT_FORMAT)?;
        let engine = std::str::from_utf8(&engine).map_err(unsaid)?;
        let state = State { format: FORMAT.into(), masked: self.masked, engine: engine.into() };
        serde_json::to_vec(&state).map_err(unsaid)
    }

    /// Continues from a snapshot of this guest or of the engine.
    ///
    /// # Errors
    ///
    /// [`RestoreError::UnknownFormat`] and [`RestoreError::Malformed`].
    pub fn restore(state: &[u8], outstanding: Outstanding) -> Result<(Self, Vec<Effect>), RestoreError> {
        let engine_knows =
            |format: &str| innkeeper_guest::Client::describe().restorable_formats.iter().any(|known| known == format);
        let format = serde_json::from_slice(state).map_err(malformed).map(|Probe { format }| format)?;
        let (masked, (engine, effects)) = match &*format {
            FORMAT => {
                let State { masked, engine, .. } = serde_json::from_slice(state).map_err(malformed)?;
                let restored = innkeeper_guest::Client::restore(engine.as_bytes(), outstanding);
                (masked, restored.map_err(within)?)
            }
            format if engine_knows(format) => (0, innkeeper_guest::Client::restore(state, outstanding)?),
            _ => return Err(RestoreError::UnknownFormat),
        };
        let mut client = Self { engine, masked };
        // There is no batch of events here, and nothing in the effects can be a range of one.
        let effects = client.mask(effects, &Carried::default());
        Ok((client, effects))
    }
}

fn unsaid(error: impl std::fmt::Display) -> SnapshotError {
    SnapshotError::Unsupported(error.to_string())
}

fn malformed(error: serde_json::Error) -> RestoreError {
    RestoreError::Malformed(error.to_string())
}

/// The format was the one that was named, so another one within it is damage.
fn within(error: RestoreError) -> RestoreError {
    match error {
        RestoreError::UnknownFormat => {
            RestoreError::Malformed("the engine's state in it has another format".to_owned())
        }
        error => error,
    }
}
