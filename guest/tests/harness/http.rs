//! A server over HTTP, played by the test exchange by exchange.

use super::*;
use innkeeper_guest::boundary::{
    ExchangeFailed, ExchangeFailure, ExchangeId, Header, Instant, ResponseBody, ResponseHead, ServerSentEvent,
};
use innkeeper_guest::checker::Requested;

pub(crate) const MILLISECOND: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1000 * MILLISECOND;

/// What a session over HTTP is opened with.
pub(crate) fn over_http() -> Settings {
    Settings { transport: TransportKind::Http, ..settings() }
}

pub(crate) fn with_revision(revision: &str) -> Settings {
    Settings { revision: Some(revision.to_owned()), ..over_http() }
}

pub(crate) fn head(exchange: ExchangeId, status: u16, headers: &[(&str, &str)]) -> Event {
    let header = |(name, value): &(&str, &str)| Header { name: (*name).to_owned(), value: (*value).to_owned() };
    Event::ResponseHead(ResponseHead { exchange, status, headers: headers.iter().map(header).collect() })
}

pub(crate) fn body(exchange: ExchangeId, text: &str) -> Event {
    Event::ResponseBody(ResponseBody { exchange, bytes: text.as_bytes().to_vec() })
}

pub(crate) fn end(exchange: ExchangeId) -> Event {
    Event::ResponseEnd(exchange)
}

pub(crate) fn failed(exchange: ExchangeId, failure: ExchangeFailure) -> Event {
    Event::ExchangeFailed(ExchangeFailed { exchange, failure, message: "it broke".to_owned() })
}

/// An event with a message.
pub(crate) fn says(exchange: ExchangeId, text: &str) -> Event {
    block(exchange, None, text, None, None)
}

/// An event with an id, and a message unless it is empty.
pub(crate) fn says_at(exchange: ExchangeId, id: &str, text: &str) -> Event {
    block(exchange, None, text, Some(id), None)
}

pub(crate) fn block(
    exchange: ExchangeId,
    event_type: Option<&str>,
    text: &str,
    id: Option<&str>,
    retry: Option<u64>,
) -> Event {
    Event::ServerSentEvent(ServerSentEvent {
        exchange,
        event_type: event_type.map(str::to_owned),
        data: text.as_bytes().to_vec(),
        id: id.map(str::to_owned),
        retry,
    })
}

pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");
pub(crate) const EVENTS: (&str, &str) = ("content-type", "text/event-stream");

/// A whole response of one JSON text.
pub(crate) fn json(exchange: ExchangeId, text: &str) -> Vec<Event> {
    vec![head(exchange, 200, &[JSON]), body(exchange, text), end(exchange)]
}

/// A whole response without content.
pub(crate) fn status(exchange: ExchangeId, status: u16) -> Vec<Event> {
    vec![head(exchange, status, &[]), end(exchange)]
}

/// A whole refusal with a body.
pub(crate) fn refusal(exchange: ExchangeId, status: u16, text: &str) -> Vec<Event> {
    vec![head(exchange, status, &[JSON]), body(exchange, text), end(exchange)]
}

pub(crate) fn initialized(id: u64, revision: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{}}}"#, initialize_result(revision))
}

pub(crate) fn reply(id: u64, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

/// The requests among what was seen.
pub(crate) fn requests(seen: &[Observed]) -> Vec<&Requested> {
    seen.iter()
        .filter_map(|effect| match effect {
            Observed::Request(request) => Some(request),
            _ => None,
        })
        .collect()
}

/// The request that was made alone.
pub(crate) fn requested(seen: &[Observed]) -> &Requested {
    match requests(seen)[..] {
        [request] => request,
        _ => panic!("not one request: {seen:?}"),
    }
}

/// The methods and JSON-RPC methods of what was sent.
pub(crate) fn sent(seen: &[Observed]) -> Vec<String> {
    let method = |request: &&Requested| {
        let message = request.body.as_deref().map(|body| serde_json::from_slice::<serde_json::Value>(body).unwrap());
        let method = message.as_ref().and_then(|message| message["method"].as_str()).unwrap_or("");
        format!("{} {method}", request.method).trim_end().to_owned()
    };
    requests(seen).iter().map(method).collect()
}

pub(crate) fn text(request: &Requested) -> &str {
    std::str::from_utf8(request.body.as_deref().unwrap()).unwrap()
}

impl Host {
    /// One whose `initialize` (exchange 1, id 1) is under way.
    pub(crate) fn http(settings: Settings) -> Self {
        let mut host = Host::new();
        assert_eq!(sent(&host.tell([Event::Open(settings)])), ["POST initialize"]);
        host
    }

    /// One whose session, without an id, is open. Its listening stream has been
    /// refused; the next exchange is 4, the next request 2.
    pub(crate) fn http_ready() -> Self {
        Host::http_ready_with(over_http(), NEWEST)
    }

    pub(crate) fn http_ready_with(settings: Settings, revision: &str) -> Self {
        let mut host = Host::http(settings);
        host.tell(json(1, &initialized(1, revision)));
        assert_eq!(sent(&host.tell(status(2, 202))), ["GET"]);
        host.tell(status(3, 405));
        host
    }

    /// One whose session has the id `s1`. The next exchange is 6, the next request 2.
    pub(crate) fn http_session() -> Self {
        let mut host = Host::http_session_listening();
        host.tell(status(5, 405));
        host
    }

    /// The same, with the listening stream (exchange 5) not answered.
    pub(crate) fn http_session_listening() -> Self {
        let mut host = Host::http(over_http());
        // Exchanges 2 and 4 are those of the request at the end.
        host.tell([head(1, 200, &[JSON, ("mcp-session-id", "s1")]), body(1, &initialized(1, NEWEST)), end(1)]);
        assert_eq!(sent(&host.tell(status(4, 202))), ["GET"]);
        host
    }

    pub(crate) fn at(&mut self, now: Instant, events: impl Into<Vec<Event>>) -> Vec<Observed> {
        let events = events.into();
        let effects = self.client.handle(now, events.clone());
        self.checker.apply(&events, &effects).unwrap()
    }
}
