//! A server that forgets the session: 2025-11-25, basic/transports, "Session
//! Management".

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;

use harness::http::*;
use harness::*;
use innkeeper_guest::boundary::{Event, ExchangeFailure, FaultKind};
use innkeeper_guest::checker::Observed;

const UNKNOWN: &str = r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID"}}"#;
const UNKNOWN_ERROR: &str = r#"{"code":-32000,"message":"Bad Request: No valid session ID"}"#;

/// A session with the id `s1`, and a call 7 under way in exchange 6 as request 2.
fn calling() -> Host {
    let mut host = Host::http_session();
    assert_eq!(requested(&host.calls(call_with(7, "tools/call", r#"{"name":"a"}"#))).exchange, 6);
    host
}

/// The server opens the session that it was asked for, and accepts it.
fn renew(host: &mut Host, asked: &[Observed], session: &str) -> Vec<Observed> {
    let exchange = requested(asked).exchange;
    let message: serde_json::Value = serde_json::from_str(text(requested(asked))).unwrap();
    let id = message["id"].as_u64().unwrap();
    let opened = [head(exchange, 200, &[JSON, ("mcp-session-id", session)]), body(exchange, &initialized(id, NEWEST))];
    let seen = host.tell([opened.to_vec(), vec![end(exchange)]].concat());
    host.tell(status(requested(&seen).exchange, 202))
}

#[test]
fn a_lost_session_is_replaced_and_what_was_refused_is_sent_again() {
    for lost in [
        status(6, 404),
        refusal(
            6,
            404,
            r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Session not found"}}"#,
        ),
        refusal(6, 400, UNKNOWN),
        status(6, 400),
        vec![head(6, 404, &[]), failed(6, ExchangeFailure::Reset)],
    ] {
        let mut host = calling();

        let seen = host.tell(lost.clone());
        let renewed = renew(&mut host, &seen, "s2");
        let answered = host.tell(json(11, &reply(4, "{}")));

        // The request at the end is taken back; the new session has none of the old one.
        assert_eq!(seen[0], Observed::OnClose(None), "{lost:?}");
        let initialize = requested(&seen);
        assert!(text(initialize).contains(r#""id":3,"method":"initialize""#));
        assert_eq!(initialize.header("mcp-session-id"), None);
        assert_eq!(initialize.header("mcp-protocol-version"), None);
        // The host was told long ago that the session is open.
        assert!(!renewed.iter().any(|effect| matches!(effect, Observed::Ready { .. })));
        let again = requests(&renewed)[0];
        assert_eq!(text(again), r#"{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"a"}}"#);
        assert_eq!((again.call, again.header("mcp-session-id")), (Some(7), Some("s2")));
        assert_eq!(answered, [result(7, "{}")]);
        assert_eq!(host.checker.on_close().unwrap().header("mcp-session-id"), Some("s2"));
    }
}

#[test]
fn calls_that_come_meanwhile_wait_for_the_new_session() {
    let mut host = calling();
    let lost = host.tell(status(6, 404));

    let meanwhile = host.calls(call(8, "x"));
    let renewed = renew(&mut host, &lost, "s2");

    assert_eq!(meanwhile, []);
    assert_eq!(sent(&renewed), ["POST tools/call", "POST x", "GET"]);
}

#[test]
fn many_calls_that_are_refused_lead_to_one_new_session() {
    let mut host = calling();
    host.calls(call(8, "x"));

    let first = host.tell(status(6, 404));
    let second = host.tell(status(7, 404));
    let renewed = renew(&mut host, &first, "s2");

    assert_eq!(sent(&first), ["POST initialize"]);
    assert_eq!(second, []);
    assert_eq!(sent(&renewed), ["POST tools/call", "POST x", "GET"]);
}

#[test]
fn a_call_that_is_refused_after_the_renewal_is_sent_at_once() {
    let mut host = calling();
    host.calls(call(8, "x"));
    let lost = host.tell(status(6, 404));
    renew(&mut host, &lost, "s2");

    assert_eq!(sent(&host.tell(status(7, 404))), ["POST x"]);
}

#[test]
fn calls_that_the_old_session_still_answers_end_well() {
    let mut host = calling();
    host.calls(call(8, "x"));
    host.tell([head(7, 200, &[EVENTS])]);

    host.tell(status(6, 404));
    let answered = host.tell([says(7, &reply(3, "{}")), end(7)]);

    assert_eq!(answered, [result(8, "{}")]);
}

#[test]
fn calls_that_the_old_session_had_accepted_fail_when_it_breaks() {
    let mut host = calling();
    host.calls(call(8, "x"));
    host.tell([head(7, 200, &[EVENTS]), says_at(7, "e1", "")]);
    host.tell(status(6, 404));

    let broken = host.tell([failed(7, ExchangeFailure::Reset)]);

    assert_eq!(faults(&broken), [(8, FaultKind::Disconnected)]);
}

#[test]
fn streams_that_wait_to_be_taken_up_fail_with_their_session() {
    let mut host = calling();
    host.calls(call(8, "x"));
    host.tell([head(7, 200, &[EVENTS]), says_at(7, "e1", ""), end(7)]);

    let seen = host.tell(status(6, 404));

    assert_eq!(faults(&seen), [(8, FaultKind::Disconnected)]);
    assert!(seen.contains(&Observed::CancelTimer(3)));
}

#[test]
fn a_stream_that_is_taken_up_in_vain_tells_of_the_loss_but_is_not_sent_again() {
    let mut host = calling();
    host.tell([head(6, 200, &[EVENTS]), says_at(6, "e1", ""), end(6)]);
    host.tell([Event::Timer(2)]);

    let seen = host.tell(status(7, 404));

    assert_eq!(sent(&seen), ["POST initialize"]);
    assert_eq!(faults(&seen), [(7, FaultKind::Other)]);
}

#[test]
fn what_the_old_session_asked_is_withdrawn_and_what_it_asks_is_ignored() {
    let mut host = calling();
    host.calls(call(8, "x"));
    let request = |id: u64| says(7, &format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"roots/list"}}"#));
    host.tell([head(7, 200, &[EVENTS]), request(1)]);

    let lost = host.tell(status(6, 404));
    let late = host.tell([request(2)]);

    assert!(lost.contains(&Observed::Withdraw(1)));
    logged(&late);
}

#[test]
fn a_call_is_sent_twice_at_most() {
    let mut host = calling();
    let lost = host.tell(refusal(6, 400, UNKNOWN));
    renew(&mut host, &lost, "s2");

    let seen = host.tell(refusal(11, 400, UNKNOWN));

    assert_eq!(seen, [error(7, UNKNOWN_ERROR)], "in a session that has only just begun, 400 means what it says");
}

#[test]
fn a_session_that_is_lost_right_after_another_ends_the_connection() {
    let mut host = calling();
    let lost = host.tell(status(6, 404));
    renew(&mut host, &lost, "s2");

    let seen = host.tell(status(11, 404));

    assert_eq!(disconnected_by(&seen), (FaultKind::Disconnected, "the server forgot one session right after another"));
    assert_eq!(faults(&seen), [(7, FaultKind::Disconnected)]);
}

#[test]
fn a_session_that_was_of_use_may_be_replaced_too() {
    let mut host = calling();
    let lost = host.tell(status(6, 404));
    renew(&mut host, &lost, "s2");
    host.tell(json(11, &reply(4, "{}")));
    host.tell(status(12, 405));
    host.calls(call(8, "x"));

    let seen = host.tell(status(13, 404));

    assert_eq!(sent(&seen), ["POST initialize"]);
}

#[test]
fn an_error_that_is_about_the_message_is_no_lost_session() {
    let error_of = |id: &str, code: i64| format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code}}}}}"#);
    for (id, code) in [("2", -32000), ("2", -32600), ("null", -32700), ("null", -32601), ("null", -32602)] {
        let seen = calling().tell(refusal(6, 400, &error_of(id, code)));

        assert_eq!(seen, [error(7, &format!(r#"{{"code":{code}}}"#))]);
    }
}

#[test]
fn without_a_session_id_nothing_can_be_lost() {
    for status_code in [400, 404] {
        let mut host = Host::http_ready();
        host.calls(call(7, "x"));

        let seen = host.tell(status(4, status_code));

        assert_eq!(faults(&seen), [(7, FaultKind::Other)]);
        assert_eq!(seen.len(), 1);
    }
}

#[test]
fn pages_begin_anew_in_a_new_session() {
    let mut host = Host::http_session();
    host.calls(call_all(7, "tools/list"));
    host.tell(json(6, &reply(2, r#"{"tools":[1],"nextCursor":"p"}"#)));

    let lost = host.tell(status(7, 404));
    let renewed = renew(&mut host, &lost, "s2");
    let done = host.tell(json(12, &reply(5, r#"{"tools":[1,2]}"#)));

    assert_eq!(text(requests(&renewed)[0]), r#"{"jsonrpc":"2.0","id":5,"method":"tools/list"}"#);
    assert_eq!(done, [result(7, r#"{"tools":[1,2]}"#)]);
}

#[test]
fn a_call_of_the_old_session_is_cancelled_without_a_word_to_the_new() {
    let mut host = calling();
    host.calls(call(8, "x"));
    host.tell(status(6, 404));

    let seen = host.tell([Event::CancelCall(8)]);

    assert_eq!(seen[0], Observed::Abort(7));
    assert_eq!(faults(&seen), [(8, FaultKind::Cancelled)]);
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_message_that_is_refused_with_404_tells_of_the_loss() {
    let mut host = Host::http_session();
    let notify = innkeeper_guest::boundary::Notify { method: "notifications/x".to_owned(), params: None };
    host.tell([Event::Notify(notify)]);

    assert_eq!(sent(&host.tell(status(6, 404))), ["POST initialize"]);
}

#[test]
fn a_listening_stream_that_was_there_and_is_gone_tells_of_the_loss() {
    for gone in [400, 404] {
        let mut host = Host::http_session_listening();
        host.tell([head(5, 200, &[EVENTS]), end(5)]);
        host.tell([Event::Timer(0)]);

        assert_eq!(sent(&host.tell(status(6, gone))), ["POST initialize"]);
    }
}

#[test]
fn the_listening_stream_of_a_lost_session_ends_with_it() {
    let mut host = Host::http_session_listening();
    host.tell([head(5, 200, &[EVENTS])]);
    host.calls(call(7, "x"));

    let open = host.tell(status(6, 404));
    assert!(open.contains(&Observed::Abort(5)));

    let mut host = Host::http_session_listening();
    host.tell([head(5, 200, &[EVENTS]), end(5)]);
    host.calls(call(7, "x"));
    let waiting = host.tell(status(6, 404));
    assert!(waiting.contains(&Observed::CancelTimer(0)));
}

#[test]
fn a_new_session_that_is_refused_ends_the_connection() {
    let mut host = calling();
    host.calls(call(8, "x"));
    host.tell(status(6, 404));

    // No HTTP+SSE here: this server has shown that it is none of that kind.
    let seen = host.tell(status(8, 404));

    assert_eq!(disconnected_by(&seen).0, FaultKind::Other);
    assert_eq!(faults(&seen).len(), 2);
}

#[test]
fn pages_that_the_old_session_still_gives_are_begun_anew_in_the_new() {
    let mut host = calling();
    host.calls(call_all(8, "tools/list"));
    let lost = host.tell(status(6, 404));

    let page = host.tell(json(7, &reply(3, r#"{"tools":[1],"nextCursor":"p"}"#)));
    let renewed = renew(&mut host, &lost, "s2");

    assert_eq!(page, []);
    assert_eq!(sent(&renewed), ["POST tools/call", "POST tools/list", "GET"]);
    assert!(!text(requests(&renewed)[1]).contains("cursor"));
}

#[test]
fn pages_of_the_old_session_that_come_after_the_new_began_are_asked_for_at_once() {
    let mut host = calling();
    host.calls(call_all(8, "tools/list"));
    let lost = host.tell(status(6, 404));
    renew(&mut host, &lost, "s2");

    let page = host.tell(json(7, &reply(3, r#"{"tools":[1],"nextCursor":"p"}"#)));

    assert_eq!(sent(&page), ["POST tools/list"]);
    assert!(!text(requested(&page)).contains("cursor"));
}
