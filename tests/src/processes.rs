//! Finding processes that a run has started, whoever their parent is by now.
//!
//! There are two witnesses, because each can be deceived:
//!
//! - A process that was orphaned has another parent, and one in a group or
//!   session of its own has another of those, but its environment stays. So a
//!   test marks the environment of its servers, and afterwards looks for the mark
//!   in all processes ([`Marker`]). A process that cleared its environment is not
//!   found.
//! - The descendants of a process that adopts orphans, as `witness` does, stay its
//!   descendants whatever they do ([`below`]), for as long as it lives.

use std::fs;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// A mark in the environment of all processes of one test.
#[derive(Clone, Debug)]
pub struct Marker {
    value: String,
}

impl Marker {
    /// The variable that carries the mark.
    pub const VARIABLE: &str = "INNKEEPER_TEST_RUN";

    /// A mark that no other test has, in this process or another.
    #[allow(clippy::new_without_default, reason = "two marks differ, which a default value does not suggest")]
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { value: format!("{}-{number}", process::id()) }
    }

    /// What [`VARIABLE`](Self::VARIABLE) is to be set to.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The processes that carry the mark now. A zombie has no environment any more: see [`zombies`].
    pub fn processes(&self) -> Vec<u32> {
        let mark = format!("{}={}", Self::VARIABLE, self.value);
        let carries = |pid: &u32| {
            // A process that ended meanwhile, or is another user's, has nothing to read.
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes())
        };
        all().filter(carries).collect()
    }
}

/// A process as it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Who waits for its end.
    pub parent: u32,
    /// A letter of proc_pid_stat(5), such as `T` for stopped and `Z` for a zombie.
    pub state: char,
}

impl Process {
    /// What is known of a process, unless it is gone.
    pub fn look(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // proc_pid_stat(5): the name in parentheses may hold anything, so the fields count from its end.
        let mut fields = stat.rsplit(')').next()?.split_ascii_whitespace();
        let (state, parent) = (fields.next()?.chars().next()?, fields.next()?.parse().ok()?);
        Some(Self { pid, parent, state })
    }

    /// The command line that it was started with; empty for a zombie.
    pub fn command_line(&self) -> String {
        let line = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ")
    }
}

/// All descendants of a process, zombies included. Read process by process: what forks meanwhile may be missed, so an empty
/// answer is worth as much as what the ancestor itself says when it waits.
pub fn below(ancestor: u32) -> Vec<Process> {
    let look = |parent| children(parent).into_iter().filter_map(Process::look);
    let mut found: Vec<Process> = look(ancestor).collect();
    let mut next = 0;
    while let Some(process) = found.get(next) {
        found.extend(look(process.pid));
        next += 1;
    }
    // Some may have moved up to an ancestor that was read later.
    found.sort_by_key(|process| process.pid);
    found.dedup_by_key(|process| process.pid);
    found
}

/// The children of all threads of a process. Not found by looking at all processes, of which there may be many, and some too
/// short-lived to be looked at.
pub fn children(parent: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let listed = threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    let listed = listed.collect::<Vec<_>>().join(" ");
    listed.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Children of this process that ended and were not waited for.
pub fn zombies() -> Vec<u32> {
    let children = all().filter_map(Process::look).filter(|found| found.parent == process::id());
    children.filter(|child| child.state == 'Z').map(|child| child.pid).collect()
}

fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").expect("these tests need a mounted /proc");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_marked_process_is_found_while_it_lives() {
        let marker = Marker::new();
        let mut child = Command::new("cat")
            .env(Marker::VARIABLE, marker.value())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("cat starts");

        let alive = marker.processes();
        drop(child.stdin.take());
        child.wait().expect("cat ends");

        assert_eq!(alive, [child.id()]);
        assert_eq!(marker.processes(), [0; 0]);
    }

    #[test]
    fn a_grandchild_is_below_this_process() {
        let mut shell = Command::new("sh")
            .args(["-c", "cat; :"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("a shell starts");
        let grandchildren = || below(process::id()).into_iter().filter(|found| found.parent == shell.id()).count();

        // The shell starts it a moment after it has started itself.
        while grandchildren() == 0 {
            std::thread::yield_now();
        }
        drop(shell.stdin.take());
        shell.wait().expect("the shell ends");

        assert!(below(process::id()).iter().all(|found| found.pid != shell.id() && found.parent != shell.id()));
    }

    #[test]
    fn a_child_that_nobody_waited_for_is_a_zombie() {
        let mut child = Command::new("cat").stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("cat starts");
        let pid = child.id();
        let is_zombie = || zombies().contains(&pid);

        // The pipe ends a moment before the process does.
        while !is_zombie() {
            std::thread::yield_now();
        }
        child.wait().expect("cat ends");

        assert!(!is_zombie());
    }
}
