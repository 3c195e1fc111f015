//! From names to addresses that may be connected to.
//!
//! The addresses that pass are the very ones that a connection is made to: a look-up that is only a check, before another by
//! whoever connects, could have another answer.

use std::{
    error::Error as StdError,
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::Reach;
use crate::future::BoxFuture;

/// Asks for the addresses of a name.
pub(super) trait Lookup: Send + Sync + 'static {
    fn addresses(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// As the system does it (getaddrinfo(3)), on a thread for what blocks.
pub(super) struct System;

impl Lookup for System {
    fn addresses(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Resolves the name of one server, and that of its proxy, and no other.
pub(super) struct Resolver {
    pub(super) lookup: Arc<dyn Lookup>,
    /// The host of the server, and what it may resolve to.
    pub(super) host: String,
    pub(super) reach: Reach,
    /// That of the proxy. Where it is, the operator has said.
    pub(super) proxy: Option<String>,
}

impl Resolver {
    fn reach_of(&self, name: &str) -> Option<Reach> {
        if self.proxy.as_deref().is_some_and(|proxy| proxy.eq_ignore_ascii_case(name)) {
            return Some(Reach::Private);
        }
        self.host.eq_ignore_ascii_case(name).then_some(self.reach)
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let Some(reach) = self.reach_of(&name) else {
            return Box::pin(async move { Err(Refused { name, found: None }.into()) });
        };
        let found = self.lookup.addresses(name.clone());
        Box::pin(async move {
            let found = found.await?;
            let admitted: Vec<SocketAddr> = found
                .iter()
                .filter(|address| reach.admits(**address))
                .map(|address| SocketAddr::new(*address, 0))
                .collect();
            match (admitted.is_empty(), found.first()) {
                (false, _) => Ok(Box::new(admitted.into_iter()) as Addrs),
                (true, Some(first)) => Err(Refused { name, found: Some(*first) }.into()),
                (true, None) => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into()),
            }
        })
    }
}

/// A name that leads where a server must not be.
#[derive(Debug)]
pub(super) struct Refused {
    name: String,
    /// None: nobody has to resolve that name.
    found: Option<IpAddr>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.found {
            Some(address) => write!(
                f,
                "{} is at {address}, which is not an address of the public Internet; if the server is meant to be there, say \
                 so in its entry (`privateAddresses`, `Endpoint::private_addresses`)",
                self.name
            ),
            None => write!(f, "{} is not the host of the server", self.name),
        }
    }
}

impl StdError for Refused {}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Answers with one list after the other, the last one for ever.
    pub(in super::super) struct Scripted(Mutex<Vec<Vec<IpAddr>>>);

    impl Scripted {
        pub(in super::super) fn new(answers: &[&[&str]]) -> Arc<Self> {
            let answers = answers.iter().map(|answer| answer.iter().map(|address| address.parse().unwrap()).collect());
            Arc::new(Self(Mutex::new(answers.collect())))
        }
    }

    impl Lookup for Scripted {
        fn addresses(&self, _name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
            let mut answers = self.0.lock().unwrap();
            let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
            Box::pin(async move { Ok(answer) })
        }
    }

    fn resolver(reach: Reach, answers: &[&[&str]]) -> Resolver {
        let lookup = Scripted::new(answers);
        Resolver { lookup, host: "a.example".into(), reach, proxy: Some("proxy.internal".into()) }
    }

    async fn resolve(resolver: &Resolver, name: &str) -> Result<Vec<String>, String> {
        let found = resolver.resolve(name.parse().unwrap()).await;
        found.map(|found| found.map(|address| address.ip().to_string()).collect()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_a_private_address_is_refused() {
        let resolver = resolver(Reach::Public, &[&["169.254.169.254"]]);

        let error = resolve(&resolver, "a.example").await.unwrap_err();

        assert!(error.contains("a.example is at 169.254.169.254"), "{error}");
    }

    #[tokio::test]
    async fn of_several_addresses_only_public_ones_are_connected_to() {
        let resolver = resolver(Reach::Public, &[&["10.0.0.1", "1.1.1.1", "::1"]]);

        assert_eq!(resolve(&resolver, "a.example").await.unwrap(), ["1.1.1.1"]);
    }

    #[tokio::test]
    async fn a_name_that_changes_between_look_ups_is_refused_when_it_does() {
        let resolver = resolver(Reach::Public, &[&["1.1.1.1"], &["127.0.0.1"]]);

        assert_eq!(resolve(&resolver, "a.example").await.unwrap(), ["1.1.1.1"]);
        assert!(resolve(&resolver, "A.example").await.is_err());
    }

    #[tokio::test]
    async fn a_server_that_is_meant_to_be_private_is() {
        let resolver = resolver(Reach::Private, &[&["10.0.0.1"]]);

        assert_eq!(resolve(&resolver, "a.example").await.unwrap(), ["10.0.0.1"]);
    }

    #[tokio::test]
    async fn a_proxy_is_where_the_operator_says_and_no_other_name_is_resolved() {
        let resolver = resolver(Reach::Public, &[&["10.0.0.1"]]);

        assert_eq!(resolve(&resolver, "proxy.internal").await.unwrap(), ["10.0.0.1"]);
        assert!(resolve(&resolver, "b.example").await.unwrap_err().contains("is not the host"));
    }
}
