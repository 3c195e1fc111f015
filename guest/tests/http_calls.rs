//! Calls over streamable HTTP, and everything that may come in place of a reply.

mod harness;

use harness::http::*;
use harness::*;
use innkeeper_guest::boundary::{
    Answer, Call, Effect, Event, EventRange, ExchangeFailure, FaultKind, LogLevel, Outcome, Segment, Settings,
};
use innkeeper_guest::checker::Observed;

const ERROR: &str = r#"{"code":-32000,"message":"no"}"#;

fn error_body(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{ERROR}}}"#)
}

/// A session without an id, with the call 7 under way in exchange 4, as request 2.
fn calling() -> Host {
    let mut host = Host::http_ready();
    let seen = host.calls(call_with(7, "tools/call", r#"{"name":"a"}"#));
    assert_eq!((requested(&seen).exchange, requested(&seen).call), (4, Some(7)));
    host
}

/// The same in a session with an id: exchange 6.
fn calling_in_session() -> Host {
    let mut host = Host::http_session();
    assert_eq!(requested(&host.calls(call(7, "tools/call"))).exchange, 6);
    host
}

#[test]
fn a_call_is_a_post_and_its_reply_the_body() {
    let mut host = Host::http_ready();

    let seen = host.calls(call_with(7, "tools/call", r#"{"name":"a"}"#));
    let answered = host.tell(json(4, &reply(2, r#"{"content": []}"#)));

    let request = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"a"}}"#;
    assert_eq!(text(requested(&seen)), request);
    assert_eq!(answered, [result(7, r#"{"content": []}"#)]);
}

#[test]
fn a_reply_may_come_at_the_end_of_a_stream() {
    let mut host = calling();

    let begun = host.tell([head(4, 200, &[EVENTS]), says_at(4, "1", "")]);
    let notified = host.tell([says(4, r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#)]);
    let answered = host.tell([says_at(4, "2", &reply(2, "{}"))]);
    let ended = host.tell([end(4)]);

    assert_eq!((begun, ended), (vec![], vec![]));
    assert!(matches!(&notified[..], [Observed::Notification { .. }]));
    assert_eq!(answered, [result(7, "{}")]);
}

#[test]
fn a_reply_is_named_and_not_copied() {
    let mut client = calling().client;
    client.handle(0, vec![head(4, 200, &[EVENTS])]);

    let effects = client.handle(0, vec![Event::Timer(99), says(4, &reply(2, r#"{"a":1}"#))]);

    let [Effect::Complete(done)] = &effects[..] else { panic!("{effects:?}") };
    let range = EventRange { index: 1, offset: 33, length: 7 };
    assert_eq!(done.outcome, Outcome::Result(vec![Segment::Event(range)]));
}

#[test]
fn many_calls_are_under_way_at_a_time_and_end_in_any_order() {
    let mut host = Host::http_ready();
    let seen = host.tell((0..100).map(|id| Event::Call(call(id, "x"))).collect::<Vec<_>>());
    let exchanges: Vec<u64> = requests(&seen).iter().map(|request| request.exchange).collect();
    assert_eq!(exchanges, (4..104).collect::<Vec<_>>());

    for id in (0..100).rev() {
        assert_eq!(host.tell(json(4 + id, &reply(2 + id, "{}"))), [result(id, "{}")]);
    }
}

#[test]
fn parameters_keep_their_line_breaks() {
    let mut host = Host::http_ready();

    let seen = host.calls(call_with(7, "x", "{\n  \"a\": 1\n}"));

    assert!(text(requested(&seen)).ends_with("\"params\":{\n  \"a\": 1\n}}"));
}

#[test]
fn pages_are_followed_by_one_post_each() {
    let mut host = Host::http_ready();
    host.calls(call_all(7, "tools/list"));

    let next = host.tell(json(4, &reply(2, r#"{"tools":[1],"nextCursor":"p"}"#)));
    let done = host.tell([head(5, 200, &[EVENTS]), says(5, &reply(3, r#"{"tools":[2]}"#)), end(5)]);

    assert_eq!(requested(&next).call, Some(7));
    assert_eq!(done, [result(7, r#"{"tools":[1,2]}"#)]);
}

#[test]
fn what_is_no_reply_fails_the_call_at_once_and_nothing_else() {
    for (events, kind) in [
        (json(4, "{}"), FaultKind::ProtocolViolation),
        (json(4, "[]"), FaultKind::ProtocolViolation),
        (json(4, "<html></html>"), FaultKind::ProtocolViolation),
        (json(4, ""), FaultKind::ProtocolViolation),
        (json(4, &reply(99, "{}")), FaultKind::ProtocolViolation),
        (json(4, r#"{"jsonrpc":"2.0","id":"2","result":{}}"#), FaultKind::ProtocolViolation),
        (json(4, r#"{"jsonrpc":"2.0","id":2}"#), FaultKind::ProtocolViolation),
        (vec![head(4, 200, &[JSON]), end(4)], FaultKind::ProtocolViolation),
        (vec![head(4, 200, &[("content-type", "text/html")])], FaultKind::ProtocolViolation),
        (vec![head(4, 200, &[])], FaultKind::ProtocolViolation),
        (vec![head(4, 202, &[])], FaultKind::ProtocolViolation),
        (vec![head(4, 204, &[])], FaultKind::ProtocolViolation),
        (vec![head(4, 200, &[EVENTS]), end(4)], FaultKind::Disconnected),
        (vec![head(4, 200, &[EVENTS]), says(4, "{}"), end(4)], FaultKind::Disconnected),
        (vec![failed(4, ExchangeFailure::Denied)], FaultKind::Other),
        (vec![failed(4, ExchangeFailure::Connect)], FaultKind::Disconnected),
        (vec![failed(4, ExchangeFailure::Reset)], FaultKind::Disconnected),
        (vec![failed(4, ExchangeFailure::Timeout)], FaultKind::Disconnected),
        (vec![failed(4, ExchangeFailure::TooLarge)], FaultKind::TooLarge),
        (vec![failed(4, ExchangeFailure::Malformed)], FaultKind::ProtocolViolation),
        (vec![head(4, 200, &[JSON]), failed(4, ExchangeFailure::Reset)], FaultKind::Disconnected),
        (vec![head(4, 200, &[EVENTS]), failed(4, ExchangeFailure::Reset)], FaultKind::Disconnected),
        (vec![head(4, 500, &[EVENTS])], FaultKind::Other),
        (status(4, 500), FaultKind::Other),
        (status(4, 404), FaultKind::Other),
        (status(4, 413), FaultKind::TooLarge),
        (refusal(4, 500, "<html>"), FaultKind::Other),
        (refusal(4, 500, &error_body("99")), FaultKind::Other),
        (refusal(4, 400, &reply(2, "{}")), FaultKind::Other),
        (vec![head(4, 503, &[]), failed(4, ExchangeFailure::Reset)], FaultKind::Other),
        (status(4, 302), FaultKind::Other),
    ] {
        let mut host = calling();

        let seen = host.tell(events.clone());
        let next = host.calls(call(8, "x"));

        assert_eq!(faults(&seen), [(7, kind)], "{events:?}");
        assert_eq!(sent(&next), ["POST x"], "{events:?}");
        assert_eq!(host.tell([Event::Timer(2)]), [], "{events:?}");
    }
}

#[test]
fn the_fault_of_a_call_says_what_the_server_answered() {
    assert_eq!(
        calling().tell([head(4, 200, &[("Content-Type", "text/html; a=\"b\"")])])[1],
        Observed::Complete {
            call: 7,
            outcome: innkeeper_guest::checker::Ended::Fault(innkeeper_guest::boundary::Fault {
                kind: FaultKind::ProtocolViolation,
                message: r#"the server's reply is content of type `text/html; a=\"b\"`, and no message"#.to_owned()
            })
        }
    );
    assert_eq!(
        reason(&calling().tell(status(4, 502))),
        "the server refused the call: the server answered with status 502"
    );
    assert_eq!(reason(&calling().tell([failed(4, ExchangeFailure::Reset)])), "the call was not answered: it broke");
}

#[test]
fn an_error_in_a_refusal_is_passed_on_verbatim_if_it_can_be_meant_for_the_call() {
    for status in [400, 404, 409, 422, 500, 503] {
        for id in ["2", "null", "\"server-error\""] {
            let seen = calling().tell(refusal(4, status, &error_body(id)));

            assert_eq!(seen, [error(7, ERROR)], "{status} {id}");
        }
        let without_id = format!(r#"{{"jsonrpc":"2.0","error":{ERROR}}}"#);
        assert_eq!(calling().tell(refusal(4, status, &without_id)), [error(7, ERROR)]);
    }
}

#[test]
fn an_error_without_an_id_ends_the_call_that_it_comes_with() {
    assert_eq!(calling().tell(json(4, &error_body("null"))), [error(7, ERROR)]);
    assert_eq!(calling().tell([head(4, 200, &[EVENTS]), says(4, &error_body("null"))]), [error(7, ERROR)]);
}

#[test]
fn authorization_that_is_wanted_is_said_with_the_challenge() {
    let challenge = r#"Bearer resource_metadata="https://a/b", scope="x y""#;
    for status in [401, 403] {
        let mut host = calling_in_session();

        let seen = host.tell([
            head(6, status, &[JSON, ("WWW-Authenticate", challenge)]),
            body(6, &error_body("null")),
            end(6),
        ]);

        assert_eq!(faults(&seen), [(7, FaultKind::Other)]);
        assert_eq!(reason(&seen), format!("authorization required: status {status}, challenge: {challenge}"));
        assert_eq!(sent(&host.calls(call(8, "x"))), ["POST x"], "the session goes on");
    }
    assert_eq!(reason(&calling().tell(status(4, 401))), "authorization required: status 401, no challenge");
    let long = format!("Bearer x=\"{}\n\"", "\u{e9}".repeat(1000));
    let seen = calling().tell([head(4, 401, &[("www-authenticate", &long)]), end(4)]);
    assert!(reason(&seen).ends_with("..."));
}

#[test]
fn a_reply_that_comes_with_another_request_still_ends_its_call() {
    let mut host = calling();
    host.calls(call(8, "x"));
    host.tell([head(4, 200, &[EVENTS]), head(5, 200, &[EVENTS])]);

    let crossed = host.tell([says(4, &reply(3, r#"{"of":8}"#))]);
    let again = host.tell([says(4, &reply(3, r#"{"of":8}"#))]);
    let own = host.tell([says(4, &reply(2, r#"{"of":7}"#)), end(4)]);

    // What was kept open for it is of no use any more.
    assert_eq!(crossed, [result(8, r#"{"of":8}"#), Observed::Abort(5)]);
    assert_eq!(logged(&again).0, LogLevel::Debug);
    assert_eq!(own, [result(7, r#"{"of":7}"#)]);
}

#[test]
fn a_cancellation_is_told_and_ends_the_exchange() {
    for begun in [vec![], vec![head(4, 200, &[EVENTS]), says_at(4, "1", "")]] {
        let mut host = calling();
        host.tell(begun);

        let seen = host.tell([Event::CancelCall(7)]);
        let late = host.client.handle(0, vec![says(4, &reply(2, "{}")), end(4)]);

        let request = requested(&seen);
        assert!(text(request).starts_with(r#"{"jsonrpc":"2.0","method":"notifications/cancelled""#));
        assert_eq!(request.call, None);
        assert_eq!(seen[1], Observed::Abort(4));
        assert_eq!(faults(&seen), [(7, FaultKind::Cancelled)]);
        assert_eq!(late, []);
    }
}

#[test]
fn a_message_that_the_server_refuses_harms_nothing() {
    for events in [status(4, 400), status(4, 404), status(4, 500), vec![failed(4, ExchangeFailure::Reset)]] {
        let mut host = Host::http_ready();
        let notify = innkeeper_guest::boundary::Notify { method: "notifications/x".to_owned(), params: None };
        assert_eq!(sent(&host.tell([Event::Notify(notify)])), ["POST notifications/x"]);

        let seen = host.tell(events);

        assert_eq!(logged(&seen).0, LogLevel::Debug);
        assert_eq!(sent(&host.calls(call(7, "x"))), ["POST x"]);
    }
}

#[test]
fn a_request_on_the_stream_of_a_call_belongs_to_that_call() {
    for shared in [false, true] {
        let mut host = Host::http_ready_with(Settings { shared, ..over_http() }, NEWEST);
        host.tell([Event::Call(call(7, "x")), Event::Call(call(8, "y"))]);
        host.tell([head(5, 200, &[EVENTS])]);

        let asked = host.tell([says(5, r#"{"jsonrpc":"2.0","id":"q","method":"roots/list"}"#)]);
        let answered = host.answers(1, Answer::Result(br#"{"roots":[]}"#.to_vec()));

        assert!(matches!(asked[..], [Observed::ServerRequest { id: 1, call: Some(8), .. }]), "{asked:?}");
        let answer = requested(&answered);
        assert_eq!(text(answer), r#"{"jsonrpc":"2.0","id":"q","result":{"roots":[]}}"#);
        assert_eq!(answer.call, None);
        assert_eq!(host.tell(status(answer.exchange, 202)), []);
    }
}

#[test]
fn a_ping_is_answered_by_a_post() {
    let mut host = calling();

    let seen = host.tell([head(4, 200, &[EVENTS]), says(4, r#"{"jsonrpc":"2.0","id":9,"method":"ping"}"#)]);

    assert_eq!(text(requested(&seen)), r#"{"jsonrpc":"2.0","id":9,"result":{}}"#);
}

#[test]
fn answers_that_the_server_does_not_take_are_bounded() {
    let mut host = calling();
    host.tell([head(4, 200, &[EVENTS])]);
    let ping = |_| says(4, r#"{"jsonrpc":"2.0","id":9,"method":"ping"}"#);

    let seen = host.tell((0..1000).map(ping).collect::<Vec<_>>());

    assert_eq!(requests(&seen).len(), 256);
}

#[test]
fn progress_is_passed_on_from_any_stream() {
    let mut host = Host::http_ready();
    host.calls(Call { progress: true, ..call(7, "x") });
    host.tell([head(4, 200, &[EVENTS])]);

    let seen =
        host.tell([says(4, r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":2}}"#)]);

    assert_eq!(seen, [Observed::Progress { call: 7, report: br#"{"progressToken":2}"#.to_vec() }]);
}

#[test]
fn batches_are_read_where_the_revision_has_them_and_never_sent() {
    let batch = format!(r#"[{{"jsonrpc":"2.0","method":"notifications/x"}},{}]"#, reply(2, "{}"));
    for as_event in [false, true] {
        let whole = |text: &str| {
            if as_event { vec![head(4, 200, &[EVENTS]), says(4, text), end(4)] } else { json(4, text) }
        };
        let mut host = Host::http_ready_with(over_http(), "2025-03-26");
        host.calls(call(7, "x"));
        let seen = host.tell(whole(&batch));
        assert!(matches!(&seen[..], [Observed::Notification { .. }, Observed::Complete { .. }]), "{seen:?}");
        assert_eq!(seen[1], result(7, "{}"));

        assert_eq!(faults(&calling().tell(whole(&batch))).len(), 1, "no batches since 2025-06-18");
    }
}

#[test]
fn streams_that_the_server_leaves_open_behind_their_replies_are_bounded() {
    let mut host = Host::http_ready();
    let mut aborted = Vec::new();

    for id in 0..40 {
        host.calls(call(id, "x"));
        let seen = host.tell([head(4 + id, 200, &[EVENTS]), says(4 + id, &reply(2 + id, "{}"))]);
        aborted.extend(seen.iter().filter_map(|effect| match effect {
            Observed::Abort(exchange) => Some(*exchange),
            _ => None,
        }));
    }

    assert_eq!(aborted, (4..12).collect::<Vec<_>>(), "the oldest go first, and 32 stay");
    assert_eq!(host.checker.outstanding().exchanges.len(), 32);
}

#[test]
fn what_is_said_behind_a_reply_is_heard() {
    let mut host = calling();
    host.tell([head(4, 200, &[EVENTS]), says(4, &reply(2, "{}"))]);

    let seen = host.tell([says(4, r#"{"jsonrpc":"2.0","method":"notifications/x"}"#), end(4)]);

    assert!(matches!(&seen[..], [Observed::Notification { .. }]));
}

#[test]
fn events_of_other_types_are_not_messages() {
    let mut host = calling();
    host.tell([head(4, 200, &[EVENTS])]);

    let other = host.tell([block(4, Some("other"), &reply(2, "{}"), None, None)]);
    let message = host.tell([block(4, Some("message"), &reply(2, "{}"), None, None)]);

    logged(&other);
    assert_eq!(message, [result(7, "{}")]);
}

#[test]
fn a_request_that_is_larger_than_a_body_may_be_fails() {
    let limits = innkeeper_guest::boundary::Limits { max_frame: 1024, ..settings().limits };
    let mut host = Host::http_ready_with(Settings { limits, ..over_http() }, NEWEST);

    let seen = host.calls(call_with(7, "x", &format!(r#"{{"a":"{}"}}"#, "x".repeat(1000))));

    assert_eq!(faults(&seen), [(7, FaultKind::TooLarge)]);
    assert_eq!(requests(&seen).len(), 0);
}
