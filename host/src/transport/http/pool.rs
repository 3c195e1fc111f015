//! The HTTP clients of one tenant: each with its connections, which are kept for the next request.
//!
//! Nothing crosses between two tenants, so connections do not either. Within a tenant, sessions with servers at the same origin,
//! reached the same way, share a client. One that no session has is dropped with its connections.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use reqwest::{Client, Proxy, redirect::Policy, retry};
use url::Url;
use zeroize::Zeroizing;

use super::{
    address::Reach,
    headers,
    resolver::{Lookup, Resolver, System},
    tls,
};
use crate::{
    Limits,
    policy::Template,
    transport::{ConnectError, Endpoint},
};

/// How long a connection is kept without a request. Common servers close theirs after 5 s, and a request that meets that moment is
/// one of which nobody knows whether it ran: a new connection costs less.
const IDLE: Duration = Duration::from_secs(4);

/// Connections that are kept for one origin. More are made where they are needed.
const MOST_IDLE: usize = 32;

/// When to ask whether the other machine is still there, on a connection on which nothing comes: streams of events may be silent
/// for hours, and one whose server is gone would be waited for as long.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TRIES: u32 = 3;

/// Bytes of HTTP/2 that may come unread: of one stream, and of all of a connection, so that sixty streams that nobody reads do not
/// hold up another.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

/// The clients of one tenant.
pub(crate) struct HttpClients {
    clients: Mutex<BTreeMap<Key, Weak<Client>>>,
    lookup: Arc<dyn Lookup>,
}

/// What a client is made from.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    origin: String,
    reach: Reach,
    proxy: Option<String>,
    ca_certificates: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
}

impl Default for HttpClients {
    fn default() -> Self {
        Self { clients: Mutex::default(), lookup: Arc::new(System) }
    }
}

impl HttpClients {
    /// Those of a tenant whose names lead where a test says.
    #[cfg(test)]
    pub(super) fn looking_up(lookup: Arc<dyn Lookup>) -> Self {
        Self { lookup, ..Self::default() }
    }

    /// A client for a server. Blocks: it may read files with certificates.
    pub(super) fn get(&self, endpoint: &Endpoint, url: &Url, limits: &Limits) -> Result<Arc<Client>, ConnectError> {
        let key = Key {
            origin: url.origin().ascii_serialization(),
            reach: Reach::of(url, endpoint.private_addresses),
            proxy: endpoint.proxy.as_ref().and_then(Template::known).map(|proxy| proxy.to_string()),
            ca_certificates: endpoint.ca_certificates.clone(),
            client_certificate: endpoint.client_certificate.clone(),
        };
        if let Some(client) = self.known(&key) {
            return Ok(client);
        }
        let client = Arc::new(self.build(&key, endpoint, url, limits)?);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|_, client| client.strong_count() > 0);
        // Somebody else may have built one meanwhile.
        let present = clients.get(&key).and_then(Weak::upgrade);
        Ok(present.unwrap_or_else(|| {
            clients.insert(key, Arc::downgrade(&client));
            client
        }))
    }

    fn known(&self, key: &Key) -> Option<Arc<Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).get(key)?.upgrade()
    }

    fn build(&self, key: &Key, endpoint: &Endpoint, url: &Url, limits: &Limits) -> Result<Client, ConnectError> {
        headers::check(endpoint)?;
        let proxy = key.proxy.as_deref().map(proxy_at).transpose()?;
        let resolver = Resolver {
            lookup: self.lookup.clone(),
            host: url.host_str().unwrap_or_default().to_owned(),
            reach: key.reach,
            proxy: proxy.as_ref().map(|(_, host)| host.clone()),
        };
        let mut builder = Client::builder()
            // Whatever the environment says.
            .no_proxy()
            // Redirects are looked at one by one, and nothing is sent again by itself.
            .redirect(Policy::none())
            .retry(retry::never())
            .referer(false)
            .user_agent(concat!("innkeeper/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(limits.http_connect)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MOST_IDLE)
            .tcp_keepalive(KEEP_ALIVE)
            .tcp_keepalive_interval(KEEP_ALIVE_ANSWER)
            .tcp_keepalive_retries(KEEP_ALIVE_TRIES)
            .http1_max_headers(headers::MOST)
            .http2_max_header_list_size(headers::MOST_BYTES)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(KEEP_ALIVE_ANSWER)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .dns_resolver(Arc::new(resolver))
            .tls_backend_preconfigured(tls::config(endpoint)?);
        if let Some((proxy, _)) = proxy {
            builder = builder.proxy(proxy);
        }
        builder
            .build()
            .map_err(|error| ConnectError::new(format!("no HTTP client can be made: {}", error.without_url())))
    }
}

/// A proxy, and its host.
fn proxy_at(address: &str) -> Result<(Proxy, String), ConnectError> {
    // Not repeated: it may have a password in it.
    let invalid =
        || ConnectError::new("the address of its proxy is none; write one like http://proxy.example.com:3128");
    let url = Url::parse(address).map_err(|_| invalid())?;
    let host = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")).ok_or_else(invalid)?;
    Ok((Proxy::all(address).map_err(|_| invalid())?, host.to_owned()))
}

/// What of a proxy's address nobody is to see.
pub(super) fn password_of(proxy: &str) -> Option<Zeroizing<String>> {
    Some(Zeroizing::new(Url::parse(proxy).ok()?.password()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(clients: &HttpClients, endpoint: &Endpoint) -> Result<Arc<Client>, ConnectError> {
        clients.get(endpoint, &Url::parse(&endpoint.url()).unwrap(), &Limits::default())
    }

    #[test]
    fn servers_at_one_origin_share_connections_where_they_are_reached_alike() {
        let clients = HttpClients::default();
        let endpoint = Endpoint::new("https://a.example/mcp");
        let first = get(&clients, &endpoint).unwrap();

        let same = get(&clients, &Endpoint::new("https://a.example/other").bearer_secret("token")).unwrap();
        let others = [
            Endpoint::new("https://b.example/mcp"),
            endpoint.clone().private_addresses(true),
            endpoint.proxy("http://proxy:3128"),
        ];

        assert!(Arc::ptr_eq(&first, &same));
        for other in others {
            assert!(!Arc::ptr_eq(&first, &get(&clients, &other).unwrap()), "{other:?}");
        }
    }

    #[test]
    fn a_client_that_no_session_has_is_gone() {
        let clients = HttpClients::default();
        drop(get(&clients, &Endpoint::new("https://a.example/")).unwrap());

        let _kept = get(&clients, &Endpoint::new("https://b.example/")).unwrap();

        assert_eq!(clients.clients.lock().unwrap().len(), 1);
    }

    #[test]
    fn the_address_of_a_proxy_is_not_repeated() {
        let clients = HttpClients::default();
        for proxy in ["socks5://user:hunter2@proxy", "hunter2", "http://"] {
            let error = get(&clients, &Endpoint::new("https://a.example/").proxy(proxy)).unwrap_err().to_string();
            assert!(error.contains("proxy") && !error.contains("hunter2"), "{error}");
        }
    }
}
