//! How a session over streamable HTTP begins and ends: 2025-11-25, basic/transports.

mod harness;

use harness::http::*;
use harness::*;
use innkeeper_guest::boundary::{Event, ExchangeFailure, FaultKind, LogLevel, Target};
use innkeeper_guest::checker::{Ended, Observed, Requested};

fn names(request: &Requested) -> Vec<&str> {
    request.headers.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_session_begins_with_a_post_of_initialize() {
    let mut host = Host::new();

    let seen = host.tell([Event::Open(over_http())]);

    let initialize = concat!(
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
        r#""capabilities":{"roots":{}},"clientInfo":{"name":"test","version":"1"}}}"#
    );
    let request = requested(&seen);
    assert_eq!((&*request.method, &request.target, request.call), ("POST", &Target::Server, None));
    assert_eq!(text(request), initialize);
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("accept"), Some("application/json, text/event-stream"));
    assert_eq!(request.headers.len(), 2);
}

#[test]
fn calls_follow_the_confirmation_and_the_confirmation_the_result() {
    let mut host = Host::http(over_http());

    let early = host.calls(call(7, "tools/list"));
    let result = host.tell(json(1, &initialized(1, NEWEST)));
    let meanwhile = host.calls(call(8, "tools/list"));
    let confirmed = host.tell([head(2, 202, &[])]);

    assert_eq!((early, meanwhile), (vec![], vec![]));
    assert_eq!(sent(&result), ["POST notifications/initialized"]);
    let ready = Observed::Ready { revision: NEWEST.to_owned(), peer: initialize_result(NEWEST).into_bytes() };
    assert_eq!(confirmed[0], ready);
    assert_eq!(sent(&confirmed), ["POST tools/list", "POST tools/list", "GET"]);
    let calls: Vec<_> = requests(&confirmed).iter().map(|request| request.call).collect();
    assert_eq!(calls, [Some(7), Some(8), None]);
}

#[test]
fn the_result_of_initialize_may_come_as_an_event() {
    let mut host = Host::http(over_http());

    let primed = host.tell([head(1, 200, &[EVENTS]), says_at(1, "p", "")]);
    let result = host.tell([says(1, &initialized(1, NEWEST)), end(1)]);

    assert_eq!(primed, []);
    assert_eq!(sent(&result), ["POST notifications/initialized"]);
}

#[test]
fn the_version_header_follows_the_handshake_where_the_revision_has_one() {
    for (revision, expected) in [
        ("2024-11-05", None),
        ("2025-03-26", None),
        ("2025-06-18", Some("2025-06-18")),
        ("2025-11-25", Some("2025-11-25")),
    ] {
        let mut host = Host::http(over_http());

        let confirmation = host.tell(json(1, &initialized(1, revision)));
        let listening = host.tell(status(2, 202));
        let sent = host.calls(call(7, "tools/list"));

        for seen in [confirmation, listening, sent] {
            assert_eq!(requested(&seen).header("mcp-protocol-version"), expected);
        }
    }
}

#[test]
fn a_session_id_goes_into_every_later_request() {
    let mut host = Host::http(over_http());

    let confirmation =
        host.tell([head(1, 200, &[JSON, ("Mcp-Session-Id", "a!~")]), body(1, &initialized(1, "2025-03-26")), end(1)]);
    let listening = host.tell(status(3, 202));
    let call = host.calls(call(7, "tools/list"));
    let cancelled = host.tell([Event::CancelCall(7)]);

    for seen in [confirmation, listening, call, cancelled] {
        assert_eq!(requested(&seen).header("mcp-session-id"), Some("a!~"));
    }
}

#[test]
fn a_session_id_that_is_no_visible_ascii_ends_the_connection() {
    for id in ["a b", "", "\u{e9}", "a\r\nx: y"] {
        let mut host = Host::http(over_http());

        let seen = host.tell([head(1, 200, &[JSON, ("mcp-session-id", id)])]);

        assert_eq!(disconnected_by(&seen).0, FaultKind::ProtocolViolation);
    }
}

#[test]
fn the_request_at_the_end_names_the_session_and_the_revision() {
    let mut host = Host::http(over_http());

    host.tell([head(1, 200, &[JSON, ("mcp-session-id", "s1")])]);
    let early = host.checker.on_close().cloned().unwrap();
    host.tell([body(1, &initialized(1, NEWEST)), end(1)]);
    let agreed = host.checker.on_close().cloned().unwrap();

    assert_eq!((&*early.method, &early.target, names(&early)), ("DELETE", &Target::Server, vec!["mcp-session-id"]));
    assert_eq!(names(&agreed), ["mcp-session-id", "mcp-protocol-version"]);
    assert_eq!(agreed.header("mcp-session-id"), Some("s1"));
}

#[test]
fn a_session_without_an_id_has_no_request_at_the_end() {
    assert_eq!(Host::http_ready().checker.on_close(), None);
}

#[test]
fn closing_completes_what_is_open_and_sends_nothing() {
    let mut host = Host::http_session();
    host.calls(call(7, "x"));

    let seen = host.tell([Event::Close]);

    assert_eq!(faults(&seen), [(7, FaultKind::Disconnected)]);
    assert_eq!(seen.len(), 1);
    assert!(host.checker.on_close().is_some());
}

#[test]
fn another_revision_is_offered_whatever_the_status_of_the_first_answer() {
    for status in [200, 400, 404] {
        let mut host = Host::http(over_http());
        let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"data":{"supported":["2025-03-26"]}}}"#;

        let seen = host.tell([head(1, status, &[JSON]), body(1, error), end(1)]);

        assert!(text(requested(&seen)).contains(r#""protocolVersion":"2025-03-26""#), "{seen:?}");
    }
}

#[test]
fn a_fixed_revision_is_offered_and_no_other_is_taken() {
    let mut host = Host::new();

    let seen = host.tell([Event::Open(with_revision("2025-06-18"))]);
    let refused = host.tell(json(1, &initialized(1, "2025-11-25")));

    assert!(text(requested(&seen)).contains(r#""protocolVersion":"2025-06-18""#));
    assert_eq!(disconnected_by(&refused).0, FaultKind::Unsupported);
}

#[test]
fn what_is_no_answer_to_initialize_ends_the_connection() {
    let broken = |failure| vec![failed(1, failure)];
    for (events, kind) in [
        (json(1, "{}"), FaultKind::ProtocolViolation),
        (json(1, "<html>"), FaultKind::ProtocolViolation),
        (json(1, &reply(2, "{}")), FaultKind::ProtocolViolation),
        (vec![head(1, 200, &[("content-type", "text/html")])], FaultKind::ProtocolViolation),
        (status(1, 202), FaultKind::ProtocolViolation),
        (status(1, 500), FaultKind::Other),
        (status(1, 401), FaultKind::Other),
        (vec![head(1, 200, &[JSON]), end(1)], FaultKind::Disconnected),
        (vec![head(1, 200, &[EVENTS]), says_at(1, "p", ""), end(1)], FaultKind::Disconnected),
        (broken(ExchangeFailure::Connect), FaultKind::Disconnected),
        (broken(ExchangeFailure::Timeout), FaultKind::Disconnected),
        (broken(ExchangeFailure::TooLarge), FaultKind::TooLarge),
        (broken(ExchangeFailure::Denied), FaultKind::Other),
    ] {
        let mut host = Host::http(over_http());
        host.calls(call(7, "x"));

        let seen = host.tell(events.clone());

        assert_eq!(disconnected_by(&seen).0, kind, "{events:?}");
        assert_eq!(faults(&seen), [(7, kind)], "{events:?}");
    }
}

#[test]
fn an_error_that_answers_initialize_is_passed_on_verbatim() {
    let error = r#"{"code":-32000,"message":"no"}"#;
    for (status, id) in [(200, "1"), (200, "null"), (400, "1"), (500, "1"), (500, "null")] {
        let mut host = Host::http(over_http());

        let seen = host.tell(refusal(1, status, &format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)));

        assert_eq!(disconnected(&seen), &Ended::Error(error.as_bytes().to_vec()), "{status} {id}");
    }
}

#[test]
fn a_confirmation_that_is_not_accepted_ends_the_connection() {
    for (events, kind) in [
        (status(2, 400), FaultKind::Other),
        (status(2, 401), FaultKind::Other),
        (vec![failed(2, ExchangeFailure::Reset)], FaultKind::Disconnected),
    ] {
        let mut host = Host::http(over_http());
        host.tell(json(1, &initialized(1, NEWEST)));

        assert_eq!(disconnected_by(&host.tell(events)).0, kind);
    }
}

#[test]
fn news_of_a_process_mean_nothing_over_http() {
    let mut host = Host::http_ready();

    for event in [Event::Started(1), exited(0), frame("{}")] {
        assert_ne!(logged(&host.tell([event])).0, LogLevel::Error);
    }
    assert_eq!(sent(&host.calls(call(7, "x"))), ["POST x"]);
}

#[test]
fn after_a_disconnect_no_exchange_means_anything() {
    let mut host = Host::http_session();
    host.calls(call(7, "x"));
    let mut client = host.client;

    let lost = client.handle(0, [status(6, 404), status(6, 404)].concat());
    let refused = client.handle(0, status(7, 500));
    let after = client.handle(0, [status(7, 500), vec![Event::Timer(0), Event::Timer(2)]].concat());

    assert_eq!(lost.len(), 2, "no request at the end, and a new session: {lost:?}");
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert_eq!(after, []);
}

#[test]
fn a_session_that_is_lost_before_it_was_confirmed_ends_the_connection() {
    let mut host = Host::http(over_http());
    host.tell([head(1, 200, &[JSON, ("mcp-session-id", "s1")]), body(1, &initialized(1, NEWEST)), end(1)]);

    assert_eq!(disconnected_by(&host.tell(status(4, 404))).0, FaultKind::Other);
}

#[test]
fn the_server_may_ask_as_soon_as_it_is_told_that_the_session_is_confirmed() {
    let mut host = Host::http(over_http());
    host.tell([head(1, 200, &[EVENTS]), says(1, &initialized(1, NEWEST))]);

    let asked = host.tell([says(1, r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#)]);

    assert!(matches!(asked[..], [Observed::ServerRequest { call: None, .. }]), "{asked:?}");
}

#[test]
fn before_its_answer_to_initialize_the_server_may_only_ping() {
    let mut host = Host::http(over_http());
    host.tell([head(1, 200, &[EVENTS, ("mcp-session-id", "s1")])]);

    let ping = host.tell([says(1, r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)]);
    let early = host.tell([says(1, r#"{"jsonrpc":"2.0","id":2,"method":"roots/list"}"#)]);

    assert_eq!(requested(&ping).header("mcp-session-id"), Some("s1"));
    assert!(text(requested(&early)).contains("only ping may be sent"));
}
