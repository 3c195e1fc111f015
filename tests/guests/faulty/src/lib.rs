//! A guest that misbehaves on demand, for the tests of the host.
//!
//! It speaks no protocol. It is ready as soon as there is a connection, sends
//! nothing by itself, and does with a call what the *method* says: an honest
//! thing or a fault, see `methods`. What goes wrong outside a call is chosen
//! by the *revision* in the settings, see `Mode`. So one component and any
//! transport serve every test of what the host does about a guest.

mod methods;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::bindings::exports::innkeeper::guest::client::{
    Answer, CallId, Effect, Event, FaultKind, Guest, GuestInfo, Instant, Outstanding, RestoreError, Segment,
    ServerRequestId, SessionInfo, Settings, SnapshotError,
};

mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "guest" });
}

const SNAPSHOT_FORMAT: &str = "faulty/1";

/// More than a host takes by default, which is 8 MiB.
const HUGE_SNAPSHOT: usize = 9 << 20;

/// What goes wrong outside a call. Survives a change of guest.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    /// Nothing. Any revision that is not the name of a fault.
    #[default]
    Honest,
    /// Never returns from the event `open`.
    SpinOnOpen,
    /// Traps in the event `open`.
    TrapOnOpen,
    /// Is never ready.
    NeverReady,
    /// Is ready before there is a connection.
    ReadyTooSoon,
    /// Traps when asked for a snapshot.
    TrapInSnapshot,
    /// Never returns from `snapshot`.
    SpinInSnapshot,
    /// Gives a snapshot that is larger than a host takes.
    HugeSnapshot,
    /// Has no snapshot to give at any time.
    SnapshotNotNow,
    /// Gives a snapshot on which its successor traps.
    TrapInRestore,
    /// Gives a snapshot that its successor refuses.
    RefuseRestore,
}

impl Mode {
    const NAMES: [(Self, &str); 10] = [
        (Self::SpinOnOpen, "spin-on-open"),
        (Self::TrapOnOpen, "trap-on-open"),
        (Self::NeverReady, "never-ready"),
        (Self::ReadyTooSoon, "ready-too-soon"),
        (Self::TrapInSnapshot, "trap-in-snapshot"),
        (Self::SpinInSnapshot, "spin-in-snapshot"),
        (Self::HugeSnapshot, "huge-snapshot"),
        (Self::SnapshotNotNow, "snapshot-not-now"),
        (Self::TrapInRestore, "trap-in-restore"),
        (Self::RefuseRestore, "refuse-restore"),
    ];

    fn of(name: &str) -> Self {
        Self::NAMES.into_iter().find(|(_, known)| *known == name).map_or(Self::Honest, |(mode, _)| mode)
    }

    fn name(self) -> &'static str {
        Self::NAMES.into_iter().find(|(mode, _)| *mode == self).map_or("honest", |(_, name)| name)
    }
}

#[derive(Default)]
struct State {
    mode: Mode,
    /// Calls that wait for their cancellation or the end, honestly.
    held: BTreeSet<CallId>,
    /// Calls that wait for the next connection, honestly.
    restarting: Vec<CallId>,
    /// Calls that wait for the platform's answer to a request, by its id.
    asking: BTreeMap<ServerRequestId, CallId>,
    /// Memory that was asked for and is not given back.
    kept: Vec<Vec<u8>>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

impl State {
    fn handle(&mut self, event: &Event, index: u32, effects: &mut Vec<Effect>) {
        match event {
            Event::Open(settings) => self.open(settings, effects),
            Event::Started(_) if self.mode != Mode::NeverReady => {
                effects.push(self.ready());
                let restarting = std::mem::take(&mut self.restarting);
                effects.extend(restarting.into_iter().map(|id| methods::complete(id, methods::bytes("null"))));
            }
            Event::Call(call) => methods::perform(call, index, self, effects),
            Event::CancelCall(id) => {
                let held = self.held.remove(id);
                effects.extend(held.then(|| methods::fail(*id, FaultKind::Cancelled)));
            }
            Event::ServerResponse(response) => {
                let answer = match &response.answer {
                    Answer::Result(json) | Answer::Error(json) => json.clone(),
                    Answer::Refused => b"\"refused\"".to_vec(),
                };
                let asking = self.asking.remove(&response.id);
                effects.extend(asking.map(|id| methods::complete(id, vec![Segment::Bytes(answer)])));
            }
            Event::Exited(_) | Event::Close => {
                let held = std::mem::take(&mut self.held).into_iter();
                let asking = std::mem::take(&mut self.asking).into_values();
                effects.extend(held.chain(asking).map(|id| methods::fail(id, FaultKind::Disconnected)));
            }
            _ => {}
        }
    }

    fn ready(&self) -> Effect {
        Effect::Ready(SessionInfo { revision: self.mode.name().into(), peer: methods::bytes("{}") })
    }

    fn open(&mut self, settings: &Settings, effects: &mut Vec<Effect>) {
        self.mode = settings.revision.as_deref().map_or(Mode::Honest, Mode::of);
        match self.mode {
            Mode::ReadyTooSoon => effects.push(self.ready()),
            Mode::SpinOnOpen => methods::spin(),
            Mode::TrapOnOpen => methods::trap(),
            _ => {}
        }
    }
}

struct Faulty;

impl Guest for Faulty {
    fn describe() -> GuestInfo {
        GuestInfo {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            revisions: Vec::new(),
            snapshot_formats: vec![SNAPSHOT_FORMAT.into()],
            restorable_formats: vec![SNAPSHOT_FORMAT.into()],
            headers: Vec::new(),
            extensions: Vec::new(),
        }
    }

    fn handle(_now: Instant, events: Vec<Event>) -> Vec<Effect> {
        let mut effects = Vec::new();
        STATE.with_borrow_mut(|state| {
            for (index, event) in (0..).zip(&events) {
                state.handle(event, index, &mut effects);
            }
        });
        effects
    }

    fn snapshot(_format: String) -> Result<Vec<u8>, SnapshotError> {
        let mode = STATE.with_borrow(|state| state.mode);
        match mode {
            Mode::TrapInSnapshot => methods::trap(),
            Mode::SpinInSnapshot => methods::spin(),
            Mode::HugeSnapshot => Ok(vec![b'x'; HUGE_SNAPSHOT]),
            Mode::SnapshotNotNow => Err(SnapshotError::NotNow("it never is the time".into())),
            mode => Ok(mode.name().into()),
        }
    }

    fn restore(state: Vec<u8>, outstanding: Outstanding) -> Result<Vec<Effect>, RestoreError> {
        let mode = Mode::of(&String::from_utf8_lossy(&state));
        match mode {
            Mode::TrapInRestore => methods::trap(),
            Mode::RefuseRestore => return Err(RestoreError::Malformed("it was to be refused".into())),
            _ => {}
        }
        let held = outstanding.calls.iter().map(|call| call.id).collect();
        STATE.set(State { mode, held, ..State::default() });
        Ok(Vec::new())
    }
}

#[cfg(target_family = "wasm")]
bindings::export!(Faulty with_types_in bindings);
