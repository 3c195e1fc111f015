//! HTTP: exchanges with a server at a URL.
//!
//! The guest says what is asked and what the answer means; here is how it gets there and back. That takes what a guest must not
//! have: names and addresses, connections, TLS, credentials.
//!
//! | file | what it holds |
//! |---|---|
//! | `pool` | the clients of a tenant, with their connections |
//! | `tls` | whom they trust, and who they say they are |
//! | `resolver`, `address` | which addresses they connect to |
//! | `exchange` | one exchange, from its request to the end of its response |
//! | `body` | the body of a request, which knows when it leaves |
//! | `redirect` | where a redirect may lead |
//! | `headers` | header fields: ours on requests, and what a guest sees of a response |
//! | `sse` | streams of events, from bytes to blocks |
//! | `failure` | what an error means |
//!
//! What is not here: cookies, caches, and authorization that has to be asked for.

mod address;
mod body;
mod exchange;
mod failure;
mod headers;
mod pool;
mod redirect;
mod resolver;
mod sse;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::Arc;

use tokio::task::spawn_blocking;
use url::Url;
use zeroize::Zeroizing;

use super::{
    ConnectContext, ConnectError, Endpoint,
    exchange::{ExchangeConnector, Exchanger},
};
use crate::{
    Limits,
    future::BoxFuture,
    policy::{Asker, SessionSecrets, Template},
};
use exchange::{HttpExchanger, Shared};

pub(crate) use pool::HttpClients;

/// Reaches one server over HTTP, for one session.
#[derive(Clone)]
pub(crate) struct HttpConnector {
    endpoint: Arc<Endpoint>,
    clients: Arc<HttpClients>,
    secrets: SessionSecrets,
    limits: Arc<Limits>,
}

impl HttpConnector {
    pub(crate) fn new(
        endpoint: Endpoint,
        clients: Arc<HttpClients>,
        secrets: SessionSecrets,
        limits: Arc<Limits>,
    ) -> Self {
        let known = endpoint.url.variables().map(|value| Zeroizing::new(value.to_owned()));
        let proxy = endpoint.proxy.as_ref().and_then(Template::known);
        let known = known.chain(proxy.and_then(|proxy| pool::password_of(&proxy))).collect();
        Self { endpoint: Arc::new(endpoint), clients, secrets: secrets.knowing(known), limits }
    }

    async fn prepare(self, context: ConnectContext) -> Result<Arc<dyn Exchanger>, ConnectError> {
        let url = address(&self.endpoint)?;
        let asker = Asker { tenant: context.tenant, user: context.user, server: context.server };
        let (connector, at) = (self.clone(), url.clone());
        // It may read files with certificates: not on the embedder's workers.
        let client = spawn_blocking(move || connector.clients.get(&connector.endpoint, &at, &connector.limits)).await;
        let client =
            client.map_err(|error| ConnectError::unavailable(format!("making an HTTP client failed: {error}")))??;
        let Self { endpoint, secrets, limits, .. } = self;
        Ok(Arc::new(Shared(Arc::new(HttpExchanger { client, url, endpoint, secrets, asker, limits }))))
    }
}

impl ExchangeConnector for HttpConnector {
    fn connect(&self, context: ConnectContext) -> BoxFuture<'static, Result<Arc<dyn Exchanger>, ConnectError>> {
        let mask = self.secrets.mask().clone();
        let preparing = self.clone().prepare(context);
        Box::pin(async move { preparing.await.map_err(|error| error.masked(&mask)) })
    }
}

/// The URL of a server.
fn address(endpoint: &Endpoint) -> Result<Url, ConnectError> {
    // Not repeated: it may have a secret in it.
    let invalid = |problem: &str| ConnectError::new(format!("the URL {endpoint} cannot be used: {problem}"));
    let mut url = Url::parse(&endpoint.url()).map_err(|error| invalid(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("its scheme is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("it has a user in it; put credentials into a header field"));
    }
    url.set_fragment(None);
    Ok(url)
}
