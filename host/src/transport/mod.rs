//! Transports: how bytes reach a server and come back.
//!
//! A transport knows frames and their delimiters, processes and sockets; it does not know what a frame says. The session's
//! task owns a [`Connection`] and is the only one that touches it.
//!
//! [`Connector`] is the door for embedders and tests: whoever implements it brings a server of its own, in the same process
//! if it likes.
//!
//! ```
//! use std::sync::Arc;
//! use innkeeper::{Catalog, Server, transport::{Connection, Framing, connector_fn}};
//!
//! // A server in this process: whatever reads and writes the other end of the pipe.
//! let connector = connector_fn("an echo in this process", |_context| async {
//!     let (ours, theirs) = tokio::io::duplex(64 * 1024);
//!     tokio::spawn(async move {
//!         let (mut reader, mut writer) = tokio::io::split(theirs);
//!         let _ = tokio::io::copy(&mut reader, &mut writer).await;
//!     });
//!     let (reader, writer) = tokio::io::split(ours);
//!     Ok(Connection::new(reader, writer, Framing::Lines))
//! });
//! let catalog = Catalog::new().server("echo", Server::connector(connector));
//! ```

mod census;
mod command;
mod error;
mod framing;
#[cfg(unix)]
pub(crate) mod process;

use std::{fmt, sync::Arc};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    Isolation,
    names::{ServerName, SessionId, TenantName, UserName},
};

pub use crate::future::BoxFuture;
pub(crate) use census::{Census, SessionProcesses};
pub use command::Command;
pub(crate) use command::command_line;
pub use error::ConnectError;
pub use framing::Framing;
pub(crate) use framing::{FrameReader, FrameTooLarge};

/// Makes connections to one server.
pub trait Connector: Send + Sync + 'static {
    /// One line for people: a command, an address. No secrets.
    fn describe(&self) -> String;

    /// Makes a new connection. Called once for each incarnation of a session, by one task at a time for each session.
    ///
    /// # Errors
    ///
    /// Returns why it failed: what the system said and what to try, for people, without secrets.
    ///
    /// # Cancellation
    ///
    /// The host drops the future when the session is closed or its deadline passes. What was started by then must end with
    /// it.
    fn connect(&self, context: ConnectContext) -> BoxFuture<'static, Result<Connection, ConnectError>>;
}

/// How the other end of a connection ended. Both are none where it is no process, or where its status is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExitStatus {
    /// Exit code.
    pub code: Option<i32>,
    /// Signal.
    pub signal: Option<i32>,
}

/// For whom a connection is made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectContext {
    /// The tenant.
    pub tenant: TenantName,
    /// The user. None: the users of the tenant share the session.
    pub user: Option<UserName>,
    /// The server.
    pub server: ServerName,
    /// The session.
    pub session: SessionId,
    /// Number of this connection in its session, from 1.
    pub incarnation: u32,
}

/// A connection to a server: two streams of bytes, how they are cut into frames, and what is at the other end.
pub struct Connection {
    pub(crate) reader: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) writer: Box<dyn AsyncWrite + Send + Unpin>,
    pub(crate) framing: Framing,
    pub(crate) peer: Box<dyn Peer>,
}

impl Connection {
    /// A connection without a process behind it. Dropping both streams ends it.
    pub fn new(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
        framing: Framing,
    ) -> Self {
        Self::with_peer(reader, writer, framing, Streams)
    }

    /// A connection whose other end has a life of its own.
    pub fn with_peer(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
        framing: Framing,
        peer: impl Peer,
    ) -> Self {
        Self { reader: Box::new(reader), writer: Box::new(writer), framing, peer: Box::new(peer) }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("framing", &self.framing).field("process", &self.peer.process()).finish()
    }
}

/// What is at the other end of a connection.
///
/// Dropping a peer must begin its end, wherever the drop happens: no task may be needed for it.
pub trait Peer: Send + 'static {
    /// Its process id, if it is one process of this machine.
    fn process(&self) -> Option<u32> {
        None
    }

    /// What keeps it from others, if it is a process of this machine.
    fn isolation(&self) -> Option<Isolation> {
        None
    }

    /// Resolves when it has ended, and what it wrote for people has been read. None, if it has no life of its own and ends
    /// with its streams. Called once for each connection.
    fn ended(&self) -> Option<BoxFuture<'static, ExitStatus>>;

    /// Once it has ended: why that was neither its own doing nor ours, if so. The session then ends with
    /// [`Error::Unavailable`](crate::Error::Unavailable), which is worth another try.
    fn lost(&self) -> Option<String> {
        None
    }

    /// The last lines that it wrote for people, oldest first.
    fn last_lines(&self) -> Vec<String> {
        Vec::new()
    }

    /// Begins its end, after the streams were dropped. [`Peer::ended`] resolves when all of it is gone, within the time that
    /// the limits give for closing.
    fn close(&self) {}

    /// Ends it at once.
    fn kill(&self) {}
}

/// The peer of a connection that is nothing but its streams.
struct Streams;

impl Peer for Streams {
    fn ended(&self) -> Option<BoxFuture<'static, ExitStatus>> {
        None
    }
}

/// A [`Connector`] from a function. Its errors are those of [`ConnectError::new`].
pub fn connector_fn<F, Fut>(describe: impl Into<String>, connect: F) -> Arc<dyn Connector>
where
    F: Fn(ConnectContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Connection, String>> + Send + 'static,
{
    struct FromFn<F>(String, F);

    impl<F, Fut> Connector for FromFn<F>
    where
        F: Fn(ConnectContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Connection, String>> + Send + 'static,
    {
        fn describe(&self) -> String {
            self.0.clone()
        }

        fn connect(&self, context: ConnectContext) -> BoxFuture<'static, Result<Connection, ConnectError>> {
            let connecting = (self.1)(context);
            Box::pin(async move { connecting.await.map_err(ConnectError::new) })
        }
    }

    Arc::new(FromFn(describe.into(), connect))
}
