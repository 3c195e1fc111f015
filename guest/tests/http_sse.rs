//! HTTP+SSE, the transport of 2024-11-05, where a server has nothing else.

mod harness;

use harness::http::*;
use harness::*;
use innkeeper_guest::boundary::{Event, ExchangeFailure, FaultKind, Target};
use innkeeper_guest::checker::{Ended, Observed};

/// One whose POST of `initialize` was refused, and which asks for a channel in
/// exchange 2.
fn probing() -> Host {
    let mut host = Host::http(over_http());
    assert_eq!(sent(&host.tell(status(1, 405))), ["GET"]);
    host
}

fn endpoint(uri: &str) -> Event {
    block(2, Some("endpoint"), uri, None, None)
}

/// One whose session is open. The next exchange is 5, the next request 3.
fn ready() -> Host {
    let mut host = probing();
    host.tell([head(2, 200, &[EVENTS]), endpoint("/messages?s=1")]);
    host.tell(status(3, 202));
    let seen = host.tell([says(2, &initialized(2, "2024-11-05"))]);
    assert_eq!(sent(&seen), ["POST notifications/initialized"]);
    let seen = host.tell(status(4, 202));
    assert!(matches!(&seen[..], [Observed::Ready { revision, .. }] if revision == "2024-11-05"), "{seen:?}");
    host
}

#[test]
fn a_server_that_refuses_the_post_is_asked_for_a_channel() {
    for refused in [400, 404, 405] {
        let mut host = Host::http(over_http());

        let seen = host.tell(status(1, refused));

        let request = requested(&seen);
        assert_eq!((&*request.method, &request.target), ("GET", &Target::Server));
        assert_eq!(request.header("accept"), Some("text/event-stream"));
    }
}

#[test]
fn initialize_goes_to_the_endpoint_that_the_channel_names() {
    let mut host = probing();

    let begun = host.tell([head(2, 200, &[EVENTS])]);
    let named = host.tell([endpoint("http://elsewhere:99/messages?s=1")]);

    assert_eq!(begun, []);
    let request = requested(&named);
    assert_eq!(request.target, Target::Origin("/messages?s=1".to_owned()), "at the configured origin");
    assert!(text(request).contains(r#""id":2,"method":"initialize""#));
}

#[test]
fn replies_come_on_the_channel_and_calls_go_to_the_endpoint() {
    let mut host = ready();

    let seen = host.calls(call(7, "tools/list"));
    let taken = host.tell(status(5, 202));
    let answered = host.tell([block(2, Some("message"), &reply(3, "{}"), None, None)]);

    let request = requested(&seen);
    assert_eq!((request.call, &request.target), (Some(7), &Target::Origin("/messages?s=1".to_owned())));
    assert_eq!(taken, []);
    assert_eq!(answered, [result(7, "{}")]);
}

#[test]
fn a_reply_may_overtake_the_end_of_its_post() {
    let mut host = ready();
    host.calls(call(7, "x"));

    let answered = host.tell([says(2, &reply(3, "{}"))]);
    let taken = host.tell(status(5, 202));

    assert_eq!((answered, taken), (vec![result(7, "{}")], vec![]));
}

#[test]
fn a_post_that_is_refused_or_breaks_fails_its_call_alone() {
    for (events, kind) in [
        (status(5, 404), FaultKind::Other),
        (status(5, 401), FaultKind::Other),
        (status(5, 500), FaultKind::Other),
        (vec![failed(5, ExchangeFailure::Reset)], FaultKind::Disconnected),
    ] {
        let mut host = ready();
        host.calls(call(7, "x"));

        let seen = host.tell(events);

        assert_eq!(faults(&seen), [(7, kind)]);
        assert_eq!(sent(&host.calls(call(8, "x"))), ["POST x"]);
    }
}

#[test]
fn the_end_of_the_channel_is_that_of_the_connection() {
    for ended in [end(2), failed(2, ExchangeFailure::Reset)] {
        let mut host = ready();
        host.calls(call(7, "x"));
        host.tell(status(5, 202));

        let seen = host.tell([ended]);

        assert_eq!(disconnected_by(&seen).0, FaultKind::Disconnected);
        assert_eq!(faults(&seen), [(7, FaultKind::Disconnected)]);
    }
}

#[test]
fn a_cancelled_call_is_told_to_the_endpoint() {
    let mut host = ready();
    host.calls(call(7, "x"));

    let seen = host.tell([Event::CancelCall(7)]);

    assert_eq!(sent(&seen), ["POST notifications/cancelled"]);
    assert_eq!(faults(&seen), [(7, FaultKind::Cancelled)]);
}

#[test]
fn a_request_on_the_channel_is_answered_at_the_endpoint() {
    let mut host = ready();

    let seen = host.tell([says(2, r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)]);

    assert_eq!(requested(&seen).target, Target::Origin("/messages?s=1".to_owned()));
}

#[test]
fn there_is_no_listening_stream_beside_the_channel() {
    assert_eq!(ready().checker.outstanding().exchanges, [2]);
}

#[test]
fn a_server_that_has_no_channel_either_is_given_up() {
    for second in [status(2, 405), status(2, 500), json(2, "{}"), vec![failed(2, ExchangeFailure::Reset)]] {
        let mut host = probing();
        host.calls(call(7, "x"));

        let seen = host.tell(second);

        let (_, message) = disconnected_by(&seen);
        assert!(message.starts_with("the server answered to `initialize` with status 405, and "), "{message}");
        assert_eq!(faults(&seen).len(), 1);
    }
}

#[test]
fn the_error_of_the_first_refusal_is_what_is_passed_on() {
    let mut host = Host::http(over_http());
    let refused = host.tell(refusal(1, 400, r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"no"}}"#));

    let seen = host.tell(status(2, 405));

    assert_eq!(sent(&refused), ["GET"]);
    assert_eq!(disconnected(&seen), &Ended::Error(br#"{"code":-32000,"message":"no"}"#.to_vec()));
}

#[test]
fn a_channel_has_to_begin_with_an_endpoint_of_the_origin() {
    for event in [says(2, &initialized(1, NEWEST)), endpoint(""), endpoint("ftp://x/y"), endpoint("/a b")] {
        let mut host = probing();

        let seen = host.tell([head(2, 200, &[EVENTS]), block(2, None, "", Some("1"), None), event]);

        assert_eq!(disconnected_by(&seen).0, FaultKind::ProtocolViolation);
    }
}

#[test]
fn an_endpoint_that_is_named_again_changes_nothing() {
    let mut host = ready();

    logged(&host.tell([endpoint("/other")]));
    assert_eq!(requested(&host.calls(call(7, "x"))).target, Target::Origin("/messages?s=1".to_owned()));
}
