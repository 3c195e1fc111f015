//! How a session begins: 2025-11-25, basic/lifecycle.

mod harness;

use harness::*;
use innkeeper_guest::boundary::{Call, Event, FaultKind, Limits, Settings};
use innkeeper_guest::checker::{Ended, Observed};

fn only(revision: &str) -> Settings {
    Settings { revision: Some(revision.to_owned()), ..settings() }
}

fn answer(host: &mut Host, id: u64, member: &str) -> Vec<Observed> {
    host.says(&format!(r#"{{"jsonrpc":"2.0","id":{id},{member}}}"#))
}

fn agree(host: &mut Host, revision: &str) -> Vec<Observed> {
    answer(host, 1, &format!(r#""result":{}"#, initialize_result(revision)))
}

#[test]
fn initialize_is_the_first_message_and_offers_the_newest_revision() {
    let mut host = Host::new();

    let opened = host.tell([Event::Open(settings())]);
    let started = host.tell([Event::Started(1)]);

    assert_eq!(opened, []);
    let initialize = concat!(
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
        r#""capabilities":{"roots":{}},"clientInfo":{"name":"test","version":"1"}}}"#
    );
    assert_eq!(started, [wrote(initialize)]);
}

#[test]
fn initialized_follows_the_result_and_ready_follows_initialized() {
    let mut host = Host::in_handshake(settings());

    let seen = agree(&mut host, "2025-11-25");

    let ready =
        Observed::Ready { revision: "2025-11-25".to_owned(), peer: initialize_result("2025-11-25").into_bytes() };
    assert_eq!(seen, [wrote(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#), ready]);
}

#[test]
fn every_revision_with_a_handshake_is_spoken_if_the_server_wants_it() {
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        for configured in [None, Some("legacy".to_owned()), Some(revision.to_owned())] {
            let mut host = Host::in_handshake(Settings { revision: configured, ..settings() });

            let seen = agree(&mut host, revision);

            assert!(matches!(&seen[1], Observed::Ready { revision: spoken, .. } if spoken == revision));
        }
    }
}

#[test]
fn a_fixed_revision_is_offered_and_no_other_is_taken() {
    let mut host = Host::new();

    let offered = frames(&host.tell([Event::Open(only("2025-06-18")), Event::Started(1)]));
    let seen = agree(&mut host, "2025-11-25");

    assert!(offered[0].contains(r#""protocolVersion":"2025-06-18""#));
    let (kind, message) = disconnected_by(&seen);
    assert_eq!(kind, FaultKind::Unsupported);
    assert_eq!(message, "the server speaks revision \"2025-11-25\"; the configuration allows 2025-06-18 only");
}

#[test]
fn a_revision_that_nobody_here_speaks_ends_the_connection() {
    let mut host = Host::in_handshake(settings());

    let seen = agree(&mut host, r"2099-01-01\n");

    let (kind, message) = disconnected_by(&seen);
    assert_eq!(kind, FaultKind::Unsupported);
    assert!(message.contains(r#""2099-01-01\n""#), "{message}");
}

#[test]
fn calls_wait_for_the_session_and_go_out_in_their_order() {
    let mut host = Host::new();
    host.tell([Event::Open(settings())]);

    // Ids of calls say nothing about their order.
    let early = host.tell([Event::Call(call_with(9, "tools/call", r#"{"name":"a"}"#)), Event::Started(1)]);
    let meanwhile = host.tell([Event::Call(Call { progress: true, ..call(4, "tools/list") })]);
    let seen = answer(&mut host, 2, &format!(r#""result":{}"#, initialize_result(NEWEST)));

    assert_eq!(frames(&early).len(), 1);
    assert_eq!(meanwhile, []);
    let sent_late = [
        wrote_for(9, r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#),
        wrote_for(4, r#"{"jsonrpc":"2.0","id":3,"method":"tools/list","params":{"_meta":{"progressToken":3}}}"#),
    ];
    assert_eq!(seen[2..], sent_late);
}

#[test]
fn a_server_that_names_a_revision_of_ours_is_offered_that_one_once() {
    let mut host = Host::in_handshake(settings());
    let refusal = r#""error":{"code":-32602,"message":"no","data":{"supported":["2024-11-05","2025-03-26",7]}}"#;

    let second = answer(&mut host, 1, refusal);
    let third = answer(&mut host, 2, refusal);

    let [offer] = &frames(&second)[..] else { panic!("{second:?}") };
    assert!(offer.starts_with(r#"{"jsonrpc":"2.0","id":2,"method":"initialize""#), "{offer}");
    assert!(offer.contains(r#""protocolVersion":"2025-03-26""#), "{offer}");
    assert!(matches!(disconnected(&third), Ended::Error(_)));
}

#[test]
fn the_second_offer_opens_the_session_like_the_first() {
    let mut host = Host::in_handshake(settings());
    answer(&mut host, 1, r#""error":{"code":1,"data":{"supported":["2024-11-05"]}}"#);

    let seen = answer(&mut host, 2, &format!(r#""result":{}"#, initialize_result("2024-11-05")));

    assert!(matches!(seen[1], Observed::Ready { .. }));
}

#[test]
fn a_refusal_is_passed_on_as_the_server_said_it() {
    for error in [
        r#"{"code": -32602, "message":"Unsupported protocol version"}"#,
        r#"{"code":1,"data":{"supported":["2025-11-25"]}}"#,
        r#"{"code":1,"data":{"supported":"2024-11-05"}}"#,
        "null",
    ] {
        let mut host = Host::in_handshake(settings());

        let seen = answer(&mut host, 1, &format!(r#""error":{error}"#));

        assert_eq!(disconnected(&seen), &Ended::Error(error.as_bytes().to_vec()));
    }
}

#[test]
fn a_fixed_revision_that_is_refused_is_not_bargained_over() {
    let mut host = Host::in_handshake(only("2025-06-18"));

    let seen = answer(&mut host, 1, r#""error":{"code":1,"data":{"supported":["2024-11-05"]}}"#);

    assert!(matches!(disconnected(&seen), Ended::Error(_)));
}

#[test]
fn a_malformed_answer_ends_the_connection() {
    for member in [
        r#""result":null"#,
        r#""result":[]"#,
        r#""result":{}"#,
        r#""result":{"protocolVersion":20251125}"#,
        r#""result":{"protocolVersion":"2025-11-25","protocolVersion":"2024-11-05"}"#,
        r#""result":{"protocolVersion":"2025-11-25"},"error":{}"#,
        r#""x":1"#,
    ] {
        let mut host = Host::in_handshake(settings());

        let seen = answer(&mut host, 1, member);

        assert_eq!(disconnected_by(&seen).0, FaultKind::ProtocolViolation, "{member}");
    }
}

#[test]
fn calls_that_waited_in_vain_are_completed_before_the_disconnect() {
    let mut host = Host::in_handshake(settings());
    host.calls(call(1, "tools/list"));
    host.calls(call(2, "tools/list"));

    let seen = answer(&mut host, 1, r#""error":{"code":1}"#);

    assert_eq!(faults(&seen), [(1, FaultKind::Disconnected), (2, FaultKind::Disconnected)]);
    disconnected(&seen);
}

#[test]
fn settings_that_cannot_be_kept_are_refused() {
    let tiny = Limits { max_frame: 100, ..settings().limits };
    for (settings, kind) in [
        (only("2026-07-28"), FaultKind::Unsupported),
        (Settings { limits: tiny, ..settings() }, FaultKind::Unsupported),
        (Settings { client_info: b"[]".to_vec(), ..settings() }, FaultKind::Invalid),
        (Settings { capabilities: b"{".to_vec(), ..settings() }, FaultKind::Invalid),
        (Settings { capabilities: b"\xff".to_vec(), ..settings() }, FaultKind::Invalid),
    ] {
        let mut host = Host::new();

        let seen = host.tell([Event::Open(settings)]);
        let after = host.tell([Event::Started(1), Event::Call(call(1, "ping"))]);

        assert_eq!(disconnected_by(&seen).0, kind);
        assert_eq!(faults(&after), [(1, FaultKind::Disconnected)]);
        assert_eq!(after.len(), 1);
    }
}

#[test]
fn what_the_platform_says_of_itself_may_be_spread_over_lines() {
    let mut host = Host::new();
    let client_info = b"{\r\n  \"name\": \"a b\"\n}".to_vec();

    let seen = host.tell([Event::Open(Settings { client_info, ..settings() }), Event::Started(1)]);

    assert!(frames(&seen)[0].contains(r#""clientInfo":{  "name": "a b"}"#));
}

#[test]
fn a_handshake_that_is_too_long_for_a_frame_is_not_sent() {
    let mut host = Host::new();
    let client_info = format!(r#"{{"name":"{}"}}"#, "x".repeat(2000)).into_bytes();
    let limits = Limits { max_frame: 2000, ..settings().limits };

    let seen = host.tell([Event::Open(Settings { client_info, limits, ..settings() }), Event::Started(1)]);

    assert_eq!(disconnected_by(&seen).0, FaultKind::TooLarge);
}
