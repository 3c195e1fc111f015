//! The double of a host notices each duty about exchanges that is not kept.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;

use harness::http::*;
use harness::{call, call_with, settings};
use innkeeper_guest::boundary::{
    DisconnectCause, Effect, Event, Fault, FaultKind, Header, HttpRequest, ParamsRange, Segment, SessionInfo, Target,
    Timer, Write,
};
use innkeeper_guest::checker::{Checker, Observed};

/// A host that holds the call 1 (with parameters `{}`) and the exchange 1.
fn host() -> Checker {
    let mut checker = Checker::new();
    let events = [Event::Open(over_http()), Event::Call(call_with(1, "x", "{}"))];
    checker.apply(&events, &[request(1)]).unwrap();
    checker
}

fn wanted(exchange: u64) -> HttpRequest {
    HttpRequest {
        exchange,
        call: None,
        method: "POST".to_owned(),
        target: Target::Server,
        headers: Vec::new(),
        body: None,
    }
}

fn request(exchange: u64) -> Effect {
    Effect::Request(wanted(exchange))
}

fn with_header(name: &str, value: &str) -> Effect {
    let headers = vec![Header { name: name.to_owned(), value: value.to_owned() }];
    Effect::Request(HttpRequest { headers, ..wanted(2) })
}

fn to(path: &str) -> Effect {
    Effect::Request(HttpRequest { target: Target::Origin(path.to_owned()), ..wanted(2) })
}

fn violation(events: &[Event], effects: &[Effect]) -> String {
    host().apply(events, effects).unwrap_err().to_string()
}

fn passes(events: &[Event], effects: &[Effect]) {
    host().apply(events, effects).unwrap();
}

#[test]
fn a_request_is_seen_with_its_body_put_together() {
    let body = vec![
        Segment::Bytes(b"[".to_vec()),
        Segment::Params(ParamsRange { call: 1, offset: 0, length: 2 }),
        Segment::Bytes(b"]".to_vec()),
    ];
    let headers = vec![Header { name: "accept".to_owned(), value: "a/b".to_owned() }];
    let request = HttpRequest { call: Some(1), headers, body: Some(body), ..wanted(2) };

    let mut checker = host();
    let observed = checker.apply(&[], &[Effect::Request(request)]).unwrap();

    let [Observed::Request(seen)] = &observed[..] else { panic!("{observed:?}") };
    assert_eq!((seen.body.as_deref(), seen.header("accept")), (Some(&b"[{}]"[..]), Some("a/b")));
    assert_eq!(checker.outstanding().exchanges, [1, 2]);
    assert!(checker.outstanding().calls[0].sent);
}

#[test]
fn an_exchange_id_is_given_once() {
    assert_eq!(violation(&[], &[request(1)]), "the exchange id 1 has been used before");
    assert_eq!(violation(&[end(1)], &[request(1)]), "the exchange id 1 has been used before");
    let goodbye = Effect::OnCloseRequest(Some(wanted(2)));
    assert_eq!(violation(&[], &[goodbye, request(2)]), "the exchange id 2 has been used before");
}

#[test]
fn only_open_exchanges_are_aborted() {
    let abort = |exchange| Effect::Abort(exchange);
    passes(&[], &[abort(1)]);
    passes(&[end(1)], &[abort(1)]);
    assert_eq!(violation(&[], &[abort(9)]), "aborted the exchange 9, which is not open");
    assert_eq!(violation(&[], &[abort(1), abort(1)]), "aborted the exchange 1, which is not open");

    let mut checker = host();
    checker.apply(&[end(1)], &[]).unwrap();
    assert!(checker.apply(&[], &[abort(1)]).is_err(), "that was told before this batch");
}

#[test]
fn nothing_is_requested_outside_a_session() {
    let outside = "started an exchange outside a session";
    let fault = Fault { kind: FaultKind::Other, message: "x".to_owned() };
    for end in [vec![], vec![Effect::Disconnected(DisconnectCause::Fault(fault))]] {
        let mut checker = host();
        let events = if end.is_empty() { vec![Event::Close] } else { Vec::new() };
        let mut effects = end;
        if effects.is_empty() {
            let fault = Fault { kind: FaultKind::Disconnected, message: "closed".to_owned() };
            effects.push(Effect::Complete(innkeeper_guest::boundary::Completion {
                call: 1,
                outcome: innkeeper_guest::boundary::Outcome::Fault(fault),
            }));
        }
        checker.apply(&events, &effects).unwrap();

        assert_eq!(checker.apply(&[], &[request(2)]).unwrap_err().to_string(), outside);
    }
    assert_eq!(Checker::new().apply(&[], &[request(1)]).unwrap_err().to_string(), outside);
}

#[test]
fn headers_are_declared_and_of_visible_ascii() {
    passes(&[], &[with_header("Last-Event-ID", "a b")]);
    assert_eq!(violation(&[], &[with_header("cookie", "a")]), "the header `cookie`, which is not declared");
    for value in ["", "a\r\nb", "a\tb", "\u{e9}"] {
        violation(&[], &[with_header("accept", value)]);
    }
}

#[test]
fn a_request_has_a_method_and_a_path() {
    passes(&[], &[to("/a?b")]);
    for path in ["", "a", "http://a/b", "/a b", "/\u{e9}"] {
        violation(&[], &[to(path)]);
    }
    for method in ["", "post", "A B"] {
        violation(&[], &[Effect::Request(HttpRequest { method: method.to_owned(), ..wanted(2) })]);
    }
}

#[test]
fn a_body_is_bounded_and_its_call_open() {
    let long = Segment::Bytes(vec![b'x'; (1 << 20) + 1]);
    let request = HttpRequest { body: Some(vec![long]), ..wanted(2) };
    assert!(violation(&[], &[Effect::Request(request)]).starts_with("a body that is longer"));
    let request = HttpRequest { call: Some(9), ..wanted(2) };
    assert_eq!(violation(&[], &[Effect::Request(request)]), "request names call 9, which is not open");
}

#[test]
fn what_is_open_is_bounded() {
    let requests: Vec<Effect> = (2..2000).map(request).collect();
    assert!(violation(&[], &requests).starts_with("more than 1024 open exchanges"));
    let timers: Vec<Effect> = (0..2000).map(|id| Effect::SetTimer(Timer { id, at: 0 })).collect();
    assert!(violation(&[], &timers).starts_with("more than 1024 timers"));
}

#[test]
fn each_transport_has_effects_of_its_own() {
    let write = Effect::Write(Write { frame: vec![Segment::Bytes(b"x".to_vec())], call: None });
    assert_eq!(violation(&[], &[write]), "a frame on a transport of exchanges");

    let mut stream = Checker::new();
    let opened = [Event::Open(settings()), Event::Started(1), Event::Call(call(1, "x"))];
    assert!(stream.apply(&opened, &[request(1)]).is_err());
}

#[test]
fn a_session_is_ready_once() {
    let ready = || Effect::Ready(SessionInfo { revision: "x".to_owned(), peer: Vec::new() });
    passes(&[], &[ready()]);
    assert_eq!(violation(&[], &[ready(), ready()]), "ready without a connection, or twice on one");
}

#[test]
fn the_last_request_for_the_end_is_the_one_that_counts() {
    let mut checker = host();

    checker.apply(&[], &[Effect::OnCloseRequest(Some(wanted(2))), Effect::OnCloseRequest(Some(wanted(3)))]).unwrap();
    assert_eq!(checker.on_close().map(|request| request.exchange), Some(3));
    checker.apply(&[], &[Effect::OnCloseRequest(None)]).unwrap();
    assert_eq!(checker.on_close(), None);
    assert_eq!(checker.outstanding().exchanges, [1], "it is not under way");
}
