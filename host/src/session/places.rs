//! Places: how many sessions may have a connection at a time.
//!
//! The table counts sessions that can be leased. One that was evicted or reaped is not in it any more, and still has its
//! processes for as long as closing them takes; whoever got its entry would make one process too many, and a tenant that
//! opens sessions without pause as many as it likes. So a session has a place from before its first connection until nothing
//! is left of it, and one whose tenant has none waits, in turn, while its time to open runs.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places that a session may take one of.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    of_tenant: Arc<Semaphore>,
    of_runtime: Arc<Semaphore>,
}

/// A place. Dropping it gives it to the next.
#[derive(Debug)]
pub(crate) struct Place {
    _of_tenant: OwnedSemaphorePermit,
    _of_runtime: OwnedSemaphorePermit,
}

impl Places {
    /// Places of a runtime.
    pub(crate) fn of_runtime(most: usize) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)))
    }

    /// Those of a new tenant, which are among those of its runtime.
    pub(crate) fn of_tenant(most: usize, of_runtime: &Arc<Semaphore>) -> Self {
        Self { of_tenant: Self::of_runtime(most), of_runtime: of_runtime.clone() }
    }

    /// Waits for a place. None: never, because there are none any more.
    ///
    /// Its tenant's first: one that has none left must not keep places of others while it waits.
    pub(crate) async fn take(self) -> Option<Place> {
        let of_tenant = self.of_tenant.acquire_owned().await.ok()?;
        let of_runtime = self.of_runtime.acquire_owned().await.ok()?;
        Some(Place { _of_tenant: of_tenant, _of_runtime: of_runtime })
    }
}
