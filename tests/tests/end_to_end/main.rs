//! End-to-end tests: host, guest and server together. One program for all of them, because each that is linked contains the
//! whole wasm engine.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod agent_platform;
mod command_line;
mod connections;
mod custom_guests;
mod differential;
mod dropped_calls;
mod endings;
mod fairness;
mod faulty_guests;
mod guarantees;
mod guest_states;
mod hostile_servers;
mod http;
mod invented_protocol;
mod native_and_wasm;
mod payloads;
mod platform;
mod policy;
mod processes;
mod real_servers;
mod reloads;
mod remote_servers;
mod replaced_clients;
mod sessions;
mod sources;
mod state_machine;
mod surface;
mod tools;
mod upgrades;
