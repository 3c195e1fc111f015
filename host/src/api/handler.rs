//! Who answers requests of servers.
//!
//! Servers may ask the platform: for a completion of a model, for an answer of a person, for the folders to work in. Only
//! the embedder can know the answers.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::{
    guest::boundary,
    names::{ServerName, SessionId, TenantName, UserName},
    session::{Asked, Asker, CallId},
    transport::BoxFuture,
};

/// A request of a server, and for whom it would be answered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerRequest {
    /// The tenant.
    pub tenant: TenantName,
    /// The user. None: nobody in particular, in a session that the users of the tenant share
    /// ([`Scope::Tenant`](crate::Scope::Tenant)). Only a tenant's own handler gets such a request.
    pub user: Option<UserName>,
    /// The server that asks.
    pub server: ServerName,
    /// The session.
    pub session: SessionId,
    /// The call that it belongs to, where the protocol says so or only one is open.
    pub call: Option<CallId>,
    /// The method, in the words of the protocol.
    pub method: String,
    /// The parameters, verbatim. JSON; empty where there are none.
    pub params: Bytes,
}

/// The answer to a [`ServerRequest`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// The result, as the protocol has it for the method.
    Result(Value),
    /// An error, as the protocol has it.
    Error(Value),
    /// Nobody here answers this: the guest refuses in the way that the protocol has for it.
    Refused,
}

/// Answers requests of servers. For those of MCP [`ClientFeatures`](crate::mcp::ClientFeatures) is one with types.
///
/// ```
/// use innkeeper::{Answer, ServerRequest, ServerRequestHandler, transport::BoxFuture};
/// use serde_json::{Value, json};
///
/// /// Tells servers which folder to work in, and nothing else.
/// struct Workspace(String);
///
/// impl ServerRequestHandler for Workspace {
///     fn capabilities(&self) -> Value {
///         json!({ "roots": {} })
///     }
///
///     fn handle(&self, request: ServerRequest) -> BoxFuture<'static, Answer> {
///         let answer = match request.method.as_str() {
///             "roots/list" => Answer::Result(json!({ "roots": [{ "uri": self.0 }] })),
///             _ => Answer::Refused,
///         };
///         Box::pin(async move { answer })
///     }
/// }
/// ```
pub trait ServerRequestHandler: Send + Sync + 'static {
    /// What it can answer, as the protocol announces it to servers: an object. Asked once for each session, before it opens.
    /// Default: nothing.
    fn capabilities(&self) -> Value {
        Value::Object(serde_json::Map::new())
    }

    /// Answers a request. Takes the time that it needs, up to [`Limits::server_request`](crate::Limits::server_request); the
    /// deadline of the call that the request belongs to stands still meanwhile.
    ///
    /// # Cancellation
    ///
    /// The future is dropped when the server withdraws its request, and when the session ends. One that panics has refused.
    fn handle(&self, request: ServerRequest) -> BoxFuture<'static, Answer>;
}

/// Refuses every request, and announces that: the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct RefuseAll;

impl ServerRequestHandler for RefuseAll {
    fn handle(&self, _request: ServerRequest) -> BoxFuture<'static, Answer> {
        Box::pin(async { Answer::Refused })
    }
}

/// Who answers for one session.
pub(super) struct ForSession {
    /// The tenant's own, if it has one: then all requests are for that.
    pub(super) of_tenant: Option<Arc<dyn ServerRequestHandler>>,
    pub(super) of_runtime: Arc<dyn ServerRequestHandler>,
    pub(super) tenant: TenantName,
    pub(super) server: ServerName,
    pub(super) session: SessionId,
}

impl Asker for ForSession {
    fn capabilities(&self) -> Bytes {
        json(&self.of_tenant.as_ref().unwrap_or(&self.of_runtime).capabilities())
    }

    fn ask(&self, asked: Asked) -> BoxFuture<'static, boundary::Answer> {
        let handler = match &self.of_tenant {
            Some(of_tenant) => of_tenant.clone(),
            None if asked.user.is_some() => self.of_runtime.clone(),
            // Whoever answers for the runtime would have to guess for whom.
            None => return Box::pin(async { boundary::Answer::Refused }),
        };
        let request = ServerRequest {
            tenant: self.tenant.clone(),
            user: asked.user,
            server: self.server.clone(),
            session: self.session,
            call: asked.call.map(CallId),
            method: asked.method,
            params: asked.params,
        };
        Box::pin(async move {
            match handler.handle(request).await {
                Answer::Result(result) => boundary::Answer::Result(json(&result)),
                Answer::Error(error) => boundary::Answer::Error(json(&error)),
                Answer::Refused => boundary::Answer::Refused,
            }
        })
    }
}

fn json(value: &Value) -> Bytes {
    // Never fails for a value: its keys are strings and its numbers finite.
    serde_json::to_vec(value).unwrap_or_default().into()
}
