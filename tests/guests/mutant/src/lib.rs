//! The default guest with one thing wrong, for the tests that have to notice.
//!
//! A test that compares two clients is worth what it finds. So this guest wraps the engine and does one thing wrong, once: which
//! thing, and the how-manieth time, is drawn from a seed, see `Mutation`. The engine itself has no hook for this.
//!
//! The seed comes in the *revision* of the settings, as `mutation 7`; the engine is then told none. Without a seed nothing is
//! wrong, so that a difference is the mutation's and not the wrapper's.

#![cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "only the component exports it"))]

mod mutation;

use std::cell::RefCell;

use innkeeper_guest::Client;
use innkeeper_guest::boundary::{Effect, Event, Guest, GuestInfo, Instant, Outstanding, RestoreError, SnapshotError};

use crate::mutation::Mutation;

/// What the revision begins with where there is a seed.
const PREFIX: &str = "mutation ";

thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(State { client: Client::new(), mutation: None }) };
}

struct State {
    client: Client,
    mutation: Option<Mutation>,
}

impl State {
    fn handle(&mut self, now: Instant, mut events: Vec<Event>) -> Vec<Effect> {
        for event in &mut events {
            let Event::Open(settings) = event else { continue };
            let seed = settings.revision.as_deref().and_then(|revision| revision.strip_prefix(PREFIX)?.parse().ok());
            if let Some(seed) = seed {
                settings.revision = None;
                self.mutation = Some(Mutation::new(seed));
            }
        }
        let Some(mutation) = &mut self.mutation else { return self.client.handle(now, events) };
        mutation.change_events(&mut events);
        // Ranges in the effects refer to the events, and some mutations to what the ranges hold.
        let frames = events.clone();
        let effects = self.client.handle(now, events);
        mutation.change_effects(effects, &frames)
    }
}

struct Mutant;

impl Guest for Mutant {
    fn describe() -> GuestInfo {
        GuestInfo {
            name: env!("CARGO_PKG_NAME").into(),
            snapshot_formats: Vec::new(),
            restorable_formats: Vec::new(),
            ..Client::describe()
        }
    }

    fn handle(now: Instant, events: Vec<Event>) -> Vec<Effect> {
        STATE.with_borrow_mut(|state| state.handle(now, events))
    }

    // No mutant is replaced while it lives.

    fn snapshot(_format: String) -> Result<Vec<u8>, SnapshotError> {
        Err(SnapshotError::UnknownFormat)
    }

    fn restore(_state: Vec<u8>, _outstanding: Outstanding) -> Result<Vec<Effect>, RestoreError> {
        Err(RestoreError::UnknownFormat)
    }
}

#[cfg(target_family = "wasm")]
innkeeper_guest::bindings::export!(Mutant with_types_in innkeeper_guest::bindings);
