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
//! Here is what surrounds the conversation: the start, signals, the end.
//! [`conversation`] reads and answers, [`delivery`] writes, [`descendants`] has
//! the processes that a scenario starts, [`offers`] what it has beside tools, [`attacks`] what a server can try on
//! processes that are not its own.

mod attacks;
mod conversation;
mod delivery;
mod descendants;
mod offers;

use std::env;
use std::io::{self, Read, Write};
use std::process::ExitCode;
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
    // Before there is a second thread: of several, fork(2) copies only the one that calls it.
    descendants::start(scenario);
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
        Scenario::TellsEnvironment => eprint!("{}", conversation::environment()),
        Scenario::IgnoresEofAndTerm => ignore_sigterm(),
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
    // SAFETY: signal(2) with SIG_IGN takes no pointer and runs no handler.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
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
