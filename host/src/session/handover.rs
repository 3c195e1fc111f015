//! The handover: another guest in the place of the present one, between two events. All else of the session stays as it is.
//!
//! The process, the connection, what was read and not yet understood, what waits to be written, the calls with their deadlines, the
//! requests of the server, exchanges and timers are the host's, and nobody outside notices. What moves is what only the guest
//! knows: the old one writes it down, and the new one, in a `Store` of its own, goes on from there. Until the new one has said
//! that it does, and has ended nothing that somebody waits for, the old one has its place: whatever goes wrong before that,
//! the session goes on as if nobody had asked.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::{
    SessionInfo,
    client::State,
    deadlines::Due,
    exchanges::Exchanges,
    gather::told_to_close,
    link::Link,
    owner::{Owner, guest_fault},
};
use crate::{
    Error,
    guest::{
        Component, GuestFault, Runner, Standing,
        boundary::{Effect, Outcome, Outstanding, RestoreError, SnapshotError},
    },
};

/// The guest that the clients of a session are made with from now on.
pub(crate) struct AssignedGuest(Mutex<Component>);

impl AssignedGuest {
    pub(crate) fn new(component: Component) -> Self {
        Self(Mutex::new(component))
    }

    pub(crate) fn get(&self) -> Component {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, component: Component) {
        let before = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), component);
        // Compiled code may go with it, which takes a while: not under this lock, which others wait for without awaiting.
        drop(before);
    }
}

/// Bytes of memory that make a guest a large one: three times what the default guest begins with and its calls of 64 KiB need.
/// Where all sessions of a full tenant had as much, that were 400 MiB.
const GROWN: usize = 4 * 1024 * 1024;

/// How long a large guest is left alone before somebody looks whether it is idle: what made it grow seldom comes once.
const BEFORE_RENEWAL: Duration = Duration::from_secs(1);

/// Asks the owner of a client for another guest.
pub(super) struct Handover {
    component: Component,
    reply: Option<oneshot::Sender<Result<Carried, NotHandedOver>>>,
}

impl Handover {
    /// To another guest. What comes of it is received, and nothing where the client ends first.
    pub(super) fn to(component: Component) -> (Self, oneshot::Receiver<Result<Carried, NotHandedOver>>) {
        let (reply, outcome) = oneshot::channel();
        (Self { component, reply: Some(reply) }, outcome)
    }
}

/// When an idle guest is renewed that has grown.
#[derive(Default)]
pub(super) struct Renewal {
    is_set: bool,
    /// Bytes that it had after it was renewed last: a state may be large itself.
    least: usize,
}

/// What went over to another guest, as the host counts it in the moment of the handover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Carried {
    /// Calls that were under way: the guest knew of them, and their callers waited.
    pub calls: usize,
    /// Calls that waited to be given to a guest.
    pub waiting_calls: usize,
    /// Requests of the server that the platform had not answered.
    pub server_requests: usize,
    /// HTTP exchanges that were open, streams of events among them.
    pub exchanges: usize,
    /// Timers that were set.
    pub timers: usize,
    /// Bytes of a frame of which only the beginning had been read.
    pub partial_frame: usize,
    /// Bytes of the snapshot.
    pub snapshot: usize,
    /// From the first call into the old guest until the new one had its place; the session stood still for as long.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// Why a session goes on with the guest that it has.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum NotHandedOver {
    #[error("it reads none of the formats of snapshots that {writer} writes ({written})")]
    NoFormat { writer: String, written: String },
    #[error("the present guest: {0}")]
    Snapshot(SnapshotError),
    /// The present guest failed, and its client with it.
    #[error("the present guest failed when it was asked for its state: {0}")]
    PresentFailed(Error),
    #[error("the new guest: {0}")]
    Restore(RestoreError),
    /// It would have cost somebody something.
    #[error("the new guest would have {0}")]
    Disowned(String),
    /// The new guest failed before the session was its own.
    #[error("the new guest: {0}")]
    Failed(GuestFault),
    /// The client ended meanwhile.
    #[error("the session: {0}")]
    Ended(Error),
}

/// The format in which a state goes from one guest to another: the first that the one writes and the other reads.
pub(crate) fn common_format(from: &Component, to: &Component) -> Result<String, NotHandedOver> {
    let written = &from.info().snapshot_formats;
    let common = written.iter().find(|format| to.info().restorable_formats.contains(format));
    common.cloned().ok_or_else(|| NotHandedOver::NoFormat {
        writer: from.to_string(),
        written: if written.is_empty() { "it gives no snapshots".to_owned() } else { written.join(", ") },
    })
}

impl Owner {
    /// Puts another guest in the place of its own, and tells whoever asked what came of it. An error is the end of the client: its
    /// own guest has failed, or it is to be closed.
    ///
    /// Called where no event waits for the guest: so both sides know of the same calls.
    pub(super) async fn hand_over(&mut self, Handover { component, reply }: Handover) -> Result<(), Error> {
        let Some(reply) = reply else { return self.renew_guest(component).await };
        let outcome = if component.digest() == self.component.digest() {
            Ok(Ok(Carried::default()))
        } else {
            self.replace_guest(component).await
        };
        let (outcome, goes_on) = match outcome {
            // Another client has taken this one's place meanwhile: whoever asked asks that one.
            Ok(Ok(_)) if !self.birth.observer.has_guest(&self.component) => return Ok(()),
            Ok(outcome) => (outcome, Ok(())),
            Err(error @ Error::GuestFault { .. }) => (Err(NotHandedOver::PresentFailed(error.clone())), Err(error)),
            Err(error) => (Err(NotHandedOver::Ended(error.clone())), Err(error)),
        };
        // Whoever asked may have gone. What was done is done.
        let _ = reply.send(outcome);
        goes_on
    }

    /// Sees to it that a guest that has grown is looked at again.
    pub(super) fn note_memory(&mut self) {
        let large = GROWN.max(self.renewal.least.saturating_mul(2));
        if !self.renewal.is_set && self.runner.memory() > large {
            self.renewal.is_set = true;
            self.deadlines.set(Instant::now() + BEFORE_RENEWAL, Due::Renewal);
        }
    }

    /// A guest that has grown is renewed now, or later if it has something to do.
    pub(super) fn renewal_is_due(&mut self) {
        if self.in_flight > 0 || self.requests.len() > 0 || !self.is_ready {
            self.deadlines.set(Instant::now() + BEFORE_RENEWAL, Due::Renewal);
        } else {
            self.handovers.push_back(Handover { component: self.component.clone(), reply: None });
        }
    }

    /// Gives back what the guest has grown by, by an instance of the same component in its place. One that gives no snapshot stays
    /// as it is.
    async fn renew_guest(&mut self, component: Component) -> Result<(), Error> {
        let before = self.runner.memory();
        // Between the two it may have been replaced by another.
        let outcome = if component.digest() == self.component.digest() {
            self.replace_guest(component).await?
        } else {
            Ok(Carried::default())
        };
        let after = self.runner.memory();
        self.renewal = Renewal { is_set: false, least: after };
        match outcome {
            Ok(_) => tracing::debug!(before, after, "an idle guest that had grown was renewed"),
            Err(reason) => tracing::debug!(memory = after, %reason, "an idle guest that has grown was not renewed"),
        }
        Ok(())
    }

    async fn replace_guest(&mut self, component: Component) -> Result<Result<Carried, NotHandedOver>, Error> {
        let format = match common_format(&self.component, &component) {
            Ok(format) => format,
            Err(reason) => return Ok(Err(reason)),
        };
        self.take_turn().await?;
        let began = Instant::now();
        let outstanding = self.outstanding();
        let mut carried = self.carried(&outstanding);

        let Self { runner, close, turn, spec, .. } = self;
        let handed_over = async {
            tokio::select! {
                biased;
                restored = restore(runner, format, &component, spec.standing.clone(), outstanding) => Some(restored),
                // Both are dropped, and the client with them.
                () = told_to_close(close) => None,
            }
        };
        let Some(restored) = turn.wait_for(handed_over).await else { return Err(self.closing()) };
        let Restored { runner, effects, snapshot } = match restored {
            Ok(restored) => restored,
            Err(Failure::Present(fault)) => return Err(guest_fault(&self.spec, &self.component, &fault)),
            Err(Failure::Next(reason)) => return Ok(Err(reason)),
        };
        if let Err(reason) = self.check_restored(&effects) {
            return Ok(Err(reason));
        }

        // From here on it is the new one's session, and whatever it does wrong is its own fault.
        self.runner = runner;
        self.component = component;
        carried.snapshot = snapshot;
        carried.took = began.elapsed();
        self.tell_handed_over();
        let goes_on = self.take_turn().await;
        self.apply_all(effects, &[])?;
        if let Some(link) = &mut self.link {
            link.write_now().await;
        }
        goes_on.map(|()| Ok(carried))
    }

    /// What the host holds for the session, as a guest is told.
    fn outstanding(&self) -> Outstanding {
        let at = |at: &Instant| u64::try_from(at.duration_since(self.began).as_nanos()).unwrap_or(u64::MAX);
        let mut timers: Vec<_> = self.timers.iter().map(|(id, due)| (*id, at(due))).collect();
        timers.sort_unstable();
        Outstanding {
            calls: self.calls.outstanding(),
            server_requests: self.requests.ids(),
            exchanges: self.exchanges.as_ref().map(Exchanges::ids).unwrap_or_default(),
            timers,
        }
    }

    fn carried(&self, outstanding: &Outstanding) -> Carried {
        Carried {
            calls: outstanding.calls.iter().filter(|(id, ..)| self.calls.is_awaited(*id)).count(),
            waiting_calls: self.waiting.len(),
            server_requests: outstanding.server_requests.len(),
            exchanges: outstanding.exchanges.len(),
            timers: outstanding.timers.len(),
            partial_frame: self.link.as_ref().map_or(0, Link::unread),
            ..Carried::default()
        }
    }

    /// Whether the new guest goes on with all that somebody waits for.
    fn check_restored(&self, effects: &[Effect]) -> Result<(), NotHandedOver> {
        let broke = |detail: String| Err(NotHandedOver::Failed(GuestFault::Boundary(detail)));
        let disowned = |what: String| Err(NotHandedOver::Disowned(what));
        for effect in effects {
            match effect {
                Effect::Complete { call, .. } if !self.calls.is_told(*call) => {
                    return broke(format!("it completed call {call}, which is not open"));
                }
                Effect::Complete { call, outcome: Outcome::Fault(fault) } if self.calls.is_awaited(*call) => {
                    return disowned(format!("given up call {call}: {}", self.plain(&fault.message)));
                }
                Effect::Abort(id) => match self.exchanges.as_ref().and_then(|exchanges| exchanges.call_of(*id)) {
                    None => return broke(format!("it aborted exchange {id}, which is not open")),
                    Some(Some(call)) if self.calls.is_awaited(call) => {
                        return disowned(format!("aborted the HTTP exchange of call {call}"));
                    }
                    Some(_) => {}
                },
                Effect::WithdrawServerRequest(id) if self.requests.is_open(*id) => {
                    return disowned(format!("withdrawn request {id} of the server"));
                }
                Effect::FreshProcess => return disowned("asked for another process".to_owned()),
                Effect::Disconnected(_) => return disowned("given the connection up".to_owned()),
                Effect::Ready { .. } if self.is_ready => return broke("it said twice that it is ready".to_owned()),
                _ => {}
            }
        }
        Ok(())
    }

    fn tell_handed_over(&self) {
        tracing::Span::current().record("guest", tracing::field::display(&self.component));
        let mut info = None;
        self.state.send_if_modified(|state| {
            let State::Ready(known) = state else { return false };
            let now = Arc::new(SessionInfo { guest: self.component.to_string(), ..(**known).clone() });
            *known = now.clone();
            info = Some(now);
            true
        });
        self.birth.observer.handed_over(&self.component, info.as_ref());
    }
}

/// A guest that has gone on from a snapshot.
struct Restored {
    runner: Runner,
    effects: Vec<Effect>,
    /// Bytes of the snapshot.
    snapshot: usize,
}

enum Failure {
    /// The present guest is gone.
    Present(GuestFault),
    /// The present one goes on.
    Next(NotHandedOver),
}

async fn restore(
    present: &mut Runner,
    format: String,
    component: &Component,
    standing: Standing,
    outstanding: Outstanding,
) -> Result<Restored, Failure> {
    let failed = |fault| Failure::Next(NotHandedOver::Failed(fault));
    let state = present.snapshot(format).await.map_err(Failure::Present)?;
    let state = state.map_err(|reason| Failure::Next(NotHandedOver::Snapshot(reason)))?;
    let snapshot = state.len();
    let mut runner = Runner::new(component, standing).await.map_err(failed)?;
    let effects = runner.restore(state, outstanding).await.map_err(failed)?;
    let effects = effects.map_err(|reason| Failure::Next(NotHandedOver::Restore(reason)))?;
    Ok(Restored { runner, effects, snapshot })
}
