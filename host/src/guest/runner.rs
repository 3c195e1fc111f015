//! Where a burst runs: its first slice on the thread of the session, the rest on the low-priority threads.
//!
//! Nearly every burst ends within microseconds, so the session's own thread is the fastest place for it. One that a tick
//! meets is moved, future and `Store`, and its session has a *strike*: its next bursts start on the low-priority threads,
//! until enough of them were short.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use tokio::{sync::oneshot, time::timeout};

use super::{
    Component, GuestFault, Instance,
    boundary::{Effect, Event, GuestInfo},
    component::Code,
    engine::GuestEngine,
    meter::SliceClock,
    workers::Job,
};

/// Short bursts in a row after which a session with a strike may run on its own thread again.
const REDEMPTION: u32 = 64;

/// How often guests of one component used up their budget, for one tenant. While there is any, its sessions start on the
/// low-priority threads: a guest that is restarted after each trap must not get a first slice each time.
#[derive(Clone, Default)]
pub(crate) struct Strikes(Arc<AtomicU32>);

/// Events and what the guest answered to them, together, because effects name parts of events.
pub(crate) struct Batch {
    pub(crate) events: Vec<Event>,
    pub(crate) effects: Vec<Effect>,
}

/// The guest of a session, and where it runs.
pub(crate) struct Runner {
    /// None after a fault, and while a burst runs.
    instance: Option<Instance>,
    placement: Placement,
    strikes: Strikes,
    engine: Arc<GuestEngine>,
}

enum Placement {
    Session,
    Workers { short: u32 },
}

impl Runner {
    pub(super) async fn start(code: &Arc<Code>, strikes: Strikes) -> Result<Self, GuestFault> {
        let placement = if strikes.0.load(Relaxed) == 0 { Placement::Session } else { Placement::Workers { short: 0 } };
        let mut runner = Self { instance: None, placement, strikes, engine: code.engine.clone() };

        // A start function is guest code like any other.
        let (code, store) = (code.clone(), code.store());
        let clock = store.data().clock();
        let instance = runner.burst(clock, async move { Instance::instantiate(&code, store).await }).await?;
        runner.instance = Some(runner.judge(instance)?);
        Ok(runner)
    }

    /// Instantiates a guest for a session.
    pub(crate) async fn new(component: &Component, strikes: Strikes) -> Result<Self, GuestFault> {
        Self::start(component.code(), strikes).await
    }

    pub(super) async fn describe(mut self) -> Result<GuestInfo, GuestFault> {
        let mut instance = self.instance.take().ok_or_else(gone)?;
        let clock = instance.clock();
        let info = self.burst(clock, async move { instance.describe().await }).await?;
        self.judge(info)
    }

    /// Gives a batch of events to the guest.
    ///
    /// Dropping the future ends the guest.
    pub(crate) async fn handle(&mut self, now: u64, events: Vec<Event>) -> Result<Batch, GuestFault> {
        let mut instance = self.instance.take().ok_or_else(gone)?;
        let clock = instance.clock();
        let (instance, events, result) = self
            .burst(clock, async move {
                let result = instance.handle(now, &events).await;
                (instance, events, result)
            })
            .await?;
        let effects = self.judge(result)?;
        self.instance = Some(instance);
        Ok(Batch { events, effects })
    }

    /// False after a fault.
    pub(crate) fn is_alive(&self) -> bool {
        self.instance.is_some()
    }

    /// Counts a budget that was used up against the component.
    fn judge<T>(&self, result: Result<T, GuestFault>) -> Result<T, GuestFault> {
        if let Err(GuestFault::CpuTime(_)) = result {
            self.strikes.0.fetch_add(1, Relaxed);
        }
        result
    }

    async fn burst<T: Send + 'static>(
        &mut self,
        clock: SliceClock,
        burst: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, GuestFault> {
        let mut burst: Pin<Box<dyn Future<Output = T> + Send>> = Box::pin(burst);
        clock.reset();

        if let Placement::Session = self.placement {
            let mut context = Context::from_waker(Waker::noop());
            if let Poll::Ready(result) = burst.as_mut().poll(&mut context) {
                return Ok(result);
            }
            self.placement = Placement::Workers { short: 0 };
        }

        let (sender, receiver) = oneshot::channel();
        let abandoned = Arc::new(AtomicBool::new(false));
        let mut slices = 0_u32;
        let job = async move {
            let result = std::future::poll_fn(|context| {
                slices += 1;
                burst.as_mut().poll(context)
            })
            .await;
            // Nobody may be waiting any more; then the guest is dropped here.
            let _ = sender.send((result, slices));
        };
        let _abandon = AbandonOnDrop(abandoned.clone());
        self.engine.workers.submit(Job { burst: Box::pin(job), clock, abandoned });

        // The meter ends a guest that runs for too long. This limit is for one that does not get to run.
        let limit = self.engine.limits.guest_wall;
        match timeout(limit, receiver).await {
            Ok(Ok((result, slices))) => {
                self.note_slices(slices);
                Ok(result)
            }
            Ok(Err(_)) => Err(GuestFault::Trap("the burst was dropped by the engine".to_owned())),
            // Not a strike: it had no turn, which says nothing of the guest.
            Err(_) => Err(GuestFault::WallClock(limit)),
        }
    }

    fn note_slices(&mut self, slices: u32) {
        if let Placement::Workers { short } = &mut self.placement {
            *short = if slices <= 1 { *short + 1 } else { 0 };
            if *short >= REDEMPTION && self.strikes.0.load(Relaxed) == 0 {
                self.placement = Placement::Session;
            }
        }
    }
}

fn gone() -> GuestFault {
    GuestFault::Boundary("the guest was called after its end".to_owned())
}

struct AbandonOnDrop(Arc<AtomicBool>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
