//! The right to use a session.

use std::{fmt, sync::Arc};

use serde::Serialize;

use super::{CallBuilder, IdempotenceHint, SessionKey, TenantEdge, Watch, tenant};
use crate::{
    Error,
    names::{SpecDigest, UserName},
    registry::CheckedOut,
    session::SessionInfo,
};

/// A counted right to use one session.
///
/// While a lease is held, its session is neither reaped for being idle nor evicted. It ends when its tenant or runtime is
/// closed; then its calls say so.
///
/// A session may lose its connection: its server ends, or its guest fails. Then the calls under way fail, and say whether they may
/// have run, and the next call makes another connection, with another guest and another process, without a new lease.
///
/// A lease may be dropped anywhere: outside of a tokio runtime, during a panic, after the session has ended.
pub struct Lease {
    held: Arc<Held>,
    /// As it was when the lease was taken.
    info: Arc<SessionInfo>,
}

/// What a lease and its calls hold: the session, and with the tenant the runtime.
pub(super) struct Held {
    pub(super) session: CheckedOut,
    /// For whom. None: for nobody, as when the library asks for itself.
    pub(super) user: Option<UserName>,
    tenant: Arc<tenant::Inner>,
}

impl Held {
    /// Whether this may be said to the server.
    pub(super) fn admit(&self, method: &str, params: Option<&[u8]>) -> Result<(), Error> {
        let key = self.session.key();
        self.edge().admit(&key.server, key.digest, method, params)
    }

    /// Whether something says that a call of the session may be made twice.
    pub(super) fn idempotence_hint(&self, method: &str, subject: Option<&str>) -> IdempotenceHint {
        let key = self.session.key();
        self.edge().idempotence_hint(key.user(), &key.server, key.digest, method, subject)
    }

    pub(super) fn edge(&self) -> &dyn TenantEdge {
        self.tenant.edge()
    }
}

impl Lease {
    pub(super) fn new(
        session: CheckedOut,
        info: Arc<SessionInfo>,
        user: Option<UserName>,
        tenant: Arc<tenant::Inner>,
    ) -> Self {
        Self { held: Arc::new(Held { session, user, tenant }), info }
    }

    /// Which session, and whose.
    pub fn session(&self) -> SessionKey {
        SessionKey::new(self.held.session.session().id(), self.held.session.key())
    }

    /// What is known of the session's connection, or of the last one where that was lost.
    pub fn info(&self) -> Arc<SessionInfo> {
        self.held.session.session().info().unwrap_or_else(|| self.info.clone())
    }

    /// Waits until the session has a connection, and makes one if it was lost. There is no need to: a call does the same.
    ///
    /// # Errors
    ///
    /// Returns why it could not be made, as [`Tenant::lease`](crate::Tenant::lease) does.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the future leaves what has begun: the connection is made.
    pub async fn ready(&self) -> Result<Arc<SessionInfo>, Error> {
        self.held.session.session().ready().await
    }

    /// Replaces the connection: another process, another guest. Returns when the new one is ready. Calls under way fail with
    /// [`Error::Closing`], and say whether they may have run. Where a connection is being made, that one is waited for.
    ///
    /// A server that failed too often is tried at once, unless a try is waiting for its time already: that one is waited for.
    ///
    /// # Errors
    ///
    /// Returns why it could not be made. The session lives on, without a connection.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the future leaves what has begun: the connection is replaced.
    pub async fn restart(&self) -> Result<Arc<SessionInfo>, Error> {
        self.held.session.session().restart().await
    }

    /// Whether the session is there, or why it ends. See [`Watch::check`].
    ///
    /// # Errors
    ///
    /// Returns why the session ended, or is being closed.
    pub fn check(&self) -> Result<(), Error> {
        self.watch().check()
    }

    /// Sees what becomes of the session, also when this lease is dropped.
    pub fn watch(&self) -> Watch {
        Watch::new(self.session(), self.held.session.session().watched())
    }

    /// The definition of its server that the session was opened with.
    pub(crate) fn definition(&self) -> SpecDigest {
        self.held.session.key().digest
    }

    /// The edge state of its tenant.
    pub(crate) fn edge(&self) -> &dyn TenantEdge {
        self.held.edge()
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
