//! The default guest with one thing added: secrets in results are masked.
//!
//! What a tool returns goes to a model, and from there anywhere. This guest puts
//! `[mail]`, `[token]` and `[card]` in place of mail addresses, access tokens and
//! numbers of payment cards before a result leaves it, logs how many there were,
//! and carries the count over when it is replaced. All else is the engine's:
//! protocol, calls, transports, pages.
//!
//! It looks at results only. Errors, progress, notifications and requests of the
//! server pass as they are; whoever wants those masked too begins in
//! [`Client::handle`]. And it knows patterns, not meaning: it is an example of a
//! guest, and no promise that nothing gets out.
//!
//! `patterns` finds secrets in a text, `json` finds the texts in a result,
//! `results` finds the bytes of a result, and `snapshot` is what a successor has to
//! know. This file joins [`Client`], which is plain Rust, to the component model.

mod client;
mod json;
mod patterns;
mod results;
mod snapshot;

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
