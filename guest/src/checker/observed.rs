//! Effects as a test wants to see them.

use crate::boundary::{CallId, Fault, LogLevel, ServerRequestId, Timer, TimerId};

/// An effect as a host applies it: with its payload put together.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    /// A frame left for the server.
    Write {
        /// The bytes.
        frame: Vec<u8>,
        /// The call that it is for.
        call: Option<CallId>,
    },
    /// A fresh process was asked for.
    FreshProcess,
    /// A call ended.
    Complete {
        /// The call.
        call: CallId,
        /// How.
        outcome: Ended,
    },
    /// A call goes on.
    Progress {
        /// The call.
        call: CallId,
        /// The report.
        report: Vec<u8>,
    },
    /// The server said something.
    Notification {
        /// The method.
        method: String,
        /// The parameters.
        params: Vec<u8>,
    },
    /// The server asks the platform.
    ServerRequest {
        /// Its id.
        id: ServerRequestId,
        /// The call that it belongs to.
        call: Option<CallId>,
        /// The method.
        method: String,
        /// The parameters.
        params: Vec<u8>,
    },
    /// The server does not want the answer any more.
    Withdraw(ServerRequestId),
    /// The session is open.
    Ready {
        /// The revision that is spoken.
        revision: String,
        /// What the server said of itself.
        peer: Vec<u8>,
    },
    /// The guest gave the connection up.
    Disconnected {
        /// Why.
        cause: Ended,
        /// Calls that the guest left for the host to complete.
        left_open: Vec<CallId>,
    },
    /// A timer was set or moved.
    SetTimer(Timer),
    /// A timer was cleared.
    CancelTimer(TimerId),
    /// A line for the log.
    Log(LogLevel, String),
}

/// How a call or a connection ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// With a result.
    Result(Vec<u8>),
    /// With an error of the server.
    Error(Vec<u8>),
    /// Without an answer.
    Fault(Fault),
}
