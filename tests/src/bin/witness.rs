//! The witness: it starts a program, adopts whatever that leaves behind, and counts it.
//!
//! ```text
//! witness USER PROGRAM [ARGUMENT]...
//! ```
//!
//! USER is a number, or `-` for one's own. What comes on standard input goes to the program; its end is the end of everything.
//! Standard output is that of the program, after a line with its process id, and before a line `left N`: the number of processes
//! that had to be ended then.
//!
//! A process that adopts orphans (PR_SET_CHILD_SUBREAPER of prctl(2)) has all its descendants until they end: an orphan goes to
//! its nearest ancestor that adopts. So nothing that a test starts can get away, and the number is right whatever the program
//! or its servers do. It is for others to give them time: see `Host::end` of the harness.

use std::env;
use std::io::{self, BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{self, Command, ExitCode, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use innkeeper_tests::processes::{below, children};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, getpid, kill_process, set_child_subreaper, wait, waitid,
};

enum Event {
    /// Standard input has ended.
    Over,
    /// There are no children any more.
    Alone,
}

/// Held by who waits for children: the number of one that was not waited for is nobody else's.
static WAITING: Mutex<()> = Mutex::new(());

#[expect(clippy::zombie_processes, reason = "`reap` waits for every child")]
fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let (Some(user), Some(program)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: witness USER PROGRAM [ARGUMENT]...");
        return ExitCode::from(2);
    };
    set_child_subreaper(Some(getpid())).expect("the kernel has subreapers");
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped());
    if let Some(user) = user.to_str().and_then(|user| user.parse().ok()) {
        command.uid(user).gid(user);
    }
    let mut host = command.spawn().expect("the program starts");
    println!("{}", host.id());

    let (events, happened) = mpsc::channel();
    let relayed = host.stdin.take().expect("it has a pipe");
    thread::spawn({
        let events = events.clone();
        move || relay(relayed, &events)
    });
    thread::spawn(move || reap(&events));
    let left = match happened.recv() {
        Ok(Event::Over) => end_everything(),
        Ok(Event::Alone) | Err(_) => 0,
    };
    // The program may have left a line unfinished.
    println!("\nleft {left}");
    ExitCode::SUCCESS
}

/// Passes on lines until there are no more.
fn relay(mut to: impl Write, events: &mpsc::Sender<Event>) {
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        // A program that has ended reads nothing, and the input is read to its end all the same.
        let _ = writeln!(to, "{line}").and_then(|()| to.flush());
    }
    let _ = events.send(Event::Over);
}

/// Waits for children until there are none.
fn reap(events: &mpsc::Sender<Event>) {
    // ECHILD is the proof: everything below this process has ended.
    while waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).is_ok() {
        let _waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
    }
    let _ = events.send(Event::Alone);
}

/// Kills children until there are none; what they leave behind comes to us. Gives how many processes there were.
fn end_everything() -> usize {
    let _waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    let left = below(process::id()).iter().filter(|process| process.state != 'Z').count();
    loop {
        for child in children(process::id()) {
            if let Some(child) = i32::try_from(child).ok().and_then(Pid::from_raw) {
                let _ = kill_process(child, Signal::KILL);
            }
        }
        // For one, and then for all that have ended with it.
        if wait(WaitOptions::empty()).is_err() {
            return left;
        }
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
    }
}
