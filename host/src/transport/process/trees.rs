//! Which session has which processes: what a runtime tells of itself.
//!
//! The host does not follow what servers start. It knows the supervisor of each session, and below that, whatever
//! /proc shows belongs to the session: nothing of it can be anywhere else.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{Isolation, names::SessionId, transport::Census};

/// The trees of a runtime's sessions.
#[derive(Default)]
pub(crate) struct Trees(Mutex<Table>);

/// By a number of our own: the id of a supervisor that has ended may be another's before its tree is taken off.
#[derive(Clone, Default)]
struct Table {
    trees: BTreeMap<u64, Tree>,
    last: u64,
}

#[derive(Clone, Copy)]
struct Tree {
    supervisor: u32,
    session: SessionId,
    isolation: Isolation,
}

/// A tree as long as somebody holds on to it. Dropping it takes it off the list, and nothing else.
pub(super) struct Listed {
    number: u64,
    trees: Arc<Trees>,
}

impl Trees {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn list(self: &Arc<Self>, supervisor: u32, session: SessionId, isolation: Isolation) -> Listed {
        let mut table = self.table();
        table.last += 1;
        let number = table.last;
        table.trees.insert(number, Tree { supervisor, session, isolation });
        drop(table);
        Listed { number, trees: self.clone() }
    }

    /// Reads /proc, once for all sessions; not at all, where there is no root.
    pub(crate) fn census(&self, root: Option<u32>) -> Census {
        let trees = self.table().trees.clone();
        let mut census = Census { root, ..Census::default() };
        if root.is_none() && trees.is_empty() {
            return census;
        }
        let children = children();
        for Tree { supervisor, session, isolation } in trees.into_values() {
            let entry = census.sessions.entry(session).or_default();
            entry.isolation = Some(isolation);
            entry.processes.extend(below(supervisor, &children));
            entry.processes.sort_unstable();
        }
        // The children of the root are supervisors.
        let supervisors = root.and_then(|root| children.get(&root));
        census.alive = supervisors.into_iter().flatten().map(|supervisor| below(*supervisor, &children).len()).sum();
        census
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.trees.table().trees.remove(&self.number);
    }
}

/// Children of each process that has some.
fn children() -> HashMap<u32, Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(parent) = parent_of(process) {
            children.entry(parent).or_default().push(process);
        }
    }
    children
}

/// The parent of a process that has not ended; a zombie is none any more.
fn parent_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // proc_pid_stat(5): the name in parentheses may hold anything, so the fields count from its end.
    let mut fields = stat.rsplit(')').next()?.split_ascii_whitespace();
    let (state, parent) = (fields.next()?, fields.next()?);
    parent.parse().ok().filter(|_| state != "Z")
}

/// All processes below one. What /proc showed at different moments may contradict itself, so nobody is counted twice.
fn below(process: u32, children: &HashMap<u32, Vec<u32>>) -> HashSet<u32> {
    let mut found = HashSet::new();
    let mut waiting = vec![process];
    while let Some(process) = waiting.pop() {
        for child in children.get(&process).into_iter().flatten() {
            if found.insert(*child) {
                waiting.push(*child);
            }
        }
    }
    found
}
