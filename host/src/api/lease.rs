//! The right to use a session.

use std::{fmt, sync::Arc};

use serde::Serialize;

use super::{CallBuilder, SessionKey, TenantEdge, Watch, tenant};
use crate::{Error, registry::CheckedOut, session::SessionInfo};

/// A counted right to use one session.
///
/// While a lease is held, its session is neither reaped for being idle nor evicted. It ends all the same when its server
/// does, when its guest fails, and when its tenant or runtime is closed; then its calls say so, and the next lease opens
/// another session.
///
/// A lease may be dropped anywhere: outside of a tokio runtime, during a panic, after the session has ended.
pub struct Lease {
    held: Arc<Held>,
    info: Arc<SessionInfo>,
}

/// What a lease and its calls hold: the session, and with the tenant the runtime.
pub(super) struct Held {
    pub(super) session: CheckedOut,
    tenant: Arc<tenant::Inner>,
}

impl Held {
    /// Whether this may be said to the server.
    pub(super) fn admit(&self, method: &str, params: Option<&[u8]>) -> Result<(), Error> {
        self.tenant.edge().admit(&self.session.key().server, method, params)
    }
}

impl Lease {
    pub(super) fn new(session: CheckedOut, info: Arc<SessionInfo>, tenant: Arc<tenant::Inner>) -> Self {
        Self { held: Arc::new(Held { session, tenant }), info }
    }

    /// Which session, and whose.
    pub fn session(&self) -> SessionKey {
        SessionKey::new(self.held.session.session().id(), self.held.session.key())
    }

    /// What is known of the session.
    pub fn info(&self) -> &SessionInfo {
        &self.info
    }

    /// Whether the session takes calls, or why not.
    ///
    /// # Errors
    ///
    /// Returns why the session ended, or is being closed.
    pub fn check(&self) -> Result<(), Error> {
        self.watch().check()
    }

    /// Sees what becomes of the session, also when this lease is dropped.
    pub fn watch(&self) -> Watch {
        Watch::new(self.session(), self.held.session.session().watched().clone())
    }

    /// The edge state of its tenant.
    pub(crate) fn edge(&self) -> &dyn TenantEdge {
        self.held.tenant.edge()
    }

    /// Prepares a call of any method of the protocol. Rules for tools bind it as they bind any other.
    pub fn call(&self, method: impl Into<String>) -> CallBuilder {
        CallBuilder::new(self.held.clone(), method.into())
    }

    /// Says something to the server that has no answer. It is sent when the server reads it; nothing tells whether it was.
    ///
    /// # Errors
    ///
    /// Returns why the session ended, if it has; [`Error::Busy`] where too much waits already; [`Error::InvalidInput`] for what
    /// cannot be said in JSON; [`Error::Denied`] for a tool that is denied.
    pub fn notify(&self, method: impl Into<String>, params: Option<&impl Serialize>) -> Result<(), Error> {
        let params = params
            .map(serde_json::to_vec)
            .transpose()
            .map_err(|error| Error::InvalidInput { what: "the parameters", reason: error.to_string() })?;
        let method = method.into();
        self.held.admit(&method, params.as_deref())?;
        self.held.session.session().notify(method, params.map(Into::into))
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lease").field(&self.session()).finish()
    }
}
