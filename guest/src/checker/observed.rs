//! Effects as a test wants to see them.

use crate::boundary::{CallId, ExchangeId, Fault, LogLevel, ServerRequestId, Target, Timer, TimerId};

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
    /// An exchange began.
    Request(Requested),
    /// An exchange was ended.
    Abort(ExchangeId),
    /// What is sent at the end was said.
    OnClose(Option<Requested>),
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

/// A request, with its body put together.
#[derive(Debug, Clone, PartialEq)]
pub struct Requested {
    /// The exchange that it starts.
    pub exchange: ExchangeId,
    /// The call that it is for.
    pub call: Option<CallId>,
    /// Method.
    pub method: String,
    /// Where it goes.
    pub target: Target,
    /// Header fields, in their order.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Option<Vec<u8>>,
}

impl Requested {
    /// The value of a header field, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
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
