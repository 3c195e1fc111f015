//! Guests: the wasm engine, components, and one instance per session.
//!
//! This module runs guests and meters them. It does not know what their effects mean: applying them is the session's work.
//! Embedders meet [`Component`] and [`ComponentSource`]; [`Instance`] and the boundary types are for those who test,
//! record or simulate guests without a session.
//!
//! | file | what it holds |
//! |---|---|
//! | `boundary` | events and effects, the same for every version of the WIT package |
//! | `bindings` | one frozen module per released version of the WIT package |
//! | `engine` | the wasmtime engine, with a reason for every knob |
//! | `component` | loading, checking and compiling components |
//! | `codes` | compiled code: once for equal bytes, few at a time, bounded |
//! | `instance` | one guest: its `Store`, its memory, its bounds |
//! | `meter` | CPU and wall-clock budget of a burst |
//! | `ticker` | the thread that advances the epoch while guests run |
//! | `background` | those threads, for work of the host's |
//! | `workers` | the low-priority threads that slow bursts move to |
//! | `turns` | whose burst they take next: tenants in turn |
//! | `standing` | which sessions of a tenant begin their bursts there |
//! | `runner` | where a burst runs: first slice here, the rest there |

mod background;
mod bindings;
pub mod boundary;
mod codes;
mod component;
mod engine;
mod fault;
mod instance;
mod meter;
mod runner;
mod standing;
mod ticker;
mod turns;
mod workers;

pub use component::{Component, ComponentSource};
pub use fault::GuestFault;
pub use instance::Instance;

pub(crate) use background::Background;
pub(crate) use engine::GuestEngine;
pub(crate) use runner::{Batch, Runner};
pub(crate) use standing::Standing;
