//! The engine as others see it.

use crate::boundary::{
    DisconnectCause, Effect, Event, GuestInfo, Instant, Outstanding, RestoreError, Settings, SnapshotError,
};
use crate::effects::Effects;
use crate::revision::Revision;
use crate::session::{self, Session};
use crate::settings;
use crate::state::{FORMAT, RESTORABLE, State};
use crate::transport::http::headers;

/// The client side of one MCP session, as a state machine.
///
/// It keeps the duties that `innkeeper:guest` lays on a guest: every call is
/// completed exactly once, whatever the server does and in whatever order events
/// come; only open ids are named; and equal events give equal effects. It never
/// panics, and its time is linear in the size of a batch.
#[derive(Debug)]
pub struct Client {
    state: State,
}

impl Client {
    /// A client that waits for [`Event::Open`].
    #[must_use]
    pub const fn new() -> Self {
        Client { state: State::Unopened }
    }

    /// Takes events in order, and returns what the host is to do, in order.
    ///
    /// Ranges in the effects refer to `events`, so whoever applies the effects keeps
    /// a copy of what the events carried. `now` only matters to the timers that are
    /// set, which are those of streams of HTTP that are to be taken up again.
    pub fn handle(&mut self, now: Instant, events: Vec<Event>) -> Vec<Effect> {
        let mut effects = Effects::new(now);
        for (index, event) in (0_u32..).zip(events) {
            match (&mut self.state, event) {
                (State::Unopened, Event::Open(settings)) => self.open(&mut effects, settings),
                (State::Open(session), Event::Close) => {
                    session.close(&mut effects);
                    self.state = State::Over;
                }
                (State::Open(session), event) => session.handle(&mut effects, index, event),
                (State::Unopened, Event::Close) => self.state = State::Over,
                (State::Unopened | State::Over, Event::Call(call)) => {
                    effects.fail(call.id, session::closed());
                }
                (State::Unopened | State::Over, _) => {}
            }
        }
        effects.into_list()
    }

    /// The format of the snapshots that this client writes.
    pub const SNAPSHOT_FORMAT: &str = FORMAT;

    /// The whole state, for [`restore`](Self::restore) in this or another guest.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::UnknownFormat`] for any but [`SNAPSHOT_FORMAT`](Self::SNAPSHOT_FORMAT). Every state of this client
    /// can be carried over.
    pub fn snapshot(&self, format: &str) -> Result<Vec<u8>, SnapshotError> {
        if format == FORMAT { self.state.write() } else { Err(SnapshotError::UnknownFormat) }
    }

    /// A client that continues from a snapshot, and what the host is to do at once.
    ///
    /// Where `outstanding` is what the state says, there is nothing to do, and the
    /// new client behaves as the old one would have. Calls that only the host knows
    /// are completed with a fault; calls that only the state knows are forgotten.
    ///
    /// # Errors
    ///
    /// [`RestoreError::UnknownFormat`] and [`RestoreError::Malformed`].
    pub fn restore(state: &[u8], outstanding: Outstanding) -> Result<(Self, Vec<Effect>), RestoreError> {
        let mut state = State::read(state)?;
        // The time is not told here. What is begun again is due at once, then.
        let mut effects = Effects::new(0);
        if let State::Open(session) = &mut state {
            session.reconcile(&mut effects, &outstanding);
        } else {
            for call in outstanding.calls {
                effects.fail(call.id, session::unknown_to_the_state());
            }
        }
        Ok((Client { state }, effects.into_list()))
    }

    /// What this guest is.
    #[must_use]
    pub fn describe() -> GuestInfo {
        GuestInfo {
            name: "innkeeper-mcp".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revisions: Revision::ALL.map(|revision| revision.name().to_owned()).to_vec(),
            snapshot_formats: vec![FORMAT.to_owned()],
            restorable_formats: RESTORABLE.map(str::to_owned).to_vec(),
            headers: headers::ALL.map(str::to_owned).to_vec(),
            extensions: Vec::new(),
        }
    }

    fn open(&mut self, effects: &mut Effects, settings: Settings) {
        let kind = settings.transport;
        self.state = match settings::Settings::check(settings) {
            Ok(settings) => {
                let mut session = Box::new(Session::new(settings, kind));
                session.opened(effects);
                State::Open(session)
            }
            Err(fault) => {
                effects.disconnect(DisconnectCause::Fault(fault));
                State::Over
            }
        };
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}
