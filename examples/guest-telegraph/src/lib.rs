//! A guest for the telegraph, a protocol invented for this example.
//!
//! It is complete: calls, progress, cancellation, news in both directions,
//! requests of the server, and a change of guest in mid-call. It is written from
//! the WIT package alone and depends on nothing else, and nothing in it knows
//! MCP or JSON-RPC. `README.md` tells the protocol and walks through the code.
//!
//! This file joins [`Client`], which is plain Rust, to the component model. What
//! the telegraph says on the wire is in `wire`, what a successor must know in
//! `snapshot`.

mod client;
mod snapshot;
mod wire;

use std::cell::RefCell;

pub use crate::bindings::exports::innkeeper::guest::client as boundary;
pub use crate::client::Client;

use crate::boundary::{Effect, Event, Guest, GuestInfo, Instant, Outstanding, RestoreError, SnapshotError};

#[allow(missing_docs, clippy::allow_attributes_without_reason, reason = "generated code")]
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "guest",
        additional_derives: [PartialEq],
    });
}

/// The component. The host makes one instance per session and never calls it from two places, so one client is enough.
struct Component;

thread_local! {
    static CLIENT: RefCell<Client> = RefCell::default();
}

impl Guest for Component {
    fn describe() -> GuestInfo {
        GuestInfo {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            revisions: vec![wire::REVISION.into()],
            snapshot_formats: vec![snapshot::FORMAT.into()],
            restorable_formats: vec![snapshot::FORMAT.into()],
            headers: Vec::new(),
            extensions: Vec::new(),
        }
    }

    fn handle(_now: Instant, events: Vec<Event>) -> Vec<Effect> {
        CLIENT.with_borrow_mut(|client| client.handle(&events))
    }

    fn snapshot(format: String) -> Result<Vec<u8>, SnapshotError> {
        if format != snapshot::FORMAT {
            return Err(SnapshotError::UnknownFormat);
        }
        Ok(CLIENT.with_borrow(Client::snapshot))
    }

    fn restore(state: Vec<u8>, outstanding: Outstanding) -> Result<Vec<Effect>, RestoreError> {
        let (client, effects) = Client::restore(&state, &outstanding)?;
        CLIENT.set(client);
        Ok(effects)
    }
}

// Natively there is no host to export to: the tests use `Client`.
#[cfg(target_family = "wasm")]
bindings::export!(Component with_types_in bindings);
