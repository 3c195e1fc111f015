//! A guest like any other, but that it asks for the time instead of being told.
//!
//! That import is its one fault, so that a host which takes it has failed to
//! check imports and nothing else. It is the import that a guest built for a
//! target with WASI would have.

use crate::bindings::exports::innkeeper::guest::client::{
    Effect, Event, Guest, GuestInfo, Instant, LogLevel, LogLine, Outstanding, RestoreError, SnapshotError,
};
use crate::bindings::wasi::clocks::monotonic_clock;

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package innkeeper:importing;

            world importing {
                import wasi:clocks/monotonic-clock@0.2.0;
                include innkeeper:guest/guest@0.1.0;
            }

            package wasi:clocks@0.2.0 {
                interface monotonic-clock {
                    now: func() -> u64;
                }
            }
        ",
        world: "innkeeper:importing/importing",
        generate_all,
    });
}

struct Importing;

impl Guest for Importing {
    fn describe() -> GuestInfo {
        GuestInfo {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            revisions: Vec::new(),
            snapshot_formats: Vec::new(),
            restorable_formats: Vec::new(),
            headers: Vec::new(),
            extensions: Vec::new(),
        }
    }

    fn handle(_now: Instant, _events: Vec<Event>) -> Vec<Effect> {
        // An import that nothing calls does not get into the module.
        let message = format!("it is {}", monotonic_clock::now());
        vec![Effect::Log(LogLine { level: LogLevel::Info, message })]
    }

    fn snapshot(_format: String) -> Result<Vec<u8>, SnapshotError> {
        Err(SnapshotError::UnknownFormat)
    }

    fn restore(_state: Vec<u8>, _outstanding: Outstanding) -> Result<Vec<Effect>, RestoreError> {
        Err(RestoreError::UnknownFormat)
    }
}

#[cfg(target_family = "wasm")]
bindings::export!(Importing with_types_in bindings);
