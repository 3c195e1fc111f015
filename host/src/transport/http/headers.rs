//! Header fields: those of the host on requests, and those of a response that a guest may see.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};

use crate::{
    policy::{Mask, Variables},
    transport::{ConnectError, Endpoint, ExchangeFailure, Header, exchange::Failed},
};

use super::failure;

/// Header fields of a response, and bytes of all of them.
pub(super) const MOST: usize = 100;
pub(super) const MOST_BYTES: u32 = 64 * 1024;

/// Bytes of a challenge, for people.
const LONGEST_CHALLENGE: usize = 2 * 1024;

/// Fields of a response that carry credentials (RFC 6265; RFC 9110, section 11.6.3; RFC 7615).
const CREDENTIALS: [&str; 8] = [
    "authentication-info",
    "authorization",
    "cookie",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "set-cookie",
    "set-cookie2",
];

/// Fields that no entry of a catalog can set: what belongs to one connection, and how long a message is.
const OF_CONNECTION: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether the entry of a server names header fields that can be sent.
pub(super) fn check(endpoint: &Endpoint) -> Result<(), ConnectError> {
    for name in endpoint.headers.keys() {
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(ConnectError::new(format!("{name:?} is not a name that a header field can have")));
        }
        if OF_CONNECTION.contains(&name.as_str()) {
            return Err(ConnectError::new(format!(
                "the header field {name} cannot be set: it belongs to a single connection; remove it from the entry"
            )));
        }
    }
    Ok(())
}

/// The header fields of a request: those of the guest, and over them those of the server's entry.
pub(super) fn of_request(guest: &[Header], own: &Variables) -> Result<HeaderMap, ConnectError> {
    let invalid = |name: &str| ConnectError::new(format!("the header field {name} has a value that cannot be sent"));
    let mut headers = HeaderMap::new();
    for Header { name, value } in guest {
        let value = HeaderValue::from_str(value).map_err(|_| invalid(name))?;
        let field = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid(name))?;
        headers.append(field, value);
    }
    for (name, value) in own {
        let mut value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| invalid(name))?;
        // Nothing below shows it, or keeps it in a table of the connection.
        value.set_sensitive(true);
        let field = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid(name))?;
        headers.insert(field, value);
    }
    Ok(headers)
}

/// What of a response's fields a guest sees: not those that carry credentials, be it because they are for that or because the
/// server repeats what it was sent.
pub(super) fn of_response(headers: &HeaderMap, mask: &Mask) -> Result<Vec<Header>, Failed> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > MOST || bytes > MOST_BYTES as usize {
        let message = format!("the response has {} header fields of {bytes} bytes", headers.len());
        return Err(failure::plain(ExchangeFailure::TooLarge, message));
    }
    let seen = headers.iter().filter(|(name, _)| !CREDENTIALS.contains(&name.as_str()));
    let text = seen.filter_map(|(name, value)| Some((name.as_str(), str::from_utf8(value.as_bytes()).ok()?)));
    let shown = text.filter(|(_, value)| mask.text(value) == *value);
    Ok(shown.map(|(name, value)| Header { name: name.to_owned(), value: value.to_owned() }).collect())
}

/// How the server wants its client to authenticate, for people.
pub(super) fn challenge(headers: &HeaderMap, mask: &Mask) -> Option<String> {
    let challenges: Vec<_> = headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    if challenges.is_empty() {
        return None;
    }
    let mut challenge = mask.text(&challenges.join(", ")).into_owned();
    challenge.truncate(challenge.floor_char_boundary(LONGEST_CHALLENGE));
    Some(challenge.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect())
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn header(name: &str, value: &str) -> Header {
        Header { name: name.into(), value: value.into() }
    }

    #[test]
    fn the_fields_of_the_entry_count_over_those_of_the_guest() {
        let own = Variables::from([("x-a".to_owned(), Zeroizing::new("hunter2".to_owned()))]);

        let headers = of_request(&[header("X-A", "1"), header("x-b", "2")], &own).unwrap();

        assert_eq!((headers["x-a"].as_bytes(), headers["x-b"].as_bytes()), (&b"hunter2"[..], &b"2"[..]));
        assert!(!format!("{headers:?}").contains("hunter2"));
    }

    #[test]
    fn an_entry_cannot_take_a_connection_over() {
        for name in ["Host", "Content-Length", "Transfer-Encoding", "Connection", "a b"] {
            assert!(check(&Endpoint::new("https://a.example").header(name, "1")).is_err(), "{name}");
        }
        assert!(check(&Endpoint::new("https://a.example").header("Cookie", "a=b").bearer_secret("c")).is_ok());
        let value = Variables::from([("x-a".to_owned(), Zeroizing::new("a\r\nb: c".to_owned()))]);
        let error = of_request(&[], &value).unwrap_err().to_string();
        assert!(!error.contains("b: c"), "{error}");
    }

    #[test]
    fn a_guest_sees_no_credentials() {
        let mask = Mask::default();
        mask.learn(vec![Zeroizing::new("hunter2".to_owned())]);
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "text/plain"),
            ("set-cookie", "session=1"),
            ("x-echo", "you sent hunter2"),
            ("www-authenticate", "Bearer realm=\"hunter2\""),
            ("www-authenticate", "Basic"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }

        let seen = of_response(&headers, &mask).unwrap();

        assert_eq!(seen, [header("content-type", "text/plain"), header("www-authenticate", "Basic")]);
        assert_eq!(challenge(&headers, &mask).as_deref(), Some("Bearer realm=\"***\", Basic"));
    }

    #[test]
    fn the_head_of_a_response_is_bounded() {
        let mut headers = HeaderMap::new();
        headers.insert("x-long", HeaderValue::from_str(&"a".repeat(MOST_BYTES as usize)).unwrap());

        let failed = of_response(&headers, &Mask::default()).unwrap_err();

        assert_eq!(failed.failure, ExchangeFailure::TooLarge);
    }
}
