//! What speaks the protocol by purpose, as the neutral core sees it.
//!
//! The core must not know what is in a call or a notification: a new revision of the protocol is a new guest, and the host
//! stays. But some promises are about just that: a tool that is denied is denied to a raw call too, and a list that the server
//! says has changed is not served as if it had not. So an edge above this module is shown what passes, and each tenant has its
//! state. There is one edge, and the crate's root puts it here.

use std::{any::Any, sync::Arc};

use super::{CallEnded, Catalog, ConnectionEnded, SessionKey, Tenant};
use crate::{
    Error, Limits,
    guest::Background,
    names::{ServerName, SpecDigest, TenantName, UserName},
    policy::ToolRules,
    session::Inspector,
};

/// The edge of a runtime.
pub(crate) trait Edge: Send + Sync + 'static {
    /// Makes the state of a tenant, whose work that takes long is done in the background. What is wrong with the tenant's settings
    /// is the error.
    fn tenant(
        &self,
        name: &TenantName,
        catalog: &Catalog,
        rules: &ToolRules,
        limits: &Limits,
        background: Background,
    ) -> Result<Box<dyn TenantEdge>, Error>;
}

/// Whether something that is trusted says that a call may be made twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdempotenceHint {
    /// It does not.
    None,
    /// It said so, and may say otherwise by now.
    Stale,
    /// It says so.
    Current,
}

/// What an edge keeps of one tenant, for as long as that lives. The edge finds its own type in it again.
pub(crate) trait TenantEdge: Any + Send + Sync {
    /// What would be wrong with the tenant's settings if it had this catalog.
    fn check(&self, catalog: &Catalog) -> Result<(), Error>;

    /// The tenant has another catalog, which was checked. Its sessions may be of the one before for a while.
    fn reload(&self, catalog: &Catalog);

    /// What was known of a server is of no use any more: it is another one.
    fn replaced(&self, server: &ServerName);

    /// Whether something may be said to a server. Asked before anything is sent, of calls and of notices.
    fn admit(
        &self,
        server: &ServerName,
        definition: SpecDigest,
        method: &str,
        params: Option<&[u8]>,
    ) -> Result<(), Error>;

    /// What there is to say for a call that does no more when it is made twice, of which its caller says nothing. Asked when it is made,
    /// and again when it would be made a second time. `user` is the session's; `subject` what the call is about.
    fn idempotence_hint(
        &self,
        user: Option<&UserName>,
        server: &ServerName,
        definition: SpecDigest,
        method: &str,
        subject: Option<&str>,
    ) -> IdempotenceHint;

    /// Who looks at what guests say to a server, where they are the tenant's own.
    fn inspector(&self, server: &ServerName, definition: SpecDigest) -> Arc<dyn Inspector>;

    /// A session has a connection, which may be to another version of the server than the one before.
    fn opened(&self, tenant: &Tenant, session: &SessionKey);

    /// A server said something that is no answer. Called by the task of the session, which waits meanwhile: in the order in which
    /// the server said it, and before the session goes on to what came after.
    fn notified(&self, tenant: &Tenant, session: &SessionKey, method: &str);

    /// A call has ended: to be measured.
    fn call_ended(&self, ended: &CallEnded<'_>);

    /// A connection has ended that was ready: to be measured.
    fn connection_ended(&self, ended: &ConnectionEnded<'_>);
}
