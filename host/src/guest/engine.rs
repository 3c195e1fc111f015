//! The wasmtime engine: one function builds it, with a reason for every knob.

use std::sync::Arc;

use wasmtime::{Config, Engine, Strategy};

use super::{background::Background, codes::Codes, ticker::Ticker, workers::Workers};
use crate::{Error, Limits};

/// Stack of wasm code. The default guest recurses nowhere; 256 KiB leaves room for guests that parse recursively.
const WASM_STACK: usize = 256 * 1024;

/// Stack of the fiber that a burst runs on: the wasm stack and what wasmtime itself needs above it. Only touched pages are
/// resident.
const FIBER_STACK: usize = 2 * WASM_STACK;

/// What all guests of a runtime share.
pub(crate) struct GuestEngine {
    pub(super) engine: Engine,
    pub(super) ticker: Ticker,
    pub(super) workers: Arc<Workers>,
    pub(super) limits: Arc<Limits>,
    pub(super) codes: Codes,
}

impl GuestEngine {
    pub(crate) fn new(limits: Arc<Limits>) -> Result<Arc<Self>, Error> {
        let engine = build()
            .map_err(|error| Error::System { what: "starting the wasm engine", reason: format!("{error:#}") })?;
        let ticker = Ticker::start(engine.weak())
            .map_err(|error| Error::System { what: "starting the epoch thread", reason: error.to_string() })?;
        Ok(Arc::new(Self { engine, ticker, workers: Arc::new(Workers::new()), limits, codes: Codes::default() }))
    }

    /// The low-priority threads, for work of one tenant's.
    pub(crate) fn background(&self) -> Background {
        Background::new(self.workers.clone())
    }
}

fn build() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        // Cranelift only: the other compilers had escapes this year that it had not.
        .strategy(Strategy::Cranelift)
        // Bursts are interrupted by ticks. Fuel would be exact, at two to three times the cost.
        .epoch_interruption(true)
        // Guests are synchronous state machines. Concurrent calls of components cannot be cancelled one by one, and most of
        // the year's component advisories are there.
        .concurrency_support(false)
        // What no guest needs is not reachable: memories larger than 4 GiB or more than one. Garbage collection, exceptions
        // and threads are not compiled in.
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        // The same events give the same effects on every machine.
        .relaxed_simd_deterministic(true)
        .cranelift_nan_canonicalization(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        // A fresh guest maps its initial memory copy-on-write instead of writing it.
        .memory_init_cow(true)
        // Traps name their cause, not their call stack, which only the guest's author could read.
        .wasm_backtrace_max_frames(None);
    Engine::new(&config)
}
