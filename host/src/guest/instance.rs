//! One guest: an instance of a component with its own `Store` and memory.
//!
//! An instance is touched by one owner at a time and is consumed by its first fault. Its methods are bursts: they run until
//! the guest returns, yield at ticks, and end the guest when it exceeds its budget.

use std::sync::Arc;

use wasmtime::{Engine, ResourceLimiter, Store, Trap};

use super::{
    Component, GuestFault,
    bindings::Exports,
    boundary::{Effect, Event, GuestInfo, Outstanding, RestoreError, SnapshotError},
    component::Code,
    engine::GuestEngine,
    meter::{Exceeded, Meter, SliceClock},
    ticker::BurstGuard,
};
use crate::Limits;

/// Instances, memories and tables that a component may consist of: what `wit-component` makes of one core module, with
/// adapters, and some room.
const INSTANCES: usize = 16;
const MEMORIES: usize = 1;
const TABLES: usize = 8;

/// Entries of a table: function pointers of a guest. A large Rust guest has some thousands.
const TABLE_ENTRIES: usize = 100_000;

/// Handles of resources. The boundary has none.
const HANDLES: usize = 16;

/// What a batch of effects may take beyond one largest frame or result: the effects themselves.
const EFFECTS: usize = 1024 * 1024;

/// A running guest.
pub struct Instance {
    store: Store<State>,
    exports: Exports,
    engine: Arc<GuestEngine>,
}

/// What belongs to a `Store`: its bounds.
pub(super) struct State {
    meter: Meter,
    most_memory: usize,
    memory_denied: bool,
    /// Bytes that it has.
    memory: usize,
}

impl Instance {
    /// Instantiates a component.
    ///
    /// # Errors
    ///
    /// Returns how the guest failed, if its start function trapped or exceeded its budget.
    pub async fn new(component: &Component) -> Result<Self, GuestFault> {
        let code = component.code();
        Self::instantiate(code, code.store()).await
    }

    pub(super) async fn instantiate(code: &Code, mut store: Store<State>) -> Result<Self, GuestFault> {
        let _ticking = code.engine.ticker.burst();
        store.data_mut().begin();
        store.set_epoch_deadline(1);
        match code.linked.instantiate(&mut store).await {
            Ok(exports) => Ok(Self { store, exports, engine: code.engine.clone() }),
            Err(error) => Err(fault(&store, &error)),
        }
    }

    /// What the guest says of itself.
    ///
    /// # Errors
    ///
    /// Returns how the guest failed; it must not be called again.
    pub async fn describe(&mut self) -> Result<GuestInfo, GuestFault> {
        let _ticking = self.begin();
        self.exports.describe(&mut self.store).await.map_err(|error| fault(&self.store, &error))
    }

    /// Gives a batch of events to the guest, and returns what the host is to do. `now` is in nanoseconds of the session's
    /// clock.
    ///
    /// # Errors
    ///
    /// Returns how the guest failed; it must not be called again.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the future ends the guest's computation half-way: the instance must be dropped too.
    pub async fn handle(&mut self, now: u64, events: &[Event]) -> Result<Vec<Effect>, GuestFault> {
        let _ticking = self.begin();
        self.exports.handle(&mut self.store, now, events).await.map_err(|error| fault(&self.store, &error))
    }

    /// The guest's whole state, in one of the formats that it writes, or why it gives none.
    ///
    /// # Errors
    ///
    /// Returns how the guest failed; it must not be called again.
    pub async fn snapshot(&mut self, format: &str) -> Result<Result<Vec<u8>, SnapshotError>, GuestFault> {
        let _ticking = self.begin();
        let snapshot = self.exports.snapshot(&mut self.store, format).await;
        let snapshot = snapshot.map_err(|error| fault(&self.store, &error))?;
        let limit = self.engine.limits.snapshot;
        Ok(snapshot.and_then(|snapshot| match snapshot.len() {
            bytes if bytes > limit => Err(SnapshotError::TooLarge { bytes, limit }),
            _ => Ok(snapshot),
        }))
    }

    /// Continues from a snapshot of another guest, or says why it does not.
    ///
    /// # Errors
    ///
    /// Returns how the guest failed; it must not be called again.
    pub async fn restore(
        &mut self,
        state: &[u8],
        outstanding: &Outstanding,
    ) -> Result<Result<Vec<Effect>, RestoreError>, GuestFault> {
        let _ticking = self.begin();
        self.exports.restore(&mut self.store, state, outstanding).await.map_err(|error| fault(&self.store, &error))
    }

    /// Bytes of the guest's memory, which only grows.
    pub(super) fn memory(&self) -> usize {
        self.store.data().memory
    }

    pub(super) fn clock(&self) -> SliceClock {
        self.store.data().meter.clock()
    }

    /// Begins a burst: while the guard lives, the epoch advances.
    fn begin(&mut self) -> BurstGuard {
        self.store.data_mut().begin();
        self.store.set_epoch_deadline(1);
        self.engine.ticker.burst()
    }
}

/// A store for one instance, with all its bounds set.
pub(super) fn store(engine: &Engine, limits: &Limits) -> Store<State> {
    let state = State { meter: Meter::new(limits), most_memory: limits.guest_memory, memory_denied: false, memory: 0 };
    let mut store = Store::new(engine, state);
    store.limiter(|state| state);
    store.epoch_deadline_callback(|mut context| context.data_mut().meter.tick().map_err(wasmtime::Error::new));
    let largest = limits.frame.max(limits.gathered_result).max(limits.snapshot);
    store.set_hostcall_fuel(largest.saturating_add(EFFECTS));
    store.set_max_component_handles(HANDLES);
    store
}

impl State {
    pub(super) fn clock(&self) -> SliceClock {
        self.meter.clock()
    }

    fn begin(&mut self) {
        self.meter.begin_burst();
        self.memory_denied = false;
    }
}

fn fault(store: &Store<State>, error: &wasmtime::Error) -> GuestFault {
    if let Some(exceeded) = error.downcast_ref::<Exceeded>() {
        return exceeded.0.clone();
    }
    let message = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => format!("{error:#}"),
    };
    let state = store.data();
    if state.memory_denied { GuestFault::Memory(state.most_memory, message) } else { GuestFault::Trap(message) }
}

impl ResourceLimiter for State {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let granted = desired <= self.most_memory;
        self.memory_denied |= !granted;
        if granted {
            self.memory = desired;
        }
        Ok(granted)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ENTRIES)
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }

    fn tables(&self) -> usize {
        TABLES
    }
}
