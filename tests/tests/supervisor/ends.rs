//! The ends: what happens to a session, to its host or to its supervisors.

use innkeeper_tests::{
    artifacts,
    hosting::{Account, BOUND, Host, Order, Settings, signal_to, wait_for, wait_for_end},
    processes::Process,
};
use rustix::process::Signal;
use serde_json::Value;

use crate::trees::Tree;

/// An end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The runtime is drained.
    Drained,
    /// The host is killed.
    Killed,
    /// The last lease is dropped, and the session reaped.
    Reaped,
    /// Who drains the runtime is cancelled once that has begun.
    AbandonedDrain,
    /// The guest of the session traps.
    GuestTraps,
    /// The host panics.
    Panic,
    /// The host calls abort(3).
    Abort,
    /// The host calls exit(3).
    Exit,
    /// The host is stopped, and then killed.
    StoppedAndKilled,
    /// The tokio runtime of the host is dropped, and with it every task.
    TokioDropped,
    /// The session's supervisor is killed.
    SessionSupervisorKilled,
    /// The runtime's supervisor is killed.
    SupervisorKilled,
    /// The one is killed, and when its processes are gone, the other.
    BothSupervisorsKilled,
    /// The system refuses to start one process more, at each place where one is started; then the runtime is drained.
    ForkRefused,
    /// The runtime of a host that waits for every child there is, is drained.
    DrainedByWaiter,
    /// The runtime of a host that ignores SIGCHLD is drained.
    DrainedByIgnorer,
    /// Two hundred sessions are drained at once.
    ManyDrained,
}

impl End {
    /// All.
    pub(crate) const ALL: [Self; 17] = [
        Self::Drained,
        Self::Killed,
        Self::Reaped,
        Self::AbandonedDrain,
        Self::GuestTraps,
        Self::Panic,
        Self::Abort,
        Self::Exit,
        Self::StoppedAndKilled,
        Self::TokioDropped,
        Self::SessionSupervisorKilled,
        Self::SupervisorKilled,
        Self::BothSupervisorsKilled,
        Self::ForkRefused,
        Self::DrainedByWaiter,
        Self::DrainedByIgnorer,
        Self::ManyDrained,
    ];

    /// For tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Drained => "drained",
            Self::Killed => "host SIGKILL",
            Self::Reaped => "lease dropped and reaped",
            Self::AbandonedDrain => "caller cancelled in mid-close",
            Self::GuestTraps => "guest trap",
            Self::Panic => "host panic",
            Self::Abort => "host abort",
            Self::Exit => "host exit",
            Self::StoppedAndKilled => "host SIGSTOP, SIGKILL",
            Self::TokioDropped => "tokio runtime dropped",
            Self::SessionSupervisorKilled => "session supervisor SIGKILL",
            Self::SupervisorKilled => "runtime's supervisor SIGKILL",
            Self::BothSupervisorsKilled => "both, one after the other",
            Self::ForkRefused => "EAGAIN on fork, drained",
            Self::DrainedByWaiter => "embedder waitpid(-1), drained",
            Self::DrainedByIgnorer => "embedder ignores SIGCHLD, drained",
            Self::ManyDrained => "200 sessions, drained",
        }
    }

    /// How many sessions it is the end of.
    pub(crate) fn sessions(self) -> usize {
        if self == Self::ManyDrained { 200 } else { 1 }
    }

    /// Whose processes it is about, where that matters: a limit of processes holds for those of a user, and not for root.
    pub(crate) fn account(self, account: Account) -> Account {
        const ALONE: u32 = 65_533;

        if self == Self::ForkRefused { Account::ordinary_of_its_own(ALONE) } else { account }
    }

    /// What a host needs for it.
    pub(crate) fn prepare(self, settings: &mut Settings) {
        match self {
            Self::Reaped => settings.reaps_at_once = true,
            Self::GuestTraps => {
                let guest = artifacts::guest("innkeeper-faulty-guest");
                settings.guest = Some(artifacts::for_everybody(&guest));
            }
            _ => {}
        }
    }

    /// What a host does before it opens anything.
    pub(crate) fn before_open(self, host: &mut Host) -> Result<Value, String> {
        match self {
            Self::DrainedByWaiter => host.order(&Order::WaitForAllChildren),
            Self::DrainedByIgnorer => host.order(&Order::IgnoreChildren),
            _ => Ok(Value::Null),
        }
    }

    /// Brings it about.
    pub(crate) fn happen(self, host: &mut Host) -> Result<(), String> {
        match self {
            Self::Killed => host.signal(Signal::KILL),
            Self::Panic => host.begin(&Order::Panic),
            Self::Abort => host.begin(&Order::Abort),
            Self::Exit => host.begin(&Order::Exit),
            Self::StoppedAndKilled => {
                host.signal(Signal::STOP);
                if !wait_for(|| Process::look(host.pid()).is_some_and(|host| host.state == 'T')) {
                    return Err("the host never stopped".into());
                }
                host.signal(Signal::KILL);
            }
            Self::Reaped => _ = host.order(&Order::Release)?,
            Self::AbandonedDrain => _ = host.order(&Order::AbandonDrain)?,
            Self::GuestTraps => _ = host.order(&Order::Fail("trap".into()))?,
            Self::TokioDropped => _ = host.order(&Order::DropTokio)?,
            Self::SessionSupervisorKilled => kill(session_supervisor(host)?)?,
            Self::SupervisorKilled => kill(supervisor(host)?)?,
            Self::BothSupervisorsKilled => {
                kill(session_supervisor(host)?)?;
                // The other one sweeps what that leaves. Killed before it has, nobody is left who could: `docs/processes.md`.
                if !wait_for(|| host.servers().is_empty()) {
                    return Err(format!("its supervisor is gone, and there is {:?}", host.servers()));
                }
                kill(supervisor(host)?)?;
            }
            Self::ForkRefused => {
                refuse_forks(host)?;
                host.order(&Order::Drain)?;
            }
            Self::Drained | Self::DrainedByWaiter | Self::DrainedByIgnorer | Self::ManyDrained => {
                host.order(&Order::Drain)?;
                // Not soon after it.
                let servers = host.servers();
                if !servers.is_empty() {
                    return Err(format!("drained, and there is {servers:?}"));
                }
            }
        }
        if self.is_of_the_host() && !host.wait_for_end() {
            return Err("the host lives on".into());
        }
        Ok(())
    }

    /// Whether the host opens sessions as before, where the end was that of a session and none of the host's doing.
    pub(crate) fn after(self, tree: Tree, host: &mut Host) -> Result<(), String> {
        match self {
            Self::SessionSupervisorKilled | Self::SupervisorKilled | Self::BothSupervisorsKilled => {
                tree.open(host, 1)?;
                host.order(&Order::Drain)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn is_of_the_host(self) -> bool {
        matches!(self, Self::Killed | Self::Panic | Self::Abort | Self::Exit | Self::StoppedAndKilled)
    }
}

fn supervisor(host: &Host) -> Result<u32, String> {
    host.supervisor().ok_or_else(|| "the runtime has no supervisor".into())
}

fn session_supervisor(host: &Host) -> Result<u32, String> {
    // The system's list of children is not exact while some of them end.
    let mut supervisors = Vec::new();
    wait_for(|| {
        supervisors = host.session_supervisors();
        !supervisors.is_empty()
    });
    supervisors.first().copied().ok_or_else(|| "the session has no supervisor".into())
}

fn kill(process: u32) -> Result<(), String> {
    signal_to(process, Signal::KILL);
    if wait_for_end(process, BOUND) { Ok(()) } else { Err(format!("process {process} lives on")) }
}

/// Opens sessions while the system allows no process more than there are, then one more, and so on, until one opens. What was
/// refused must not be left half-done, and what was opened is open as ever.
fn refuse_forks(host: &mut Host) -> Result<(), String> {
    /// Supervisor, server, and what the harness itself runs as this user.
    const MOST: u64 = 64;

    let of = supervisor(host)?;
    let limit = |host: &mut Host, most| {
        host.order(&Order::LimitProcesses { of, most }).map_err(|error| format!("the limit of the supervisor: {error}"))
    };
    let mut refused = 0;
    for most in 0..MOST {
        limit(host, Some(most))?;
        match host.order(&Order::Open(1)) {
            Ok(_) => break,
            Err(_) => refused += 1,
        }
    }
    limit(host, None)?;
    Tree::Of(innkeeper_tests::awkward::Scenario::Plain).open(host, 1)?;
    if refused > 0 { Ok(()) } else { Err("no process was refused".into()) }
}
