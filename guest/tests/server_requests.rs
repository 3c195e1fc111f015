//! What the server asks: 2025-11-25, client/* and basic/utilities/ping.

mod harness;

use harness::*;
use innkeeper_guest::boundary::{Answer, Event, LogLevel, Settings};
use innkeeper_guest::checker::Observed;

fn ask(host: &mut Host, id: &str, method: &str) -> Vec<Observed> {
    host.says(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{"a": 1}}}}"#))
}

fn asked(id: u64, call: Option<u64>, method: &str) -> Observed {
    Observed::ServerRequest { id, call, method: method.to_owned(), params: br#"{"a": 1}"#.to_vec() }
}

fn response(wire_id: &str, member: &str) -> Observed {
    wrote(&format!(r#"{{"jsonrpc":"2.0","id":{wire_id},{member}}}"#))
}

#[test]
fn a_ping_is_answered_at_once_also_before_the_session_is_open() {
    for mut host in [Host::in_handshake(settings()), Host::ready()] {
        assert_eq!(ask(&mut host, "7", "ping"), [response("7", r#""result":{}"#)]);
        assert_eq!(ask(&mut host, r#""a\u00e4""#, "ping"), [response(r#""a\u00e4""#, r#""result":{}"#)]);
    }
}

#[test]
fn a_request_goes_up_and_its_answer_goes_back_under_the_id_of_the_server() {
    for wire_id in ["0", "-1", "2.50", r#""x""#, "18446744073709551616"] {
        let mut host = Host::ready();

        let up = ask(&mut host, wire_id, "roots/list");
        let back = host.answers(1, Answer::Result(br#"{"roots": []}"#.to_vec()));

        assert_eq!(up, [asked(1, None, "roots/list")]);
        assert_eq!(back, [response(wire_id, r#""result":{"roots": []}"#)]);
    }
}

#[test]
fn absent_parameters_are_empty() {
    let mut host = Host::ready();

    for params in ["", r#","params":null"#] {
        let seen = host.says(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"roots/list"{params}}}"#));

        assert!(matches!(&seen[..], [Observed::ServerRequest { params, .. }] if params.is_empty()));
        host.answers(host.checker.outstanding().server_requests[0], Answer::Refused);
    }
}

#[test]
fn a_request_belongs_to_the_only_open_call() {
    let mut host = Host::ready();

    host.calls(call(7, "tools/call"));
    let during_one = ask(&mut host, "1", "sampling/createMessage");
    host.calls(call(8, "tools/call"));
    let during_two = ask(&mut host, "2", "sampling/createMessage");

    assert_eq!(during_one, [asked(1, Some(7), "sampling/createMessage")]);
    assert_eq!(during_two, [asked(2, None, "sampling/createMessage")]);
}

#[test]
fn in_a_shared_session_a_request_belongs_to_no_call_that_the_protocol_does_not_name() {
    let mut host = Host::ready_with(Settings { shared: true, ..settings() }, NEWEST);

    host.calls(call(7, "tools/call"));

    assert_eq!(ask(&mut host, "1", "elicitation/create"), [asked(1, None, "elicitation/create")]);
}

#[test]
fn an_error_of_the_platform_is_passed_on() {
    let mut host = Host::ready();
    ask(&mut host, "1", "roots/list");

    let back = host.answers(1, Answer::Error(br#"{"code":-32603,"message":"m"}"#.to_vec()));

    assert_eq!(back, [response("1", r#""error":{"code":-32603,"message":"m"}"#)]);
}

#[test]
fn an_answer_is_written_on_one_line() {
    let mut host = Host::ready();
    ask(&mut host, "1", "roots/list");

    let back = host.answers(1, Answer::Result(b"{\n  \"roots\": []\r\n}".to_vec()));

    assert_eq!(back, [response("1", r#""result":{  "roots": []}"#)]);
}

#[test]
fn an_answer_that_cannot_be_said_becomes_an_error() {
    let too_large = format!("\"{}\"", "x".repeat(1 << 20)).into_bytes();
    for (answer, why) in [
        (Answer::Result(b"{".to_vec()), "the platform's answer is malformed"),
        (Answer::Result(b"\xff".to_vec()), "the platform's answer is not UTF-8"),
        (Answer::Error(b"7".to_vec()), "the platform's answer is malformed"),
        (Answer::Result(too_large), "the platform's answer is too large"),
    ] {
        let mut host = Host::ready();
        ask(&mut host, "1", "roots/list");

        let back = host.answers(1, answer);

        assert_eq!(back, [response("1", &format!(r#""error":{{"code":-32603,"message":"{why}"}}"#))]);
    }
}

#[test]
fn a_refusal_is_said_in_the_way_of_what_was_asked() {
    let not_found = r#""error":{"code":-32601,"message":"Method not found"}"#;
    for (capabilities, method, said) in [
        ("{}", "roots/list", not_found),
        (r#"{"roots":{}}"#, "roots/list", not_found),
        (r#"{"elicitation":{}}"#, "elicitation/create", r#""result":{"action":"decline"}"#),
        ("{}", "elicitation/create", not_found),
        (
            r#"{"sampling":{}}"#,
            "sampling/createMessage",
            r#""error":{"code":-1,"message":"User rejected sampling request"}"#,
        ),
        ("{}", "sampling/createMessage", not_found),
        ("{}", "no/such", not_found),
    ] {
        let capabilities = capabilities.as_bytes().to_vec();
        let mut host = Host::ready_with(Settings { capabilities, ..settings() }, NEWEST);
        ask(&mut host, "1", method);

        assert_eq!(host.answers(1, Answer::Refused), [response("1", said)]);
    }
}

#[test]
fn a_request_that_the_server_cancels_is_withdrawn_and_its_answer_dropped() {
    let mut host = Host::ready();
    ask(&mut host, r#""a""#, "elicitation/create");
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a"}}"#;

    let withdrawn = host.says(cancelled);
    let again = host.says(cancelled);
    let back = host.answers(1, Answer::Result(b"{}".to_vec()));

    assert_eq!(withdrawn, [Observed::Withdraw(1)]);
    assert_eq!((again, back), (vec![], vec![]));
}

#[test]
fn an_id_may_be_used_again_once_it_is_answered() {
    let mut host = Host::ready();

    ask(&mut host, "1", "roots/list");
    let twice = ask(&mut host, "1", "roots/list");
    host.answers(1, Answer::Refused);
    let anew = ask(&mut host, "1", "roots/list");

    let error = r#""error":{"code":-32600,"message":"a request with this id is still open"}"#;
    assert_eq!(twice[0], response("1", error));
    assert_eq!(anew, [asked(2, None, "roots/list")]);
}

#[test]
fn more_requests_than_the_host_allows_are_refused() {
    let mut host = Host::ready();
    ask(&mut host, "1", "roots/list");
    ask(&mut host, "2", "roots/list");

    let third = ask(&mut host, "3", "roots/list");

    assert!(frames(&third)[0].contains(r#""code":-32603"#), "{third:?}");
    assert_eq!(logged(&third[1..]).0, LogLevel::Warn);
    assert_eq!(ask(&mut host, "4", "ping").len(), 1, "a ping is never too many");
}

#[test]
fn before_the_session_is_open_only_ping_is_allowed() {
    let mut host = Host::in_handshake(settings());

    let seen = ask(&mut host, "1", "roots/list");

    let said = concat!(
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"#,
        r#""message":"only ping may be sent before the session is initialized"}}"#
    );
    assert_eq!(seen[0], wrote(said));
    logged(&seen[1..]);
}

#[test]
fn a_request_whose_id_cannot_be_answered_is_only_logged() {
    let mut host = Host::ready();
    let long = format!("\"{}\"", "x".repeat(256));

    for wire_id in ["null", "true", "{}", "[1]", &long] {
        assert_eq!(logged(&ask(&mut host, wire_id, "ping")).0, LogLevel::Warn);
    }
}

#[test]
fn an_answer_to_nothing_is_ignored() {
    let mut host = Host::ready();

    assert_eq!(host.answers(99, Answer::Result(b"{}".to_vec())), []);
}

#[test]
fn notifications_of_the_server_are_passed_up() {
    let mut host = Host::ready();

    let seen = host.tell([
        frame(r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info"}}"#),
        frame(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#),
    ]);

    let notification = |method: &str, params: &str| Observed::Notification {
        method: method.to_owned(),
        params: params.as_bytes().to_vec(),
    };
    assert_eq!(
        seen,
        [
            notification("notifications/message", r#"{"level":"info"}"#),
            notification("notifications/tools/list_changed", "")
        ]
    );
}

#[test]
fn notifications_of_the_platform_are_passed_down() {
    use innkeeper_guest::boundary::Notify;
    let notify = |method: &str, params: Option<&str>| {
        Event::Notify(Notify { method: method.to_owned(), params: params.map(|text| text.as_bytes().to_vec()) })
    };
    let mut host = Host::ready();

    let sent = host.tell([
        notify("notifications/roots/list_changed", None),
        notify("notifications/x", Some("{\n\"a\":1}")),
        notify("notifications/x", Some(r#"{"a": 1}"#)),
    ]);
    assert_eq!(
        sent,
        [
            wrote(r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#),
            wrote(r#"{"jsonrpc":"2.0","method":"notifications/x","params":{"a":1}}"#),
            wrote(r#"{"jsonrpc":"2.0","method":"notifications/x","params":{"a": 1}}"#)
        ]
    );

    for bad in [
        notify("notifications/x", Some("[1]")),
        notify("notifications/x", Some("{")),
        notify("notifications/initialized", None),
        notify("notifications/cancelled", Some(r#"{"requestId":1}"#)),
        notify(&"x".repeat(1 << 20), None),
    ] {
        assert_eq!(logged(&host.tell([bad])).0, LogLevel::Warn);
    }
    let mut early = Host::in_handshake(settings());
    logged(&early.tell([notify("notifications/x", None)]));
}
