//! A customer of the platform: its servers, and the guest that speaks to them.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use super::{
    Catalog, DrainReport, Lease, Plan, Scope, ServerRequestHandler, SessionKey, TenantEdge, Upgrading,
    admission::Admission, current::Current, reload::Reloads, runtime::Shared,
};
#[cfg(feature = "http")]
use crate::transport::http::HttpClients;
use crate::{
    Error,
    guest::{Component, Standing},
    names::{ServerName, SessionId, TenantName, UserName},
    policy::{Policy, ToolRules},
    registry::{Holder, Row},
    session::{Life, Places, Share},
    upgrade::{Fleet, Guests, Upgrade},
};

/// Names that an error lists at most.
const MOST_KNOWN: usize = 20;

/// Settings of a [`Tenant`]. Made by [`Runtime::tenant`](crate::Runtime::tenant).
#[must_use = "a tenant is made by `apply`"]
pub struct TenantBuilder {
    shared: Arc<Shared>,
    name: TenantName,
    catalog: Catalog,
    untrusted_catalog: Catalog,
    policy: Policy,
    guest: Option<Component>,
    inspects_guests: bool,
    handler: Option<Arc<dyn ServerRequestHandler>>,
    tool_rules: ToolRules,
}

impl TenantBuilder {
    pub(super) fn new(shared: Arc<Shared>, name: TenantName) -> Self {
        Self {
            shared,
            name,
            catalog: Catalog::new(),
            untrusted_catalog: Catalog::new(),
            policy: Policy::new(),
            guest: None,
            inspects_guests: false,
            tool_rules: ToolRules::new(),
            handler: None,
        }
    }

    /// The servers that the platform gives the tenant. They are trusted: [`policy`](Self::policy) says which of them it may use,
    /// and not what they are. Default: none.
    pub fn catalog(mut self, catalog: Catalog) -> Self {
        self.catalog = catalog;
        self
    }

    /// Servers that the tenant brings itself: from a form, a file, a repository of its own. They are not trusted, so everything is
    /// denied that [`policy`](Self::policy) does not allow, and by default nothing is. They are guarded, and have a home folder of
    /// their own. Default: none.
    ///
    /// An `mcp.json` of a tenant is to be read with an environment that is the tenant's, such as
    /// `|_: &str| None`: with that of the host, `${NAME}` gives the tenant any variable of the host.
    pub fn untrusted_catalog(mut self, catalog: Catalog) -> Self {
        self.untrusted_catalog = catalog;
        self
    }

    /// What the tenant may use, and what the servers may be that it brings. Default: [`Policy::new`].
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The guest of the tenant's sessions. Default: the embedded one.
    pub fn guest(mut self, guest: Component) -> Self {
        self.guest = Some(guest);
        self
    }

    /// The same, of a guest that the tenant brings itself. It is not trusted: what it says to a server is looked at before, and a call
    /// of a tool that [`ToolRules`] deny, that nobody has asked for, or that was sent already is
    /// [`Error::GuestFault`]. So it is with every guest that the tenant gets later, by [`Tenant::upgrade`].
    pub fn untrusted_guest(mut self, guest: Component) -> Self {
        self.inspects_guests = true;
        self.guest(guest)
    }

    /// Who answers requests of the tenant's servers, those that are about no user's call included. Default: the handler of the
    /// runtime, which gets requests for a user only.
    pub fn server_requests(mut self, handler: impl ServerRequestHandler) -> Self {
        self.handler = Some(Arc::new(handler));
        self
    }

    /// Which tools may be used, of whatever server, and what models are told of them. Default: all. A tool must be allowed by
    /// these and by those of its server ([`Server::tool_rules`](crate::Server::tool_rules)), whose names and descriptions count
    /// before these.
    pub fn tool_rules(mut self, rules: ToolRules) -> Self {
        self.tool_rules = rules;
        self
    }

    /// Makes the tenant. Opens nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`] where [`policy`](Self::policy) does not allow what the tenant brings, with all of it in the reason, or where
    /// another tenant has a server that could harm this one's (see [`RuntimeBuilder::allow_basic_isolation`](crate::RuntimeBuilder::allow_basic_isolation)); [`Error::InvalidInput`] where the runtime has a
    /// tenant of this name, or the policy has rules that can never apply, or a tool is given a name that it cannot
    /// have; [`Error::Component`] where no guest was given and none is
    /// embedded.
    pub async fn apply(self) -> Result<Tenant, Error> {
        let (name, policy, catalog, untrusted) = (self.name.clone(), self.policy, self.catalog, self.untrusted_catalog);
        let own = untrusted.clone();
        // Following links may read from a slow disk: not on the embedder's workers.
        let admission = tokio::task::spawn_blocking(move || Admission::of(&name, policy, catalog, untrusted));
        let admission = admission.await.map_err(|error| Error::System {
            what: "looking at the servers of a tenant",
            reason: error.to_string(),
        })??;
        let is_own = self.guest.is_some();
        let guest = match self.guest {
            Some(guest) => guest,
            None => self.shared.guest().await?,
        };
        let guests = Arc::new(Guests::new(guest, is_own));
        let background = self.shared.engine.background();
        let edge = self.shared.edge.tenant(
            &self.name,
            &admission.catalog,
            &self.tool_rules,
            &self.shared.limits,
            background,
        )?;
        let generation = self.shared.claim(&self.name, &guests)?;
        let places = Places::of_tenant(self.shared.limits.sessions_per_tenant, &self.shared.places);
        let share = self.shared.threads.share();
        let inner = Inner {
            places,
            #[cfg(feature = "http")]
            http: Arc::default(),
            shared: self.shared,
            name: self.name,
            generation,
            admission: Current::new(admission),
            reloads: Reloads::new(own),
            guests,
            inspects_guests: self.inspects_guests,
            standing: Standing::default(),
            share,
            handler: self.handler,
            edge,
        };
        Ok(Tenant { inner: Arc::new(inner) })
    }
}

impl fmt::Debug for TenantBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantBuilder")
            .field("name", &self.name)
            .field("catalog", &self.catalog)
            .field("untrusted_catalog", &self.untrusted_catalog)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// A customer of the platform. Cheap to clone. When the last handle, lease and call of it is dropped, its sessions
/// are closed.
#[derive(Clone)]
pub struct Tenant {
    pub(super) inner: Arc<Inner>,
}

/// A tenant that lives only as long as others hold it.
#[derive(Clone)]
pub(crate) struct WeakTenant(Weak<Inner>);

impl WeakTenant {
    pub(crate) fn upgrade(&self) -> Option<Tenant> {
        self.0.upgrade().map(|inner| Tenant { inner })
    }
}

/// A tenant, as everything of it holds on to it: when the last handle, lease and call is gone, its sessions are closed.
pub(super) struct Inner {
    pub(super) shared: Arc<Shared>,
    pub(super) name: TenantName,
    pub(super) generation: u64,
    pub(super) admission: Current<Admission>,
    pub(super) reloads: Reloads,
    pub(super) guests: Arc<Guests>,
    pub(super) inspects_guests: bool,
    pub(super) standing: Standing,
    pub(super) share: Share,
    pub(super) places: Places,
    /// With the connections that are kept, which no other tenant's requests use.
    #[cfg(feature = "http")]
    pub(super) http: Arc<HttpClients>,
    pub(super) handler: Option<Arc<dyn ServerRequestHandler>>,
    pub(super) edge: Box<dyn TenantEdge>,
}

impl Inner {
    pub(super) fn edge(&self) -> &dyn TenantEdge {
        &*self.edge
    }
}

impl Tenant {
    /// Its name.
    pub fn name(&self) -> &TenantName {
        &self.inner.name
    }

    /// The servers that it may use, its own included. A server that a [reload](Self::reload) has not replaced yet is as before.
    pub fn catalog(&self) -> Catalog {
        self.inner.admission.get().catalog.clone()
    }

    /// What it would change to give the tenant this catalog in place of the one of
    /// [`TenantBuilder::catalog`]. Does nothing. Of servers that policy does not let the tenant use, and of those that it brings
    /// itself, nothing is said.
    pub fn plan(&self, catalog: &Catalog) -> Plan {
        let Inner { shared, generation, .. } = &*self.inner;
        let admission = self.inner.admission.get();
        let rows = shared.registry.rows();
        let lives = |row: &&Row| matches!(row.session.watched().now(), Life::Open);
        let own: Vec<_> = rows.iter().filter(|row| row.key.generation == *generation).filter(lives).collect();
        let sessions = |server: &ServerName| own.iter().filter(|row| row.key.server == *server).count();
        Plan::between(admission.trusted(), &admission.usable(catalog), sessions)
    }

    /// Replaces the guest of the tenant's sessions by another, and of those that are opened from now on, as `how` says: live, where
    /// nobody notices; by draining; or by restarting. What the new guest does is watched for as long as `how` says, and where
    /// it fails more often than tolerated all sessions go back to the guest that they had. One upgrade of a tenant waits for the
    /// other.
    ///
    /// ```no_run
    /// # async fn example(runtime: &innkeeper::Runtime, acme: &innkeeper::Tenant) -> Result<(), innkeeper::Error> {
    /// use innkeeper::{ComponentSource, Upgrade};
    ///
    /// let guest = runtime.load_component(ComponentSource::File("guest-v2.wasm".into())).await?;
    /// let report = acme.upgrade(guest, Upgrade::live().or_restart()).await?;
    /// println!("{report}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Awaiting it returns [`Error::Component`] where the new guest fails when it is tried out, before any session was touched.
    /// An upgrade that went back is no error: the report says why.
    ///
    /// # Cancellation safety
    ///
    /// Dropping what is returned ends the upgrade: each session has the one guest or the other, and works.
    pub fn upgrade(&self, guest: Component, how: Upgrade) -> Upgrading {
        let Inner { shared, generation, guests, .. } = &*self.inner;
        Upgrading::of_tenant(shared, Fleet { generation: *generation, guests: guests.clone() }, guest, how)
    }

    /// Leases the session of a user with a server, and opens it if there is none. Waits until it is ready, at most
    /// [`Limits::open`](crate::Limits::open) for one try; where the server failed just before, it waits for the next try first
    /// ([`Limits::reconnect_delay`](crate::Limits::reconnect_delay)). However many wait for one session, it is opened once.
    ///
    /// # Errors
    ///
    /// Returns why the session could not be opened: [`Error::NotFound`] for a server that the catalog has not, [`Error::Denied`] for
    /// one that policy does not let the tenant use,
    /// [`Error::Start`], [`Error::Isolation`], [`Error::Denied`], [`Error::ServerExited`], [`Error::Timeout`], what the
    /// server answered as [`Error::Server`]; [`Error::Unavailable`] where it failed too often in a row; and the limits as
    /// [`Error::AtCapacity`], where all sessions of the tenant are leased: otherwise the one that has been idle for longest is
    /// closed for the new one.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the future gives the lease back. The session goes on opening, and is then idle.
    pub async fn lease(&self, user: impl Into<UserName>, server: impl Into<ServerName>) -> Result<Lease, Error> {
        let (user, server) = (user.into(), server.into());
        let Inner { shared, admission, reloads, .. } = &*self.inner;
        let session = loop {
            reloads.let_in(&server, shared.limits.open).await?;
            let present = admission.get();
            present.check(&server)?;
            let entry = present.catalog.get(&server).ok_or_else(|| no_server(&present.catalog, &server))?;
            let holder = match entry.scope {
                Scope::User => Holder::User(user.clone()),
                Scope::Tenant => Holder::Tenant,
                Scope::Exclusive => Holder::Lease { user: user.clone(), number: shared.number() },
            };
            let session = self.check_out(holder, server.clone(), entry)?;
            // Whoever replaces the server's sessions says so first and looks for them then. So either this one was found, or the
            // other thing is seen here.
            let now = admission.get();
            let is_in_force = Arc::ptr_eq(&now, &present)
                || now.catalog.get(&server).is_some_and(|entry| entry.digest() == session.key().digest);
            if is_in_force && !reloads.is_closed_for(&server) {
                break session;
            }
            shared.registry.retire(session.key(), session.session().id());
        };
        let info = session.session().ready().await?;
        Ok(Lease::new(session, info, Some(user), self.inner.clone()))
    }

    /// Leases a session that is ready, and is not opened where it is gone. That is no use of it: it does not live longer for it.
    pub(crate) fn rejoin(&self, session: &SessionKey) -> Option<Lease> {
        let admission = self.inner.admission.get();
        let entry = admission.catalog.get(&session.server)?;
        let holder = match entry.scope {
            Scope::User => Holder::User(session.user.clone()?),
            Scope::Tenant => Holder::Tenant,
            // It is its lease's alone.
            Scope::Exclusive => return None,
        };
        let key = self.key(holder, session.server.clone(), entry);
        let joined = self.inner.shared.registry.rejoin(key, session.id)?;
        let info = joined.session().now().info?;
        Some(Lease::new(joined, info, session.user.clone(), self.inner.clone()))
    }

    /// Whether leases are minted at all.
    pub(crate) fn admit_leases(&self) -> Result<(), Error> {
        self.inner.shared.registry.admit()
    }

    /// What the edge keeps of the tenant.
    pub(crate) fn edge(&self) -> &dyn TenantEdge {
        self.inner.edge()
    }

    /// The same, without keeping it alive.
    pub(crate) fn downgrade(&self) -> WeakTenant {
        WeakTenant(Arc::downgrade(&self.inner))
    }

    /// Runs something on the tokio runtime of the sessions, whoever asked for it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.inner.shared.tokio.spawn(task);
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

    /// Closes one session of the tenant, leased or not, politely, and by force when `deadline` has passed. Returns when nothing is
    /// left of it. Its calls, and those of its leases, fail with [`Error::Closing`]; the next lease opens another. The report is
    /// empty where the tenant has no such session.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the future leaves what has begun: the session goes on closing.
    pub async fn close_session(&self, session: SessionId, deadline: Duration) -> DrainReport {
        self.inner.shared.close_one(self.inner.generation, session, deadline).await
    }

    /// Closes all sessions of the tenant, politely, and by force when `deadline` has passed. Returns when nothing is left.
    /// Meanwhile leases are refused with [`Error::Closing`]; after that they open sessions again.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the future leaves what has begun: the sessions go on closing. Leases are not refused any more.
    pub async fn close(&self, deadline: Duration) -> DrainReport {
        self.inner.shared.close(Some(self.inner.generation), deadline).await
    }
}

fn no_server(catalog: &Catalog, name: &ServerName) -> Error {
    let known = catalog.servers().take(MOST_KNOWN).map(|(name, _)| name.to_string()).collect();
    Error::NotFound { what: "server", name: name.to_string(), known }
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
            .field("catalog", &self.catalog())
            .finish_non_exhaustive()
    }
}
