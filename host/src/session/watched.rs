//! How far a session is, for whoever looks: handles, leases, and those that only look.

use std::sync::Arc;

use tokio::sync::watch;

use super::{SessionInfo, State};
use crate::{Error, MayHaveRun, names::SessionId};

/// The state of a session. Holding it keeps nothing of the session alive.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    id: SessionId,
    state: watch::Receiver<State>,
}

impl Watched {
    pub(super) fn new(id: SessionId, state: watch::Receiver<State>) -> Self {
        Self { id, state }
    }

    pub(crate) fn now(&self) -> State {
        self.state.borrow().clone()
    }

    /// Waits until the session is ready.
    ///
    /// Cancellation safe: the session goes on opening.
    pub(crate) async fn ready(mut self) -> Result<Arc<SessionInfo>, Error> {
        self.wait_for(|state| match state {
            State::Opening => None,
            State::Ready(info) => Some(Ok(info.clone())),
            State::Closing(error) | State::Closed(error) => Some(Err(error.clone())),
        })
        .await
        .unwrap_or_else(Err)
    }

    /// Waits until the session takes no more calls. Returns why.
    pub(crate) async fn closing(mut self) -> Error {
        self.wait_for(|state| match state {
            State::Opening | State::Ready(_) => None,
            State::Closing(error) | State::Closed(error) => Some(error.clone()),
        })
        .await
        .unwrap_or_else(|gone| gone)
    }

    /// Waits until nothing of the session is left. Returns why it ended.
    pub(crate) async fn closed(mut self) -> Error {
        self.wait_for(|state| match state {
            State::Closed(error) => Some(error.clone()),
            _ => None,
        })
        .await
        .unwrap_or_else(|gone| gone)
    }

    /// Waits for a state in which there is something to return; or returns why that never comes.
    async fn wait_for<T>(&mut self, found: impl Fn(&State) -> Option<T>) -> Result<T, Error> {
        loop {
            if let Some(found) = found(&self.state.borrow_and_update()) {
                return Ok(found);
            }
            if self.state.changed().await.is_err() {
                return Err(self.gone());
            }
        }
    }

    /// Why it takes no more calls.
    pub(super) fn gone(&self) -> Error {
        match &*self.state.borrow() {
            State::Closing(error) | State::Closed(error) => error.clone().with_may_have_run(MayHaveRun::No),
            // The tokio runtime was shut down, and the owner with it.
            State::Opening | State::Ready(_) => {
                Error::Closing { what: format!("session {}", self.id), may_have_run: MayHaveRun::No }
            }
        }
    }
}
