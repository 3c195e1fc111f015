//! How a session of a tenant is made: its key, its way to the server, and all that its clients are made of.

use std::sync::Arc;

#[cfg(feature = "http")]
use super::tenant::Inner;
use super::{Server, Tenant, catalog::Reach, handler::ForSession, observer::SessionObserver};
#[cfg(feature = "http")]
use crate::transport::http::HttpConnector;
#[cfg(unix)]
use crate::transport::process::ProcessConnector;
use crate::{
    Error,
    names::{ServerName, SessionId},
    policy::SessionSecrets,
    registry::{CheckedOut, Holder, Key},
    session::{AssignedGuest, Session, SessionSpec},
    telemetry,
    transport::Transport,
};

impl Tenant {
    /// Mints a lease for a session with a server, as this entry has it. One that is not there is made; whoever waits for it has it
    /// connect.
    pub(super) fn check_out(&self, holder: Holder, server: ServerName, entry: &Server) -> Result<CheckedOut, Error> {
        let shared = &self.inner.shared;
        let secrets = SessionSecrets::new(shared.secrets.clone());
        let transport = self.transport(&server, entry, &secrets)?;
        let key = self.key(holder, server, entry);
        let mut is_new = false;
        // Nothing but the session is made under the registry's lock.
        let session = shared.registry.check_out(key.clone(), |id| {
            is_new = true;
            let observer = SessionObserver {
                key: key.clone(),
                id,
                registry: Arc::downgrade(&shared.registry),
                events: shared.events.clone(),
                tenant: self.downgrade(),
                guests: self.inner.guests.clone(),
            };
            Session::new(self.spec(id, key.clone(), entry, transport, &secrets), observer, &shared.tokio)
        })?;
        if is_new {
            telemetry::sessions(&key.tenant, 1.0);
        }
        Ok(session)
    }

    pub(super) fn key(&self, holder: Holder, server: ServerName, entry: &Server) -> Key {
        let (tenant, generation) = (self.inner.name.clone(), self.inner.generation);
        Key { tenant, generation, holder, server, digest: entry.digest() }
    }

    #[cfg_attr(not(any(unix, feature = "http")), allow(unused_variables, reason = "nobody is given secrets"))]
    fn transport(&self, name: &ServerName, server: &Server, secrets: &SessionSecrets) -> Result<Transport, Error> {
        match &server.reach {
            Reach::Connector(connector) => Ok(Transport::Stream(connector.clone())),
            #[cfg(unix)]
            Reach::Command(command) => {
                let shared = &self.inner.shared;
                shared.admit_isolation(name, server.confinement.isolation)?;
                let inherit_home = server.inherit_home.unwrap_or(!shared.had_several_tenants());
                let connector = ProcessConnector::new(
                    command.clone(),
                    shared.supervisors.clone(),
                    (!inherit_home).then(|| shared.folders.clone()),
                    server.confinement,
                    &shared.limits,
                );
                Ok(Transport::Stream(Arc::new(connector.with_secrets(secrets.clone()))))
            }
            #[cfg(not(unix))]
            Reach::Command(_) => Err(Error::Unsupported {
                detail: format!(
                    "server `{name}` is a command; this version starts commands on Linux, macOS and other Unix systems only, \
                     because nothing ends their processes here; run it there, for example in WSL, or connect to the server \
                     in the embedding program (`Server::connector`)"
                ),
            }),
            #[cfg(feature = "http")]
            Reach::Url(endpoint) => {
                let Inner { http, shared, .. } = &*self.inner;
                let connector =
                    HttpConnector::new(endpoint.clone(), http.clone(), secrets.clone(), shared.limits.clone());
                Ok(Transport::Http(Arc::new(connector)))
            }
            #[cfg(not(feature = "http"))]
            Reach::Url(endpoint) => Err(Error::Unsupported {
                detail: format!(
                    "server `{name}` is at {endpoint}, and this build cannot reach it: build innkeeper with its feature `http`"
                ),
            }),
        }
    }

    fn spec(
        &self,
        id: SessionId,
        key: Key,
        server: &Server,
        transport: Transport,
        secrets: &SessionSecrets,
    ) -> SessionSpec {
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
            user: key.user().cloned(),
            server: key.server.clone(),
            transport,
            mask: secrets.mask().clone(),
            places: self.inner.places.clone(),
            guest: AssignedGuest::new(self.inner.guests.of(&key.server)),
            standing: self.inner.standing.clone(),
            share: self.inner.share.clone(),
            revision: server.revision.clone(),
            client_info: shared.client_info.clone(),
            limits,
            inspector: self.inner.inspects_guests.then(|| self.inner.edge.inspector(&key.server, key.digest)),
            asker: Arc::new(ForSession {
                of_tenant: self.inner.handler.clone(),
                of_runtime: shared.handler.clone(),
                tenant: key.tenant,
                server: key.server,
                session: id,
            }),
        }
    }
}
