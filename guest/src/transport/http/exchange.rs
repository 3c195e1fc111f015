//! One HTTP exchange: what it is for, and how far its response has come.

use crate::boundary::{ExchangeFailure, Fault, FaultKind};
use crate::effects::fault;
use crate::json;
use crate::jsonrpc::RequestId;
use serde::{Deserialize, Serialize};

/// An exchange that the host has not ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Exchange {
    pub(super) purpose: Purpose,
    /// Number of the protocol session that it belongs to.
    pub(super) session: u32,
    pub(super) body: Body,
}

/// What an exchange is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Purpose {
    /// The request that opens a session.
    Initialize(RequestId),
    /// `notifications/initialized`.
    Confirmation,
    /// A request that is a call, or the stream of its reply taken up again.
    Call {
        /// The request.
        id: RequestId,
        /// Whether this is not the request itself.
        resumed: bool,
    },
    /// A notification or a response.
    Message,
    /// The stream of what the server says by itself.
    Listening,
    /// The one stream of HTTP+SSE.
    Channel,
    /// Something that has been settled, until the server ends its response.
    Settled,
}

/// How far a response has come, and what its body is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub(super) enum Body {
    /// No response has begun.
    Awaited,
    /// One JSON text follows.
    Json,
    /// Events follow.
    Events,
    /// The status says no; the body may say why.
    Refusal { status: u16, challenge: Option<String> },
    /// What follows is of no interest.
    Ignored,
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum End<'a> {
    /// With the end of its response.
    Complete,
    /// With a status that says no.
    Status(u16),
    /// Without a complete response.
    Failed(ExchangeFailure, &'a str),
}

impl End<'_> {
    /// Whether the same might go well at another time.
    pub(super) fn is_passing(self) -> bool {
        match self {
            End::Complete => true,
            // RFC 9110, 15.5.9 and 15.5.10; RFC 6585, 4: what is no fault of the request.
            End::Status(status) => matches!(status, 408 | 409 | 429 | 500..),
            End::Failed(failure, _) => {
                matches!(failure, ExchangeFailure::Connect | ExchangeFailure::Reset | ExchangeFailure::Timeout)
            }
        }
    }

    /// Why what `what` names did not happen.
    pub(super) fn fault(self, what: &str) -> Fault {
        /// Of the host's own words. With `what`, a message stays under 1 KiB.
        const MAX_MESSAGE: usize = 700;

        match self {
            End::Complete => fault(FaultKind::Disconnected, format!("{what}: the server ended its response early")),
            End::Status(status) => {
                let kind = if status == 413 { FaultKind::TooLarge } else { FaultKind::Other };
                fault(kind, format!("{what}: the server answered with status {status}"))
            }
            End::Failed(failure, message) => {
                let kind = match failure {
                    ExchangeFailure::Denied => FaultKind::Other,
                    ExchangeFailure::TooLarge => FaultKind::TooLarge,
                    ExchangeFailure::Malformed => FaultKind::ProtocolViolation,
                    ExchangeFailure::Connect | ExchangeFailure::Reset | ExchangeFailure::Timeout => {
                        FaultKind::Disconnected
                    }
                };
                let message = json::printable(message, MAX_MESSAGE);
                fault(kind, format!("{what}: {message}"))
            }
        }
    }
}
