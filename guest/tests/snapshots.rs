//! A session goes on in another guest.
//!
//! The files under `snapshots/` are frozen: a format that has been written
//! somewhere has to be restored for as long as `describe` lists it. Whoever has to
//! change one of them is about to change a format, and should add another.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;

use harness::*;
use innkeeper_guest::Client;
use innkeeper_guest::boundary::{
    Answer, Call, Effect, Event, FaultKind, Outstanding, OutstandingCall, RestoreError, Settings,
};
use innkeeper_guest::checker::Observed;
use proptest::prelude::*;
use serde_json::{Value, json};

const READY: &str = include_str!("snapshots/format-1-ready.json");
const HANDSHAKE: &str = include_str!("snapshots/format-1-handshake.json");
const READY_2: &str = include_str!("snapshots/format-2-ready.json");
const HANDSHAKE_2: &str = include_str!("snapshots/format-2-handshake.json");

fn nothing() -> Outstanding {
    Outstanding { calls: Vec::new(), server_requests: Vec::new(), exchanges: Vec::new(), timers: Vec::new() }
}

/// The session of which `format-1-ready.json` is the snapshot.
fn ready() -> Host {
    let capabilities = br#"{"sampling":{},"elicitation":{}}"#.to_vec();
    let mut host = Host::ready_with(Settings { capabilities, ..settings() }, "2025-03-26");
    host.calls(Call { progress: true, ..call_with(10, "tools/call", r#"{"name":"a"}"#) });
    let params = Some(b"{\n\"a\":1,\"_meta\":{}}".to_vec());
    host.calls(Call { progress: true, params, ..call_all(11, "tools/list") });
    host.calls(call_all(12, "prompts/list"));
    host.says(r#"{"jsonrpc":"2.0","id":3,"result":{"tools":[{"name":"x"}],"nextCursor":"p2","z":1}}"#);
    host.says(r#"{"jsonrpc":"2.0","id":"s","method":"sampling/createMessage"}"#);
    host.says(r#"{"jsonrpc":"2.0","id":-1,"method":"roots/list"}"#);
    host.says("garbage");
    host
}

/// The session of which `format-1-handshake.json` is the snapshot.
fn handshake() -> Host {
    let mut host = Host::in_handshake(settings());
    host.says(r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"data":{"supported":["2024-11-05"]}}}"#);
    host.calls(Call { progress: true, ..call_with(10, "tools/call", r#"{"name":"a"}"#) });
    host.calls(call_all(11, "tools/list"));
    host
}

/// What remains of that session: the same for every client that knows its state.
fn rest_of_ready(host: &mut Host) -> Vec<Observed> {
    [
        host.says(r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":5}}"#),
        host.says(r#"[{"jsonrpc":"2.0","id":5,"result":{"tools":[{"name":"y"}],"nextCursor":"p3"}}]"#),
        host.says(r#"{"jsonrpc":"2.0","id":6,"result":{"tools":[]}}"#),
        host.answers(1, Answer::Refused),
        host.says(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":-1}}"#),
        host.tell([Event::CancelCall(12)]),
        host.says(r#"{"jsonrpc":"2.0","id":2,"result":{"content":[]}}"#),
        host.calls(call(13, "ping")),
        host.tell([Event::Close]),
    ]
    .concat()
}

fn rest_of_handshake(host: &mut Host) -> Vec<Observed> {
    [
        host.says(&format!(r#"{{"jsonrpc":"2.0","id":2,"result":{}}}"#, initialize_result("2024-11-05"))),
        host.says(r#"{"jsonrpc":"2.0","id":4,"result":{"tools":[1]}}"#),
        host.tell([exited(0)]),
    ]
    .concat()
}

fn restore(snapshot: &str, held: Outstanding) -> (Client, Vec<Effect>) {
    Client::restore(snapshot.as_bytes(), held).unwrap()
}

#[test]
fn a_snapshot_of_format_2_is_what_it_was() {
    for (host, frozen) in [(ready(), READY_2), (handshake(), HANDSHAKE_2)] {
        assert_eq!(
            String::from_utf8(host.client.snapshot(Client::SNAPSHOT_FORMAT).unwrap()).unwrap(),
            frozen.trim_end()
        );
    }
}

#[test]
fn a_state_of_format_1_is_one_of_format_2_on_a_stream() {
    for (old, new) in [(READY, READY_2), (HANDSHAKE, HANDSHAKE_2)] {
        let (client, _) = restore(old, nothing());
        let (expected, _) = restore(new, nothing());

        assert_eq!(client.snapshot(Client::SNAPSHOT_FORMAT), expected.snapshot(Client::SNAPSHOT_FORMAT));
    }
}

#[test]
fn a_frozen_snapshot_of_an_open_session_goes_on_where_it_was() {
    let mut host = ready();
    let (client, effects) = restore(READY, host.checker.outstanding());
    host.client = client;

    let seen = rest_of_ready(&mut host);

    assert_eq!(effects, []);
    assert_eq!(seen, rest_of_ready(&mut ready()));
    // The comparison is no better than what it compares, so one thing literally.
    let tools = r#"{"tools":[{"name":"x"},{"name":"y"}],"z":1}"#;
    assert!(seen.contains(&result(11, tools)), "{seen:#?}");
}

#[test]
fn a_frozen_snapshot_of_a_handshake_goes_on_where_it_was() {
    let mut host = handshake();
    let (client, effects) = restore(HANDSHAKE, host.checker.outstanding());
    host.client = client;

    let seen = rest_of_handshake(&mut host);

    assert_eq!(effects, []);
    assert_eq!(seen, rest_of_handshake(&mut handshake()));
    assert!(matches!(seen[1], Observed::Ready { .. }));
    assert_eq!(faults(&seen), [(10, FaultKind::Disconnected)]);
}

#[test]
fn a_snapshot_changes_nothing() {
    let mut host = ready();

    let first = host.client.snapshot(Client::SNAPSHOT_FORMAT);
    let second = host.client.snapshot(Client::SNAPSHOT_FORMAT);

    assert_eq!(first, second);
    assert_eq!(rest_of_ready(&mut host), rest_of_ready(&mut ready()));
}

#[test]
fn a_session_survives_any_number_of_guests() {
    let mut host = ready();
    let mut expected = ready();

    for id in 20..30 {
        assert_eq!(host.change_guest(), []);
        assert_eq!(host.calls(call(id, "x")), expected.calls(call(id, "x")));
    }

    assert_eq!(rest_of_ready(&mut host), rest_of_ready(&mut expected));
}

#[test]
fn sessions_that_are_not_open_are_carried_over_too() {
    let mut unopened = Host::new();
    unopened.change_guest();
    assert_eq!(unopened.tell([Event::Open(settings()), Event::Started(1)]).len(), 1);

    let mut over = Host::ready();
    over.tell([Event::Close]);
    assert_eq!(over.change_guest(), []);
    assert_eq!(over.tell([Event::Started(2)]), []);

    let mut disconnected = Host::ready();
    disconnected.tell([exited(1)]);
    disconnected.change_guest();
    assert_eq!(faults(&disconnected.calls(call(1, "x"))), [(1, FaultKind::Disconnected)]);
}

#[test]
fn a_call_that_the_state_does_not_know_is_completed() {
    let held = |ids: &[u64]| Outstanding {
        calls: ids.iter().map(|id| OutstandingCall { id: *id, method: "x".to_owned(), sent: true }).collect(),
        ..nothing()
    };
    for client in [ready().client, Client::new()] {
        let snapshot = String::from_utf8(client.snapshot(Client::SNAPSHOT_FORMAT).unwrap()).unwrap();

        let (_, effects) = restore(&snapshot, held(&[99]));

        let completed: Vec<&Effect> = effects.iter().filter(|effect| matches!(effect, Effect::Complete(_))).collect();
        let [Effect::Complete(done)] = completed[..] else { panic!("{effects:?}") };
        assert_eq!(done.call, 99);
        assert!(format!("{:?}", done.outcome).contains("not known to the restored state"));
    }
}

#[test]
fn a_call_that_the_host_does_not_hold_is_forgotten() {
    let mut host = ready();
    host.checker.drop_call(10);
    host.change_guest();

    let answer = host.says(r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);

    logged(&answer);
    assert_eq!(faults(&host.tell([Event::Close])).len(), 2);
}

#[test]
fn requests_of_the_server_that_only_one_side_knows_are_settled() {
    let held = Outstanding { server_requests: vec![2, 9], ..ready().checker.outstanding() };

    let (mut client, effects) = restore(READY, held);
    let next = client.handle(0, vec![frame(r#"{"jsonrpc":"2.0","id":4,"method":"roots/list"}"#)]);

    // The first is refused to the server, the ninth withdrawn from the platform.
    let [Effect::Write(refusal), Effect::WithdrawServerRequest(9)] = &effects[..] else { panic!("{effects:?}") };
    assert!(format!("{refusal:?}").len() > 2);
    let [Effect::ServerRequest(request)] = &next[..] else { panic!("{next:?}") };
    assert_eq!(request.id, 10, "an id that the host has seen is not used again");
}

#[test]
fn another_format_is_told_from_a_damaged_snapshot() {
    let refused = |snapshot: &str| Client::restore(snapshot.as_bytes(), nothing()).unwrap_err();

    assert_eq!(refused(r#"{"format":"innkeeper-mcp/3","state":{"anything":1}}"#), RestoreError::UnknownFormat);
    for damaged in [
        "",
        "null",
        "{}",
        r#"{"format":"innkeeper-mcp/1"}"#,
        r#"{"format":"innkeeper-mcp/1","state":"lost"}"#,
        &READY[..READY.len() / 2],
    ] {
        assert!(matches!(refused(damaged), RestoreError::Malformed(_)), "{damaged}");
    }
    assert!(matches!(Client::restore(b"\xff", nothing()), Err(RestoreError::Malformed(_))));
}

#[test]
fn a_state_that_contradicts_itself_is_refused() {
    let contradictions: [(&str, Value); 11] = [
        ("/state/open/phase", json!("unconnected")),
        ("/state/open/phase", json!("disconnected")),
        ("/state/open/calls/next", json!(3)),
        ("/state/open/calls/open/2/call", json!(11)),
        (
            "/state/open/calls/open/2/stage",
            json!({"waiting": {"template": {"method": "x", "params": null}, "all-pages": false}}),
        ),
        ("/state/open/calls/open/5/stage/paged/template/params/object/at", json!(1000)),
        ("/state/open/calls/open/5/stage/paged/template/params/rewritten", json!("{\n}")),
        ("/state/open/server-requests/next", json!(1)),
        ("/state/open/server-requests/open/1/wire-id", json!("[]")),
        ("/state/open/settings/client-info", json!("{\n}")),
        ("/state/open/settings/limits/max-frame", json!(1)),
    ];
    for (pointer, value) in contradictions {
        let mut snapshot: Value = serde_json::from_str(READY).unwrap();
        *snapshot.pointer_mut(pointer).unwrap_or_else(|| panic!("nothing at {pointer}")) = value;

        let restored = Client::restore(snapshot.to_string().as_bytes(), nothing());

        let expected = RestoreError::Malformed("the state contradicts itself".to_owned());
        assert_eq!(restored.unwrap_err(), expected, "{pointer}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_snapshot_is_refused_or_harmless(
        at in 0..READY.len(),
        damage in prop::collection::vec(any::<u8>(), 0..4),
        length in 0..4_usize,
    ) {
        let mut snapshot = READY.as_bytes().to_vec();
        let end = (at + length).min(snapshot.len());
        snapshot.splice(at..end, damage);

        if let Ok((mut client, _)) = Client::restore(&snapshot, ready().checker.outstanding()) {
            client.handle(0, vec![
                frame(r#"{"jsonrpc":"2.0","id":5,"result":{"tools":[],"nextCursor":"p3"}}"#),
                frame(r#"{"jsonrpc":"2.0","id":4,"method":"roots/list"}"#),
                Event::Call(call(50, "x")),
                Event::Started(2),
                Event::Close,
            ]);
        }
    }
}
