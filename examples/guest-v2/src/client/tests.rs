//! What is logged at the end of a session. No wasm and no host: events in, effects out.

use innkeeper_guest::boundary::{Call, CallId, Limits, Settings, TransportKind};

use super::*;

fn settings() -> Settings {
    Settings {
        transport: TransportKind::Stream,
        revision: None,
        client_info: br#"{"name":"test","version":"1"}"#.to_vec(),
        capabilities: b"{}".to_vec(),
        shared: false,
        limits: Limits { max_frame: 1 << 20, max_result: 1 << 20, max_pages: 10, max_server_requests: 2 },
    }
}

fn frame(text: &str) -> Event {
    Event::Frame(text.as_bytes().to_vec())
}

fn call(id: CallId, method: &str) -> Event {
    Event::Call(Call { id, method: method.to_owned(), params: None, progress: false, all_pages: false })
}

fn logged(effects: &[Effect]) -> Vec<&str> {
    let line = |effect| match effect {
        &Effect::Log(LogLine { ref message, .. }) => Some(&**message),
        _ => None,
    };
    effects.iter().filter_map(line).collect()
}

#[test]
fn at_the_end_of_a_session_its_calls_are_logged_once() {
    let mut client = Client::new();
    client.handle(0, vec![Event::Open(settings()), Event::Started(1)]);
    client.handle(
        0,
        vec![frame(r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{}}}"#)],
    );
    client.handle(0, vec![call(1, "tools/call"), call(2, "tools/call"), call(3, "ping"), call(4, "ping")]);
    client.handle(0, vec![frame(r#"{"jsonrpc":"2.0","id":2,"result":{}}"#)]);
    client.handle(0, vec![frame(r#"{"jsonrpc":"2.0","id":4,"error":{"code":1,"message":"no"}}"#)]);
    client.handle(0, vec![Event::CancelCall(4)]);

    let last = client.handle(0, vec![Event::Close]);
    let after = client.handle(0, vec![Event::Close]);

    let expected = [
        "calls of this session: 4, of which 1 answered and 3 failed",
        "calls of ping: 2, of which 0 answered and 2 failed",
        "calls of tools/call: 2, of which 1 answered and 1 failed",
    ];
    assert_eq!(logged(&last), expected);
    assert_eq!(after, []);
}

#[test]
fn a_session_without_a_call_ends_without_a_word() {
    let mut client = Client::new();

    let effects = client.handle(0, vec![Event::Open(settings()), Event::Started(1), Event::Close]);

    assert_eq!(logged(&effects), [""; 0]);
}

#[test]
fn the_calls_of_a_lost_connection_have_failed() {
    let mut client = Client::new();
    client.handle(0, vec![Event::Open(settings()), Event::Started(1), call(1, "ping")]);

    let status = innkeeper_guest::boundary::ExitStatus { code: Some(1), signal: None };
    client.handle(0, vec![Event::Exited(status)]);

    assert!(client.statistics.is_sound());
    let last = client.handle(0, vec![Event::Close]);
    assert_eq!(logged(&last)[0], "calls of this session: 1, of which 0 answered and 1 failed");
}
