//! Starting a server: what a supervisor is asked for, and what comes of it.

use std::{
    cell::Cell,
    ffi::OsStr,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream as BlockingUnixStream,
    },
    sync::Arc,
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SendFlags, Shutdown, SocketFlags, SocketType, send, shutdown, socketpair},
    pipe::{PipeFlags, pipe_with},
};
use tokio::{
    net::{UnixStream, unix::pipe},
    sync::OwnedSemaphorePermit,
    task::spawn_blocking,
};
use zeroize::Zeroizing;

use super::{
    explain,
    folders::{PrivateFolder, PrivateFolders},
    invocation::Invocation,
    output::Output,
    peer::{ServerProcess, UntilEnded, report},
    protocol::{Failure, KILL, Report},
    request::{Terms, encode},
    stderr::StderrTail,
    supervisor::{Root, Supervisors},
};
use crate::{
    Isolation, Limits,
    isolation::Confinement,
    names::SessionId,
    policy::{Asker, SessionSecrets, Variables},
    transport::{BoxFuture, Command, ConnectContext, ConnectError, Connection, Connector, Framing},
};

/// How often a session is handed over, where the root has ended meanwhile: once more, to the next.
const HAND_OVERS: usize = 2;

/// Starts one process for each connection.
#[derive(Clone)]
pub(crate) struct ProcessConnector {
    command: Arc<Command>,
    supervisors: Arc<Supervisors>,
    /// Where the server gets folders of its own; none: it has those of the host's user.
    folders: Option<Arc<PrivateFolders>>,
    terms: Terms,
    stderr_lines: usize,
    secrets: SessionSecrets,
}

impl ProcessConnector {
    pub(crate) fn new(
        command: Command,
        supervisors: Arc<Supervisors>,
        folders: Option<Arc<PrivateFolders>>,
        confinement: Confinement,
        limits: &Limits,
    ) -> Self {
        let terms = Terms { confinement, close_input: limits.close_input, close_terminate: limits.close_terminate };
        let secrets = SessionSecrets::default();
        Self { command: Arc::new(command), supervisors, folders, terms, stderr_lines: limits.stderr_lines, secrets }
    }

    /// Where the secrets that the command names come from. Default: nowhere.
    pub(crate) fn with_secrets(mut self, secrets: SessionSecrets) -> Self {
        self.secrets = secrets;
        self
    }

    /// A supervisor that gives what is asked for.
    async fn root(&self) -> Result<Arc<Root>, ConnectError> {
        let root = self.supervisors.root().await?;
        match self.terms.confinement.isolation {
            Isolation::Guarded => match explain::lacks(root.hello()) {
                Some(lacks) => Err(ConnectError::isolation(Isolation::Guarded, format!("this machine lacks {lacks}"))),
                None => Ok(root),
            },
            Isolation::Basic => Ok(root),
        }
    }

    async fn start(self, context: ConnectContext) -> Result<Connection, ConnectError> {
        let asker =
            Asker { tenant: context.tenant.clone(), user: context.user.clone(), server: context.server.clone() };
        let resolved = self.secrets.resolve(&self.command.env, &asker).await?;
        let (connector, variables) = (self.clone(), resolved.variables);
        // Looking for a program may read from a slow disk: not on the embedder's workers.
        let prepared = spawn_blocking(move || connector.prepare(context.session, &variables)).await;
        let (request, folder) =
            prepared.map_err(|error| ConnectError::unavailable(format!("preparing it failed: {error}")))??;
        // Whoever does not wait for the result any more drops what is here, and that closes the session.
        let (Handed { socket, stdin, stdout, stderr }, place) = self.hand_over().await?;

        let pipes_failed = |error: io::Error| ConnectError::unavailable(format!("its pipes cannot be used: {error}"));
        let socket = Opening(Some(UnixStream::from_std(socket).map_err(pipes_failed)?));
        // A supervisor that fails before it has read all says why; that is read below.
        let _ = socket.write(&request).await;
        drop(request);
        let Some(Report::Accepted { supervisor }) = self.next(&socket).await? else { return Err(died()) };
        let tree =
            self.supervisors.trees().list(supervisor.unsigned_abs(), context.session, self.terms.confinement.isolation);
        drop(place);
        let Some(Report::Started { server }) = self.next(&socket).await? else { return Err(died()) };

        let writer = pipe::Sender::from_owned_fd(stdin).map_err(pipes_failed)?;
        let reader = Output::new(stdout).map_err(pipes_failed)?;
        let stderr = pipe::Receiver::from_owned_fd(stderr).map_err(pipes_failed)?;
        let Some(socket) = socket.opened() else { return Err(died()) };
        let process = ServerProcess {
            server: server.unsigned_abs(),
            isolation: self.terms.confinement.isolation,
            socket: Arc::new(socket),
            stderr: StderrTail::read(stderr, context.server, self.stderr_lines, resolved.patterns),
            until_ended: Cell::new(Some(UntilEnded { _tree: tree, _folder: folder })),
            lost: Arc::default(),
            runaway: Arc::default(),
        };
        Ok(Connection::with_peer(reader, writer, Framing::Lines, process))
    }

    /// The next report that is no failure.
    async fn next(&self, socket: &Opening) -> Result<Option<Report>, ConnectError> {
        let Opening(Some(socket)) = socket else { return Ok(None) };
        match report(socket).await {
            Some(Report::Failed(failure)) => Err(self.explain(failure)),
            report => Ok(report),
        }
    }

    fn explain(&self, failure: Failure) -> ConnectError {
        explain::start(self.command.shown_program(), self.terms.confinement.isolation, failure)
    }

    /// What the server is to be, and the folders that it gets. Blocks.
    fn prepare(
        &self,
        session: SessionId,
        variables: &Variables,
    ) -> Result<(Zeroizing<Vec<u8>>, Option<PrivateFolder>), ConnectError> {
        let folder = self.folders.as_ref().map(|folders| folders.make(session)).transpose()?;
        Ok((self.request(variables, folder.as_ref())?, folder))
    }

    /// Has the root begin a session. The permit bounds what is under way to it.
    async fn hand_over(&self) -> Result<(Handed, OwnedSemaphorePermit), ConnectError> {
        for _ in 0..HAND_OVERS {
            let root = self.root().await?;
            let place = root.places().acquire_owned().await.map_err(|_| died())?;
            match Handed::over(&root) {
                Ok(handed) => return Ok((handed, place)),
                // unix(7): the root has ended, which its thread may not know yet.
                Err(Errno::PIPE | Errno::CONNREFUSED | Errno::CONNRESET) => self.supervisors.forget(&root),
                // unix(7): as many descriptors of this user are under way as this process may have open.
                Err(Errno::TOOMANYREFS) => {
                    return Err(ConnectError::unavailable(
                        "its pipes cannot be handed over: processes of this user have too many descriptors under way \
                         in sockets",
                    ));
                }
                Err(error) => {
                    return Err(ConnectError::unavailable(format!("its pipes cannot be handed over: {error}")));
                }
            }
        }
        Err(died())
    }

    fn request(
        &self,
        variables: &Variables,
        private: Option<&PrivateFolder>,
    ) -> Result<Zeroizing<Vec<u8>>, ConnectError> {
        let command = &self.command;
        let Invocation { program, folder, environment } = Invocation::of(command, variables, private)?;
        let arguments = std::iter::once(&command.program).chain(&command.args).map(OsStr::new);
        let variables = environment.0.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()));
        encode(&program, &folder, arguments, variables, self.terms)
    }
}

impl Connector for ProcessConnector {
    fn describe(&self) -> String {
        self.command.to_string()
    }

    fn connect(&self, context: ConnectContext) -> BoxFuture<'static, Result<Connection, ConnectError>> {
        let mask = self.secrets.mask().clone();
        let starting = self.clone().start(context);
        // A folder, too, may come out of a variable that the server has as a secret.
        Box::pin(async move { starting.await.map_err(|error| error.masked(&mask)) })
    }
}

/// A session whose server does not run yet. Dropping it ends the session at once: nobody waits for a server that was never used to
/// end politely.
struct Opening(Option<UnixStream>);

impl Opening {
    async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        let Self(Some(socket)) = self else { return Ok(()) };
        while !bytes.is_empty() {
            socket.writable().await?;
            match socket.try_write(bytes) {
                Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn opened(mut self) -> Option<UnixStream> {
        self.0.take()
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(socket) = &self.0 {
            // What is not read as an order, because the request is not complete, ends it as well: by the end of the socket, which
            // is shut down because a process that an embedder forked without exec may hold it too.
            let _ = send(socket.as_fd(), &[KILL], SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
            let _ = shutdown(socket.as_fd(), Shutdown::Write);
        }
    }
}

/// A session that was handed to the root: our ends of it. Dropping it closes the session.
struct Handed {
    socket: BlockingUnixStream,
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

impl Handed {
    fn over(root: &Root) -> Result<Self, Errno> {
        let (socket, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        let (their_stdin, stdin) = pipe_with(PipeFlags::CLOEXEC)?;
        let (stdout, their_stdout) = pipe_with(PipeFlags::CLOEXEC)?;
        let (stderr, their_stderr) = pipe_with(PipeFlags::CLOEXEC)?;
        root.open(theirs.as_fd(), [their_stdin.as_fd(), their_stdout.as_fd(), their_stderr.as_fd()])?;
        // Ours only: each end has a mode of its own.
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self { socket: socket.into(), stdin, stdout, stderr })
    }
}

fn died() -> ConnectError {
    ConnectError::unavailable("its supervisor ended before it was started")
}
