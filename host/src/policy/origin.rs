//! Where an address leads: scheme, host and port (RFC 6454).

use std::fmt;

use url::Url;

/// An origin of HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin(String);

impl Origin {
    /// That of the address of a server.
    pub(super) fn of_server(address: &str) -> Result<Self, &'static str> {
        let url = Url::parse(address).map_err(|_| "it is no address")?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("it is no address of HTTP");
        }
        // What stands there is a secret in the wrong place, or made to look like a host.
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it has a user in it");
        }
        Ok(Self(url.origin().ascii_serialization()))
    }

    /// One that a policy names: an address without anything behind its port.
    pub(super) fn named(text: &str) -> Result<Self, &'static str> {
        let origin = Self::of_server(text)?;
        if text.contains('*') {
            return Err("it has a `*` in it, and origins are compared as they are");
        }
        let url = Url::parse(text).map_err(|_| "it is no address")?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err("it has more than scheme, host and port");
        }
        Ok(origin)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(rule: &str, address: &str) -> bool {
        Origin::named(rule).unwrap() == Origin::of_server(address).unwrap()
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for address in
            ["https://a.example/mcp?x=1", "HTTPS://A.EXAMPLE", "https://a.example:443/", "https://a.example/\u{e4}"]
        {
            assert!(same("https://a.example", address), "{address}");
        }
        let others = [
            "http://a.example/",
            "https://a.example:8443/",
            "https://b.a.example/",
            "https://a.example.evil.example/",
            "https://a.example./",
            "https:\\\\b.example\\@a.example",
        ];
        for address in others {
            assert!(!same("https://a.example", address), "{address}");
        }
    }

    #[test]
    fn an_address_with_a_user_has_no_origin() {
        for address in ["https://a.example@evil.example/", "https://user:pass@a.example/", "https://:pass@a.example/"] {
            assert_eq!(Origin::of_server(address), Err("it has a user in it"), "{address}");
        }
    }

    #[test]
    fn other_schemes_have_none_here() {
        for address in ["file:///etc/passwd", "ws://a.example/", "data:,x", "a.example", ""] {
            assert!(Origin::of_server(address).is_err(), "{address}");
        }
    }

    #[test]
    fn a_policy_names_origins_and_not_addresses() {
        for rule in ["https://a.example/mcp", "https://a.example/?q", "https://a.example/#f", "a.example", "https://*"]
        {
            assert!(Origin::named(rule).is_err(), "{rule}");
        }
    }
}
