//! Runs models: every order in which threads may come, one after the other, on one thread.
//!
//! The checker (`loom`) stops each thread before it takes a lock and lets another go first, until no order is left. What is
//! wrong is noted by [`check`], and shown with the shortest execution in which it was.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt, mem,
    sync::{Arc, Mutex},
};

use loom::thread;

/// Each of the schemes that must fail does so with one. A second or two is what three take.
const PREEMPTIONS: usize = 3;

thread_local! {
    /// What the threads of the present execution say, and what was wrong. They are all on the checker's thread.
    static TRACE: RefCell<Vec<String>> = RefCell::default();
    static FAULTS: RefCell<BTreeSet<&'static str>> = RefCell::default();
}

/// Notes what the present thread does.
pub(crate) fn say(what: &str) {
    let thread = thread::current().name().unwrap_or("before").to_owned();
    TRACE.with_borrow_mut(|trace| trace.push(format!("{thread}: {what}")));
}

/// Notes a fault, unless `holds`.
pub(crate) fn check(holds: bool, fault: &'static str) {
    if !holds {
        say(fault);
        FAULTS.with_borrow_mut(|faults| faults.insert(fault));
    }
}

/// A thread of a model.
pub(crate) fn named<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    thread::Builder::new().name(name.to_owned()).spawn(run).unwrap()
}

/// What came of all executions.
#[derive(Debug, Default)]
pub(crate) struct Explored {
    pub(crate) executions: usize,
    /// Each fault that was seen, with what happened in the shortest execution in which it was.
    pub(crate) faults: BTreeMap<&'static str, Vec<String>>,
}

impl Explored {
    /// There was no fault, in so many executions: with fewer, the threads did not meet.
    pub(crate) fn holds(&self, least: usize) {
        assert!(self.faults.is_empty(), "{self}");
        assert!(self.executions >= least, "{} executions", self.executions);
    }

    /// There was this fault and no other.
    pub(crate) fn fails(&self, fault: &str) {
        let faults: Vec<_> = self.faults.keys().copied().collect();
        assert_eq!(faults, [fault], "{self}");
    }
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} executions", self.executions)?;
        for (fault, trace) in &self.faults {
            write!(f, "\n{fault}:\n    {}", trace.join("\n    "))?;
        }
        Ok(())
    }
}

/// Runs a model in every order, and shows what came of it.
pub(crate) fn explore(model: impl Fn() + Send + Sync + 'static) -> Explored {
    explore_within(None, model)
}

/// The same for a model of more threads and steps, which would take minutes: in every order in which no more than
/// [`PREEMPTIONS`] threads have to wait although they could go on.
pub(crate) fn explore_bounded(model: impl Fn() + Send + Sync + 'static) -> Explored {
    explore_within(Some(PREEMPTIONS), model)
}

fn explore_within(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) -> Explored {
    let explored = Arc::new(Mutex::new(Explored::default()));
    let found = explored.clone();
    let began = std::time::Instant::now();
    let mut checker = loom::model::Builder::new();
    checker.preemption_bound = preemptions;
    checker.check(move || {
        TRACE.with_borrow_mut(Vec::clear);
        FAULTS.with_borrow_mut(BTreeSet::clear);
        model();
        let (trace, faults) = (TRACE.take(), FAULTS.take());
        let mut found = found.lock().unwrap();
        found.executions += 1;
        for fault in faults {
            let shortest = found.faults.entry(fault).or_insert_with(|| trace.clone());
            if trace.len() < shortest.len() {
                shortest.clone_from(&trace);
            }
        }
    });
    let explored = mem::take(&mut *explored.lock().unwrap());
    println!("{explored}\nin {:?}", began.elapsed());
    explored
}
