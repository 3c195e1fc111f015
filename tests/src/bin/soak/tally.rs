//! What became of everything that was asked for.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use innkeeper::Error;

/// Counts of outcomes. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<Counts>);

#[derive(Default)]
struct Counts {
    calls: AtomicU64,
    lost: AtomicU64,
    outcomes: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
}

impl Tally {
    /// Something came to its end: what, and with which code.
    pub(crate) fn ended(&self, what: &'static str, code: &'static str) {
        if what == "call" {
            self.0.calls.fetch_add(1, Relaxed);
        }
        *self.0.outcomes.lock().expect("nothing panics while it counts").entry((what, code)).or_default() += 1;
    }

    pub(crate) fn outcome<T>(&self, what: &'static str, outcome: &Result<T, Error>) {
        self.ended(what, outcome.as_ref().map_or_else(Error::code, |_| "ok"));
    }

    /// Something never came to its end.
    pub(crate) fn never_ended(&self, what: &'static str) {
        self.0.lost.fetch_add(1, Relaxed);
        self.ended(what, "NO OUTCOME");
    }

    pub(crate) fn calls(&self) -> u64 {
        self.0.calls.load(Relaxed)
    }

    pub(crate) fn lost(&self) -> u64 {
        self.0.lost.load(Relaxed)
    }

    /// A row of a table for each outcome.
    pub(crate) fn rows(&self) -> String {
        let outcomes = self.0.outcomes.lock().expect("nothing panics while it counts");
        outcomes.iter().map(|((what, code), count)| format!("| {what}: {code} | {count} |\n")).collect()
    }
}
