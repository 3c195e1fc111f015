//! What this module does for the neutral core: it knows a call of a tool when it sees one, and what a server means by saying that
//! its tools are others now.
//!
//! Rules are asked here, for each call, and nowhere else on its way; so a call with a raw method and raw parameters is bound as a
//! typed one is. They bind what callers say. A guest writes what is sent, so a tenant that brings its own guest may be bound by
//! nothing but that guest.

use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock, atomic::AtomicU64},
};

use super::{
    admission::named_tool, catalog::Catalogs, inspection::Inspection, notification::TOOLS_CHANGED, reading::Readers,
    rules::Rules, telemetry, tool_call::CALL_TOOL,
};
use crate::{
    Catalog, Error, Limits, ServerName, SessionKey, Tenant, TenantName, ToolRules, UserName,
    api::{CallEnded, ConnectionEnded, Edge, IdempotenceHint, TenantEdge},
    guest::Background,
    names::SpecDigest,
    session::Inspector,
};

/// MCP, for the core.
#[derive(Default)]
pub(crate) struct McpEdge {
    /// The generations of all catalogs of a runtime: so those of a tenant that is made anew go on where the old one's ended.
    generations: Arc<AtomicU64>,
    /// The same of labels, whose series stay when a tenant is made anew.
    labels: Mutex<HashMap<TenantName, Arc<telemetry::Labels>>>,
}

impl Edge for McpEdge {
    fn tenant(
        &self,
        name: &TenantName,
        catalog: &Catalog,
        rules: &ToolRules,
        limits: &Limits,
        background: Background,
    ) -> Result<Box<dyn TenantEdge>, Error> {
        let rules = Rules::new(catalog, rules)?;
        let labels =
            self.labels.lock().unwrap_or_else(PoisonError::into_inner).entry(name.clone()).or_default().clone();
        let catalogs = Catalogs::new(limits, self.generations.clone());
        let rules = Arc::new(RwLock::new(Arc::new(rules)));
        Ok(Box::new(McpTenant { rules, catalogs, readers: Readers::new(background), labels }))
    }
}

/// What this module keeps of a tenant.
pub(super) struct McpTenant {
    rules: Arc<RwLock<Arc<Rules>>>,
    catalogs: Catalogs,
    readers: Readers,
    labels: Arc<telemetry::Labels>,
}

/// What this module keeps of a tenant.
pub(super) fn of(edge: &dyn TenantEdge) -> &McpTenant {
    let edge: &dyn Any = edge;
    edge.downcast_ref().expect("`Runtime::builder` gives every runtime the edge of this module")
}

impl McpTenant {
    /// The rules that are in force.
    pub(super) fn rules(&self) -> Arc<Rules> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn readers(&self) -> &Readers {
        &self.readers
    }

    pub(super) fn catalogs(&self) -> &Catalogs {
        &self.catalogs
    }
}

impl TenantEdge for McpTenant {
    fn check(&self, catalog: &Catalog) -> Result<(), Error> {
        self.rules().with(catalog).map(drop)
    }

    fn reload(&self, catalog: &Catalog) {
        if let Ok(rules) = self.rules().with(catalog) {
            *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
            self.catalogs.rules_changed();
        }
    }

    fn replaced(&self, server: &ServerName) {
        self.catalogs.replaced(server);
    }

    fn admit(
        &self,
        server: &ServerName,
        definition: SpecDigest,
        method: &str,
        params: Option<&[u8]>,
    ) -> Result<(), Error> {
        if method != CALL_TOOL {
            return Ok(());
        }
        let rules = self.rules();
        let rules = rules.of_session(server, definition);
        if !rules.restrict(server) {
            return Ok(());
        }
        let tool = named_tool(params).map_err(|problem| Rules::refuse_unnamed(server, &problem))?;
        rules.admit(server, &tool)
    }

    fn idempotence_hint(
        &self,
        user: Option<&UserName>,
        server: &ServerName,
        definition: SpecDigest,
        method: &str,
        subject: Option<&str>,
    ) -> IdempotenceHint {
        let Some(tool) = subject.filter(|_| {
            method == CALL_TOOL && self.rules().of_session(server, definition).trust_idempotence_hints(server)
        }) else {
            return IdempotenceHint::None;
        };
        self.catalogs.idempotence_hint(user, server, tool)
    }

    fn inspector(&self, server: &ServerName, definition: SpecDigest) -> Arc<dyn Inspector> {
        Arc::new(Inspection { rules: self.rules.clone(), server: server.clone(), definition })
    }

    fn opened(&self, tenant: &Tenant, session: &SessionKey) {
        self.catalogs.announced(tenant, session);
    }

    fn notified(&self, tenant: &Tenant, session: &SessionKey, method: &str) {
        if method == TOOLS_CHANGED {
            self.catalogs.announced(tenant, session);
        }
    }

    fn call_ended(&self, ended: &CallEnded<'_>) {
        telemetry::call_ended(&self.labels, ended);
    }

    fn connection_ended(&self, ended: &ConnectionEnded<'_>) {
        telemetry::connection_ended(&self.labels, ended);
    }
}
