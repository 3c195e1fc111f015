//! The watcher of a group: a shell that waits for the end of its socket, and then ends the group.

use std::{
    io::{self, Read},
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

use super::child::{Limits, confine};
use crate::transport::ConnectError;

/// POSIX requires it, and here.
const SHELL: &str = "/bin/sh";

/// Its standard input and output are the socket; its arguments are the times of the ladder, in seconds.
///
/// Signals that a server sends to its own group are not for it, and neither is the ladder's `SIGTERM`. What it starts
/// inherits that, so that a `sleep` goes on; and gets no socket, so that the host sees the watcher's end at once. A `sleep`
/// that knows no fractions fails, which makes the ladder shorter.
const SCRIPT: &str = "\
trap '' HUP INT QUIT TERM USR1 USR2 ALRM TSTP TTIN TTOU
echo
read -r nothing
sleep \"$1\" </dev/null >/dev/null; kill -s TERM 0
sleep \"$2\" </dev/null >/dev/null; kill -s KILL 0
";

/// Where `sleep` is.
const PATH: &str = "/bin:/usr/bin";

/// How long a watcher may take from its exec to its first word. It takes some milliseconds, and on a machine where it takes this
/// long nothing works.
const PATIENCE: Duration = Duration::from_secs(10);

/// A watcher that has begun, in a group of its own. Dropping it kills the group, and waits for the watcher.
pub(super) struct Watcher {
    process: Child,
    group: Arc<Group>,
}

impl Watcher {
    /// Starts a watcher, and waits until it watches. Blocks. Also the host's end of its socket.
    pub(super) fn start(close_input: Duration, close_terminate: Duration) -> Result<(Self, UnixStream), ConnectError> {
        let failed = |error: io::Error| ConnectError::unavailable(format!("its watcher cannot be started: {error}"));
        let (mut socket, theirs) = UnixStream::pair().map_err(failed)?;
        let process = command(theirs, [close_input, close_terminate]).and_then(|mut command| command.spawn());
        let process = process.map_err(failed)?;
        let watcher = Self { group: Arc::new(Group::led_by(Pid::from_child(&process))), process };
        socket.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        socket.read_exact(&mut [0]).map_err(failed)?;
        Ok((watcher, socket))
    }

    pub(super) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// Starts a server in the group.
    pub(super) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let server = command.process_group(self.group.leader.as_raw_nonzero().get()).spawn().map_err(|error| {
            // It had no group to enter, which is an error that has other causes too.
            if self.has_ended() { io::Error::new(io::ErrorKind::Interrupted, "its watcher ended") } else { error }
        })?;
        self.group.enter(Pid::from_child(&server));
        Ok(server)
    }

    /// Leaves it to be waited for: until then the group's id is nobody else's.
    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        !matches!(waitid(WaitId::Pid(self.group.leader), options), Ok(None))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.group.finish();
        // An embedder may have waited for it.
        let _ = self.process.wait();
    }
}

fn command(socket: UnixStream, times: [Duration; 2]) -> io::Result<Command> {
    let mut command = Command::new(SHELL);
    command.args(["-c", SCRIPT, "innkeeper-watcher"]).args(times.map(|time| format!("{:.3}", time.as_secs_f64())));
    command.env_clear().env("PATH", PATH).current_dir("/").process_group(0);
    let output = OwnedFd::from(socket.try_clone()?);
    command.stdin(OwnedFd::from(socket)).stdout(output).stderr(Stdio::null());
    confine(&mut command, Limits::default());
    Ok(command)
}

/// The processes of a session, as long as their ids are nobody else's.
pub(super) struct Group {
    leader: Pid,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    /// It may leave the group, and is the host's child even so.
    server: Option<Pid>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nobody has asked for its end.
    Running,
    Ending,
    /// Its processes are being waited for, and their ids may be others' any time.
    Over,
}

impl Group {
    fn led_by(leader: Pid) -> Self {
        Self { leader, state: Mutex::new(State { phase: Phase::Running, server: None }) }
    }

    fn enter(&self, server: Pid) {
        self.state().server = Some(server);
    }

    /// Notes that somebody has asked for its end.
    pub(super) fn ending(&self) {
        let mut state = self.state();
        if state.phase == Phase::Running {
            state.phase = Phase::Ending;
        }
    }

    /// Kills all of it, the watcher included. True: nobody had asked for its end.
    pub(super) fn kill(&self) -> bool {
        let mut state = self.state();
        let before = state.phase;
        if before != Phase::Over {
            self.kill_processes(state.server);
            state.phase = Phase::Ending;
        }
        before == Phase::Running
    }

    /// Kills all of it, before anybody of it is waited for.
    pub(super) fn finish(&self) {
        let mut state = self.state();
        if state.phase != Phase::Over {
            self.kill_processes(state.server);
            state.phase = Phase::Over;
        }
    }

    /// It fails for those that have ended.
    fn kill_processes(&self, server: Option<Pid>) {
        let _ = kill_process_group(self.leader, Signal::KILL);
        if let Some(server) = server {
            let _ = kill_process(server, Signal::KILL);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
