//! The statistics and the session go on in another guest.
//!
//! `snapshots/format-1.json` is frozen: a format that has been written somewhere has to be restored for as long as the guest lists
//! it. Whoever has to change the file is about to change the format, and should give it another name.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use innkeeper_guest::Client as Engine;
use innkeeper_guest::boundary::{
    Call, CallId, Event, Limits, Outstanding, RestoreError, Settings, SnapshotError, TransportKind,
};
use innkeeper_guest::checker::{Checker, Observed};
use innkeeper_v2_guest::Client;

/// As [`session`] left it.
const FROZEN: &str = include_str!("snapshots/format-1.json");

/// Snapshots of the default guest, in every format that it has had.
const OF_THE_DEFAULT_GUEST: [&str; 2] = [
    include_str!("../../../guest/tests/snapshots/format-1-ready.json"),
    include_str!("../../../guest/tests/snapshots/format-2-ready.json"),
];

fn nothing() -> Outstanding {
    Outstanding { calls: Vec::new(), server_requests: Vec::new(), exchanges: Vec::new(), timers: Vec::new() }
}

fn frame(text: &str) -> Event {
    Event::Frame(text.as_bytes().to_vec())
}

fn call(id: CallId, method: &str) -> Event {
    Event::Call(Call {
        id,
        method: method.to_owned(),
        params: None,
        progress: true,
        all_pages: method.ends_with("list"),
    })
}

/// What came before the snapshot: a call that was answered, one under way, a list of which one page is there, a request of the
/// server.
fn past() -> Vec<Event> {
    vec![
        Event::Open(Settings {
            transport: TransportKind::Stream,
            revision: None,
            client_info: br#"{"name":"test","version":"1"}"#.to_vec(),
            capabilities: br#"{"sampling":{}}"#.to_vec(),
            shared: false,
            limits: Limits { max_frame: 1 << 20, max_result: 1 << 20, max_pages: 10, max_server_requests: 2 },
        }),
        Event::Started(1),
        frame(r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{}}}"#),
        call(10, "tools/call"),
        call(11, "tools/call"),
        call(12, "tools/list"),
        frame(r#"{"jsonrpc":"2.0","id":2,"result":{"text":"a@b.cc"}}"#),
        frame(r#"{"jsonrpc":"2.0","id":4,"result":{"tools":["c@d.ee"],"nextCursor":"2"}}"#),
        frame(r#"{"jsonrpc":"2.0","id":"s","method":"sampling/createMessage"}"#),
    ]
}

/// What comes after it.
fn future() -> Vec<Event> {
    vec![
        frame(r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":3}}"#),
        frame(r#"{"jsonrpc":"2.0","id":5,"result":{"tools":["f@g.hh"]}}"#),
        frame(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"s"}}"#),
        frame(r#"{"jsonrpc":"2.0","id":3,"result":{"text":"i@j.kk"}}"#),
        call(13, "ping"),
        Event::Close,
    ]
}

/// A client in the midst of things, and its host.
fn session() -> (Client, Checker) {
    let (mut client, mut checker) = (Client::new(), Checker::new());
    for event in past() {
        let effects = client.handle(0, vec![event.clone()]);
        checker.apply(&[event], &effects).unwrap();
    }
    (client, checker)
}

fn rest(mut client: Client, mut checker: Checker) -> Vec<Observed> {
    let observed = future().into_iter().flat_map(|event| {
        let effects = client.handle(0, vec![event.clone()]);
        checker.apply(&[event], &effects).unwrap()
    });
    observed.collect()
}

#[test]
fn a_snapshot_is_what_it_was() {
    let snapshot = session().0.snapshot("innkeeper-mcp-v2/1").unwrap();

    assert_eq!(String::from_utf8(snapshot).unwrap(), FROZEN.trim_end());
}

#[test]
fn a_frozen_snapshot_goes_on_where_it_was() {
    let (_, checker) = session();
    let (client, effects) = Client::restore(FROZEN.as_bytes(), checker.outstanding()).unwrap();

    let seen = rest(client, checker);

    let (client, checker) = session();
    assert_eq!(effects, []);
    assert_eq!(seen, rest(client, checker));
    // The comparison is no better than what it compares, so one thing literally.
    let line = "calls of tools/call: 2, of which 2 answered and 0 failed";
    assert!(seen.iter().any(|seen| matches!(seen, Observed::Log(_, message) if message == line)), "{seen:#?}");
}

#[test]
fn this_guest_continues_from_every_format_of_the_default_guest() {
    for snapshot in OF_THE_DEFAULT_GUEST {
        let (engine, expected) = Engine::restore(snapshot.as_bytes(), nothing()).unwrap();
        let (client, effects) = Client::restore(snapshot.as_bytes(), nothing()).unwrap();

        assert_eq!(effects, expected);
        assert_eq!(client.snapshot(Engine::SNAPSHOT_FORMAT), engine.snapshot(Engine::SNAPSHOT_FORMAT));
    }
}

#[test]
fn the_default_guest_continues_from_this_one() {
    let (client, checker) = session();
    let snapshot = client.snapshot(Engine::SNAPSHOT_FORMAT).unwrap();
    let mut checker = checker;

    let (mut engine, effects) = Engine::restore(&snapshot, checker.outstanding()).unwrap();

    assert_eq!(effects, []);
    for event in future() {
        let effects = engine.handle(0, vec![event.clone()]);
        checker.apply(&[event], &effects).unwrap();
    }
}

#[test]
fn the_formats_are_those_that_this_guest_describes() {
    let info = Client::describe();
    let (client, checker) = session();

    assert_eq!(info.snapshot_formats, ["innkeeper-mcp-v2/1", "innkeeper-mcp/2"]);
    assert_eq!(info.restorable_formats, ["innkeeper-mcp-v2/1", "innkeeper-mcp/2", "innkeeper-mcp/1"]);
    for format in &info.snapshot_formats {
        let snapshot = client.snapshot(format).unwrap();
        assert_eq!(Client::restore(&snapshot, checker.outstanding()).unwrap().1, []);
    }
    assert_eq!(client.snapshot("innkeeper-mcp/1"), Err(SnapshotError::UnknownFormat));
}

#[test]
fn another_format_is_told_from_a_damaged_snapshot() {
    let refused = |snapshot: &str| Client::restore(snapshot.as_bytes(), nothing()).unwrap_err();

    for unknown in [
        FROZEN.replace("innkeeper-mcp-v2/1", "innkeeper-mcp-v2/2"),
        r#"{"format":"innkeeper-mcp/3","state":1}"#.to_owned(),
    ] {
        assert_eq!(refused(&unknown), RestoreError::UnknownFormat);
    }
    for damaged in [
        FROZEN.replace("innkeeper-mcp/2", "innkeeper-mcp/3"),
        FROZEN[..FROZEN.len() / 2].to_owned(),
        FROZEN.replace("\"made\":2", "\"made\":3"),
    ] {
        assert!(matches!(refused(&damaged), RestoreError::Malformed(_)), "{damaged}");
    }
}
