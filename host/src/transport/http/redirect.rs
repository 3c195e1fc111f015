//! Where a redirect may lead: to the same origin, a few times, with the same request.
//!
//! Credentials are for one origin, and so is what a policy allows. A redirect that would change the method is none for this
//! client: of a message that was to be delivered, a retrieval of something else makes no sense. Such a response is final.

use reqwest::{Method, StatusCode};
use url::Url;

/// Redirects that are followed one after the other. A slash more or less takes one.
pub(super) const MOST: usize = 5;

/// What is to be done about a response.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// It is final.
    None,
    To(Url),
    /// It leads to another origin, which is this.
    Elsewhere(String),
}

impl Redirect {
    /// RFC 9110, section 15.4.
    pub(super) fn of(from: &Url, method: &Method, status: StatusCode, location: Option<&str>) -> Self {
        let is_safe = method == Method::GET || method == Method::HEAD;
        let is_kept = match status.as_u16() {
            307 | 308 => true,
            301..=303 => is_safe,
            _ => false,
        };
        let Some(to) = location.filter(|_| is_kept).and_then(|location| from.join(location).ok()) else {
            return Self::None;
        };
        let is_same = to.origin() == from.origin() && to.username().is_empty() && to.password().is_none();
        if is_same { Self::To(to) } else { Self::Elsewhere(to.origin().ascii_serialization()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirect(method: &Method, status: u16, location: &str) -> Redirect {
        let from = Url::parse("https://a.example/mcp?x=1").unwrap();
        Redirect::of(&from, method, StatusCode::from_u16(status).unwrap(), Some(location))
    }

    fn to(url: &str) -> Redirect {
        Redirect::To(Url::parse(url).unwrap())
    }

    #[test]
    fn a_redirect_to_the_same_origin_is_followed() {
        for (location, url) in [
            ("/mcp/", "https://a.example/mcp/"),
            ("?y", "https://a.example/mcp?y"),
            ("https://A.example:443/b", "https://a.example/b"),
        ] {
            assert_eq!(redirect(&Method::POST, 307, location), to(url), "{location}");
            assert_eq!(redirect(&Method::POST, 308, location), to(url), "{location}");
            assert_eq!(redirect(&Method::GET, 302, location), to(url), "{location}");
        }
    }

    #[test]
    fn a_redirect_to_another_origin_is_refused() {
        for location in [
            "http://a.example/mcp",
            "https://b.example/mcp",
            "https://a.example:8443/",
            "//b.example/",
            "https://user@a.example/",
            "https://a.example.b.example/",
            "file:///etc/passwd",
        ] {
            assert!(matches!(redirect(&Method::POST, 307, location), Redirect::Elsewhere(_)), "{location}");
        }
    }

    #[test]
    fn what_would_change_the_request_is_final() {
        for status in [301, 302, 303] {
            assert_eq!(redirect(&Method::POST, status, "/mcp/"), Redirect::None);
        }
        for status in [200, 300, 304, 305, 401] {
            assert_eq!(redirect(&Method::GET, status, "/mcp/"), Redirect::None);
        }
        let from = Url::parse("https://a.example/").unwrap();
        assert_eq!(Redirect::of(&from, &Method::GET, StatusCode::FOUND, None), Redirect::None);
        assert_eq!(redirect(&Method::GET, 302, "https://[bad"), Redirect::None);
    }
}
