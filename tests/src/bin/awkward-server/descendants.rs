//! The processes that a server starts and does not end.
//!
//! Each is a way out of what a host might look at: the process group, the session, the list of children, the environment. All
//! end by themselves after the lifetime of every scenario, should a test fail to end them.

use std::env;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::ptr;
use std::time::{Duration, Instant};

use innkeeper_tests::awkward::Scenario;

/// As many as hop in turn on any machine, and few enough to leave it usable.
const CHAINS: usize = 16;

/// How long they hop: longer than a test waits. They need a processor each, so they end sooner than a process that sleeps.
const CHAIN_LIFETIME: Duration = Duration::from_secs(60);

/// How long they do without pause: what is to end them takes less, and a machine may not last longer.
const STORM_LIFETIME: Duration = Duration::from_secs(10);

/// The signals of Linux (signal(7)), real-time ones included.
const SIGNALS: std::ops::RangeInclusive<i32> = 1..=64;

/// Starts the descendants of a scenario, if it has any. This process may have one thread only.
pub(crate) fn start(scenario: Scenario) {
    let mut child = idle();
    match scenario {
        Scenario::Grandchild => spawn(&mut child),
        Scenario::GrandchildInOwnGroup => spawn(child.process_group(0)),
        Scenario::QuietGrandchild => spawn(silent(&mut child)),
        Scenario::GrandchildInOwnSession => spawn(before_exec(silent(&mut child), own_session)),
        Scenario::GrandchildWithoutEnvironment => {
            spawn(before_exec(silent(&mut child), own_session).env_clear());
        }
        Scenario::Daemon => daemonize(&mut child),
        Scenario::ForkChains => (0..CHAINS).for_each(|_| start_chain(true)),
        Scenario::ForkStorm => (0..CHAINS).for_each(|_| start_chain(false)),
        _ => {}
    }
}

/// This program, doing nothing. It inherits output and environment.
fn idle() -> Command {
    let program = env::current_exe().expect("the path of this program is known");
    let mut command = Command::new(program);
    command.arg(Scenario::Idle.name()).stdin(Stdio::null());
    command
}

fn silent(command: &mut Command) -> &mut Command {
    command.stdout(Stdio::null()).stderr(Stdio::null())
}

#[expect(clippy::zombie_processes, reason = "it is to outlive this process")]
fn spawn(command: &mut Command) {
    command.spawn().expect("this program starts once more");
}

fn before_exec(command: &mut Command, prepare: fn() -> io::Result<()>) -> &mut Command {
    // SAFETY: what is passed here makes system calls only, all of them async-signal-safe (signal-safety(7)).
    unsafe { command.pre_exec(prepare) }
}

fn own_session() -> io::Result<()> {
    // SAFETY: setsid(2) takes nothing.
    match unsafe { libc::setsid() } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Starts a process as daemons start, and waits for the one in between. The daemon is there when this returns: the standard
/// library waits until the last fork has become the program.
fn daemonize(command: &mut Command) {
    let between = before_exec(silent(command), || {
        own_session()?;
        // SAFETY: this process has one thread; the parent leaves without running anything of this program.
        unsafe {
            match libc::fork() {
                -1 => return Err(io::Error::last_os_error()),
                0 => {}
                _ => libc::_exit(0),
            }
            for signal in SIGNALS {
                // Fails for the two that cannot be ignored, and for those of the C library.
                libc::signal(signal, libc::SIG_IGN);
            }
        }
        Ok(())
    });
    let mut between = between.spawn().expect("this program starts once more");
    between.wait().expect("the process in between ends");
}

/// Starts a process that is never the same: each forks, leaves and is followed by its child in a session of its own.
///
/// A child that is patient forks when nothing is left of its parent. Otherwise those that nobody has waited for yet pile up, and
/// in the end the machine has no process to give.
fn start_chain(patient: bool) {
    let until = Instant::now() + if patient { CHAIN_LIFETIME } else { STORM_LIFETIME };
    // SAFETY: this process has one thread; the children make system calls only, and never return.
    unsafe {
        match libc::fork() {
            0 => {}
            first => {
                libc::waitpid(first, ptr::null_mut(), 0);
                return;
            }
        }
        while Instant::now() < until {
            let parent = libc::getpid();
            match libc::fork() {
                0 => {
                    libc::setsid();
                    while patient && libc::kill(parent, 0) == 0 {
                        libc::sched_yield();
                    }
                }
                -1 => _ = libc::sched_yield(),
                _ => libc::_exit(0),
            }
        }
        libc::_exit(0);
    }
}
