//! Which addresses a server may be at.
//!
//! A host that fetches what others name is asked to fetch what only it can reach: the metadata service of its cloud, the
//! administration of its router, a database on its own machine. So addresses that are not of the public Internet are refused,
//! unless whoever runs the platform named them. The address is what counts, not the name: names resolve to whatever their owner
//! likes, and to something else a second later.
//!
//! The ranges are those of the IANA registries of special-purpose addresses (RFC 6890), and forms in which one address hides
//! another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// What a name may resolve to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Addresses of the public Internet.
    Public,
    /// Those of this machine: the name is `localhost` (RFC 6761, section 6.3).
    Loopback,
    /// Any but those at which nobody can be.
    Private,
}

impl Reach {
    /// That of a URL which the platform has named. Whoever writes an address in digits has named that address; a name has to be
    /// allowed private addresses besides.
    pub(super) fn of(url: &Url, allows_private: bool) -> Self {
        match url.host() {
            // Nothing is resolved, and no redirect leaves the origin.
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => Self::Private,
            _ if allows_private => Self::Private,
            Some(Host::Domain(name)) if is_localhost(name) => Self::Loopback,
            _ => Self::Public,
        }
    }

    pub(super) fn admits(self, address: IpAddr) -> bool {
        match self {
            Self::Public => is_public(address),
            Self::Loopback => address.is_loopback(),
            Self::Private => can_be_somebody(address),
        }
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

fn can_be_somebody(address: IpAddr) -> bool {
    let broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    !(address.is_unspecified() || address.is_multicast() || broadcast)
}

/// Whether an address is one of the public Internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        // "This network", private use, loopback.
        (0 | 10 | 127, _, _) => true,
        // Carrier-grade NAT (RFC 6598).
        (100, 64..=127, _) => true,
        // Link-local, where clouds have their metadata.
        (169, 254, _) => true,
        (172, 16..=31, _) | (192, 168, _) => true,
        // Protocol assignments, documentation, relays of 6to4, benchmarks.
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) => true,
        // Multicast, reserved, broadcast.
        (224..=255, _, _) => true,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    let segments = address.segments();
    // NAT64 (RFC 6052): networks without IPv4 reach all of it so. The other prefix, for local use, is not public.
    if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = segments {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    match segments {
        // Protocol assignments, Teredo among them (RFC 4380); documentation; 6to4 (RFC 3056). Two of these hide an address.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Nothing else was given out as global unicast: not loopback, link-local, unique-local, site-local, multicast.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: [&str; 8] = [
        "1.1.1.1",
        "100.63.255.255",
        "172.32.0.1",
        "192.0.1.1",
        "2606:4700:4700::1111",
        "2a00:1450:4001:81b::200e",
        "::ffff:1.1.1.1",
        "64:ff9b::101:101",
    ];

    const PRIVATE: [&str; 36] = [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.170",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::101:101",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:101:101::",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "ff02::1",
    ];

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn reach(url: &str, allows_private: bool) -> Reach {
        Reach::of(&Url::parse(url).unwrap(), allows_private)
    }

    #[test]
    fn only_public_addresses_are_reached_by_default() {
        for address in PUBLIC {
            assert!(Reach::Public.admits(ip(address)), "{address}");
        }
        for address in PRIVATE {
            assert!(!Reach::Public.admits(ip(address)), "{address}");
        }
    }

    #[test]
    fn a_server_that_may_be_private_is_still_somewhere() {
        for address in ["10.0.0.1", "127.0.0.1", "::1", "fd00::1", "1.1.1.1"] {
            assert!(Reach::Private.admits(ip(address)), "{address}");
        }
        for address in ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255"] {
            assert!(!Reach::Private.admits(ip(address)), "{address}");
        }
    }

    #[test]
    fn localhost_is_this_machine_and_nothing_else() {
        for url in ["http://localhost:3000/mcp", "http://LOCALHOST./", "http://a.localhost/"] {
            assert_eq!(reach(url, false), Reach::Loopback, "{url}");
        }
        assert!(Reach::Loopback.admits(ip("127.0.0.1")) && Reach::Loopback.admits(ip("::1")));
        for address in ["10.0.0.1", "1.1.1.1", "169.254.169.254"] {
            assert!(!Reach::Loopback.admits(ip(address)), "{address}");
        }
        assert_eq!(reach("http://localhost.evil.example/", false), Reach::Public);
    }

    #[test]
    fn an_address_in_any_digits_is_named_as_it_is() {
        for url in ["http://127.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/", "http://[::1]/"]
        {
            assert_eq!(reach(url, false), Reach::Private, "{url}");
        }
        for (written, read) in [("2130706433", "127.0.0.1"), ("0x7f.1", "127.0.0.1"), ("0177.0.0.1", "127.0.0.1")] {
            assert_eq!(Url::parse(&format!("http://{written}/")).unwrap().host_str(), Some(read));
        }
        assert_eq!(reach("http://internal.example/", false), Reach::Public);
        assert_eq!(reach("http://internal.example/", true), Reach::Private);
    }
}
