//! The default guest of Innkeeper: an MCP client as a state machine.
//!
//! A *guest* is the client logic of one session. It is told what happened, as a
//! list of [events](boundary::Event), and answers with what is to be done, as a
//! list of [effects](boundary::Effect). It owns no process, socket, clock or
//! secret, never blocks, and is a deterministic function of its events; that is
//! what lets a host meter it, kill it, and move it to another guest between two
//! events.
//!
//! [`Client`] is that state machine as an ordinary type: no wasm, no async
//! runtime and no I/O are needed to run, test or fuzz it. The types at its edge
//! are the ones generated from the WIT package `innkeeper:guest`, so that no
//! second set of types has to be kept equal to them.
//!
//! ```
//! use innkeeper_guest::Client;
//! use innkeeper_guest::boundary::{Effect, Event, Limits, Settings, TransportKind};
//!
//! let mut client = Client::new();
//! let effects = client.handle(
//!     0,
//!     vec![
//!         Event::Open(Settings {
//!             transport: TransportKind::Stream,
//!             revision: None,
//!             client_info: br#"{"name":"example","version":"1.0.0"}"#.to_vec(),
//!             capabilities: b"{}".to_vec(),
//!             shared: false,
//!             limits: Limits {
//!                 max_frame: 16 << 20,
//!                 max_result: 16 << 20,
//!                 max_pages: 100,
//!                 max_server_requests: 16,
//!             },
//!         }),
//!         Event::Started(1),
//!     ],
//! );
//!
//! // A process is there, so the client opens the handshake.
//! assert!(matches!(&effects[..], [Effect::Write(_)]));
//! ```
//!
//! # What is spoken
//!
//! The revisions of MCP that begin with a handshake (2024-11-05, 2025-03-26,
//! 2025-06-18 and 2025-11-25), over a stream of frames, streamable HTTP, and the
//! HTTP+SSE of servers that have nothing newer. What belongs to one era or one
//! transport is in a module of its own: `handshake`, and those in `transport`.
//!
//! # A guest of one's own
//!
//! The feature `component` makes this crate itself a component. Whoever wants
//! the same protocol with something around it leaves the feature off, builds a
//! `cdylib` and exports a type of their own with [`export!`](bindings::export):
//!
//! ```
//! use innkeeper_guest::Client;
//! use innkeeper_guest::bindings::export;
//! use innkeeper_guest::boundary::{
//!     Effect, Event, Guest, GuestInfo, Instant, LogLevel, LogLine, Outstanding, RestoreError,
//!     SnapshotError,
//! };
//! use std::cell::RefCell;
//!
//! thread_local! {
//!     static CLIENT: RefCell<Client> = const { RefCell::new(Client::new()) };
//! }
//!
//! /// The default guest, which also says how large each batch was.
//! struct Chatty;
//!
//! impl Guest for Chatty {
//!     fn describe() -> GuestInfo {
//!         GuestInfo { name: "chatty".into(), ..Client::describe() }
//!     }
//!
//!     fn handle(now: Instant, events: Vec<Event>) -> Vec<Effect> {
//!         let message = format!("{} events", events.len());
//!         let mut effects = CLIENT.with_borrow_mut(|client| client.handle(now, events));
//!         effects.push(Effect::Log(LogLine { level: LogLevel::Trace, message }));
//!         effects
//!     }
//!
//!     fn snapshot(format: String) -> Result<Vec<u8>, SnapshotError> {
//!         CLIENT.with_borrow(|client| client.snapshot(&format))
//!     }
//!
//!     fn restore(state: Vec<u8>, held: Outstanding) -> Result<Vec<Effect>, RestoreError> {
//!         let (client, effects) = Client::restore(&state, held)?;
//!         CLIENT.set(client);
//!         Ok(effects)
//!     }
//! }
//!
//! # #[cfg(target_arch = "wasm32")]
//! export!(Chatty with_types_in innkeeper_guest::bindings);
//! # fn main() {}
//! ```

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on has failed"))]

mod calls;
mod client;
mod effects;
mod handshake;
mod incoming;
mod json;
mod jsonrpc;
mod pages;
mod params;
mod payload;
mod revision;
mod server_requests;
mod session;
mod settings;
mod state;
mod tally;
mod transport;

pub mod bindings;
#[cfg(feature = "checker")]
pub mod checker;
#[cfg(all(target_arch = "wasm32", feature = "component"))]
mod component;
#[cfg(feature = "checker")]
pub mod script;

pub use bindings::exports::innkeeper::guest::client as boundary;
pub use client::Client;
