//! Events and effects as the host handles them, whatever version of the WIT package a component was built for.
//!
//! The shapes follow `wit/client.wit`, which documents their meaning. Two things differ: bytes are [`Bytes`], so that frames
//! and results are shared instead of copied, and ids are plain integers, because only a session gives them meaning.

use bytes::Bytes;

pub use crate::transport::{ExchangeFailure, ExitStatus, Header, Target};

/// See `settings` in the WIT.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How messages reach the server.
    pub transport: TransportKind,
    /// The revision to speak, where it is fixed.
    pub revision: Option<String>,
    /// Who the client is. JSON.
    pub client_info: Bytes,
    /// What the platform can answer. JSON.
    pub capabilities: Bytes,
    /// Whether several users have the session.
    pub shared: bool,
    /// Bytes of one frame.
    pub max_frame: u64,
    /// Bytes of one gathered result.
    pub max_result: u64,
    /// Pages of one gathered result.
    pub max_pages: u32,
    /// Requests of the server that may be open.
    pub max_server_requests: u32,
}

/// See `transport-kind` in the WIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportKind {
    /// Frames in both directions.
    Stream,
    /// HTTP exchanges.
    Http,
}

/// See `call` in the WIT.
#[derive(Clone, Debug)]
pub struct Call {
    /// Id.
    pub id: u64,
    /// Method.
    pub method: String,
    /// Parameters. JSON.
    pub params: Option<Bytes>,
    /// Whether progress is wanted.
    pub progress: bool,
    /// Whether all pages are wanted as one result.
    pub all_pages: bool,
}

/// See `answer` in the WIT.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The result. JSON.
    Result(Bytes),
    /// An error. JSON.
    Error(Bytes),
    /// Nobody answers this.
    Refused,
}

/// See `event` in the WIT.
#[derive(Clone, Debug)]
pub enum Event {
    /// The session begins.
    Open(Settings),
    /// The process or connection is there.
    Started(u32),
    /// It is gone.
    Exited(ExitStatus),
    /// The platform calls.
    Call(Call),
    /// The platform does not want the answer any more.
    CancelCall(u64),
    /// The platform has something to say.
    Notify {
        /// Method.
        method: String,
        /// Parameters. JSON.
        params: Option<Bytes>,
    },
    /// The platform answers a request of the server.
    ServerResponse {
        /// The request.
        id: u64,
        /// The answer.
        answer: Answer,
    },
    /// A frame from the server.
    Frame(Bytes),
    /// A timer fired.
    Timer(u64),
    /// A response begins.
    ResponseHead {
        /// The exchange.
        exchange: u64,
        /// Status code.
        status: u16,
        /// Header fields.
        headers: Vec<Header>,
    },
    /// A body that is not a stream of events.
    ResponseBody {
        /// The exchange.
        exchange: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// An event of a stream.
    ServerSentEvent {
        /// The exchange.
        exchange: u64,
        /// Type.
        event_type: Option<String>,
        /// Data.
        data: Bytes,
        /// Last event id.
        id: Option<String>,
        /// Reconnection time in milliseconds.
        retry: Option<u64>,
    },
    /// A response is complete.
    ResponseEnd(u64),
    /// An exchange failed.
    ExchangeFailed {
        /// The exchange.
        exchange: u64,
        /// The kind.
        failure: ExchangeFailure,
        /// For people.
        message: String,
    },
    /// The session ends.
    Close,
    /// See `extension` in the WIT.
    Extension(Extension),
}

impl Event {
    /// The bytes that an `event-range` may name; empty where the event carries none.
    pub fn bytes(&self) -> &[u8] {
        self.shared().map_or(&[], |bytes| bytes)
    }

    /// What it takes of a batch: the bytes, and texts that a server can make long.
    pub(crate) fn size(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let more = match self {
            Self::ResponseHead { headers, .. } => {
                headers.iter().map(|header| header.name.len() + header.value.len()).sum()
            }
            Self::ServerSentEvent { event_type, id, .. } => text(event_type) + text(id),
            _ => 0,
        };
        self.bytes().len() + more
    }

    /// The same, to be shared.
    pub(crate) fn shared(&self) -> Option<&Bytes> {
        match self {
            Self::Frame(bytes)
            | Self::ResponseBody { bytes, .. }
            | Self::ServerSentEvent { data: bytes, .. }
            | Self::ServerResponse { answer: Answer::Result(bytes) | Answer::Error(bytes), .. } => Some(bytes),
            Self::Call(call) => call.params.as_ref(),
            Self::Notify { params, .. } => params.as_ref(),
            Self::Extension(extension) => Some(&extension.body),
            _ => None,
        }
    }
}

/// See `extension` in the WIT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Name.
    pub name: String,
    /// Content.
    pub body: Bytes,
}

/// See `segment` in the WIT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// These bytes.
    Bytes(Bytes),
    /// A part of an event of the batch.
    Event {
        /// Index of the event.
        index: u32,
        /// First byte.
        offset: u32,
        /// Number of bytes.
        length: u32,
    },
    /// A part of the params of an open call.
    Params {
        /// The call.
        call: u64,
        /// First byte.
        offset: u32,
        /// Number of bytes.
        length: u32,
    },
}

/// See `payload` in the WIT.
pub type Payload = Vec<Segment>;

/// See `fault-kind` in the WIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Cancelled by the host.
    Cancelled,
    /// The connection ended.
    Disconnected,
    /// Cannot be said in the protocol.
    Invalid,
    /// The server broke the protocol.
    ProtocolViolation,
    /// A bound was reached.
    TooLarge,
    /// Not offered.
    Unsupported,
    /// Something else.
    Other,
}

/// See `fault` in the WIT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kind.
    pub kind: FaultKind,
    /// For people.
    pub message: String,
}

/// See `outcome` in the WIT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The result of the server.
    Result(Payload),
    /// The error of the server.
    Error(Payload),
    /// No answer of the server.
    Fault(Fault),
}

/// See `http-request` in the WIT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// Id of the exchange.
    pub exchange: u64,
    /// The call that it is for.
    pub call: Option<u64>,
    /// Method.
    pub method: String,
    /// Where it goes.
    pub target: Target,
    /// Header fields.
    pub headers: Vec<Header>,
    /// Body.
    pub body: Option<Payload>,
}

/// See `disconnect-cause` in the WIT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DisconnectCause {
    /// The server refused to open the session.
    Refused(Payload),
    /// Something else.
    Fault(Fault),
}

/// See `log-level` in the WIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Trace.
    Trace,
    /// Debug.
    Debug,
    /// Info.
    Info,
    /// Warning.
    Warn,
    /// Error.
    Error,
}

/// See `effect` in the WIT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send a frame.
    Write {
        /// The frame.
        frame: Payload,
        /// The call that it is for.
        call: Option<u64>,
    },
    /// Replace the process.
    FreshProcess,
    /// Start an exchange.
    Request(HttpRequest),
    /// End an exchange.
    Abort(u64),
    /// What to send at the end.
    OnCloseRequest(Option<HttpRequest>),
    /// A call ended.
    Complete {
        /// The call.
        call: u64,
        /// How.
        outcome: Outcome,
    },
    /// A call goes on.
    Progress {
        /// The call.
        call: u64,
        /// The report of the server.
        report: Payload,
    },
    /// The server said something.
    Notification {
        /// Method.
        method: String,
        /// Parameters. JSON.
        params: Payload,
    },
    /// The server asks the platform.
    ServerRequest {
        /// Id.
        id: u64,
        /// The call that it belongs to.
        call: Option<u64>,
        /// Method.
        method: String,
        /// Parameters. JSON.
        params: Payload,
    },
    /// The server does not want that answer any more.
    WithdrawServerRequest(u64),
    /// The session is open.
    Ready {
        /// The revision that is spoken.
        revision: String,
        /// What the server said of itself. JSON.
        peer: Payload,
    },
    /// The connection is of no use any more.
    Disconnected(DisconnectCause),
    /// Set a timer.
    SetTimer {
        /// Id.
        id: u64,
        /// Nanoseconds of the session's clock.
        at: u64,
    },
    /// Clear a timer.
    CancelTimer(u64),
    /// Write to the log.
    Log {
        /// Level.
        level: LogLevel,
        /// The line.
        message: String,
    },
    /// See `extension` in the WIT.
    Extension(Extension),
}

/// See `guest-info` in the WIT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestInfo {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Revisions of the protocol, newest first.
    pub revisions: Vec<String>,
    /// Formats of snapshots that it can write, the preferred one first.
    pub snapshot_formats: Vec<String>,
    /// Formats that it can restore.
    pub restorable_formats: Vec<String>,
    /// Header fields that it sets and reads.
    pub headers: Vec<String>,
    /// Extensions that it knows.
    pub extensions: Vec<String>,
}

/// Why a guest gives no snapshot; see `snapshot-error` in the WIT.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Not in this state; later it may.
    #[error("it gives no snapshot now: {0}")]
    NotNow(String),
    /// It does not write the format.
    #[error("it does not write snapshots of this format")]
    UnknownFormat,
    /// The format cannot say the state.
    #[error("its state cannot be said in this format: {0}")]
    Unsupported(String),
    /// More bytes than [`Limits::snapshot`](crate::Limits::snapshot).
    #[error("its snapshot has {bytes} bytes; `Limits::snapshot` is {limit}")]
    TooLarge {
        /// Bytes.
        bytes: usize,
        /// Bytes that it may have.
        limit: usize,
    },
}

/// Why a guest does not continue from a snapshot; see `restore-error` in the WIT.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// It does not know the format.
    #[error("it does not know the format of the snapshot")]
    UnknownFormat,
    /// The bytes are no snapshot of the format.
    #[error("it cannot read the snapshot: {0}")]
    Malformed(String),
    /// It has no equivalent for the state.
    #[error("it cannot take the state over: {0}")]
    Unsupported(String),
}

/// See `outstanding` in the WIT.
#[derive(Clone, Debug, Default)]
pub struct Outstanding {
    /// Open calls: id, method, whether bytes may have left.
    pub calls: Vec<(u64, String, bool)>,
    /// Requests of the server without an answer.
    pub server_requests: Vec<u64>,
    /// Exchanges under way.
    pub exchanges: Vec<u64>,
    /// Timers: id, when.
    pub timers: Vec<(u64, u64)>,
}
