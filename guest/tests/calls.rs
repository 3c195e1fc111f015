//! Calls of the platform and the answers to them.

mod harness;

use harness::*;
use innkeeper_guest::boundary::{
    Call, Completion, Effect, Event, EventRange, FaultKind, Limits, LogLevel, Outcome, ParamsRange, Segment, Settings,
    Write,
};
use innkeeper_guest::checker::Observed;

#[test]
fn a_call_becomes_a_request_and_its_answer_is_passed_on_verbatim() {
    let mut host = Host::ready();

    let sent = host.calls(call_with(7, "tools/call", r#"{"name": "echo"}"#));
    let answered = host.says(r#"{"jsonrpc":"2.0","id":2,"result":{"content": [ ] }}"#);

    let request = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name": "echo"}}"#;
    assert_eq!(sent, [wrote_for(7, request)]);
    assert_eq!(answered, [result(7, r#"{"content": [ ] }"#)]);
}

#[test]
fn an_error_of_the_server_is_passed_on_verbatim() {
    let mut host = Host::ready();
    host.calls(call(7, "tools/call"));

    let answered = host.says(r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"no","data":[1]}}"#);

    assert_eq!(answered, [error(7, r#"{"code":-32602,"message":"no","data":[1]}"#)]);
}

#[test]
fn payloads_are_named_and_not_copied() {
    let mut host = Host::ready();
    let answer = r#"{"jsonrpc":"2.0","id":2,"result":{"a":1}}"#;

    let sent = host.client.handle(0, vec![Event::Call(call_with(7, "x", r#"{"b":2}"#))]);
    let answered = host.client.handle(0, vec![Event::Timer(1), frame(answer)]);

    let [Effect::Write(Write { frame, call: Some(7) })] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(frame[1], Segment::Params(ParamsRange { call: 7, offset: 0, length: 7 }));
    let range = EventRange { index: 1, offset: 33, length: 7 };
    let outcome = Outcome::Result(vec![Segment::Event(range)]);
    assert_eq!(answered, [Effect::Complete(Completion { call: 7, outcome })]);
}

#[test]
fn answers_may_come_in_any_order() {
    let mut host = Host::ready();
    host.tell([Event::Call(call(1, "a")), Event::Call(call(2, "b")), Event::Call(call(3, "c"))]);

    let seen =
        host.tell([frame(r#"{"id":4,"result":3}"#), frame(r#"{"id":2,"result":1}"#), frame(r#"{"id":3,"result":2}"#)]);

    assert_eq!(seen, [result(3, "3"), result(1, "1"), result(2, "2")]);
}

#[test]
fn null_is_a_result() {
    let mut host = Host::ready();
    host.calls(call(7, "x"));

    assert_eq!(host.says(r#"{"jsonrpc":"2.0","id":2,"result":null}"#), [result(7, "null")]);
}

#[test]
fn an_answer_with_both_or_neither_of_result_and_error_breaks_the_protocol() {
    for (answer, what) in [
        (r#"{"jsonrpc":"2.0","id":2,"result":{},"error":{"code":1}}"#, "both a result and an error"),
        (r#"{"jsonrpc":"2.0","id":2}"#, "neither a result nor an error"),
    ] {
        let mut host = Host::ready();
        host.calls(call(7, "x"));

        let seen = host.says(answer);

        assert_eq!(faults(&seen), [(7, FaultKind::ProtocolViolation)]);
        assert_eq!(reason(&seen), format!("the server's response has {what}"));
    }
}

#[test]
fn an_answer_that_is_not_asked_for_is_only_logged() {
    let mut host = Host::ready();
    host.calls(call(7, "x"));

    for answer in [
        r#"{"jsonrpc":"2.0","id":3,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":"2","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":2.0,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700}}"#,
        r#"{"jsonrpc":"2.0","id":{"a":[2]},"result":{}}"#,
        r#"{"jsonrpc":"2.0","error":{"code":-32700}}"#,
    ] {
        assert_eq!(logged(&host.says(answer)).0, LogLevel::Debug, "{answer}");
    }

    assert_eq!(host.says(r#"{"id":2,"result":{}}"#), [result(7, "{}")]);
}

#[test]
fn a_second_answer_is_only_logged() {
    let mut host = Host::ready();
    host.calls(call(7, "x"));
    let answer = r#"{"jsonrpc":"2.0","id":2,"result":{}}"#;
    host.says(answer);

    let again = host.says(answer);

    assert_eq!(logged(&again), (LogLevel::Debug, "a response to request 2, which is not open, was ignored"));
}

#[test]
fn a_request_that_is_not_sent_yet_cannot_be_answered() {
    let mut host = Host::new();
    host.tell([Event::Open(settings()), Event::Call(call(7, "x")), Event::Started(1)]);

    let guessed = host.says(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);

    logged(&guessed);
    assert_eq!(host.checker.outstanding().calls.len(), 1);
}

#[test]
fn the_log_of_what_is_not_asked_for_is_bounded() {
    let mut host = Host::ready();
    let answer = r#"{"jsonrpc":"2.0","id":99,"result":{}}"#;

    let lines: usize = (0..10_000).map(|_| host.says(answer).len()).sum();

    assert_eq!(lines, 8 + 10, "the first eight, and 16 to 8192");
}

#[test]
fn parameters_that_cannot_be_sent_fail_the_call_and_nothing_else() {
    let mut host = Host::ready();

    for params in ["[]", "3", "{", "{}{}", "", "{\"a\":\"\n\"}"] {
        let seen = host.calls(call_with(7, "x", params));

        assert_eq!(faults(&seen), [(7, FaultKind::Invalid)], "{params}");
        assert_eq!(seen.len(), 1);
    }
    let bytes = Call { params: Some(b"{\"a\":\"\xc3\"}".to_vec()), ..call(7, "x") };
    assert_eq!(reason(&host.calls(bytes)), "the parameters of the call cannot be sent: not UTF-8 at byte 6");
}

#[test]
fn a_pretty_printed_call_is_sent_on_one_line() {
    let mut host = Host::ready();

    let sent = host.calls(call_with(7, "x", "{\n  \"a\": [\r\n    \"\\n\"\n  ]\n}"));

    let frame = r#"{"jsonrpc":"2.0","id":2,"method":"x","params":{  "a": [    "\n"  ]}}"#;
    assert_eq!(sent, [wrote_for(7, frame)]);
}

#[test]
fn a_method_is_quoted_like_any_string() {
    let mut host = Host::ready();

    let sent = host.calls(call(7, "a\"b\n"));

    assert_eq!(sent, [wrote_for(7, r#"{"jsonrpc":"2.0","id":2,"method":"a\"b\n"}"#)]);
}

#[test]
fn the_handshake_is_not_for_callers() {
    let mut host = Host::ready();

    let seen = host.calls(call(7, "initialize"));

    assert_eq!(faults(&seen), [(7, FaultKind::Invalid)]);
    assert_eq!(frames(&seen), [""; 0]);
}

#[test]
fn a_request_that_is_larger_than_a_frame_fails() {
    let limits = Limits { max_frame: 1024, ..settings().limits };
    let settings = Settings { limits, ..settings() };
    let long = |length: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(length));
    // What is around the parameters: {"jsonrpc":"2.0","id":2,"method":"x","params":{"a":""}}
    let around = 55;

    let mut host = Host::ready_with(settings.clone(), NEWEST);
    let fits = host.calls(call_with(7, "x", &long(1024 - around)));
    assert!(matches!(&fits[..], [Observed::Write { frame, .. }] if frame.len() == 1024), "{fits:?}");

    for length in [1025 - around, 5000] {
        let mut host = Host::ready_with(settings.clone(), NEWEST);
        let seen = host.calls(call_with(7, "x", &long(length)));

        assert_eq!(frames(&seen), [""; 0]);
        assert!(matches!(faults(&seen)[..], [(7, FaultKind::TooLarge | FaultKind::Invalid)]), "{seen:?}");
    }
}

#[test]
fn rewritten_parameters_of_waiting_calls_are_bounded_together() {
    let limits = Limits { max_frame: 1024, ..settings().limits };
    let mut host = Host::in_handshake(Settings { limits, ..settings() });
    let params = format!("{{\n\"a\":\"{}\"}}", "x".repeat(500));

    let first = host.calls(call_with(1, "x", &params));
    let second = host.calls(call_with(2, "x", &params));
    let third = host.calls(call_with(3, "x", &params));
    let on_one_line = host.calls(call_with(4, "x", &params.replace('\n', "")));

    assert_eq!((first, second.len(), on_one_line), (vec![], 0, vec![]));
    assert_eq!(faults(&third), [(3, FaultKind::TooLarge)]);
}

#[test]
fn an_id_that_is_open_is_not_taken_again() {
    let mut client = Host::ready().client;
    client.handle(0, vec![Event::Call(call(7, "x"))]);

    let again = client.handle(0, vec![Event::Call(call(7, "y"))]);

    assert!(matches!(&again[..], [Effect::Log(_)]), "{again:?}");
}
