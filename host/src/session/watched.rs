//! How far something is that others wait for: a session, or one of its clients.

use std::sync::Arc;

use tokio::sync::watch;

use super::{SessionInfo, State};
use crate::{Error, MayHaveRun, names::SessionId};

/// How far a session is, for whoever only looks.
#[derive(Clone, Debug)]
pub(crate) enum Life {
    /// It takes calls, though it may have to connect for them.
    Open,
    /// It takes no calls any more, for this reason.
    Closing(Error),
    /// Nothing of it is left.
    Closed(Error),
}

/// The life of a session. Holding it keeps nothing of the session alive.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    id: SessionId,
    life: watch::Receiver<Life>,
}

impl Watched {
    pub(super) fn new(id: SessionId, life: watch::Receiver<Life>) -> Self {
        Self { id, life }
    }

    pub(crate) fn now(&self) -> Life {
        self.life.borrow().clone()
    }

    /// Waits until the session takes no more calls. Returns why.
    pub(crate) async fn closing(self) -> Error {
        self.wait_for(|life| match life {
            Life::Open => None,
            Life::Closing(error) | Life::Closed(error) => Some(error.clone()),
        })
        .await
    }

    /// Waits until nothing of the session is left. Returns why it ended.
    pub(crate) async fn closed(self) -> Error {
        self.wait_for(|life| match life {
            Life::Closed(error) => Some(error.clone()),
            Life::Open | Life::Closing(_) => None,
        })
        .await
    }

    async fn wait_for(mut self, found: impl Fn(&Life) -> Option<Error>) -> Error {
        match wait_for(&mut self.life, found).await {
            Some(error) => error,
            // Its handles are all gone, and with them the session.
            None => Error::Closing { what: format!("session {}", self.id), may_have_run: MayHaveRun::No },
        }
    }
}

/// The state of a client.
#[derive(Clone, Debug)]
pub(super) struct ClientWatched {
    id: SessionId,
    state: watch::Receiver<State>,
}

impl ClientWatched {
    pub(super) fn new(id: SessionId, state: watch::Receiver<State>) -> Self {
        Self { id, state }
    }

    /// Waits until it is ready.
    ///
    /// Cancellation safe: it goes on opening.
    pub(super) async fn ready(mut self) -> Result<Arc<SessionInfo>, Error> {
        let found = wait_for(&mut self.state, |state| match state {
            State::Opening => None,
            State::Ready(info) => Some(Ok(info.clone())),
            State::Closing(error) | State::Closed(error) => Some(Err(error.clone())),
        })
        .await;
        found.unwrap_or_else(|| Err(self.gone()))
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

/// Waits for a value in which there is something to return; none, if that never comes.
async fn wait_for<V, T>(values: &mut watch::Receiver<V>, found: impl Fn(&V) -> Option<T>) -> Option<T> {
    loop {
        if let Some(found) = found(&values.borrow_and_update()) {
            return Some(found);
        }
        values.changed().await.ok()?;
    }
}
