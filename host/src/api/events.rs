//! What happens in a runtime, for whoever subscribes.

use bytes::Bytes;
use tokio::sync::broadcast::{self, error::RecvError};

use super::SessionKey;

/// Something that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A session is open, or is so again.
    SessionOpened {
        /// The session.
        session: SessionKey,
        /// The revision of the protocol that is spoken.
        revision: String,
        /// Number of the connection in the session, from 1.
        incarnation: u32,
    },
    /// A session has lost its connection: its server has ended, or broke the protocol, or the guest failed. The session lives on; the
    /// next call or lease makes another connection.
    SessionDisconnected {
        /// The session.
        session: SessionKey,
        /// Number of the connection in the session, from 1; 0 where it could not even begin to be made. Where the next one is
        /// made at once, that it is open may be told earlier than this.
        incarnation: u32,
        /// The code of the [`Error`](crate::Error).
        code: &'static str,
        /// The same for people.
        reason: String,
    },
    /// A session goes on with another guest: its connection, its calls and its server's process are as before.
    GuestReplaced {
        /// The session.
        session: SessionKey,
        /// Name, version and digest of the guest that it has now.
        guest: String,
    },
    /// A session takes no calls any more. What became of its last connection meanwhile may be told later than this.
    SessionClosing {
        /// The session.
        session: SessionKey,
        /// The code of the [`Error`](crate::Error) that its calls get.
        code: &'static str,
        /// The same for people.
        reason: String,
    },
    /// A server said something that is no answer.
    Notification {
        /// The session.
        session: SessionKey,
        /// The method, in the words of the protocol.
        method: String,
        /// The parameters, verbatim. JSON; empty where there are none.
        params: Bytes,
    },
}

/// A subscription to the events of a runtime, from [`Runtime::events`](crate::Runtime::events) on.
///
/// Subscribers never slow a session down: one that is more than [`Limits::event_backlog`](crate::Limits::event_backlog) events
/// behind misses the oldest, and is told how many.
#[derive(Debug)]
pub struct Events(pub(super) broadcast::Receiver<Event>);

/// A subscriber was too slow, and missed this many events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} events were missed")]
pub struct Lagged(pub u64);

impl Events {
    /// The next event; none when the runtime is gone.
    ///
    /// Cancellation safe: no event is lost.
    pub async fn next(&mut self) -> Option<Result<Event, Lagged>> {
        match self.0.recv().await {
            Ok(event) => Some(Ok(event)),
            Err(RecvError::Lagged(missed)) => Some(Err(Lagged(missed))),
            Err(RecvError::Closed) => None,
        }
    }
}
