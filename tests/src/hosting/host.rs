//! The test's end of a witness and its host.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use serde_json::Value;

use super::{Answer, Order, Settings};
use crate::artifacts;
use crate::processes::{Process, below};

/// How long a test waits for something that takes milliseconds, on a machine that is busy with the other tests. Long against
/// that, and short enough to wait for when it never comes.
pub const BOUND: Duration = Duration::from_secs(10);

/// How long a test waits for an answer. An order may be to open two hundred sessions.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the command line of a supervisor has in it, and that of no server of the tests.
const SUPERVISOR: &str = "innkeeper-supervisor";

/// Whose processes the host and its servers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// That of the test.
    OfTheTest,
    /// An ordinary user, by number. Only root can have it.
    Ordinary(u32),
}

impl Account {
    /// The user that owns nothing (`nobody`).
    pub const NOBODY: Self = Self::Ordinary(65534);

    /// Those that can be had: an ordinary user in any case, and root where that runs the tests.
    pub fn available() -> Vec<Self> {
        if is_root() { vec![Self::OfTheTest, Self::NOBODY] } else { vec![Self::OfTheTest] }
    }

    /// One that is an ordinary user, and shares its processes with no other test where that can be had.
    pub fn ordinary_of_its_own(number: u32) -> Self {
        if is_root() { Self::Ordinary(number) } else { Self::OfTheTest }
    }

    /// For tables.
    pub fn name(self) -> &'static str {
        if self == Self::OfTheTest && is_root() { "root" } else { "ordinary" }
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A host under a witness. Dropping it ends both, and everything below.
pub struct Host {
    witness: Child,
    orders: Option<ChildStdin>,
    answers: Lines,
    pid: u32,
}

impl Host {
    /// Starts a host.
    pub fn start(settings: &Settings, account: Account) -> Self {
        let user = match account {
            Account::OfTheTest => "-".to_owned(),
            Account::Ordinary(user) => user.to_string(),
        };
        let settings = serde_json::to_string(settings).expect("settings are plain data");
        let mut witness = Command::new(artifacts::program("witness"))
            .arg(user)
            .arg(artifacts::for_everybody(&artifacts::program("hosting-process")))
            .arg(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .current_dir("/")
            // Looking up the names of a backtrace takes longer than all the rest.
            .env("RUST_BACKTRACE", "0")
            .spawn()
            .expect("the witness starts");
        let orders = witness.stdin.take();
        let mut answers = Lines::of(witness.stdout.take().expect("it has a pipe"));
        let pid = answers.next().and_then(|line| line.parse().ok()).expect("the witness says whom it started");
        Self { witness, orders, answers, pid }
    }

    /// The host's process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Gives an order and waits for its answer. None in time, or none at all from a host that is gone, is an error too.
    pub fn order(&mut self, order: &Order) -> Answer {
        self.begin(order);
        let line = self.answers.next().ok_or_else(|| format!("no answer to {order:?}"))?;
        serde_json::from_str(&line).map_err(|error| format!("{line:?} is no answer: {error}"))?
    }

    /// Gives an order that it does not survive, or whose answer is of no interest.
    pub fn begin(&mut self, order: &Order) {
        let order = serde_json::to_string(order).expect("orders are plain data");
        // A host that is gone is noticed by what is asked of it next.
        let _ = self.orders.as_mut().map(|orders| writeln!(orders, "{order}"));
    }

    /// Calls a tool and gives its text.
    pub fn call(&mut self, session: usize, tool: &str, arguments: Value) -> Result<String, String> {
        let answer = self.order(&Order::CallTool { session, tool: tool.into(), arguments })?;
        answer.as_str().map(str::to_owned).ok_or_else(|| format!("{answer} is no text"))
    }

    /// Sends a signal to the host.
    pub fn signal(&self, signal: Signal) {
        signal_to(self.pid, signal);
    }

    /// The supervisor of the runtime, if it has one.
    pub fn supervisor(&self) -> Option<u32> {
        let children = below(self.witness.id()).into_iter().filter(|process| process.parent == self.pid);
        children.filter(|child| child.command_line().contains(SUPERVISOR)).map(|child| child.pid).next()
    }

    /// The supervisors of its sessions.
    pub fn session_supervisors(&self) -> Vec<u32> {
        let supervisor = self.supervisor();
        let children = below(self.witness.id()).into_iter().filter(|process| Some(process.parent) == supervisor);
        children.map(|child| child.pid).collect()
    }

    /// Processes that live and are neither the host's nor a supervisor: servers and what they started.
    pub fn servers(&self) -> Vec<Process> {
        // A child of the host is the supervisor of its runtime, also before it has become that.
        let is_host = |id: u32| id == self.pid;
        let others =
            below(self.witness.id()).into_iter().filter(|process| !is_host(process.pid) && !is_host(process.parent));
        others
            .filter(|other| {
                // Empty where it has ended, also since it was looked at: it cannot be told what it was.
                let line = other.command_line();
                !line.is_empty() && !line.contains(SUPERVISOR)
            })
            .collect()
    }

    /// What is to be gone after the end of all sessions: everything but the host and the supervisor of its runtime. Of a host
    /// that is gone, everything.
    pub fn remains(&self) -> Vec<Process> {
        let all = below(self.witness.id());
        let supervisor = self.supervisor();
        all.into_iter().filter(|process| process.pid != self.pid && Some(process.pid) != supervisor).collect()
    }

    /// Waits until nothing remains, and gives what does nevertheless.
    pub fn wait_until_gone(&self) -> Vec<Process> {
        wait_for(|| {
            let remains = self.remains();
            remains.first().is_none_or(|first| {
                // For the end of one of them rather than for all: others may have come by then.
                wait_for_end(first.pid, BOUND);
                false
            })
        });
        self.remains()
    }

    /// Waits until the host itself has ended, as far as its witness sees.
    pub fn wait_for_end(&self) -> bool {
        wait_for_end(self.pid, BOUND)
    }

    /// Ends the host where it lives, and gives the number of processes that are left when everything has had its time: by the
    /// witness's count, which no process can evade.
    pub fn end(mut self) -> usize {
        self.begin(&Order::Exit);
        // It ends when there is nothing left for it.
        wait_for_end(self.witness.id(), BOUND);
        self.end_now()
    }

    /// Ends everything, and gives the number of processes that there were.
    pub fn end_now(mut self) -> usize {
        drop(self.orders.take());
        let report = self.answers.last().and_then(|line| line.strip_prefix("left ")?.parse().ok());
        report.expect("the witness reports at the end")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The end of its input has the witness end everything, which takes no waiting.
        drop(self.orders.take());
        let _ = self.witness.wait();
    }
}

/// Sends a signal. A process that is gone cannot be disturbed.
pub fn signal_to(pid: u32, signal: Signal) {
    if let Some(pid) = raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

fn raw(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// Waits until something is so, looking again and again: for what the system has no event for.
pub fn wait_for(mut so: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + BOUND;
    while !so() {
        if Instant::now() > until {
            return false;
        }
        thread::yield_now();
    }
    true
}

/// Waits until a process has ended.
pub fn wait_for_end(pid: u32, bound: Duration) -> bool {
    let Some(pidfd) = raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else { return true };
    is_ready(&pidfd, bound)
}

fn is_ready(descriptor: &impl AsFd, bound: Duration) -> bool {
    let bound = Timespec::try_from(bound).expect("bounds are short");
    let mut descriptors = [PollFd::new(descriptor, PollFlags::IN)];
    poll(&mut descriptors, Some(&bound)).is_ok_and(|ready| ready > 0)
}

/// The lines of a pipe, each awaited for [`PATIENCE`] at most.
struct Lines {
    pipe: ChildStdout,
    read: Vec<u8>,
}

impl Lines {
    fn of(pipe: ChildStdout) -> Self {
        Self { pipe, read: Vec::new() }
    }

    /// None: not in time, or never.
    fn next(&mut self) -> Option<String> {
        let mut chunk = [0; 4096];
        let end = loop {
            if let Some(end) = self.read.iter().position(|&byte| byte == b'\n') {
                break end;
            }
            let length = if is_ready(&self.pipe, PATIENCE) { self.pipe.read(&mut chunk).ok()? } else { 0 };
            self.read.extend_from_slice(chunk.get(..length).filter(|read| !read.is_empty())?);
        };
        let rest = self.read.split_off(end + 1);
        let line = std::mem::replace(&mut self.read, rest);
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    fn last(&mut self) -> Option<String> {
        std::iter::from_fn(|| self.next()).last()
    }
}
