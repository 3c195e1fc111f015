//! Looking at a session without using it.

use super::SessionKey;
use crate::{
    Error,
    session::{Life, Watched},
};

/// Sees what becomes of a session, and is no reason for it to live: an idle session that is watched is closed as any other, and
/// what is watched keeps neither its tenant nor its runtime.
#[derive(Clone, Debug)]
pub struct Watch {
    session: SessionKey,
    state: Watched,
}

impl Watch {
    pub(super) fn new(session: SessionKey, state: Watched) -> Self {
        Self { session, state }
    }

    /// Which session, and whose.
    pub fn session(&self) -> &SessionKey {
        &self.session
    }

    /// Whether the session is there, or why it ends. One whose connection was lost is: the next call makes another.
    ///
    /// # Errors
    ///
    /// Returns why the session ended, or is being closed.
    pub fn check(&self) -> Result<(), Error> {
        match self.state.now() {
            Life::Open => Ok(()),
            Life::Closing(error) | Life::Closed(error) => Err(error),
        }
    }

    /// Waits until the session takes no more calls, and returns why. Its processes may live for a moment more.
    ///
    /// # Cancellation safety
    ///
    /// Nothing is lost: it can be waited for again.
    pub async fn closing(&self) -> Error {
        self.state.clone().closing().await
    }

    /// Waits until nothing is left of the session, and returns why it ended.
    ///
    /// # Cancellation safety
    ///
    /// Nothing is lost: it can be waited for again.
    pub async fn closed(&self) -> Error {
        self.state.clone().closed().await
    }
}
