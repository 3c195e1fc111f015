//! Stands for a later version of the default guest.
//!
//! Whoever upgrades a guest under traffic has two versions of it, with other code
//! and other snapshots. This is the other one: it keeps statistics of the calls by
//! method and logs them when the session is closed, and its snapshots have a
//! format of their own with a shape of their own. It reads the formats of the
//! default guest, and writes the newest of them, so that a session goes from the
//! default guest to this one and back with all that is open.
//!
//! The protocol is the engine's, as it would be in a real second version. What is
//! shown here is the part around it: `statistics` is state of its own, `snapshot`
//! is how it gets into snapshots and what becomes of it where they have no place
//! for it. This file joins [`Client`], which is plain Rust, to the component model.

mod client;
mod snapshot;
mod statistics;

use std::cell::RefCell;

use innkeeper_guest::boundary::{Effect, Event, Guest, GuestInfo, Instant, Outstanding, RestoreError, SnapshotError};

pub use crate::client::Client;

/// The component. The host makes one instance per session and never calls it from two places, so one client is enough.
#[cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "only the component exports it"))]
struct Component;

thread_local! {
    static CLIENT: RefCell<Client> = const { RefCell::new(Client::new()) };
}

impl Guest for Component {
    fn describe() -> GuestInfo {
        Client::describe()
    }

    fn handle(now: Instant, events: Vec<Event>) -> Vec<Effect> {
        CLIENT.with_borrow_mut(|client| client.handle(now, events))
    }

    fn snapshot(format: String) -> Result<Vec<u8>, SnapshotError> {
        CLIENT.with_borrow(|client| client.snapshot(&format))
    }

    fn restore(state: Vec<u8>, outstanding: Outstanding) -> Result<Vec<Effect>, RestoreError> {
        let (client, effects) = Client::restore(&state, outstanding)?;
        CLIENT.set(client);
        Ok(effects)
    }
}

// Natively there is no host to export to: the tests use `Client`.
#[cfg(target_family = "wasm")]
innkeeper_guest::bindings::export!(Component with_types_in innkeeper_guest::bindings);
