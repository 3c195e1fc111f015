//! The header fields that this guest sets and reads.
//!
//! Values that came from the server and go back to it are checked first: what is
//! not allowed in a header must not become a part of one, and what a proxy might
//! alter must not be taken for an id.

use super::ProtocolSession;
use crate::boundary::Header;
use crate::json;
use crate::revision::Revision;

const ACCEPT: &str = "accept";
const CONTENT_TYPE: &str = "content-type";
const LAST_EVENT_ID: &str = "last-event-id";
const PROTOCOL_VERSION: &str = "mcp-protocol-version";
const SESSION_ID: &str = "mcp-session-id";
const WWW_AUTHENTICATE: &str = "www-authenticate";

/// All of them, for `describe`.
pub(crate) const ALL: [&str; 6] = [ACCEPT, CONTENT_TYPE, LAST_EVENT_ID, PROTOCOL_VERSION, SESSION_ID, WWW_AUTHENTICATE];

const JSON: &str = "application/json";
const EVENT_STREAM: &str = "text/event-stream";

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Content {
    Json,
    EventStream,
    Other,
}

/// The fields of a request with a message.
pub(super) fn of_message(session: &ProtocolSession) -> Vec<Header> {
    let mut headers = vec![field(CONTENT_TYPE, JSON), field(ACCEPT, "application/json, text/event-stream")];
    add_session(&mut headers, session);
    headers
}

/// The fields of a request for a stream of events, from behind `last` on.
pub(super) fn of_stream(session: &ProtocolSession, last: Option<&str>) -> Vec<Header> {
    let mut headers = vec![field(ACCEPT, EVENT_STREAM)];
    add_session(&mut headers, session);
    headers.extend(last.map(|last| field(LAST_EVENT_ID, last)));
    headers
}

/// The fields of the request that ends a session.
pub(super) fn of_goodbye(session: &ProtocolSession) -> Vec<Header> {
    let mut headers = Vec::new();
    add_session(&mut headers, session);
    headers
}

fn add_session(headers: &mut Vec<Header>, session: &ProtocolSession) {
    headers.extend(session.id.as_deref().map(|id| field(SESSION_ID, id)));
    let revision = session.revision.filter(|revision| revision.has_version_header());
    headers.extend(revision.map(|revision| field(PROTOCOL_VERSION, Revision::name(revision))));
}

fn field(name: &str, value: &str) -> Header {
    Header { name: name.to_owned(), value: value.to_owned() }
}

/// What the body of a response is (RFC 9110, 8.3).
pub(super) fn content(headers: &[Header]) -> Content {
    let value = find(headers, CONTENT_TYPE).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case(JSON) {
        Content::Json
    } else if media_type.eq_ignore_ascii_case(EVENT_STREAM) {
        Content::EventStream
    } else {
        Content::Other
    }
}

/// What the server says that it sends, for a message to people.
pub(super) fn content_name(headers: &[Header]) -> String {
    find(headers, CONTENT_TYPE).map_or_else(|| "no type".to_owned(), |name| format!("type `{}`", json::excerpt(name)))
}

/// The id that the server gave the session; an error where it is none.
pub(super) fn session_id(headers: &[Header]) -> Result<Option<&str>, ()> {
    match find(headers, SESSION_ID) {
        Some(id) if is_session_id(id) => Ok(Some(id)),
        Some(_) => Err(()),
        None => Ok(None),
    }
}

/// What the server wants to be authorized by, for a message to people.
pub(super) fn challenge(headers: &[Header]) -> Option<String> {
    /// The message that quotes it may have 1 KiB.
    const MAX_CHALLENGE: usize = 800;

    find(headers, WWW_AUTHENTICATE).map(|challenge| json::printable(challenge, MAX_CHALLENGE))
}

fn find<'a>(headers: &'a [Header], name: &str) -> Option<&'a str> {
    headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value.as_str())
}

/// Ids are kept for each stream and go into every request: longer ones are cursors
/// of nothing but memory.
const MAX_ID: usize = 4096;

/// Whether a text may be a session id: visible ASCII (2025-11-25, basic/transports,
/// "Session Management").
pub(super) fn is_session_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether an event id comes back as it was: what is not ASCII may be rewritten on
/// the way, and white space at its ends is dropped (RFC 9110, 5.5).
pub(super) fn is_event_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len())
        && id.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
        && !id.starts_with(' ')
        && !id.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_read_without_case_and_parameters() {
        for (value, expected) in [
            ("application/json", Content::Json),
            ("Application/JSON; charset=utf-8", Content::Json),
            (" text/event-stream ;x=y", Content::EventStream),
            ("text/html", Content::Other),
            ("application/json-seq", Content::Other),
            ("", Content::Other),
        ] {
            assert_eq!(content(&[field("Content-Type", value)]), expected, "{value}");
        }
        assert_eq!(content(&[]), Content::Other);
    }

    #[test]
    fn a_session_id_is_visible_ascii() {
        assert_eq!(session_id(&[field("MCP-Session-Id", "a.b~!")]), Ok(Some("a.b~!")));
        assert_eq!(session_id(&[]), Ok(None));
        for id in ["", "a b", "a\tb", "\u{e9}", "a\r\nx: y", &"x".repeat(4097)] {
            assert_eq!(session_id(&[field("mcp-session-id", id)]), Err(()), "{id}");
        }
    }

    #[test]
    fn an_event_id_that_would_not_come_back_as_it_was_is_none() {
        assert!(is_event_id("stream 1/7"));
        for id in ["", " a", "a ", "\u{e9}", "a\u{0}", &"x".repeat(4097)] {
            assert!(!is_event_id(id), "{id:?}");
        }
    }
}
