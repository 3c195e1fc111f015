//! What a server may print that is no message, and several messages in one frame.

mod harness;

use harness::*;
use innkeeper_guest::boundary::{Event, LogLevel};
use innkeeper_guest::checker::Observed;

#[test]
fn garbage_between_messages_is_logged_and_disturbs_nothing() {
    let mut host = Host::ready();
    host.calls(call(7, "x"));

    for garbage in [
        &b""[..],
        b"   ",
        b"Listening on port 3000",
        b"\xff\xfe\x00",
        b"{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"a\":\"\xc3\"}}",
        br#"{"jsonrpc":"2.0","id":2,"result":{"#,
        br#"{"jsonrpc":"2.0","id":2,"result":{}} trailing"#,
        br#"{"jsonrpc":"2.0","id":2,"result":{},"result":{}}"#,
        "\u{feff}{}".as_bytes(),
        b"7",
        b"null",
        br#""a secret""#,
        b"[]",
        b"{}",
        br#"{"level":"info","msg":"started","method":"GET"}"#,
        br#"{"jsonrpc":"1.0","method":"notifications/x"}"#,
        br#"{"jsonrpc":"2.0","method":7}"#,
    ] {
        let mut fresh = Host::ready();

        let seen = fresh.tell([Event::Frame(garbage.to_vec())]);

        let (level, message) = logged(&seen);
        assert_eq!(level, LogLevel::Warn);
        assert!(!message.contains("secret"), "{message}");
        host.tell([Event::Frame(garbage.to_vec())]);
    }

    assert_eq!(host.says(r#"{"jsonrpc":"2.0","id":2,"result":{}}"#), [result(7, "{}")]);
}

#[test]
fn a_message_may_be_nested_a_million_deep() {
    let mut host = Host::ready();
    let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);

    host.calls(call(7, "x"));
    let answered = host.says(&format!(r#"{{"jsonrpc":"2.0","id":2,"result":{deep}}}"#));
    host.calls(call(8, "x"));
    let failed = host.says(&format!(r#"{{"jsonrpc":"2.0","id":3,"error":{deep}}}"#));
    let notified = host.says(&format!(r#"{{"jsonrpc":"2.0","method":"x","params":{deep}}}"#));

    assert_eq!(answered, [result(7, &deep)]);
    assert_eq!(failed, [error(8, &deep)]);
    assert!(matches!(notified[..], [Observed::Notification { .. }]));
}

#[test]
fn depth_is_no_danger_anywhere() {
    let brackets = "[".repeat(1_000_000);
    let braces = r#"{"a":"#.repeat(1_000_000);
    for text in [
        brackets.clone(),
        braces.clone(),
        format!(r#"{{"id":{brackets}"#),
        format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{braces}"#),
    ] {
        logged(&Host::ready().says(&text));
    }

    let mut host = Host::ready();
    let seen = host.calls(call_with(7, "x", &format!(r#"{{"_meta":{braces}"#)));
    assert_eq!(faults(&seen).len(), 1);

    let mut host = Host::in_handshake(settings());
    let deep = format!("{}{}", brackets, "]".repeat(1_000_000));
    let error = format!(r#"{{"code":1,"data":{{"supported":{deep}}}}}"#);
    let seen = host.says(&format!(r#"{{"jsonrpc":"2.0","id":1,"error":{error}}}"#));
    disconnected(&seen);

    let mut host = Host::ready();
    host.calls(call_all(7, "tools/list"));
    host.says(&format!(r#"{{"jsonrpc":"2.0","id":2,"result":{{"tools":{deep},"nextCursor":"a"}}}}"#));
    let seen = host.says(r#"{"jsonrpc":"2.0","id":3,"result":{"tools":[]}}"#);
    assert_eq!(seen.len(), 1);
}

#[test]
fn a_batch_is_read_where_the_revision_has_batches() {
    let mut host = Host::ready_with(settings(), "2025-03-26");
    host.tell([Event::Call(call(7, "x")), Event::Call(call(8, "x"))]);

    let seen = host.says(concat!(
        r#" [{"jsonrpc":"2.0","id":3,"result":{"b":2}}, {"jsonrpc":"2.0","id":9,"method":"ping"},"#,
        r#"7, {"jsonrpc":"2.0","id":2,"error":{"code":1}}] "#
    ));

    assert_eq!(seen[0], result(8, r#"{"b":2}"#));
    assert_eq!(seen[1], wrote(r#"{"jsonrpc":"2.0","id":9,"result":{}}"#));
    logged(&seen[2..3]);
    assert_eq!(seen[3..], [error(7, r#"{"code":1}"#)]);
}

#[test]
fn a_batch_is_garbage_where_the_revision_has_none() {
    for revision in ["2024-11-05", "2025-06-18", "2025-11-25"] {
        let mut host = Host::ready_with(settings(), revision);
        host.calls(call(7, "x"));

        let seen = host.says(r#"[{"jsonrpc":"2.0","id":2,"result":{}}]"#);

        logged(&seen);
    }
    logged(&Host::in_handshake(settings()).says("[]"));
}

#[test]
fn a_batch_that_is_broken_or_too_long_is_ignored_as_a_whole() {
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    for batch in ["[]".to_owned(), format!("[{ping},{ping}"), format!("[{}{ping}]", format!("{ping},").repeat(1024))] {
        let mut host = Host::ready_with(settings(), "2025-03-26");

        logged(&host.says(&batch));
    }
}

#[test]
fn a_large_result_is_passed_on_whole() {
    let mut host = Host::ready();
    host.calls(call(7, "x"));
    let large = format!(r#"{{"text":"{}"}}"#, "ä\\n".repeat(200_000));

    let seen = host.says(&format!(r#"{{"jsonrpc":"2.0","id":2,"result":{large}}}"#));

    assert!(seen == [result(7, &large)]);
}
