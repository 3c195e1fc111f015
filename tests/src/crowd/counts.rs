//! What was called, what came of it, and what servers ran.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use innkeeper::Error;
use serde_json::Value;

use super::callers::Kind;
use crate::remote::{Remote, asked};

/// What became of all calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Calls that were made.
    pub made: u64,
    /// Of them: those that were answered, with their own answer.
    pub answered: u64,
    /// The others, by the code of their error.
    pub failed: BTreeMap<String, u64>,
    /// How often a server ran a call that it had run before.
    pub twice: u64,
}

impl Verdict {
    /// Calls that failed.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    /// The number of the last call, and so how many were made.
    made: AtomicU64,
    answered: AtomicU64,
    failed: Mutex<BTreeMap<String, u64>>,
    /// How often a server in process ran each call.
    ran: Mutex<HashMap<u64, u64>>,
    /// Calls of servers that count together, and that were made to them.
    of_processes: AtomicU64,
    held_by_demos: AtomicU64,
    /// Questions of demo servers, one for each call that is held.
    asked_by_demos: AtomicU64,
    times: Mutex<Vec<(Instant, Duration)>>,
}

impl Counts {
    /// The number of the next call.
    pub(super) fn next(&self, kind: Kind, is_held: bool) -> u64 {
        match kind {
            Kind::Process => _ = self.of_processes.fetch_add(1, Relaxed),
            Kind::Demo if is_held => _ = self.held_by_demos.fetch_add(1, Relaxed),
            _ => {}
        }
        self.made.fetch_add(1, Relaxed) + 1
    }

    pub(super) fn answered(&self) {
        self.answered.fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self, what: &str) {
        *lock(&self.failed).entry(what.to_owned()).or_default() += 1;
    }

    /// Counts what a caller got.
    pub(super) fn came(&self, outcome: Result<bool, Error>) {
        match outcome {
            Ok(true) => self.answered(),
            Ok(false) => self.failed("another answer"),
            Err(error) => self.failed(error.code()),
        }
    }

    pub(super) fn ran(&self, number: u64) {
        *lock(&self.ran).entry(number).or_default() += 1;
    }

    pub(super) fn asked_by_demo(&self) {
        self.asked_by_demos.fetch_add(1, Relaxed);
    }

    pub(super) fn took(&self, began: Instant) {
        lock(&self.times).push((began, began.elapsed()));
    }

    pub(super) fn take_times(&self) -> Vec<(Instant, Duration)> {
        std::mem::take(&mut *lock(&self.times))
    }

    pub(super) fn verdict(&self, count_file: &Path, remotes: &[Remote]) -> Verdict {
        let lines = |counts: Vec<u8>| counts.iter().filter(|byte| **byte == b'\n').count() as u64;
        let ran_by_processes = std::fs::read(count_file).map_or(0, lines);
        let twice = more_than_once(lock(&self.ran).values().copied())
            + ran_by_processes.saturating_sub(self.of_processes.load(Relaxed))
            + self.asked_by_demos.load(Relaxed).saturating_sub(self.held_by_demos.load(Relaxed))
            + remotes.iter().map(of_remote).sum::<u64>();
        Verdict {
            made: self.made.load(Relaxed),
            answered: self.answered.load(Relaxed),
            failed: lock(&self.failed).clone(),
            twice,
        }
    }
}

/// Calls that a server over HTTP was told more than once.
fn of_remote(remote: &Remote) -> u64 {
    let mut told = HashMap::<String, u64>::new();
    for request in remote.received().iter().filter(|request| asked(request) == "POST tools/call") {
        let message: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        *told.entry(message["params"]["arguments"]["message"].to_string()).or_default() += 1;
    }
    more_than_once(told.into_values())
}

fn more_than_once(runs: impl Iterator<Item = u64>) -> u64 {
    runs.map(|runs| runs.saturating_sub(1)).sum()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ran_twice_is_counted_once_for_each_kind_of_server() {
        let counts = Counts::default();
        let file = std::env::temp_dir().join(format!("innkeeper-counts-{}", std::process::id()));
        let (framed, _) = (counts.next(Kind::Framed("waits"), true), counts.next(Kind::Process, false));
        counts.next(Kind::Demo, true);
        (0..2).for_each(|_| counts.ran(framed));
        (0..2).for_each(|_| counts.asked_by_demo());
        std::fs::write(&file, "ran\nran\n").unwrap();

        let verdict = counts.verdict(&file, &[]);

        std::fs::remove_file(&file).unwrap();
        assert_eq!((verdict.made, verdict.twice), (3, 3));
    }
}
