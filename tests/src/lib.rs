//! The harness of the end-to-end tests.
//!
//! What belongs where:
//!
//! - Unit tests of the engine and of a module of the host stand in their own
//!   crates, beside the code.
//! - `tests/tests/` holds what needs the host, a guest and a server together. A
//!   file is a subject; a test is a sentence.
//! - Here is what those tests share. [`awkward`] lists the ways in which a server
//!   can misbehave; one process, `awkward-server`, has them all. [`artifacts`]
//!   finds what `cargo xtask` built and installed. [`in_process`] has servers that
//!   need no process, [`http`] one that writes exact bytes, [`remote`] one of MCP over it, and
//!   [`listening`] starts those that nobody here wrote. [`crowd`] has many of them at once, each with a call under way. [`faulty`] has the guest that misbehaves. [`processes`] finds
//!   processes that a run has left behind, by a mark or by who started them.
//!   [`hosting`] runs a host in a process of its own, which may be killed, and in
//!   which a test may do what harms others. [`schema_arguments`] makes arguments for
//!   a tool from its schema. [`figures`] prints what benchmarks measure.
//! - `tests/guests/` holds guests that misbehave, `tests/servers/` the pins of
//!   servers that nobody here wrote.
//!
//! No test sleeps to wait for something to happen: it waits for the thing. No
//! test is skipped for something that is not installed: it fails and says which
//! task installs it.

pub mod artifacts;
pub mod awkward;
pub mod candidate;
pub mod crowd;
pub mod faulty;
pub mod figures;
pub mod hosting;
pub mod http;
pub mod in_process;
pub mod listening;
pub mod processes;
pub mod remote;
pub mod schema_arguments;

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// So do those of the guide to writing a guest.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guests.md")]
pub struct Guests;
