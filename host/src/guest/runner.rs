//! Where a burst runs: its first slice on the thread of the session, the rest on the low-priority threads.
//!
//! Nearly every burst ends within microseconds, so the session's own thread is the fastest place for it. One that a tick finds
//! to be slow is moved, future and `Store`, and its session is on probation: its next bursts begin on the low-priority threads,
//! until it has not been slow for a while (see [`standing`](super::standing)).

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, time::timeout};

use super::{
    Component, GuestFault, Instance,
    boundary::{Effect, Event, GuestInfo, Outstanding, RestoreError, SnapshotError},
    component::Code,
    engine::GuestEngine,
    meter::SliceClock,
    standing::{Admission, PROBATION, Standing},
    workers::Job,
};

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
    standing: Standing,
    engine: Arc<GuestEngine>,
}

/// Where bursts begin.
enum Placement {
    /// On its own thread, for as long as its tenant may.
    Session(Admission),
    /// On the low-priority threads, on probation since it was slow last.
    Workers { since: Instant },
}

impl Runner {
    pub(super) async fn start(code: &Arc<Code>, standing: Standing) -> Result<Self, GuestFault> {
        let now = Instant::now();
        // One that was restarted for being slow must not get a first slice each time.
        let placement = standing.admit(now).map_or(Placement::Workers { since: now }, Placement::Session);
        let mut runner = Self { instance: None, placement, standing, engine: code.engine.clone() };

        // A start function is guest code like any other.
        let (code, store) = (code.clone(), code.store());
        let clock = store.data().clock();
        let instance = runner.burst(clock, async move { Instance::instantiate(&code, store).await }).await?;
        runner.instance = Some(runner.judge(instance)?);
        Ok(runner)
    }

    /// Instantiates a guest for a session.
    pub(crate) async fn new(component: &Component, standing: Standing) -> Result<Self, GuestFault> {
        Self::start(component.code(), standing).await
    }

    pub(super) async fn describe(mut self) -> Result<GuestInfo, GuestFault> {
        self.call(|mut instance| async move { (instance.describe().await, instance) }).await
    }

    /// Gives a batch of events to the guest.
    ///
    /// Dropping the future ends the guest.
    pub(crate) async fn handle(&mut self, now: u64, events: Vec<Event>) -> Result<Batch, GuestFault> {
        self.call(|mut instance| async move {
            let effects = instance.handle(now, &events).await;
            (effects.map(|effects| Batch { events, effects }), instance)
        })
        .await
    }

    /// The whole state, in one of the formats that the guest writes, or why it gives none.
    ///
    /// Dropping the future ends the guest.
    pub(crate) async fn snapshot(&mut self, format: String) -> Result<Result<Vec<u8>, SnapshotError>, GuestFault> {
        self.call(|mut instance| async move { (instance.snapshot(&format).await, instance) }).await
    }

    /// Has a guest that has seen nothing yet go on from there, or say why it does not.
    ///
    /// Dropping the future ends the guest.
    pub(crate) async fn restore(
        &mut self,
        state: Vec<u8>,
        outstanding: Outstanding,
    ) -> Result<Result<Vec<Effect>, RestoreError>, GuestFault> {
        self.call(|mut instance| async move { (instance.restore(&state, &outstanding).await, instance) }).await
    }

    /// One call into the guest, which is gone if it fails.
    async fn call<T, F>(&mut self, call: impl FnOnce(Instance) -> F) -> Result<T, GuestFault>
    where
        T: Send + 'static,
        F: Future<Output = (Result<T, GuestFault>, Instance)> + Send + 'static,
    {
        let instance = self.instance.take().ok_or_else(gone)?;
        let clock = instance.clock();
        let (result, instance) = self.burst(clock, call(instance)).await?;
        let result = self.judge(result)?;
        self.instance = Some(instance);
        Ok(result)
    }

    /// Bytes of the guest's memory.
    pub(crate) fn memory(&self) -> usize {
        self.instance.as_ref().map_or(0, Instance::memory)
    }

    /// False after a fault.
    pub(crate) fn is_alive(&self) -> bool {
        self.instance.is_some()
    }

    /// Counts a budget that was used up against the tenant.
    fn judge<T>(&self, result: Result<T, GuestFault>) -> Result<T, GuestFault> {
        if let Err(GuestFault::CpuTime(_)) = result {
            self.standing.used_up(Instant::now());
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

        if self.begins_on_session() {
            let mut context = Context::from_waker(Waker::noop());
            if let Poll::Ready(result) = burst.as_mut().poll(&mut context) {
                return Ok(result);
            }
            let now = Instant::now();
            self.standing.took_thread(now);
            self.placement = Placement::Workers { since: now };
        }

        let (sender, receiver) = oneshot::channel();
        let abandoned = Arc::new(AtomicBool::new(false));
        let mut used = Duration::ZERO;
        let job = async move {
            let result = std::future::poll_fn(|context| {
                let slice = clock.begin_slice();
                let polled = burst.as_mut().poll(context);
                used += slice.used();
                polled
            })
            .await;
            // Nobody may be waiting any more; then the guest is dropped here.
            let _ = sender.send((result, used));
        };
        let _abandon = AbandonOnDrop(abandoned.clone());
        self.engine.workers.submit(self.standing.party(), Job { burst: Box::pin(job), abandoned });

        // The meter ends a guest that runs for too long. This limit is for one that does not get to run.
        let limit = self.engine.limits.guest_wall;
        match timeout(limit, receiver).await {
            Ok(Ok((result, used))) => {
                if used >= self.engine.limits.guest_slice {
                    let now = Instant::now();
                    self.standing.slow(now);
                    self.placement = Placement::Workers { since: now };
                }
                Ok(result)
            }
            Ok(Err(_)) => Err(GuestFault::Trap("the burst was dropped by the engine".to_owned())),
            // Not held against it: it had no turn, which says nothing of the guest.
            Err(_) => Err(GuestFault::WallClock(limit)),
        }
    }

    fn begins_on_session(&mut self) -> bool {
        match self.placement {
            Placement::Session(admission) if self.standing.holds(admission) => return true,
            Placement::Session(_) => {}
            Placement::Workers { since } if since.elapsed() < PROBATION => return false,
            Placement::Workers { .. } => {}
        }
        match self.standing.admit(Instant::now()) {
            Some(admission) => {
                self.placement = Placement::Session(admission);
                true
            }
            None => false,
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
