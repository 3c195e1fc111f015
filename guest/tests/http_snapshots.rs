//! A session over HTTP goes on in another guest, with whatever is under way.
//!
//! As for `snapshots`: the file is frozen.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;

use harness::http::*;
use harness::*;
use innkeeper_guest::Client;
use innkeeper_guest::boundary::{Answer, Effect, Event, ExchangeFailure, FaultKind, Outstanding, RestoreError};
use innkeeper_guest::checker::Observed;
use proptest::prelude::*;
use serde_json::{Value, json};

const HTTP: &str = include_str!("snapshots/format-2-http.json");

fn nothing() -> Outstanding {
    Outstanding { calls: Vec::new(), server_requests: Vec::new(), exchanges: Vec::new(), timers: Vec::new() }
}

fn restore(held: Outstanding) -> (Client, Vec<Effect>) {
    Client::restore(HTTP.as_bytes(), held).unwrap()
}

/// The session of which `format-2-http.json` is the snapshot.
fn web() -> Host {
    let mut host = Host::http_session_listening();
    host.tell([head(5, 200, &[EVENTS]), block(5, None, "", Some("l1"), Some(300))]);
    host.calls(call_with(10, "tools/call", "{\n\"a\":1}"));
    host.tell(status(6, 404));
    host.tell([head(7, 200, &[JSON, ("mcp-session-id", "s2")]), body(7, &initialized(3, "2025-06-18")), end(7)]);
    host.tell(status(10, 202));
    host.calls(call(11, "x"));
    host.calls(call_all(12, "tools/list"));
    host.at(5, [head(11, 200, &[EVENTS]), says_at(11, "e1", ""), end(11)]);
    host.tell([head(12, 200, &[EVENTS]), block(12, None, "", Some("l2"), Some(700))]);
    host.tell([says(12, r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#)]);
    host.tell([head(13, 403, &[("www-authenticate", "Bearer")])]);
    host.tell([head(14, 200, &[EVENTS]), says_at(14, "t1", "")]);
    host.calls(call(13, "x"));
    host.tell([head(15, 200, &[EVENTS]), says(15, &reply(7, "{}"))]);
    host
}

#[test]
fn a_snapshot_over_http_is_what_it_was() {
    assert_eq!(String::from_utf8(web().client.snapshot(Client::SNAPSHOT_FORMAT).unwrap()).unwrap(), HTTP.trim_end());
}

#[test]
fn format_1_has_no_other_transport_than_the_stream() {
    let claimed = HTTP.replacen("innkeeper-mcp/2", "innkeeper-mcp/1", 1);

    assert!(matches!(Client::restore(claimed.as_bytes(), nothing()), Err(RestoreError::Malformed(_))));
}

fn rest_of_web(host: &mut Host) -> Vec<Observed> {
    [
        host.tell([end(13)]),
        host.at(SECOND, [Event::Timer(4)]),
        host.tell([head(16, 200, &[EVENTS]), says(16, &reply(4, "{}")), end(16)]),
        host.tell([failed(14, ExchangeFailure::Reset)]),
        host.tell([Event::Timer(6)]),
        host.tell([head(17, 200, &[EVENTS]), says(17, &reply(6, r#"{"tools":[]}"#)), end(17)]),
        host.answers(1, Answer::Refused),
        host.tell([end(12), end(15)]),
        host.tell([Event::Timer(0)]),
        host.tell([Event::Close]),
    ]
    .concat()
}

#[test]
fn a_frozen_snapshot_over_http_goes_on_where_it_was() {
    let mut host = web();
    let (client, effects) = restore(host.checker.outstanding());
    host.client = client;

    let seen = rest_of_web(&mut host);

    assert_eq!(effects, []);
    assert_eq!(seen, rest_of_web(&mut web()));
    let results: Vec<&Observed> = seen.iter().filter(|effect| matches!(effect, Observed::Complete { .. })).collect();
    assert_eq!(results[1..], [&result(10, "{}"), &result(12, r#"{"tools":[]}"#)]);
    assert_eq!(faults(&seen), [(11, FaultKind::Other)]);
    let last_ids: Vec<_> = requests(&seen).iter().filter_map(|request| request.header("last-event-id")).collect();
    assert_eq!(last_ids, ["e1", "t1", "l2"]);
}

#[test]
fn a_state_of_exchanges_that_contradicts_itself_is_refused() {
    let contradictions: [(&str, Value); 11] = [
        ("/state/open/transport/http/next", json!(12)),
        ("/state/open/transport/http/session/id", json!("a b")),
        ("/state/open/transport/http/session/number", json!(1)),
        ("/state/open/transport/http/session/revision", json!("2025-03-26")),
        ("/state/open/transport/http/exchanges/13/purpose", json!("settled")),
        ("/state/open/transport/http/replies/4/wake", json!(null)),
        ("/state/open/transport/http/replies/4/event-id", json!("a\nb")),
        ("/state/open/transport/http/listening/cursor/event-id", json!("")),
        ("/state/open/transport/http/replies", json!({"99": {"event-id": null, "retry": null, "ends": 0, "wake": 1}})),
        ("/state/open/phase", json!("unconnected")),
        ("/state/open/phase", json!({"handshake": {"id": 3, "offered": "2025-11-25", "again": false}})),
    ];
    for (pointer, value) in contradictions {
        let mut snapshot: Value = serde_json::from_str(HTTP).unwrap();
        *snapshot.pointer_mut(pointer).unwrap_or_else(|| panic!("nothing at {pointer}")) = value;

        let restored = Client::restore(snapshot.to_string().as_bytes(), nothing());

        let expected = RestoreError::Malformed("the state contradicts itself".to_owned());
        assert_eq!(restored.unwrap_err(), expected, "{pointer}");
    }
}

#[test]
fn exchanges_and_timers_that_only_one_side_knows_are_settled() {
    let mut host = web();
    // The GET of the listening stream, and a call's POST.
    host.checker.lose_exchange(12);
    host.checker.lose_exchange(13);
    host.checker.adopt_exchange(99);

    let seen = host.change_guest();
    let next = host.calls(call(20, "x"));

    assert_eq!(seen[0], Observed::Abort(99));
    assert_eq!(faults(&seen), [(11, FaultKind::Other)], "its status had come");
    assert!(matches!(seen[1], Observed::SetTimer(timer) if timer.id == 0), "{seen:?}");
    assert_eq!(requested(&next).exchange, 100);

    let held = Outstanding { timers: Vec::new(), ..web().checker.outstanding() };
    let (_, effects) = restore(held);
    assert!(matches!(effects[..], [Effect::SetTimer(timer)] if timer.id == 4 && timer.at == SECOND + 5), "{effects:?}");
}

#[test]
fn what_is_under_way_for_a_call_that_the_host_does_not_hold_ends() {
    let mut host = web();
    for call in [10, 11, 12] {
        host.checker.drop_call(call);
    }

    let seen = host.change_guest();

    assert_eq!(seen, [Observed::Abort(13), Observed::Abort(14), Observed::CancelTimer(4)]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_snapshot_over_http_is_refused_or_harmless(
        at in 0..HTTP.len(),
        damage in prop::collection::vec(any::<u8>(), 0..4),
        length in 0..4_usize,
    ) {
        let mut snapshot = HTTP.as_bytes().to_vec();
        let end_of_damage = (at + length).min(snapshot.len());
        snapshot.splice(at..end_of_damage, damage);

        if let Ok((mut client, _)) = Client::restore(&snapshot, web().checker.outstanding()) {
            client.handle(0, [
                status(13, 404),
                vec![says(12, &reply(4, "{}")), Event::Timer(4), Event::Timer(0), failed(14, ExchangeFailure::Reset)],
                vec![Event::Call(call(50, "x")), Event::Close],
            ].concat());
        }
    }
}
