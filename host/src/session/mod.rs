//! Sessions: what a lease is for, and the clients that serve its calls, one after another.
//!
//! One task, the *owner*, has the guest and the connection of a client and is the only one that touches them. Everybody
//! else sends it messages over bounded channels and waits for replies. What the owner gathers (calls, frames, timers,
//! answers) it gives to the guest as events, in batches; what the guest returns it applies as effects, after checking every
//! id and every range.
//!
//! | file | what it holds |
//! |---|---|
//! | `clients` | a session, as others have it: it begins clients, and tells what becomes of them |
//! | `succession` | which client is the present one, and when there is another |
//! | `breaker` | when a server that fails may be tried again |
//! | `places` | how many sessions may have a connection at a time |
//! | `client` | what others hold of a client: the way in, and its state |
//! | `watched` | how far something is, for whoever waits for it |
//! | `owner` | the task: from opening to its end |
//! | `ending` | the end, in order |
//! | `gather` | what the owner waits for, made into events |
//! | `effects` | what the guest returned, checked and applied |
//! | `handover` | another guest in the place of the present one |
//! | `payloads` | the bytes that the guest names |
//! | `turn` | how long a session goes on before others do |
//! | `calls` | open calls: their replies, params and deadlines |
//! | `server_requests` | what the server asks the platform |
//! | `deadlines` | the times of a session, in order |
//! | `link` | the connection of a stream: frames in, a bounded queue out |
//! | `exchanges` | the HTTP exchanges that are open |
//! | `exchange_effects` | what the guest wants of HTTP, and what comes of it |
//! | `reply` | the way from the owner back to one caller |

mod breaker;
mod calls;
mod client;
mod clients;
mod deadlines;
mod effects;
mod ending;
mod exchange_effects;
mod exchanges;
mod gather;
mod handover;
mod link;
#[cfg(test)]
mod models;
mod owner;
mod payloads;
mod places;
mod reply;
mod server_requests;
mod succession;
mod turn;
mod watched;

use std::{fmt, time::Duration};

use bytes::Bytes;

use crate::Isolation;

pub use breaker::BreakerState;
pub(crate) use calls::CallRequest;
use client::State;
pub(crate) use client::{Cancel, OpenCall, SessionSpec};
pub(crate) use clients::{Observer, Session};
pub use handover::Carried;
pub(crate) use handover::{AssignedGuest, NotHandedOver, common_format};
pub(crate) use places::Places;
pub(crate) use reply::Reply;
pub(crate) use server_requests::{Asked, Asker};
pub use succession::SessionState;
pub(crate) use turn::{Share, Threads};
pub(crate) use watched::{Life, Watched};

/// A call of one session. Never reused in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub(crate) u64);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is known of a session that is open, or was when its connection was lost.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The revision of the protocol that is spoken.
    pub revision: String,
    /// What the server said of itself when the session was opened, verbatim. JSON.
    pub peer: Bytes,
    /// The server's process, if it has one on this machine.
    pub process: Option<u32>,
    /// What keeps that process from others.
    pub isolation: Option<Isolation>,
    /// Number of the connection in this session, from 1.
    pub incarnation: u32,
    /// Name, version and digest of the guest.
    pub guest: String,
    /// How long it took until there was something to speak over: a process was started, or an embedder's connector was done.
    /// Waiting for a place among the sessions of the tenant is part of it. Over HTTP nothing is connected to before the first
    /// request, which belongs to the handshake.
    pub connect: Duration,
    /// How long it took from there until calls reached the server.
    pub handshake: Duration,
}
