//! HTTP+SSE, the transport of 2024-11-05: one channel for all that the server says,
//! and an endpoint for what it is told, which it names on the channel.
//!
//! It is the last resort: a server that refuses the POST of `initialize` with 400,
//! 404 or 405 is asked for the channel (2025-11-25, basic/transports, "Backwards
//! Compatibility"). A channel cannot be taken up again, so its end is that of the
//! connection.
//!
//! The endpoint is a URI reference. Messages only ever go to the origin of the
//! configured URL, which the guest is not told: so of an absolute URI the path and
//! query are taken, and a relative path is taken from the root.

use super::exchange::{Body, End, Purpose};
use super::headers::Content;
use super::{Http, Route, refusal};
use crate::boundary::{DisconnectCause, FaultKind, LogLevel, ResponseHead, ServerSentEvent};
use crate::effects::{Effects, fault};
use crate::handshake::Handshake;
use crate::incoming::Origin;
use crate::json;
use crate::payload::Builder;
use crate::session::{Phase, Session};

/// Longer paths are refused by servers themselves.
const MAX_ENDPOINT: usize = 4096;

/// Bytes of an error that are kept while another way in is tried.
const MAX_ERROR: usize = 4096;

impl Session {
    /// The server refused `initialize`, as one of old does: asks it for a channel.
    pub(super) fn probe(&mut self, effects: &mut Effects, status: u16, error: Option<&str>) {
        self.phase = Phase::Unconnected;
        let Some(http) = self.transport.http() else { return };
        let error = error.filter(|error| error.len() <= MAX_ERROR).map(str::to_owned);
        http.route = Route::Probing { status, error };
        http.get(effects, Purpose::Channel, None);
    }

    pub(super) fn channel_begins(&mut self, effects: &mut Effects, head: &ResponseHead, content: Content) {
        let Some(http) = self.transport.http() else { return };
        if content == Content::EventStream {
            if let Some(exchange) = http.exchanges.get_mut(&head.exchange) {
                exchange.body = Body::Events;
            }
        } else {
            self.no_way_in(effects, "it has no channel either");
        }
    }

    pub(super) fn channel_refused(&mut self, effects: &mut Effects, status: u16, challenge: Option<&str>) {
        if refusal::wants_authorization(status) {
            self.give_up(effects, refusal::unauthorized(status, challenge));
        } else {
            self.no_way_in(effects, &format!("to a GET with status {status}"));
        }
    }

    pub(super) fn channel_ended(&mut self, effects: &mut Effects, end: End<'_>) {
        match self.transport.http().map(|http| &http.route) {
            Some(Route::Probing { .. }) => {
                let reason = end.fault("to a GET").message;
                self.no_way_in(effects, &reason);
            }
            _ => self.give_up(effects, end.fault("the server's channel ended")),
        }
    }

    /// Gives up for what the server said first.
    fn no_way_in(&mut self, effects: &mut Effects, second: &str) {
        let Some(Http { route: Route::Probing { status, error }, .. }) = self.transport.http() else { return };
        if let Some(error) = error {
            let mut payload = Builder::default();
            payload.text(error);
            let cause = DisconnectCause::Refused(payload.finish());
            let message = "the server refused to open the session";
            return self.disconnect(effects, &fault(FaultKind::Disconnected, message), cause);
        }
        let message = format!("the server answered to `initialize` with status {status}, and {second}; check its url");
        self.give_up(effects, fault(FaultKind::Other, message));
    }

    /// Takes an event of the channel.
    pub(super) fn channel_event(&mut self, effects: &mut Effects, index: u32, event: &ServerSentEvent) {
        let Some(http) = self.transport.http() else { return };
        if matches!(http.route, Route::Sse { .. }) {
            if event.event_type.as_deref() == Some("endpoint") {
                return effects.log(LogLevel::Debug, "the server named its endpoint again, which was ignored");
            }
            return self.message_event(effects, index, event, Origin::Connection);
        }
        if event.event_type.as_deref() != Some("endpoint") {
            if event.data.is_empty() {
                return;
            }
            let message = "the server's channel does not begin with an endpoint";
            return self.give_up(effects, fault(FaultKind::ProtocolViolation, message));
        }
        match json::text(&event.data).ok().and_then(path) {
            Some(endpoint) => {
                http.route = Route::Sse { endpoint };
                let id = self.calls.next_id();
                self.offer(effects, Handshake::first(id, &self.settings));
            }
            None => {
                let message = "the endpoint that the server named is no uri of its origin";
                self.give_up(effects, fault(FaultKind::ProtocolViolation, message));
            }
        }
    }
}

/// The path and query of a URI reference.
fn path(reference: &str) -> Option<String> {
    let reference = reference.trim();
    let reference = reference.split('#').next()?;
    let scheme = ["http://", "https://"]
        .into_iter()
        .find(|scheme| reference.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    let behind_authority = |text: &str| {
        let end = text.find(['/', '?'])?;
        text.get(end..).map(str::to_owned)
    };
    let path = match (scheme, reference.strip_prefix("//")) {
        (Some(scheme), _) => behind_authority(reference.get(scheme.len()..)?)?,
        (None, Some(network)) => behind_authority(network)?,
        (None, None) => reference.to_owned(),
    };
    let path = if path.starts_with('/') { path } else { format!("/{path}") };
    is_endpoint(&path).then_some(path)
}

/// Whether a text can stand in a request as path and query.
pub(super) fn is_endpoint(path: &str) -> bool {
    // A colon in the first segment would be a scheme that is not one of HTTP's.
    let first = path.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default();
    (2..=MAX_ENDPOINT).contains(&path.len())
        && path.starts_with('/')
        && !path.starts_with("//")
        && !first.contains(':')
        && path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#' | b'"' | b'<' | b'>'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_taken_at_the_configured_origin() {
        for (reference, expected) in [
            ("/messages?session=1", "/messages?session=1"),
            (" /messages\n", "/messages"),
            ("messages?a=b:c", "/messages?a=b:c"),
            ("?session=1", "/?session=1"),
            ("http://127.0.0.1:80/m/n?x#y", "/m/n?x"),
            ("HTTPS://elsewhere/m", "/m"),
            ("//elsewhere/m", "/m"),
            ("http://here?x", "/?x"),
        ] {
            assert_eq!(path(reference).as_deref(), Some(expected), "{reference}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for reference in
            ["", "/", "http://here", "ftp://here/x", "javascript:1", "/a b", "/a\\b", "/\u{e9}", "http:////x"]
        {
            assert_eq!(path(reference), None, "{reference}");
        }
        assert_eq!(path(&format!("/{}", "x".repeat(4096))), None);
    }
}
