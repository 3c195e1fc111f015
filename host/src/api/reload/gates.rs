//! Servers that nobody gets a session with at present: the old ones are to be over before the first new one is begun.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

use crate::{Error, MayHaveRun, Phase, ServerName};

#[derive(Clone, Default)]
pub(super) struct Gates(Arc<Mutex<BTreeMap<ServerName, watch::Receiver<()>>>>);

impl Gates {
    fn closed(&self) -> MutexGuard<'_, BTreeMap<ServerName, watch::Receiver<()>>> {
        // Every change is a single insertion or removal.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_closed(&self, server: &ServerName) -> bool {
        self.closed().contains_key(server)
    }

    /// Waits until the gate of a server is open.
    pub(super) async fn let_in(&self, server: &ServerName, most: Duration) -> Result<(), Error> {
        let waits = async {
            loop {
                let gate = self.closed().get(server).cloned();
                let Some(mut gate) = gate else { return };
                // Its other end is dropped when it is opened.
                while gate.changed().await.is_ok() {}
            }
        };
        timeout(most, waits).await.map_err(|_| Error::Timeout {
            phase: Phase::Open,
            server: server.clone(),
            after: most,
            may_have_run: MayHaveRun::No,
        })
    }

    /// Closes the gate of a server until what this returns is dropped. One closes it at a time.
    pub(super) fn close(&self, server: &ServerName) -> Closed {
        let (opened, gate) = watch::channel(());
        self.closed().insert(server.clone(), gate);
        Closed { gates: self.clone(), server: server.clone(), _opened: opened }
    }
}

/// A gate that is closed for as long as this lives.
pub(super) struct Closed {
    gates: Gates,
    server: ServerName,
    _opened: watch::Sender<()>,
}

impl Drop for Closed {
    fn drop(&mut self) {
        // Before the other end goes, so that whoever waits finds it open.
        self.gates.closed().remove(&self.server);
    }
}
