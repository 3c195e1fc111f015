//! The server of a script over HTTP: what it makes of requests, and how it answers
//! them exchange by exchange.

use super::bytes::Bytes;
use super::server::{Server, read_json};
use crate::boundary::{
    Event, ExchangeFailed, ExchangeFailure, ExchangeId, Header, ResponseBody, ResponseHead, ServerSentEvent, Target,
};
use crate::checker::Requested;
use std::collections::BTreeMap;

/// The exchanges that it has not ended.
#[derive(Default)]
pub(super) struct Web {
    open: BTreeMap<ExchangeId, Exchange>,
    /// The id of the session, as every request has to repeat it.
    session: Option<String>,
    sessions: u32,
    events: u32,
    /// The channel that replies come on, where messages go to an endpoint.
    channel: Option<ExchangeId>,
}

struct Exchange {
    /// The id of the request that it began with, or that it is taken up again for.
    request: Option<u64>,
    kind: Kind,
    form: Option<Form>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Initialize,
    Confirmation,
    Request,
    Message,
    /// What the server has to say by itself, in a session.
    Stream,
    /// The same, without one: the beginning of the transport of 2024-11-05.
    Channel,
}

/// What the response is, once it has begun.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Json,
    Events,
    Nothing,
}

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

impl Web {
    /// Reads a request of the client, and says what is remarkable of it.
    pub(super) fn read(&mut self, request: &Requested, server: &mut Server) -> Result<Option<&'static str>, String> {
        let was_open = server.is_open();
        let mut kind = Kind::Stream;
        let mut id = None;
        if let Some(body) = &request.body {
            let message = read_json(body)?;
            id = message["id"].as_u64().filter(|_| message.get("method").is_some());
            kind = match (message["method"].as_str(), id) {
                (Some("initialize"), _) => Kind::Initialize,
                (Some("notifications/initialized"), _) => Kind::Confirmation,
                (_, Some(_)) => Kind::Request,
                (_, None) => Kind::Message,
            };
            if kind == Kind::Initialize {
                self.session = None;
                server.closed();
            }
            server.read(body)?;
        }
        if (kind == Kind::Stream) != (request.method == "GET") {
            return Err(format!("a {} with such a body: {request:?}", request.method));
        }
        if kind != Kind::Request && request.call.is_some() {
            return Err(format!("a request that is for no call: {request:?}"));
        }
        if request.header("mcp-session-id") != self.session.as_deref() {
            return Err(format!("not the session {:?}: {request:?}", self.session));
        }
        if request.header("last-event-id").is_some() && kind != Kind::Stream {
            return Err(format!("an event id in a message: {request:?}"));
        }
        if matches!(request.target, Target::Origin(_)) != (self.channel.is_some() && kind != Kind::Stream) {
            return Err(format!("the wrong place: {request:?}"));
        }
        // One that names what was agreed on is no beginning, though the server may have forgotten all of it by the time that it answers.
        if kind == Kind::Stream && request.header("mcp-protocol-version").is_none() {
            kind = Kind::Channel;
        }
        self.open.insert(request.exchange, Exchange { request: id, kind, form: None });
        Ok(match kind {
            Kind::Initialize if was_open => Some("renewal"),
            Kind::Stream if request.header("last-event-id").is_some() => Some("resumption"),
            Kind::Request if self.channel.is_some() => Some("call to the endpoint of a channel"),
            _ => None,
        })
    }

    pub(super) fn forget(&mut self, exchange: ExchangeId) {
        self.open.remove(&exchange);
    }

    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    pub(super) fn any(&self, script: &mut Bytes<'_>) -> Option<ExchangeId> {
        self.open.keys().copied().nth(script.below(self.open.len()))
    }

    /// Goes on with some exchange as it should.
    pub(super) fn answer(&mut self, script: &mut Bytes<'_>, server: &mut Server) -> Vec<Event> {
        let Some(number) = self.any(script) else { return Vec::new() };
        let Some(Exchange { request, kind, form }) = self.open.remove(&number) else { return Vec::new() };
        let keep = |web: &mut Self, form| {
            web.open.insert(number, Exchange { request, kind, form: Some(form) });
        };
        match (kind, form) {
            (Kind::Confirmation, None) => {
                server.opened();
                keep(self, Form::Nothing);
                vec![head(number, 202, &[])]
            }
            (Kind::Message, None) => vec![head(number, 202, &[]), Event::ResponseEnd(number)],
            (Kind::Channel, None) if !server.is_open() && self.channel.is_none() => {
                self.channel = Some(number);
                keep(self, Form::Events);
                let uri = script.pick(&["/m?s=1", "m", "http://h/m"]).as_bytes();
                let endpoint = event(number, Some("endpoint"), uri, None);
                vec![head(number, 200, &[("content-type", EVENTS)]), endpoint]
            }
            (Kind::Stream | Kind::Channel, None) if script.flag() => {
                vec![head(number, 405, &[]), Event::ResponseEnd(number)]
            }
            (Kind::Stream | Kind::Channel, None) => {
                keep(self, Form::Events);
                vec![head(number, 200, &[("content-type", EVENTS)]), self.primed(number, script)]
            }
            (Kind::Initialize | Kind::Request, None) if self.channel.is_some() => {
                keep(self, Form::Nothing);
                vec![head(number, 202, &[])]
            }
            (Kind::Initialize | Kind::Request, None) => {
                let form = script.pick(&[Form::Json, Form::Events]);
                let mut headers = vec![("content-type", if form == Form::Json { JSON } else { EVENTS })];
                let session = (kind == Kind::Initialize && script.flag()).then(|| {
                    self.sessions += 1;
                    format!("session-{}", self.sessions)
                });
                headers.extend(session.as_deref().map(|id| ("Mcp-Session-Id", id)));
                let mut events = vec![head(number, 200, &headers)];
                if kind == Kind::Initialize {
                    self.session = session;
                }
                keep(self, form);
                if form == Form::Events {
                    events.push(self.primed(number, script));
                }
                events
            }
            (_, Some(Form::Json)) => {
                let reply = request.and_then(|id| server.answer_to(script, id, true));
                vec![body(number, reply.unwrap_or_default()), Event::ResponseEnd(number)]
            }
            (_, Some(Form::Events)) => {
                let id = request.filter(|_| script.below(4) > 0);
                let reply = id.and_then(|id| server.answer_to(script, id, true));
                match reply.or_else(|| server.answer(script, true)) {
                    Some(reply) => {
                        keep(self, Form::Events);
                        vec![self.says(number, reply, script)]
                    }
                    None if self.channel == Some(number) => {
                        keep(self, Form::Events);
                        Vec::new()
                    }
                    None => vec![Event::ResponseEnd(number)],
                }
            }
            (_, Some(Form::Nothing)) => vec![Event::ResponseEnd(number)],
        }
    }

    /// Goes on with some exchange as no server should.
    pub(super) fn botch(&mut self, script: &mut Bytes<'_>, server: &mut Server) -> Vec<Event> {
        let Some(number) = self.any(script) else { return Vec::new() };
        let Some(Exchange { request, kind, form }) = self.open.remove(&number) else { return Vec::new() };
        let end = Event::ResponseEnd(number);
        let text = |text: &str| text.as_bytes().to_vec();
        match (script.below(6), form) {
            (0, _) => vec![self.fails(number, script)],
            (1, _) | (_, Some(Form::Nothing)) => vec![end],
            (2, None) => {
                if kind == Kind::Confirmation {
                    server.opened();
                }
                vec![head(number, script.pick(&[200, 202, 204]), &[("content-type", "text/html")]), end]
            }
            (_, None) => {
                let status = script.pick(&[404, 400, 404, 405, 401, 403, 409, 500, 503, 302]);
                let kind = script.pick(&[JSON, JSON, "text/html", EVENTS]);
                let said = match script.below(6) {
                    0 => text(r#"{"jsonrpc":"2.0","error":{"code":-32000}}"#),
                    1 => text(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32602}}"#),
                    2 => format!(r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":1}}}}"#, request.unwrap_or(1)).into(),
                    3 => text("<html>"),
                    4 => request.and_then(|id| server.answer_to(script, id, true)).unwrap_or_default(),
                    _ => Vec::new(),
                };
                let head = head(number, status, &[("content-type", kind), ("www-authenticate", "Bearer é")]);
                if kind == EVENTS { vec![head, end] } else { vec![head, body(number, said), end] }
            }
            (2, Some(Form::Json)) => vec![body(number, text("{}")), end],
            (3, Some(Form::Json)) => {
                let reply = request.and_then(|id| server.answer_to(script, id, false));
                vec![body(number, reply.unwrap_or_default()), end]
            }
            (_, Some(Form::Json)) => vec![body(number, server.garbage(script)), end],
            (_, Some(Form::Events)) => {
                let garbage = server.garbage(script);
                vec![self.says(number, garbage, script), end]
            }
        }
    }

    /// Refuses something that is not answered, as a server does that has forgotten the
    /// session or never knew of sessions.
    pub(super) fn refuse(&mut self, script: &mut Bytes<'_>) -> Vec<Event> {
        let asked = self
            .open
            .iter()
            .find(|(_, exchange)| exchange.form.is_none() && !matches!(exchange.kind, Kind::Stream | Kind::Channel));
        let Some(number) = asked.map(|(number, _)| *number) else { return Vec::new() };
        self.open.remove(&number);
        vec![head(number, script.pick(&[404, 404, 400, 405]), &[]), Event::ResponseEnd(number)]
    }

    /// Says something on some stream that is open.
    pub(super) fn say(&mut self, script: &mut Bytes<'_>, message: Vec<u8>) -> Option<Event> {
        let streams: Vec<ExchangeId> = self
            .open
            .iter()
            .filter(|(_, exchange)| exchange.form == Some(Form::Events))
            .map(|(number, _)| *number)
            .collect();
        let number = *streams.get(script.below(streams.len()))?;
        Some(self.says(number, message, script))
    }

    /// Breaks every exchange.
    pub(super) fn break_all(&mut self) -> Vec<Event> {
        let broken = std::mem::take(&mut self.open).into_keys();
        broken.map(|number| failed(number, ExchangeFailure::Reset)).collect()
    }

    fn fails(&mut self, number: ExchangeId, script: &mut Bytes<'_>) -> Event {
        failed(
            number,
            script.pick(&[
                ExchangeFailure::Reset,
                ExchangeFailure::Timeout,
                ExchangeFailure::Connect,
                ExchangeFailure::Denied,
                ExchangeFailure::TooLarge,
                ExchangeFailure::Malformed,
            ]),
        )
    }

    fn primed(&mut self, number: ExchangeId, script: &mut Bytes<'_>) -> Event {
        self.says(number, Vec::new(), script)
    }

    fn says(&mut self, number: ExchangeId, data: Vec<u8>, script: &mut Bytes<'_>) -> Event {
        let id = match script.below(8) {
            0..=3 => {
                self.events += 1;
                Some(format!("e{}", self.events))
            }
            4 => Some(script.pick(&["", "\u{e9}", " "]).to_owned()),
            _ => None,
        };
        event(number, None, &data, id)
    }
}

fn event(exchange: ExchangeId, event_type: Option<&str>, data: &[u8], id: Option<String>) -> Event {
    let retry = id.as_ref().filter(|id| id.ends_with('3')).map(|_| 250);
    Event::ServerSentEvent(ServerSentEvent {
        exchange,
        event_type: event_type.map(str::to_owned),
        data: data.to_vec(),
        id,
        retry,
    })
}

fn head(exchange: ExchangeId, status: u16, headers: &[(&str, &str)]) -> Event {
    let header = |(name, value): &(&str, &str)| Header { name: (*name).to_owned(), value: (*value).to_owned() };
    Event::ResponseHead(ResponseHead { exchange, status, headers: headers.iter().map(header).collect() })
}

fn body(exchange: ExchangeId, bytes: Vec<u8>) -> Event {
    Event::ResponseBody(ResponseBody { exchange, bytes })
}

fn failed(exchange: ExchangeId, failure: ExchangeFailure) -> Event {
    Event::ExchangeFailed(ExchangeFailed { exchange, failure, message: "the connection\nbroke".to_owned() })
}
