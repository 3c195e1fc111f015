//! Finding processes that a run has started, whoever their parent is by now.
//!
//! A process that was orphaned has another parent, and one in a group or session
//! of its own has another of those, but its environment stays. So a test marks
//! the environment of its servers, and afterwards looks for the mark in all
//! processes. Those that cleared their environment are not found; no server of
//! the tests does.

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

/// Children of this process that ended and were not waited for.
pub fn zombies() -> Vec<u32> {
    let zombie_of_ours = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // proc_pid_stat(5): the name in parentheses may hold anything, so the fields count from its end.
        let mut fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
        let (state, parent) = (fields.next(), fields.next());
        state == Some("Z") && parent.and_then(|parent| parent.parse().ok()) == Some(process::id())
    };
    all().filter(zombie_of_ours).collect()
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
