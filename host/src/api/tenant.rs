//! A customer of the platform: its servers, and the guest that speaks to them.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    Catalog, DrainReport, Lease, Server,
    catalog::Reach,
    handler::ForSession,
    runtime::{SessionObserver, Shared},
};
#[cfg(unix)]
use crate::transport::process::ProcessConnector;
use crate::{
    Error,
    guest::{Component, ComponentSource, Standing},
    names::{ServerName, SessionId, TenantName, UserName},
    registry::Key,
    session::{Places, Session, SessionSpec, Share},
    transport::Connector,
};

/// Names that an error lists at most.
const MOST_KNOWN: usize = 20;

/// Settings of a [`Tenant`]. Made by [`Runtime::tenant`](crate::Runtime::tenant).
#[must_use = "a tenant is made by `apply`"]
pub struct TenantBuilder {
    shared: Arc<Shared>,
    name: TenantName,
    catalog: Catalog,
    guest: Option<Component>,
}

impl TenantBuilder {
    pub(super) fn new(shared: Arc<Shared>, name: TenantName) -> Self {
        Self { shared, name, catalog: Catalog::new(), guest: None }
    }

    /// The servers of the tenant. Default: none.
    pub fn catalog(mut self, catalog: Catalog) -> Self {
        self.catalog = catalog;
        self
    }

    /// The guest of the tenant's sessions. Default: the embedded one.
    pub fn guest(mut self, guest: Component) -> Self {
        self.guest = Some(guest);
        self
    }

    /// Makes the tenant. Opens nothing.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] where the runtime has a tenant of this name; [`Error::Denied`] where another has a server that
    /// could harm this one's (see [`RuntimeBuilder::allow_basic_isolation`](crate::RuntimeBuilder::allow_basic_isolation)); [`Error::Component`] where no guest was given and
    /// none is embedded.
    pub async fn apply(self) -> Result<Tenant, Error> {
        let guest = match self.guest {
            Some(guest) => guest,
            None => Component::load(&self.shared.engine, ComponentSource::Embedded).await?,
        };
        let generation = self.shared.claim(&self.name)?;
        let places = Places::of_tenant(self.shared.limits.sessions_per_tenant, &self.shared.places);
        let inner = Inner {
            places,
            shared: self.shared,
            name: self.name,
            generation,
            catalog: self.catalog,
            guest,
            standing: Standing::default(),
            share: Share::of_tenant(),
        };
        Ok(Tenant { inner: Arc::new(inner) })
    }
}

impl fmt::Debug for TenantBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantBuilder")
            .field("name", &self.name)
            .field("catalog", &self.catalog)
            .finish_non_exhaustive()
    }
}

/// A customer of the platform. Cheap to clone. When the last handle, lease and call of it is dropped, its sessions
/// are closed.
#[derive(Clone)]
pub struct Tenant {
    inner: Arc<Inner>,
}

/// A tenant, as everything of it holds on to it: when the last handle, lease and call is gone, its sessions are closed.
pub(super) struct Inner {
    shared: Arc<Shared>,
    name: TenantName,
    generation: u64,
    catalog: Catalog,
    guest: Component,
    standing: Standing,
    share: Share,
    places: Places,
}

impl Tenant {
    /// Its name.
    pub fn name(&self) -> &TenantName {
        &self.inner.name
    }

    /// Its servers.
    pub fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    /// Leases the session of a user with a server, and opens it if there is none. Waits until it is ready, at most
    /// [`Limits::open`](crate::Limits::open). However many wait for one session, it is opened once.
    ///
    /// # Errors
    ///
    /// Returns why the session could not be opened: [`Error::NotFound`] for a server that the catalog has not,
    /// [`Error::Start`], [`Error::Isolation`], [`Error::Denied`], [`Error::ServerExited`], [`Error::Timeout`], what the
    /// server answered as [`Error::Server`], and the limits as [`Error::AtCapacity`], where all sessions of the tenant are leased:
    /// otherwise the one that has been idle for longest is closed for the new one.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the future gives the lease back. The session goes on opening, and is then idle.
    pub async fn lease(&self, user: impl Into<UserName>, server: impl Into<ServerName>) -> Result<Lease, Error> {
        let shared = &self.inner.shared;
        let key = Key {
            tenant: self.inner.name.clone(),
            generation: self.inner.generation,
            user: user.into(),
            server: server.into(),
        };
        let entry = self.inner.catalog.get(&key.server).ok_or_else(|| self.no_server(&key.server))?;
        let connector = self.connector(&key.server, entry)?;
        let session = shared
            .registry
            .check_out(key.clone(), |id| Session::open(self.spec(id, key, entry, connector), &shared.tokio))?;
        let info = session.session().watched().clone().ready().await?;
        Ok(Lease::new(session, info, self.inner.clone()))
    }

    /// Closes the sessions of the tenant that have been without a lease for `older_than` or longer, and waits for their end.
    /// Returns which they were. It is not needed for tidiness: a timer closes those that are idle for longer than
    /// [`Limits::idle`](crate::Limits::idle).
    ///
    /// # Cancellation safety
    ///
    /// Dropping the future leaves what has begun: the sessions go on closing.
    pub async fn reap(&self, older_than: Duration) -> DrainReport {
        self.inner.shared.reap(Some(self.inner.generation), older_than).await
    }

    /// Closes all sessions of the tenant, politely, and by force when `deadline` has passed. Returns when nothing is left.
    pub async fn close(&self, deadline: Duration) -> DrainReport {
        self.inner.shared.close(Some(self.inner.generation), deadline).await
    }

    fn connector(&self, name: &ServerName, server: &Server) -> Result<Arc<dyn Connector>, Error> {
        match &server.reach {
            Reach::Connector(connector) => Ok(connector.clone()),
            #[cfg(unix)]
            Reach::Command(command) => {
                let shared = &self.inner.shared;
                shared.admit_isolation(name, server.confinement.isolation)?;
                let inherit_home = server.inherit_home.unwrap_or(!shared.had_several_tenants());
                Ok(Arc::new(ProcessConnector::new(
                    command.clone(),
                    shared.supervisors.clone(),
                    (!inherit_home).then(|| shared.folders.clone()),
                    server.confinement,
                    &shared.limits,
                )))
            }
            #[cfg(not(unix))]
            Reach::Command(_) => Err(Error::Unsupported {
                detail: format!(
                    "server `{name}` is a command; this version starts commands on Linux, macOS and other Unix systems only, \
                     because nothing ends their processes here; run it there, for example in WSL, or connect to the server \
                     in the embedding program (`Server::connector`)"
                ),
            }),
            Reach::Url(shown) => Err(Error::Unsupported {
                detail: format!("server `{name}` is at {shown}; this version speaks to commands only, not over HTTP"),
            }),
        }
    }

    fn spec(&self, id: SessionId, key: Key, server: &Server, connector: Arc<dyn Connector>) -> SessionSpec {
        let shared = &self.inner.shared;
        let limits = if server.open_timeout.is_some() || server.call_timeout.is_some() {
            let mut limits = (*shared.limits).clone();
            limits.open = server.open_timeout.unwrap_or(limits.open);
            limits.call = server.call_timeout.unwrap_or(limits.call);
            Arc::new(limits.clamped())
        } else {
            shared.limits.clone()
        };
        SessionSpec {
            id,
            tenant: key.tenant.clone(),
            user: key.user.clone(),
            server: key.server.clone(),
            connector,
            places: self.inner.places.clone(),
            component: self.inner.guest.clone(),
            standing: self.inner.standing.clone(),
            share: self.inner.share.clone(),
            revision: server.revision.clone(),
            client_info: shared.client_info.clone(),
            limits,
            asker: Arc::new(ForSession {
                handler: shared.handler.clone(),
                tenant: key.tenant.clone(),
                user: key.user.clone(),
                server: key.server.clone(),
                session: id,
            }),
            observer: Arc::new(SessionObserver {
                key,
                id,
                registry: Arc::downgrade(&shared.registry),
                events: shared.events.clone(),
            }),
        }
    }

    fn no_server(&self, name: &ServerName) -> Error {
        let known = self.inner.catalog.servers().take(MOST_KNOWN).map(|(name, _)| name.to_string()).collect();
        Error::NotFound { what: "server", name: name.to_string(), known }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Its sessions are nobody's any more.
        self.shared.close_in_background(Some(self.generation));
        self.shared.release(&self.name);
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant")
            .field("name", &self.inner.name)
            .field("catalog", &self.inner.catalog)
            .finish_non_exhaustive()
    }
}
