//! What a model is made of beside the registry: sessions, and what is seen of them in each execution.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt, mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use loom::{sync::Condvar, thread};
use tokio::time::Instant;

use crate::{names::SessionId, registry::lock::Handle};

/// A lease was held, nobody had taken it back, and its session was being closed.
pub(super) const USED_WHILE_CLOSING: &str = "a session was used while it was being closed";
/// Somebody asked for a lease, there was room, nothing was being closed, and there was none.
pub(super) const REFUSED: &str = "a lease was refused";
/// A session that nobody holds was not closed, or is still in the table.
pub(super) const LEFT_BEHIND: &str = "a session was left behind";
/// Somebody who had heard that a session is gone got it again.
pub(super) const LEASED_AGAIN: &str = "a session was leased again after it had failed";
/// Two sessions of one key were open at a time, or more were opened than were needed.
pub(super) const OPENED_TWICE: &str = "a session was opened twice";

/// Each of the schemes that must fail does so with one. A second or two is what three take.
const PREEMPTIONS: usize = 3;

/// What was seen in one execution.
#[derive(Default)]
pub(super) struct World {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    faults: BTreeSet<&'static str>,
    sessions: Vec<Session>,
    /// The tasks of sessions.
    owners: Vec<thread::JoinHandle<()>>,
}

thread_local! {
    /// What the threads of the present execution say. They are all on the checker's thread.
    static TRACE: RefCell<Vec<String>> = RefCell::default();
}

/// Notes what the present thread does.
pub(super) fn say(what: &str) {
    let thread = thread::current().name().unwrap_or("before").to_owned();
    TRACE.with_borrow_mut(|trace| trace.push(format!("{thread}: {what}")));
}

impl World {
    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes a fault, unless `holds`.
    pub(super) fn check(&self, holds: bool, fault: &'static str) {
        if !holds {
            say(fault);
            self.seen(|seen| seen.faults.insert(fault));
        }
    }

    /// Sessions that were opened.
    pub(super) fn opened(&self) -> usize {
        self.seen(|seen| seen.sessions.len())
    }

    /// Waits for the tasks of all sessions.
    pub(super) fn join_owners(&self) {
        for owner in self.seen(|seen| mem::take(&mut seen.owners)) {
            owner.join().unwrap();
        }
    }

    /// The faults, after every thread has ended.
    fn finish(&self) -> BTreeSet<&'static str> {
        self.join_owners();
        for session in self.seen(|seen| mem::take(&mut seen.sessions)) {
            self.check(session.0.closed.load(Relaxed), LEFT_BEHIND);
        }
        self.seen(|seen| mem::take(&mut seen.faults))
    }
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Opening,
    Ready,
    Closing,
}

struct State {
    phase: Phase,
    /// It ends for a reason that whoever holds it has to bear, and is told by the errors of calls: not for being idle.
    revoked: bool,
}

/// Stands for a session.
#[derive(Clone)]
pub(super) struct Session(Arc<Inner>);

struct Inner {
    id: SessionId,
    world: Arc<World>,
    state: loom::sync::Mutex<State>,
    /// It is not opening any more.
    opened: Condvar,
    /// Nothing of it is left. Nobody looks at that in a model, so threads need not meet here.
    closed: AtomicBool,
}

impl Session {
    fn new(world: &Arc<World>, id: SessionId, phase: Phase) -> Self {
        let state = loom::sync::Mutex::new(State { phase, revoked: false });
        let (opened, closed) = (Condvar::new(), AtomicBool::new(false));
        let session = Self(Arc::new(Inner { id, world: world.clone(), state, opened, closed }));
        session.say("opens");
        world.seen(|seen| seen.sessions.push(session.clone()));
        session
    }

    pub(super) fn ready_at_once(world: &Arc<World>, id: SessionId) -> Self {
        Self::new(world, id, Phase::Ready)
    }

    /// A session with a task of its own, which begins at once.
    pub(super) fn with_owner(world: &Arc<World>, id: SessionId, owner: impl FnOnce(Self) + Send + 'static) -> Self {
        let session = Self::new(world, id, Phase::Opening);
        let owned = session.clone();
        let owner = named("owner", move || owner(owned));
        world.seen(|seen| seen.owners.push(owner));
        session
    }

    /// Notes what the present thread does with this session.
    pub(super) fn say(&self, what: &str) {
        say(&format!("{what} {}", self.0.id));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.state.lock().unwrap();
        let was_opening = state.phase == Phase::Opening;
        change(&mut state);
        if was_opening {
            self.0.opened.notify_all();
        }
    }

    /// Unless it was closed meanwhile.
    pub(super) fn is_ready(&self) {
        self.change(|state| {
            if state.phase == Phase::Opening {
                self.say("has opened");
                state.phase = Phase::Ready;
            }
        });
    }

    pub(super) fn is_closing(&self) {
        self.change(|state| {
            self.say("closes");
            state.phase = Phase::Closing;
        });
    }

    /// The same where whoever holds it has to bear it.
    pub(super) fn is_revoked(&self) {
        self.change(|state| {
            self.say("revokes");
            *state = State { phase: Phase::Closing, revoked: true };
        });
    }

    pub(super) fn is_closed(&self) {
        self.say("has closed");
        self.0.closed.store(true, Relaxed);
    }

    /// Waits until it has opened, or has not.
    pub(super) fn opened(&self) -> bool {
        let mut state = self.0.state.lock().unwrap();
        while state.phase == Phase::Opening {
            state = self.0.opened.wait(state).unwrap();
        }
        self.say(if state.phase == Phase::Ready { "has" } else { "fails with" });
        state.phase == Phase::Ready
    }

    /// Makes a call under a lease.
    pub(super) fn is_used(&self) {
        let state = self.0.state.lock().unwrap();
        self.say("uses");
        self.0.world.check(state.phase == Phase::Ready || state.revoked, USED_WHILE_CLOSING);
    }

    pub(super) fn was_closed(&self) -> bool {
        self.0.state.lock().unwrap().phase == Phase::Closing
    }
}

impl Handle for Session {
    fn id(&self) -> SessionId {
        self.0.id
    }

    fn close(&self, _: Instant) {
        self.is_closing();
    }
}

/// A thread of a model.
pub(super) fn named<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    thread::Builder::new().name(name.to_owned()).spawn(run).unwrap()
}

/// What came of all executions.
#[derive(Debug, Default)]
pub(super) struct Explored {
    pub(super) executions: usize,
    /// Each fault that was seen, with what happened in the shortest execution in which it was.
    pub(super) faults: BTreeMap<&'static str, Vec<String>>,
}

impl Explored {
    /// There was no fault, in so many executions: with fewer, the threads did not meet.
    pub(super) fn holds(&self, least: usize) {
        assert!(self.faults.is_empty(), "{self}");
        assert!(self.executions >= least, "{} executions", self.executions);
    }

    /// There was this fault and no other.
    pub(super) fn fails(&self, fault: &str) {
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
pub(super) fn explore(model: impl Fn(&Arc<World>) + Send + Sync + 'static) -> Explored {
    explore_within(None, model)
}

/// The same for a model of more threads and steps, which would take minutes: in every order in which no more than
/// [`PREEMPTIONS`] threads have to wait although they could go on.
pub(super) fn explore_bounded(model: impl Fn(&Arc<World>) + Send + Sync + 'static) -> Explored {
    explore_within(Some(PREEMPTIONS), model)
}

fn explore_within(preemptions: Option<usize>, model: impl Fn(&Arc<World>) + Send + Sync + 'static) -> Explored {
    let explored = Arc::new(Mutex::new(Explored::default()));
    let found = explored.clone();
    let began = std::time::Instant::now();
    let mut checker = loom::model::Builder::new();
    checker.preemption_bound = preemptions;
    checker.check(move || {
        TRACE.take();
        let world = Arc::default();
        model(&world);
        let faults = world.finish();
        let trace = TRACE.take();
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
