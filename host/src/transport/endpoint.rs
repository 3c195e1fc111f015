//! Where a server is that is reached over HTTP, and what its requests carry.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::{names::SecretName, policy::Template};

/// The address of a server, what is added to each request, and the way there.
///
/// Credentials are named rather than given: a secret of the runtime's [`SecretStore`](crate::SecretStore), or a file, is asked for
/// with each request, so one that was replaced reaches the next. No guest sees them, and they are hidden in errors and in the log.
/// They go to the origin of the address and nowhere else.
///
/// ```
/// use innkeeper::{Endpoint, Server};
///
/// let server = Server::url(Endpoint::new("https://mcp.example.com/mcp").bearer_secret("example/token"));
/// let local = Server::url("http://localhost:3000/mcp");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub(crate) url: Template,
    shown: String,
    /// By name, in lower case.
    pub(crate) headers: BTreeMap<String, Template>,
    pub(crate) proxy: Option<Template>,
    pub(crate) ca_certificates: Option<PathBuf>,
    pub(crate) client_certificate: Option<PathBuf>,
    pub(crate) private_addresses: bool,
    pub(crate) origin_paths: bool,
}

impl Endpoint {
    /// A server at a URL, with the scheme `http` or `https`.
    pub fn new(url: impl Into<String>) -> Self {
        let url = url.into();
        Self {
            shown: url.clone(),
            url: url.into(),
            headers: BTreeMap::new(),
            proxy: None,
            ca_certificates: None,
            client_certificate: None,
            private_addresses: false,
            origin_paths: false,
        }
    }

    /// The same at a URL that has values of variables in it.
    pub(crate) fn of_template(url: Template, shown: &str) -> Self {
        Self { url, ..Self::new(shown) }
    }

    /// Adds a header field to each request. Where a guest sets one of this name, this counts. What belongs to a single
    /// connection, such as `Host` or `Content-Length`, cannot be set.
    #[must_use]
    pub fn header(self, name: impl AsRef<str>, value: impl Into<String>) -> Self {
        self.header_template(name, value.into().into())
    }

    /// The same with a secret as the value.
    #[must_use]
    pub fn header_secret(self, name: impl AsRef<str>, secret: impl Into<SecretName>) -> Self {
        self.header_template(name, Template::secret(secret.into()))
    }

    /// The same with the content of a file as the value, less the end of its last line.
    #[must_use]
    pub fn header_file(self, name: impl AsRef<str>, path: impl Into<PathBuf>) -> Self {
        self.header_template(name, Template::file(path))
    }

    /// Adds a bearer token (RFC 6750) to each request, which is a secret.
    #[must_use]
    pub fn bearer_secret(self, secret: impl Into<SecretName>) -> Self {
        self.header_template("authorization", Template::secret(secret.into()).after("Bearer "))
    }

    /// Adds a bearer token (RFC 6750) to each request, which is the content of a file, less the end of its last line.
    #[must_use]
    pub fn bearer_file(self, path: impl Into<PathBuf>) -> Self {
        self.header_template("authorization", Template::file(path).after("Bearer "))
    }

    pub(crate) fn header_template(mut self, name: impl AsRef<str>, value: Template) -> Self {
        self.headers.insert(name.as_ref().to_ascii_lowercase(), value);
        self
    }

    /// The proxy to go through, as a URL with the scheme `http` or `https`; a user and password in it are used. Default: none,
    /// whatever the environment says. It is for the proxy to see to it where a server is: addresses are not looked at.
    #[must_use]
    pub fn proxy(self, url: impl Into<String>) -> Self {
        self.proxy_template(url.into().into())
    }

    pub(crate) fn proxy_template(mut self, url: Template) -> Self {
        self.proxy = Some(url);
        self
    }

    /// A file (PEM) with the certificate authorities that are trusted, in place of the public ones. Default: those of Mozilla, as
    /// of this version of the library. Those of the system are not looked at: the environment says where they are.
    #[must_use]
    pub fn ca_certificates(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca_certificates = Some(file.into());
        self
    }

    /// A file (PEM) with the certificate that is shown to the server, the chain that it needs, and its key. Default: none. It is
    /// read when a session connects.
    #[must_use]
    pub fn client_certificate(mut self, file: impl Into<PathBuf>) -> Self {
        self.client_certificate = Some(file.into());
        self
    }

    /// Whether the name in the URL may lead to an address that is not of the public Internet: this machine, a private network, the
    /// link. Default: no, because a name leads wherever its owner likes. An address in digits is meant as it stands, and
    /// `localhost` is this machine.
    #[must_use]
    pub fn private_addresses(mut self, allow: bool) -> Self {
        self.private_addresses = allow;
        self
    }

    /// Whether requests may go to other paths at the origin of the URL, with the same credentials; which ones, the guest says.
    /// Default: no. The oldest transport over HTTP takes it, in which the server names the path for messages.
    #[must_use]
    pub fn origin_paths(mut self, allow: bool) -> Self {
        self.origin_paths = allow;
        self
    }

    /// The URL.
    pub(crate) fn url(&self) -> Zeroizing<String> {
        self.url.known().unwrap_or_default()
    }

    /// Bytes of all that its author can make long.
    pub(crate) fn len(&self) -> usize {
        let path = |path: &Option<PathBuf>| path.as_deref().map_or(0, |path: &Path| path.as_os_str().len());
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len());
        let proxy = self.proxy.as_ref().map_or(0, Template::len);
        let certificates = path(&self.ca_certificates) + path(&self.client_certificate);
        headers.sum::<usize>() + self.url.len() + self.shown.len() + proxy + certificates
    }
}

impl<T: Into<String>> From<T> for Endpoint {
    fn from(url: T) -> Self {
        Self::new(url)
    }
}

impl fmt::Display for Endpoint {
    /// The URL, as people may see it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("url", &self.shown)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("proxy", &self.proxy.as_ref().map(|_| "***"))
            .field("ca_certificates", &self.ca_certificates)
            .field("client_certificate", &self.client_certificate)
            .field("private_addresses", &self.private_addresses)
            .field("origin_paths", &self.origin_paths)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_does_not_show_what_it_carries() {
        let endpoint = Endpoint::new("https://a.example/mcp")
            .header("X-Key", "hunter2")
            .proxy("http://user:hunter2@proxy")
            .bearer_secret("token");

        let shown = format!("{endpoint} {endpoint:?}");

        assert!(!shown.contains("hunter2") && shown.contains("x-key"), "{shown}");
    }

    #[test]
    fn the_name_of_a_header_field_has_no_case() {
        let endpoint = Endpoint::new("https://a.example/").header("X-Key", "1").header("x-KEY", "2");

        assert_eq!(endpoint.headers.len(), 1);
        assert_eq!(endpoint.headers["x-key"].known().as_deref().map(String::as_str), Some("2"));
    }
}
