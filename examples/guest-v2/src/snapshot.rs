//! What a successor must know, in a shape of this version's own.
//!
//! A snapshot is a JSON array: the name of the format, the statistics, and the
//! engine's own snapshot as it is. The name covers what is inside too: an engine
//! with another format makes this another one.
//!
//! The default guest's formats are read, and the newest of them is written, for a
//! session that goes back. The statistics have no place there and begin anew. What
//! the host holds open is counted as made then, so that they add up.

use innkeeper_guest::boundary::{Effect, Outstanding, RestoreError, SnapshotError};
use serde_json::value::RawValue;

use crate::client::Client;
use crate::statistics::Statistics;

/// The format of this guest. Of the engine's formats it holds `innkeeper-mcp/2`.
pub(crate) const FORMAT: &str = "innkeeper-mcp-v2/1";

/// This guest's format and then the engine's: a host takes the first that both guests know, and in this one nothing is lost.
pub(crate) fn before(engine: Vec<String>) -> Vec<String> {
    std::iter::once(FORMAT.to_owned()).chain(engine).collect()
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
        let engine: &RawValue = serde_json::from_slice(&engine).map_err(unsaid)?;
        serde_json::to_vec(&(FORMAT, &self.statistics, engine)).map_err(unsaid)
    }

    /// Continues from a snapshot of this guest or of the default guest.
    ///
    /// # Errors
    ///
    /// [`RestoreError::UnknownFormat`] and [`RestoreError::Malformed`].
    pub fn restore(state: &[u8], outstanding: Outstanding) -> Result<(Self, Vec<Effect>), RestoreError> {
        let held = outstanding.calls.clone();
        let (mut statistics, (engine, effects)) = match parts(state) {
            Some((format, _)) if format != FORMAT => return Err(RestoreError::UnknownFormat),
            Some((_, [statistics, engine])) => {
                let statistics: Statistics = serde_json::from_str(statistics.get()).map_err(malformed)?;
                if !statistics.is_sound() {
                    return Err(RestoreError::Malformed("the statistics do not add up".to_owned()));
                }
                let restored = innkeeper_guest::Client::restore(engine.get().as_bytes(), outstanding);
                (statistics, restored.map_err(within)?)
            }
            None => (Statistics::new(), innkeeper_guest::Client::restore(state, outstanding)?),
        };
        statistics.reconcile(&held);
        statistics.take(&effects);
        Ok((Self { engine, statistics }, effects))
    }
}

/// The name of the format and the parts of a snapshot that has the shape of this guest's. None if it has another.
fn parts(state: &[u8]) -> Option<(String, [&RawValue; 2])> {
    let (format, statistics, engine) = serde_json::from_slice(state).ok()?;
    Some((format, [statistics, engine]))
}

fn unsaid(error: serde_json::Error) -> SnapshotError {
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
