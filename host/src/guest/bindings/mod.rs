//! One frozen binding module per released version of the WIT package, behind one enum.
//!
//! wasmtime compares types exactly when it links, so a component built for one version can only be called through the
//! bindings of that version. A new version is a new module and a new case here; nothing above this file changes.

pub(super) mod v0_1;

use wasmtime::{AsContextMut, component::InstancePre};

use super::boundary::{Effect, Event, GuestInfo, Outstanding, RestoreError, SnapshotError};

/// A component, linked, for one of the versions that this host serves.
pub(super) enum Linked<T: 'static> {
    V0_1(v0_1::GuestPre<T>),
}

impl<T: Send + 'static> Linked<T> {
    /// Finds the version that the component was built for.
    pub(super) fn new(pre: InstancePre<T>) -> wasmtime::Result<Self> {
        v0_1::GuestPre::new(pre).map(Self::V0_1)
    }

    pub(super) async fn instantiate(&self, store: impl AsContextMut<Data = T>) -> wasmtime::Result<Exports> {
        match self {
            Self::V0_1(pre) => pre.instantiate_async(store).await.map(Exports::V0_1),
        }
    }
}

/// The exports of one instance.
pub(super) enum Exports {
    V0_1(v0_1::Guest),
}

impl Exports {
    pub(super) async fn describe<S: AsContextMut>(&self, store: S) -> wasmtime::Result<GuestInfo>
    where
        S::Data: Send,
    {
        match self {
            Self::V0_1(guest) => v0_1::describe(guest, store).await,
        }
    }

    pub(super) async fn handle<S: AsContextMut>(
        &self,
        store: S,
        now: u64,
        events: &[Event],
    ) -> wasmtime::Result<Vec<Effect>>
    where
        S::Data: Send,
    {
        match self {
            Self::V0_1(guest) => v0_1::handle(guest, store, now, events).await,
        }
    }

    /// `Ok(Err(..))`: the guest gave none, and said why.
    pub(super) async fn snapshot<S: AsContextMut>(
        &self,
        store: S,
        format: &str,
    ) -> wasmtime::Result<Result<Vec<u8>, SnapshotError>>
    where
        S::Data: Send,
    {
        match self {
            Self::V0_1(guest) => v0_1::snapshot(guest, store, format).await,
        }
    }

    /// `Ok(Err(..))`: the guest did not take it over, and said why.
    pub(super) async fn restore<S: AsContextMut>(
        &self,
        store: S,
        state: &[u8],
        outstanding: &Outstanding,
    ) -> wasmtime::Result<Result<Vec<Effect>, RestoreError>>
    where
        S::Data: Send,
    {
        match self {
            Self::V0_1(guest) => v0_1::restore(guest, store, state, outstanding).await,
        }
    }
}
