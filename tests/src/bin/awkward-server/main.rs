//! An MCP server over stdio that misbehaves by scenario.
//!
//! ```text
//! awkward-server SCENARIO
//! ```
//!
//! One process for all scenarios, so that they differ in the one thing that they
//! are about. Plain threads and blocking I/O: what it does to its client is meant
//! to be seen in the code, byte by byte, and no library stands between.
//!
//! Here is what surrounds the conversation: the start, signals, children, the
//! end. [`conversation`] reads and answers, [`delivery`] writes.

mod conversation;
mod delivery;

use std::env;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use innkeeper_tests::awkward::Scenario;

use crate::conversation::Conversation;

/// No scenario is over by itself. Should a test fail to end the process, then this does: longer than any test takes,
/// short enough not to pile up.
const LIFETIME: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    let name = env::args().nth(1).unwrap_or_default();
    let Ok(scenario) = name.parse() else {
        eprintln!("usage: awkward-server SCENARIO, with one of");
        Scenario::ALL.iter().for_each(|scenario| eprintln!("  {}", scenario.name()));
        return ExitCode::from(2);
    };
    thread::spawn(|| {
        thread::sleep(LIFETIME);
        std::process::exit(9);
    });
    match scenario {
        Scenario::ExitOnStart => {
            eprintln!("cannot open the database: no such file");
            return ExitCode::from(7);
        }
        Scenario::StderrFlood => _ = thread::spawn(flood_stderr),
        Scenario::IgnoresEofAndTerm => ignore_sigterm(),
        Scenario::Grandchild => start_grandchild(None),
        Scenario::GrandchildInOwnGroup => start_grandchild(Some(0)),
        Scenario::Idle => live_on(),
        _ => {}
    }
    let input: Box<dyn Read> = match scenario {
        Scenario::SlowReader => Box::new(SlowInput(io::stdin())),
        _ => Box::new(io::stdin()),
    };
    let status = Conversation::new(scenario).run(input);
    match scenario {
        Scenario::IgnoresEof | Scenario::IgnoresEofAndTerm => live_on(),
        _ => status,
    }
}

/// Waits for the end of the lifetime.
fn live_on() -> ! {
    loop {
        thread::park();
    }
}

/// Writes lines, and between them ever longer pieces without an end of line.
fn flood_stderr() {
    let mut stderr = io::stderr().lock();
    for number in 0_u64.. {
        let piece = "all is well, ".repeat(64);
        let end = if number % 1024 < 512 { "\n" } else { "" };
        if write!(stderr, "{number}: {piece}{end}").is_err() {
            return;
        }
    }
}

fn ignore_sigterm() {
    const SIGTERM: i32 = 15;
    const SIG_IGN: usize = 1;

    unsafe extern "C" {
        fn signal(signal: i32, disposition: usize) -> usize;
    }

    // SAFETY: signal(2) with SIG_IGN takes no pointer and runs no handler; the values are those of Linux.
    unsafe { signal(SIGTERM, SIG_IGN) };
}

/// Starts a process that inherits output and environment, so that the output does not end with this process.
#[expect(clippy::zombie_processes, reason = "it is to outlive this process")]
fn start_grandchild(group: Option<i32>) {
    let program = env::current_exe().expect("the path of this program is known");
    let mut command = Command::new(program);
    command.arg(Scenario::Idle.name()).stdin(Stdio::null());
    if let Some(group) = group {
        command.process_group(group);
    }
    command.spawn().expect("this program starts once more");
}

/// Input that is read as by a server that has better things to do.
struct SlowInput(io::Stdin);

impl Read for SlowInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        thread::sleep(Duration::from_millis(10));
        let length = buffer.len().min(64);
        self.0.read(&mut buffer[..length])
    }
}
