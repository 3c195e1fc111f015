//! How messages reach the server.
//!
//! What is said is the same on every transport and is decided elsewhere; here it
//! is put on its way. On a stream all messages share one connection, and it is
//! the host that knows when that is gone. Over HTTP every message is an exchange
//! of its own, which can fail alone; [`http`] follows each to its end, and tells
//! the session what became of what was sent.

pub(crate) mod http;
pub(crate) mod stream;

use crate::boundary::TransportKind;
use crate::effects::{CallId, Effects};
use crate::jsonrpc::RequestId;
use crate::payload::Builder;
use http::Http;
use serde::{Deserialize, Serialize};

/// The transport of a session, with all that it has to remember.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Transport {
    /// Frames. What snapshots of the first format mean, which do not say.
    #[default]
    Stream,
    /// HTTP exchanges.
    Http(Box<Http>),
}

impl Transport {
    pub(crate) fn new(kind: TransportKind) -> Self {
        match kind {
            TransportKind::Stream => Transport::Stream,
            TransportKind::Http => Transport::Http(Box::new(Http::new())),
        }
    }

    /// Sends a message that is no part of a call.
    pub(crate) fn send(&mut self, effects: &mut Effects, message: Builder) {
        match self {
            Transport::Stream => stream::send(effects, message),
            Transport::Http(http) => http.send(effects, message),
        }
    }

    /// Sends a request whose effects at the server are those of a call.
    pub(crate) fn send_for(&mut self, effects: &mut Effects, call: CallId, id: RequestId, message: Builder) {
        match self {
            Transport::Stream => stream::send_for(effects, call, message),
            Transport::Http(http) => http.send_for(effects, call, id, message),
        }
    }

    /// Whether what is said now reaches the session that this request was sent in.
    pub(crate) fn reaches(&self, id: RequestId) -> bool {
        match self {
            Transport::Stream => true,
            Transport::Http(http) => http.reaches(id),
        }
    }

    /// Nobody waits for the reply to this request any more.
    pub(crate) fn forget(&mut self, effects: &mut Effects, id: RequestId) {
        match self {
            Transport::Stream => {}
            Transport::Http(http) => http.forget(effects, id),
        }
    }

    /// Whether a message has to be written on one line.
    pub(crate) const fn has_lines(&self) -> bool {
        matches!(self, Transport::Stream)
    }

    /// Whether a server may say of a single request that it was not read, so that it
    /// may be sent again.
    pub(crate) const fn may_refuse(&self) -> bool {
        matches!(self, Transport::Http(_))
    }

    pub(crate) fn http(&mut self) -> Option<&mut Http> {
        match self {
            Transport::Stream => None,
            Transport::Http(http) => Some(http),
        }
    }
}
