//! Streams that break and are taken up again, and the one that belongs to no call:
//! 2025-11-25, basic/transports, "Resumability and Redelivery" and "Listening for
//! Messages from the Server".

mod harness;

use harness::http::*;
use harness::*;
use innkeeper_guest::boundary::{Answer, Event, ExchangeFailure, FaultKind, LogLevel, Timer};
use innkeeper_guest::checker::Observed;

/// A session with an id, and the call 7 under way in exchange 6 as request 2, whose
/// stream has brought the event `e1`.
fn streaming() -> Host {
    let mut host = Host::http_session();
    host.calls(call(7, "x"));
    assert_eq!(host.tell([head(6, 200, &[EVENTS]), says_at(6, "e1", "")]), []);
    host
}

fn timer(id: u64, at: u64) -> Observed {
    Observed::SetTimer(Timer { id, at })
}

#[test]
fn a_stream_with_an_event_id_is_taken_up_by_a_get_of_what_follows() {
    for broken in [end(6), failed(6, ExchangeFailure::Reset), failed(6, ExchangeFailure::Timeout)] {
        let mut host = streaming();

        let interrupted = host.at(5, [broken]);
        let resumed = host.at(SECOND + 5, [Event::Timer(2)]);
        let answered = host.tell([head(7, 200, &[EVENTS]), says_at(7, "e2", &reply(2, "{}")), end(7)]);

        assert_eq!(interrupted, [timer(2, SECOND + 5)]);
        let request = requested(&resumed);
        assert_eq!((&*request.method, request.call, &request.body), ("GET", None, &None));
        assert_eq!(request.header("last-event-id"), Some("e1"));
        assert_eq!(request.header("accept"), Some("text/event-stream"));
        assert_eq!(request.header("mcp-session-id"), Some("s1"));
        assert_eq!(request.header("mcp-protocol-version"), Some(NEWEST));
        assert_eq!(answered, [result(7, "{}")]);
    }
}

#[test]
fn the_servers_retry_time_is_waited_for() {
    let mut host = streaming();

    let seen = host.at(7, [block(6, None, "", None, Some(500)), end(6)]);

    assert_eq!(seen, [timer(2, 7 + 500 * MILLISECOND)]);
}

#[test]
fn a_stream_may_be_polled_for_as_long_as_it_brings_something() {
    let mut host = streaming();
    host.tell([block(6, None, "", None, Some(500)), end(6)]);

    for round in 0..50 {
        let resumed = host.tell([Event::Timer(2)]);
        let exchange = requested(&resumed).exchange;
        let seen =
            host.tell([head(exchange, 200, &[EVENTS]), says_at(exchange, &format!("n{round}"), ""), end(exchange)]);
        assert_eq!(seen, [timer(2, 500 * MILLISECOND)]);
    }
}

#[test]
fn attempts_that_bring_nothing_new_grow_rarer_and_fail_the_call_in_the_end() {
    let mut host = streaming();
    let mut seen = host.tell([end(6)]);
    let mut delays = Vec::new();

    while let [Observed::SetTimer(timer)] = seen[..] {
        delays.push(timer.at / SECOND);
        let exchange = requested(&host.tell([Event::Timer(2)])).exchange;
        seen = host.tell([head(exchange, 200, &[EVENTS]), block(exchange, None, "", Some("e1"), None), end(exchange)]);
    }

    assert_eq!(delays, [1, 2, 4, 8, 16, 32]);
    assert_eq!(faults(&seen), [(7, FaultKind::Disconnected)]);
}

#[test]
fn a_server_that_is_busy_or_away_is_tried_again() {
    for again in [
        status(7, 409),
        status(7, 429),
        status(7, 500),
        status(7, 503),
        vec![failed(7, ExchangeFailure::Connect)],
        vec![failed(7, ExchangeFailure::Timeout)],
    ] {
        let mut host = streaming();
        host.tell([end(6)]);
        host.tell([Event::Timer(2)]);

        assert_eq!(host.tell(again), [timer(2, 2 * SECOND)]);
    }
}

#[test]
fn a_stream_that_cannot_be_taken_up_fails_its_call_at_once() {
    for (refused, kind) in [
        (status(7, 400), FaultKind::Other),
        (status(7, 401), FaultKind::Other),
        (status(7, 403), FaultKind::Other),
        (status(7, 405), FaultKind::Other),
        (status(7, 410), FaultKind::Other),
        (json(7, &reply(2, "{}")), FaultKind::ProtocolViolation),
        (vec![failed(7, ExchangeFailure::Denied)], FaultKind::Other),
        (vec![failed(7, ExchangeFailure::TooLarge)], FaultKind::TooLarge),
        (vec![failed(7, ExchangeFailure::Malformed)], FaultKind::ProtocolViolation),
    ] {
        let mut host = streaming();
        host.tell([end(6)]);
        host.tell([Event::Timer(2)]);

        let mut client = host.client;
        let effects = client.handle(0, refused.clone());
        let seen = host.checker.apply(&refused, &effects).unwrap();

        assert_eq!(faults(&seen), [(7, kind)], "{refused:?}");
        assert!(!seen.iter().any(|effect| matches!(effect, Observed::SetTimer(_) | Observed::Request(_))));
    }
}

#[test]
fn what_would_come_again_just_as_large_is_not_asked_for() {
    for failure in [ExchangeFailure::TooLarge, ExchangeFailure::Malformed] {
        assert_eq!(faults(&streaming().tell([failed(6, failure)])).len(), 1);
    }
}

#[test]
fn an_event_id_that_is_reset_or_unfit_for_a_header_leaves_nothing_to_go_on_from() {
    for id in ["", "a\u{e9}", "a\nb", " a"] {
        let mut host = streaming();

        let seen = host.tell([says_at(6, id, ""), end(6)]);

        assert_eq!(faults(&seen), [(7, FaultKind::Disconnected)], "{id:?}");
    }
}

#[test]
fn a_stream_that_waits_to_be_taken_up_can_be_cancelled() {
    let mut host = streaming();
    host.tell([end(6)]);

    let seen = host.tell([Event::CancelCall(7)]);

    assert_eq!(sent(&seen), ["POST notifications/cancelled"]);
    assert_eq!(seen[1], Observed::CancelTimer(2));
    assert_eq!(host.tell([Event::Timer(2)]), []);
}

#[test]
fn a_request_on_a_stream_that_was_taken_up_belongs_to_the_call() {
    let mut host = streaming();
    host.calls(call(8, "y"));
    host.tell([end(6)]);
    host.tell([Event::Timer(2)]);

    let seen = host.tell([head(8, 200, &[EVENTS]), says(8, r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#)]);

    assert!(matches!(seen[..], [Observed::ServerRequest { call: Some(7), .. }]));
}

// ---------------------------------------------------------------- listening

/// A session with an id whose listening stream, exchange 5, is open since 0.
fn listening() -> Host {
    let mut host = Host::http_session_listening();
    assert_eq!(host.tell([head(5, 200, &[EVENTS])]), []);
    host
}

#[test]
fn the_listening_stream_is_asked_for_when_the_session_is_open() {
    let mut host = Host::http(over_http());
    host.tell([head(1, 200, &[JSON, ("mcp-session-id", "s1")]), body(1, &initialized(1, NEWEST)), end(1)]);

    let seen = host.tell(status(4, 202));

    let request = requested(&seen);
    assert_eq!((&*request.method, request.call), ("GET", None));
    assert_eq!(request.header("accept"), Some("text/event-stream"));
    assert_eq!(request.header("mcp-session-id"), Some("s1"));
    assert_eq!(request.header("last-event-id"), None);
}

#[test]
fn what_the_server_says_by_itself_is_heard_and_belongs_to_no_call() {
    let mut host = listening();
    host.calls(call(7, "x"));

    let notified = host.tell([says(5, r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#)]);
    let asked = host.tell([says(5, r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#)]);
    let answered = host.answers(1, Answer::Refused);

    assert!(matches!(&notified[..], [Observed::Notification { method, .. }] if method.ends_with("list_changed")));
    assert!(matches!(asked[..], [Observed::ServerRequest { call: None, .. }]));
    assert_eq!(requests(&answered).len(), 1);
}

#[test]
fn a_server_without_a_listening_stream_is_not_asked_again() {
    for refused in
        [status(5, 405), status(5, 404), status(5, 401), status(5, 403), vec![failed(5, ExchangeFailure::Denied)]]
    {
        let seen = Host::http_session_listening().tell(refused);

        logged(&seen);
    }
    let seen = Host::http_session_listening().tell([head(5, 200, &[JSON])]);
    assert!(matches!(seen[..], [Observed::Abort(5), Observed::Log(LogLevel::Debug, _)]), "{seen:?}");
}

#[test]
fn a_listening_stream_that_ends_is_opened_again_behind_its_last_event() {
    let mut host = listening();
    host.tell([block(5, None, r#"{"jsonrpc":"2.0","method":"notifications/x"}"#, Some("l1"), Some(300))]);

    let ended = host.at(9, [end(5)]);
    let again = host.tell([Event::Timer(0)]);

    assert_eq!(ended, [timer(0, 9 + 300 * MILLISECOND)]);
    assert_eq!(requested(&again).header("last-event-id"), Some("l1"));
}

#[test]
fn listening_that_brings_nothing_is_given_up_without_harm() {
    let mut host = listening();
    let mut seen = host.tell([end(5)]);
    let mut delays = Vec::new();

    while let [Observed::SetTimer(timer)] = seen[..] {
        delays.push(timer.at / SECOND);
        let exchange = requested(&host.tell([Event::Timer(0)])).exchange;
        seen = if delays.len() % 2 == 0 {
            host.tell([head(exchange, 200, &[EVENTS]), end(exchange)])
        } else {
            host.tell(status(exchange, 502))
        };
    }

    assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    assert_eq!(logged(&seen).0, LogLevel::Warn);
    assert_eq!(sent(&host.calls(call(7, "x"))), ["POST x"]);
}

#[test]
fn a_listening_stream_that_was_open_for_long_is_opened_again_for_ever() {
    let mut host = listening();
    let mut now = 0;
    let mut exchange = 5;

    for _ in 0..50 {
        now += 30 * SECOND;
        assert_eq!(host.at(now, [failed(exchange, ExchangeFailure::Reset)]), [timer(0, now + SECOND)]);
        now += SECOND;
        exchange = requested(&host.at(now, [Event::Timer(0)])).exchange;
        host.at(now, [head(exchange, 200, &[EVENTS])]);
    }
}

#[test]
fn a_reply_on_the_listening_stream_ends_its_call() {
    let mut host = listening();
    host.calls(call(7, "x"));

    let seen = host.tell([says(5, &reply(2, "{}"))]);

    assert_eq!(seen, [result(7, "{}"), Observed::Abort(6)]);
}

#[test]
fn an_error_without_an_id_on_the_listening_stream_ends_nothing() {
    let mut host = listening();
    host.calls(call(7, "x"));

    logged(&host.tell([says(5, r#"{"jsonrpc":"2.0","id":null,"error":{"code":1}}"#)]));
    assert_eq!(host.checker.outstanding().calls.len(), 1);
}
