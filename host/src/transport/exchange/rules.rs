//! What a request may be that a guest asks for.
//!
//! The host adds credentials, the host name and everything that belongs to a single connection. So a request of a guest that has
//! any of that would either be changed silently or smuggle something past the host; it is a fault of the guest instead. The same
//! goes for bytes that would end a line.

use std::fmt;

use super::{Request, Target};

/// Header fields of a request, and bytes of all of them: what servers take by default has the same order.
const MOST_HEADERS: usize = 64;
const MOST_HEADER_BYTES: usize = 32 * 1024;

/// Bytes of a method, and of a path with its query.
const LONGEST_METHOD: usize = 32;
const LONGEST_PATH: usize = 8 * 1024;

/// Fields that are the host's: what belongs to one connection (RFC 9110, section 7.6.1), how long a message is and how it is
/// encoded, where it goes, who it is from, and what proxies say of whom they forward.
const OF_HOST: [&str; 27] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "cookie",
    "cookie2",
    "expect",
    "forwarded",
    "from",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded",
    "x-real-ip",
];

/// Beginnings of such.
const OF_HOST_PREFIXES: [&str; 3] = ["x-forwarded-", "proxy-", "sec-"];

/// A request that no guest may ask for, as a sentence about the guest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BrokenRule(String);

impl fmt::Display for BrokenRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Looks at a request of a guest that has declared to set these header fields.
pub(crate) fn check(request: &Request, declared: &[String]) -> Result<(), BrokenRule> {
    let broken = |what: String| Err(BrokenRule(what));
    let method = &request.method;
    if !is_token(method) || method.len() > LONGEST_METHOD {
        return broken("it made a request with a method that is none".to_owned());
    }
    // The one makes a tunnel, the other has credentials repeated (RFC 9110, sections 9.3.6 and 9.3.8).
    if ["CONNECT", "TRACE", "TRACK"].iter().any(|other| method.eq_ignore_ascii_case(other)) {
        return broken(format!("it made a request with the method {method}"));
    }
    if let Target::Origin(path) = &request.target
        && !is_path(path)
    {
        return broken("it made a request to a path that is none".to_owned());
    }
    let bytes: usize = request.headers.iter().map(|header| header.name.len() + header.value.len()).sum();
    if request.headers.len() > MOST_HEADERS || bytes > MOST_HEADER_BYTES {
        return broken(format!("it made a request with {} header fields of {bytes} bytes", request.headers.len()));
    }
    for header in &request.headers {
        let name = header.name.to_ascii_lowercase();
        if !is_token(&name) {
            return broken("it set a header field whose name is none".to_owned());
        }
        if is_of_host(&name) {
            return broken(format!("it set the header field {name}, which is the host's"));
        }
        if !declared.iter().any(|declared| declared.eq_ignore_ascii_case(&name)) {
            return broken(format!("it set the header field {name}, which it did not declare"));
        }
        if !is_value(&header.value) {
            return broken(format!("it set the header field {name} to what no header field can have"));
        }
    }
    Ok(())
}

/// Whether a field of this name, in lower case, is for the host alone to set.
pub(crate) fn is_of_host(name: &str) -> bool {
    OF_HOST.contains(&name) || OF_HOST_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// RFC 9110, section 5.5, less what is obsolete: one byte beyond ASCII is a character here and another there.
fn is_value(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) && text.trim_matches([' ', '\t']) == text
}

/// A path with a query (RFC 3986, sections 3.3 and 3.4), which cannot be taken for an authority.
fn is_path(text: &str) -> bool {
    text.len() <= LONGEST_PATH
        && text.starts_with('/')
        && !text.starts_with("//")
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\#".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::{super::Header, *};

    fn request(name: &str, value: &str) -> Request {
        let headers = vec![Header { name: name.into(), value: value.into() }];
        Request { method: "POST".into(), target: Target::Server, headers, body: None }
    }

    fn said(request: &Request) -> Option<String> {
        check(request, &["accept".into(), "X-Own".into(), "cookie".into()]).err().map(|broken| broken.to_string())
    }

    #[test]
    fn a_field_is_set_that_was_declared_and_no_other() {
        assert_eq!(said(&request("Accept", "text/plain, */*;q=0.1")), None);
        assert_eq!(said(&request("x-own", "")), None);
        assert!(said(&request("x-other", "1")).unwrap().contains("did not declare"));
    }

    #[test]
    fn what_is_the_hosts_is_not_set_even_if_declared() {
        for name in ["Cookie", "Host", "AUTHORIZATION", "Content-Length", "Transfer-Encoding", "X-Forwarded-For", "TE"]
        {
            assert!(said(&request(name, "1")).unwrap().contains("the host's"), "{name}");
        }
    }

    #[test]
    fn nothing_ends_a_line() {
        for value in ["a\r\nb: c", "a\nb", "\0", "\u{7f}", "\u{e4}", " a", "a "] {
            assert!(said(&request("accept", value)).is_some(), "{value:?}");
        }
        for name in ["", "a b", "a:", "a\r\nb"] {
            assert!(said(&request(name, "1")).is_some(), "{name:?}");
        }
    }

    #[test]
    fn a_path_stays_at_its_origin() {
        let to = |path: &str| said(&Request { target: Target::Origin(path.into()), ..request("accept", "1") });

        for path in ["/", "/messages?session=1&x=%20", "/a//b", "/@host"] {
            assert_eq!(to(path), None, "{path}");
        }
        let long = format!("/{}", "a".repeat(LONGEST_PATH));
        for path in
            ["", "a", "//evil.example/", "https://evil.example/", "/a b", "/\\evil", "\\\\evil", "/#a", "/\n", &long]
        {
            assert!(to(path).is_some(), "{path}");
        }
    }

    #[test]
    fn a_method_is_a_token_and_makes_no_tunnel() {
        let by = |method: &str| said(&Request { method: method.into(), ..request("accept", "1") });

        for method in ["GET", "POST", "DELETE", "X-SPECIAL"] {
            assert_eq!(by(method), None, "{method}");
        }
        for method in ["", "G T", "GET / HTTP/1.1\r\n", "CONNECT", "trace"] {
            assert!(by(method).is_some(), "{method:?}");
        }
    }

    #[test]
    fn fields_are_bounded() {
        let many = Request { headers: vec![request("accept", "").headers.remove(0); 65], ..request("accept", "") };

        assert!(said(&many).is_some());
        assert!(said(&request("accept", &"a".repeat(MOST_HEADER_BYTES))).is_some());
    }
}
