//! What a model is made of beside the registry: sessions, and what is seen of them in each execution.

use std::{
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use loom::{sync::Condvar, thread};
use tokio::time::Instant;

use crate::{
    explore::{self, Explored, check, named, say},
    names::SessionId,
    registry::lock::Handle,
};

/// A lease was held, nobody had taken it back, and its session was being closed.
pub(super) const USED_WHILE_CLOSING: &str = "a session was used while it was being closed";
/// Somebody asked for a lease, there was room, nothing was being closed, and there was none.
pub(super) const REFUSED: &str = "a lease was refused";
/// A session that nobody holds was not closed, or is still in the table.
pub(super) const LEFT_BEHIND: &str = "a session was left behind";
/// Somebody who had heard that a session is gone got it again.
pub(super) const LEASED_AGAIN: &str = "a session was leased again after it was gone";
/// Two sessions of one key were open at a time, or more were opened than were needed.
pub(super) const OPENED_TWICE: &str = "a session was opened twice";

/// What was seen in one execution.
#[derive(Default)]
pub(super) struct World {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    sessions: Vec<Session>,
    /// The tasks of sessions.
    owners: Vec<thread::JoinHandle<()>>,
}

impl World {
    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
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

    /// Looks at what is left, after every thread has ended.
    fn finish(&self) {
        self.join_owners();
        for session in self.seen(|seen| mem::take(&mut seen.sessions)) {
            check(session.0.closed.load(Relaxed), LEFT_BEHIND);
        }
    }
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Opening,
    Ready,
    Failed,
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
        let session = Self(Arc::new(Inner { id, state, opened, closed }));
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

    /// It has no connection, and stays until somebody closes it.
    pub(super) fn has_failed(&self) {
        self.change(|state| {
            if state.phase == Phase::Opening {
                self.say("fails");
                state.phase = Phase::Failed;
            }
        });
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
        check(state.phase == Phase::Ready || state.revoked, USED_WHILE_CLOSING);
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

/// Runs a model in every order.
pub(super) fn explore(model: impl Fn(&Arc<World>) + Send + Sync + 'static) -> Explored {
    explore::explore(in_a_world(model))
}

/// The same for a model of more threads and steps, which would take minutes.
pub(super) fn explore_bounded(model: impl Fn(&Arc<World>) + Send + Sync + 'static) -> Explored {
    explore::explore_bounded(in_a_world(model))
}

fn in_a_world(model: impl Fn(&Arc<World>) + Send + Sync + 'static) -> impl Fn() + Send + Sync + 'static {
    move || {
        let world = Arc::default();
        model(&world);
        world.finish();
    }
}
