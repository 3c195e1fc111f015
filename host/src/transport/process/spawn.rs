//! Starting a server.

use std::{
    io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    process::{self, Stdio},
    sync::Arc,
    time::Duration,
};

use tokio::net::unix::pipe;

use super::{
    environment,
    reaper::{ReapedChild, Reaper, exited},
    stderr::StderrTail,
};
use crate::transport::{BoxFuture, Command, ConnectContext, Connection, Connector, ExitStatus, Framing, Peer};

/// How long to wait for the rest of standard error once a process is gone.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// The highest standard signal (signal(7)); real-time signals have no ignored disposition that programs inherit by habit.
const MOST_SIGNALS: i32 = 31;

/// Starts one process for each connection.
pub(crate) struct ProcessConnector {
    command: Arc<Command>,
    reaper: Arc<Reaper>,
    stderr_lines: usize,
}

impl ProcessConnector {
    pub(crate) fn new(command: Command, reaper: Arc<Reaper>, stderr_lines: usize) -> Self {
        Self { command: Arc::new(command), reaper, stderr_lines }
    }
}

impl Connector for ProcessConnector {
    fn describe(&self) -> String {
        self.command.to_string()
    }

    fn connect(&self, context: ConnectContext) -> BoxFuture<'static, Result<Connection, String>> {
        let (command, reaper, stderr_lines) = (self.command.clone(), self.reaper.clone(), self.stderr_lines);
        Box::pin(async move {
            let name = command.shown_program().to_owned();
            // fork(2) copies page tables and exec(2) may read from a slow disk: not on the embedder's workers. If nobody
            // waits for the result any more, dropping it ends the process.
            let started = tokio::task::spawn_blocking(move || start(&command, &reaper))
                .await
                .map_err(|error| format!("starting `{name}` failed: {error}"))??;
            started.connection(context, stderr_lines).map_err(|error| format!("the pipes of `{name}`: {error}"))
        })
    }
}

/// A process and our ends of its pipes.
struct Started {
    child: ReapedChild,
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

fn start(command: &Command, reaper: &Arc<Reaper>) -> Result<Started, String> {
    if let Some(cwd) = command.cwd.as_ref().filter(|cwd| !cwd.is_dir()) {
        return Err(format!("its folder `{}` does not exist", cwd.display()));
    }
    let mut process = process::Command::new(&command.program);
    process
        .args(&command.args)
        .env_clear()
        .envs(environment::inherited(std::env::vars_os()))
        .envs(&command.env)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(cwd) = &command.cwd {
        process.current_dir(cwd);
    }
    // SAFETY: between fork and exec only async-signal-safe functions may be called; both of these are (signal-safety(7)).
    unsafe {
        process.pre_exec(|| {
            // A signal that the embedder ignores would be ignored by the server too, `SIGTERM` of a close among them. The
            // standard library resets the signal mask and `SIGPIPE` only.
            for signal in 1..=MOST_SIGNALS {
                // Fails for those whose disposition cannot be changed.
                libc::signal(signal, libc::SIG_DFL);
            }
            // A session of its own, and with it a process group: what is sent to the host's terminal does not reach it, and
            // one signal reaches all that it starts.
            rustix::process::setsid().map(drop).map_err(Into::into)
        });
    }
    let mut child = process.spawn().map_err(|error| explain(command.shown_program(), &error))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let child = reaper
        .adopt(child.id())
        .map_err(|error| format!("`{}` cannot be watched: {error}", command.shown_program()))?;
    match (stdin, stdout, stderr) {
        (Some(stdin), Some(stdout), Some(stderr)) => {
            Ok(Started { child, stdin: stdin.into(), stdout: stdout.into(), stderr: stderr.into() })
        }
        _ => Err(format!("`{}` has no pipes", command.shown_program())),
    }
}

fn explain(program: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound if program.contains('/') => format!("there is no file `{program}`"),
        io::ErrorKind::NotFound => {
            format!("there is no command `{program}` on PATH; install it, or give its full path")
        }
        io::ErrorKind::PermissionDenied => format!("`{program}` is not executable for this user"),
        _ => format!("`{program}`: {error}"),
    }
}

impl Started {
    fn connection(self, context: ConnectContext, stderr_lines: usize) -> io::Result<Connection> {
        let writer = pipe::Sender::from_owned_fd(self.stdin)?;
        let reader = pipe::Receiver::from_owned_fd(self.stdout)?;
        let stderr = pipe::Receiver::from_owned_fd(self.stderr)?;
        let stderr = StderrTail::read(stderr, context.server, stderr_lines);
        Ok(Connection::with_peer(reader, writer, Framing::Lines, Process { child: self.child, stderr }))
    }
}

/// A process as the peer of a connection. Dropping it closes the process.
struct Process {
    child: ReapedChild,
    stderr: StderrTail,
}

impl Peer for Process {
    fn process(&self) -> Option<u32> {
        Some(self.child.pid())
    }

    fn ended(&self) -> Option<BoxFuture<'static, ExitStatus>> {
        let (exit, drained) = (self.child.exit(), self.stderr.drained());
        Some(Box::pin(async move {
            let status = exited(exit).await;
            // Its last words explain its end. A descendant that left the group may hold the pipe open for ever.
            let _ = tokio::time::timeout(LAST_WORDS, drained).await;
            status
        }))
    }

    fn last_lines(&self) -> Vec<String> {
        self.stderr.lines()
    }

    fn close(&self) {
        self.child.close();
    }

    fn kill(&self) {
        self.child.kill();
    }
}
