//! What becomes of a session, told to whoever is to know: the registry, the edge, subscribers and metrics.
//!
//! It keeps neither the runtime nor the tenant alive. Called by the session, which holds none of its locks meanwhile: edges and
//! recorders of metrics are others' code.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::broadcast;

use super::{ConnectionEnded, Event, SessionKey, tenant::WeakTenant};
use crate::{
    Error,
    guest::Component,
    names::SessionId,
    registry::{Key, Registry},
    session::{Observer, SessionInfo},
    telemetry,
    upgrade::Guests,
};

/// Tells registry and subscribers what becomes of a session.
pub(super) struct SessionObserver {
    pub(super) key: Key,
    pub(super) id: SessionId,
    pub(super) registry: Weak<Registry>,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) tenant: WeakTenant,
    pub(super) guests: Arc<Guests>,
}

impl SessionObserver {
    fn send(&self, event: impl FnOnce(SessionKey) -> Event) {
        // Without subscribers nothing is made.
        if self.events.receiver_count() > 0 {
            let _ = self.events.send(event(SessionKey::new(self.id, &self.key)));
        }
    }
}

impl Observer for SessionObserver {
    fn opened(&self, info: &Arc<SessionInfo>) {
        if let Some(tenant) = self.tenant.upgrade() {
            tenant.edge().opened(&tenant, &SessionKey::new(self.id, &self.key));
        }
        let incarnation = info.incarnation;
        telemetry::connected(&self.key.tenant);
        self.send(|session| Event::SessionOpened { session, revision: info.revision.clone(), incarnation });
    }

    fn handed_over(&self, guest: &Component) {
        self.send(|session| Event::GuestReplaced { session, guest: guest.to_string() });
    }

    fn notified(&self, method: String, params: Bytes) {
        // Before subscribers, so that one who asks the edge finds that it knows already.
        if let Some(tenant) = self.tenant.upgrade() {
            tenant.edge().notified(&tenant, &SessionKey::new(self.id, &self.key), &method);
        }
        self.send(|session| Event::Notification { session, method, params });
    }

    fn ended(&self, info: &SessionInfo, lived: Duration, error: &Error) {
        if let Some(tenant) = self.tenant.upgrade() {
            let (tenant_name, server) = (&self.key.tenant, &self.key.server);
            tenant.edge().connection_ended(&ConnectionEnded { tenant: tenant_name, server, info, lived, error });
        }
    }

    fn disconnected(&self, incarnation: u32, error: &Error) {
        self.guests.disconnected(self.id, error);
        telemetry::connection_lost(&self.key.tenant, error);
        let (code, reason) = (error.code(), error.to_string());
        self.send(|session| Event::SessionDisconnected { session, incarnation, code, reason });
    }

    fn closing(&self, error: &Error) {
        self.send(|session| Event::SessionClosing { session, code: error.code(), reason: error.to_string() });
    }

    fn closed(&self) {
        telemetry::sessions(&self.key.tenant, -1.0);
        if let Some(registry) = self.registry.upgrade() {
            registry.closed(self.id);
        }
    }
}
