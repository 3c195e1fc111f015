//! The engine as a component.
//!
//! A host instantiates the component once per session and never calls into an
//! instance from two places at a time, so one cell holds the whole of it. The
//! target has no threads: there a thread-local is a plain static, without the
//! `unsafe` that a `static mut` would take.

use crate::Client;
use crate::boundary::{Effect, Event, Guest, GuestInfo, Instant, Outstanding, RestoreError, SnapshotError};
use std::cell::RefCell;

thread_local! {
    static CLIENT: RefCell<Client> = const { RefCell::new(Client::new()) };
}

struct Component;

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

#[expect(unreachable_pub, reason = "generated")]
mod exports {
    use super::Component;

    crate::bindings::export!(Component with_types_in crate::bindings);
}
