//! The thread that advances the engine's epoch while a burst runs, and sleeps otherwise.
//!
//! A guest notices the time only through the epoch, so it must advance whenever wasm runs. A runtime without traffic should
//! not wake a hundred times a second, so the thread parks when no burst was running for a while. A burst pays one atomic
//! addition for this, and a system call only for the first one after a pause.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread::{self, Thread},
    time::Duration,
};

use wasmtime::EngineWeak;

/// Time between two ticks: the longest slice that a guest gets before somebody looks at it.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Ticks without a burst after which the thread parks. A second, so that steady traffic never pays for waking it.
const IDLE_TICKS: u32 = 100;

pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    bursts: AtomicUsize,
    parked: AtomicBool,
    stop: AtomicBool,
}

impl Ticker {
    pub(super) fn start(engine: EngineWeak) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let state = shared.clone();
        let thread = thread::Builder::new().name("innkeeper-epoch".into()).spawn(move || tick(&engine, &state))?;
        Ok(Self { shared, thread: thread.thread().clone() })
    }

    /// Keeps the epoch advancing until the returned guard is dropped.
    pub(super) fn burst(&self) -> BurstGuard {
        // Sequentially consistent on both sides: either this load sees the thread parked, or the thread's last look at
        // `bursts`, after it said that it parks, sees this addition.
        self.shared.bursts.fetch_add(1, SeqCst);
        if self.shared.parked.load(SeqCst) {
            self.thread.unpark();
        }
        BurstGuard(self.shared.clone())
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        self.thread.unpark();
    }
}

pub(super) struct BurstGuard(Arc<Shared>);

impl Drop for BurstGuard {
    fn drop(&mut self) {
        self.0.bursts.fetch_sub(1, SeqCst);
    }
}

fn tick(engine: &EngineWeak, shared: &Shared) {
    let mut idle = 0;
    while !shared.stop.load(SeqCst) {
        thread::sleep(TICK);
        let Some(engine) = engine.upgrade() else { return };
        engine.increment_epoch();
        drop(engine);

        idle = if shared.bursts.load(SeqCst) == 0 { idle + 1 } else { 0 };
        if idle >= IDLE_TICKS {
            shared.parked.store(true, SeqCst);
            while shared.bursts.load(SeqCst) == 0 && !shared.stop.load(SeqCst) {
                thread::park();
            }
            shared.parked.store(false, SeqCst);
            idle = 0;
        }
    }
}
