//! Starting a server: its watcher first, and itself into the watcher's group.
//!
//! A thread does all of it, and waits for both. It lives as long as they do, so that the end of a server is seen when no tokio
//! runtime is left, and without a handler for `SIGCHLD`.

use std::{
    io::{self, PipeReader, PipeWriter},
    os::unix::{
        net::UnixStream as BlockingUnixStream,
        process::{CommandExt, ExitStatusExt},
    },
    process::{self, Child},
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tokio::{
    net::{UnixStream, unix::pipe},
    sync::{oneshot, watch},
};

use super::{
    child::{self, confine},
    peer::ServerProcess,
    supervisors::Supervisors,
    watcher::{Group, Watcher},
};
use crate::{
    Isolation, Limits, ProcessLimits,
    isolation::Confinement,
    names::SessionId,
    policy::{Asker, SessionSecrets, Variables},
    transport::{
        BoxFuture, Command, ConnectContext, ConnectError, Connection, Connector, ExitStatus, Framing,
        process::{
            folders::PrivateFolders,
            invocation::{Invocation, not_executed},
            stderr::StderrTail,
        },
    },
};

/// What is said of a server that is to be guarded, which is the default: what to write instead is for its owner to decide.
const NOT_GUARDED: &str = "this version guards servers on Linux only; with `\"isolation\": \"basic\"` \
                           (`Server::isolation`) it starts here, and can harm others of the same user";

/// Starts one process for each connection.
#[derive(Clone)]
pub(crate) struct ProcessConnector {
    command: Arc<Command>,
    supervisors: Arc<Supervisors>,
    /// Where the server gets folders of its own; none: it has those of the host's user.
    folders: Option<Arc<PrivateFolders>>,
    isolation: Isolation,
    limits: ProcessLimits,
    close_input: Duration,
    close_terminate: Duration,
    stderr_lines: usize,
    secrets: SessionSecrets,
}

/// A server that runs: our ends of it. Dropping it closes the watcher's socket.
struct Running {
    server: u32,
    group: Arc<Group>,
    socket: BlockingUnixStream,
    stdin: PipeWriter,
    stdout: PipeReader,
    stderr: PipeReader,
    status: watch::Receiver<Option<ExitStatus>>,
}

impl ProcessConnector {
    pub(crate) fn new(
        command: Command,
        supervisors: Arc<Supervisors>,
        folders: Option<Arc<PrivateFolders>>,
        confinement: Confinement,
        limits: &Limits,
    ) -> Self {
        // A server may gain privileges here in any case.
        let Confinement { isolation, allow_privileges: _, limits: process_limits } = confinement;
        Self {
            command: Arc::new(command),
            supervisors,
            folders,
            isolation,
            limits: process_limits,
            close_input: limits.close_input,
            close_terminate: limits.close_terminate,
            stderr_lines: limits.stderr_lines,
            secrets: SessionSecrets::default(),
        }
    }

    /// Where the secrets that the command names come from. Default: nowhere.
    #[cfg_attr(target_os = "linux", allow(dead_code, reason = "of this form Linux has the tests only"))]
    pub(crate) fn with_secrets(mut self, secrets: SessionSecrets) -> Self {
        self.secrets = secrets;
        self
    }

    async fn start(self, context: ConnectContext) -> Result<Connection, ConnectError> {
        if self.isolation == Isolation::Guarded {
            return Err(ConnectError::isolation(Isolation::Guarded, NOT_GUARDED));
        }
        let asker =
            Asker { tenant: context.tenant.clone(), user: context.user.clone(), server: context.server.clone() };
        let resolved = self.secrets.resolve(&self.command.env, &asker).await?;
        let (variables, patterns) = (resolved.variables, resolved.patterns);
        let stderr_lines = self.stderr_lines;
        let (sender, running) = oneshot::channel();
        let live = move || self.live(context.session, &variables, sender);
        thread::Builder::new().name("innkeeper-server".into()).spawn(live).map_err(|error| {
            ConnectError::unavailable(format!("the system gives no thread to wait for it: {error}"))
        })?;
        let running = running.await.map_err(|_| ConnectError::unavailable("starting it failed"))??;

        let failed = |error: io::Error| ConnectError::unavailable(format!("its pipes cannot be used: {error}"));
        running.socket.set_nonblocking(true).map_err(failed)?;
        let socket = UnixStream::from_std(running.socket).map_err(failed)?;
        let writer = pipe::Sender::from_owned_fd(running.stdin.into()).map_err(failed)?;
        let reader = pipe::Receiver::from_owned_fd(running.stdout.into()).map_err(failed)?;
        let stderr = pipe::Receiver::from_owned_fd(running.stderr.into()).map_err(failed)?;
        let process = ServerProcess {
            server: running.server,
            group: running.group,
            socket: Arc::new(socket),
            stderr: StderrTail::read(stderr, context.server, stderr_lines, patterns),
            status: running.status,
            lost: Arc::new(OnceLock::new()),
        };
        Ok(Connection::with_peer(reader, writer, Framing::Lines, process))
    }

    /// The thread of a server, from its start to its end. Where nobody waits for the server any more, its ends are dropped
    /// here, and its watcher ends it.
    fn live(&self, session: SessionId, variables: &Variables, started: oneshot::Sender<Result<Running, ConnectError>>) {
        let folder = match self.folders.as_ref().map(|folders| folders.make(session)).transpose() {
            Ok(folder) => folder,
            Err(error) => return drop(started.send(Err(error))),
        };
        let (sender, status) = watch::channel(None);
        let spawned = Invocation::of(&self.command, variables, folder.as_ref())
            .and_then(|invocation| self.spawn(&invocation, status));
        let (watcher, server, running) = match spawned {
            Ok(spawned) => spawned,
            Err(error) => return drop(started.send(Err(error))),
        };
        let listed = self.supervisors.list(server.id(), session);
        drop(started.send(Ok(running)));
        let status = wait(server, watcher);
        drop((listed, folder));
        sender.send_replace(Some(status));
    }

    fn spawn(
        &self,
        invocation: &Invocation,
        status: watch::Receiver<Option<ExitStatus>>,
    ) -> Result<(Watcher, Child, Running), ConnectError> {
        let failed = |error: io::Error| ConnectError::unavailable(format!("its pipes cannot be made: {error}"));
        let limits = child::Limits::new(self.limits)?;
        let (their_stdin, stdin) = io::pipe().map_err(failed)?;
        let (stdout, their_stdout) = io::pipe().map_err(failed)?;
        let (stderr, their_stderr) = io::pipe().map_err(failed)?;
        let mut command = process::Command::new(&invocation.program);
        command.arg0(&self.command.program).args(&self.command.args).current_dir(&invocation.folder);
        command.env_clear().envs(&invocation.environment.0);
        command.stdin(their_stdin).stdout(their_stdout).stderr(their_stderr);
        confine(&mut command, limits);

        let (watcher, socket) = Watcher::start(self.close_input, self.close_terminate)?;
        let server = watcher.spawn(&mut command).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => {
                ConnectError::unavailable(format!("the system gives no process for it: {error}"))
            }
            io::ErrorKind::Interrupted => ConnectError::unavailable(error.to_string()),
            _ => not_executed(self.command.shown_program(), &error),
        })?;
        // With the command go our copies of the server's ends: as long as we had them, nobody would see the end of its output.
        let group = watcher.group().clone();
        let running = Running { server: server.id(), group, socket, stdin, stdout, stderr, status };
        Ok((watcher, server, running))
    }
}

/// Waits for a server, and ends what it has left behind.
fn wait(mut server: Child, watcher: Watcher) -> ExitStatus {
    // It stays what it is, a zombie, as long as somebody may still signal it.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(Pid::from_child(&server)), options) {}
    watcher.group().finish();
    // An embedder may have waited for it.
    let status = server.wait().map(|status| ExitStatus { code: status.code(), signal: status.signal() });
    drop(watcher);
    status.unwrap_or_default()
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
