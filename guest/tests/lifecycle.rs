//! Connections that end, sessions that close, and events in an order that no host
//! should give.

mod harness;

use harness::*;
use innkeeper_guest::Client;
use innkeeper_guest::boundary::{
    DisconnectCause, Effect, Event, ExitStatus, Extension, FaultKind, Outcome, ServerSentEvent,
};
use innkeeper_guest::checker::Observed;

#[test]
fn the_end_of_the_process_completes_every_call_and_then_disconnects() {
    let mut host = Host::ready();
    host.tell([Event::Call(call(1, "x")), Event::Call(call_all(2, "tools/list"))]);
    host.says(r#"{"jsonrpc":"2.0","id":5,"method":"roots/list"}"#);

    let seen = host.tell([exited(1)]);

    assert_eq!(faults(&seen), [(1, FaultKind::Disconnected), (2, FaultKind::Disconnected)]);
    assert_eq!(seen[2], Observed::Withdraw(1));
    assert_eq!(disconnected_by(&seen), (FaultKind::Disconnected, "the server exited with code 1"));
}

#[test]
fn the_end_of_the_process_is_described_as_far_as_it_is_known() {
    for (status, message) in [
        (ExitStatus { code: Some(0), signal: None }, "the server exited with code 0"),
        (ExitStatus { code: None, signal: Some(9) }, "the server was ended by signal 9"),
        (ExitStatus { code: None, signal: None }, "the connection to the server ended"),
    ] {
        let ready = Host::ready().tell([Event::Exited(status)]);
        let opening = Host::in_handshake(settings()).tell([Event::Exited(status)]);

        assert_eq!(disconnected_by(&ready).1, message);
        assert_eq!(disconnected_by(&opening).1, format!("{message} before it had answered `initialize`"));
    }
}

#[test]
fn frames_before_the_end_still_count() {
    let mut host = Host::ready();
    host.calls(call(7, "x"));

    let seen = host.tell([frame(r#"{"jsonrpc":"2.0","id":2,"result":{}}"#), exited(0)]);

    assert_eq!(seen[0], result(7, "{}"));
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_call_that_comes_with_the_end_is_completed_before_the_disconnect() {
    let mut host = Host::ready();

    let seen = host.tell([exited(0), Event::Call(call(7, "x"))]);

    assert_eq!(faults(&seen), [(7, FaultKind::Disconnected)]);
    disconnected(&seen);
}

#[test]
fn after_the_end_calls_fail_at_once_until_another_process_is_there() {
    let mut host = Host::ready();
    host.tell([exited(0)]);

    let dead = host.calls(call(1, "x"));
    let started = host.tell([Event::Started(2)]);
    let waiting = host.calls(call(2, "x"));
    let ready = host.says(&format!(r#"{{"jsonrpc":"2.0","id":2,"result":{}}}"#, initialize_result(NEWEST)));

    assert_eq!(faults(&dead), [(1, FaultKind::Disconnected)]);
    assert!(frames(&started)[0].contains(r#""id":2,"method":"initialize""#));
    assert_eq!(waiting, []);
    assert_eq!(ready[2], wrote_for(2, r#"{"jsonrpc":"2.0","id":3,"method":"x"}"#));
}

#[test]
fn answers_of_an_earlier_process_are_not_taken_for_those_of_a_later_one() {
    let mut host = Host::ready();
    host.calls(call(1, "x"));
    host.tell([exited(0)]);
    host.tell([Event::Started(2)]);

    let stale = host.says(&format!(r#"{{"jsonrpc":"2.0","id":1,"result":{}}}"#, initialize_result(NEWEST)));

    logged(&stale);
}

#[test]
fn a_process_that_replaces_another_begins_anew() {
    let mut host = Host::ready();
    host.calls(call(1, "x"));
    host.says(r#"{"jsonrpc":"2.0","id":5,"method":"roots/list"}"#);

    let seen = host.tell([Event::Started(2)]);

    assert_eq!(faults(&seen), [(1, FaultKind::Disconnected)]);
    assert_eq!(seen[1], Observed::Withdraw(1));
    assert!(frames(&seen)[0].contains("initialize"));
}

#[test]
fn calls_that_wait_still_wait_when_a_process_is_replaced_during_the_handshake() {
    let mut host = Host::in_handshake(settings());
    host.calls(call(1, "x"));

    let seen = host.tell([Event::Started(2)]);
    let ready = host.says(&format!(r#"{{"jsonrpc":"2.0","id":3,"result":{}}}"#, initialize_result(NEWEST)));

    assert_eq!(faults(&seen), []);
    assert_eq!(ready[2], wrote_for(1, r#"{"jsonrpc":"2.0","id":2,"method":"x"}"#));
}

#[test]
fn a_process_that_ends_before_it_started_fails_the_calls_that_wait_for_it() {
    let mut host = Host::new();
    host.tell([Event::Open(settings()), Event::Call(call(1, "x"))]);

    let seen = host.tell([exited(127)]);
    let started = host.tell([Event::Started(2)]);

    assert_eq!(faults(&seen), [(1, FaultKind::Disconnected)]);
    assert_eq!(seen.len(), 1);
    assert_eq!(frames(&started).len(), 1);
}

#[test]
fn one_connection_is_given_up_once() {
    let mut host = Host::in_handshake(settings());
    host.says(r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#);

    let seen = host.tell([exited(1), frame("{}"), exited(1)]);

    // The frame is worth a line in the log; the exits are expected.
    logged(&seen);
}

#[test]
fn close_completes_whatever_is_open() {
    let waiting = |mut host: Host| {
        host.calls(call(1, "x"));
        host
    };
    let fresh = Host::new();
    let mut opened = Host::new();
    opened.tell([Event::Open(settings())]);
    for (mut host, calls) in [
        (waiting(Host::ready()), 1),
        (waiting(Host::in_handshake(settings())), 1),
        (waiting(opened), 1),
        (Host::ready(), 0),
        (fresh, 0),
    ] {
        let seen = host.tell([Event::Close]);

        assert_eq!(seen.len(), calls);
        assert_eq!(faults(&seen).len(), calls);
    }
}

#[test]
fn close_withdraws_what_the_server_asked() {
    let mut host = Host::ready();
    host.says(r#"{"jsonrpc":"2.0","id":5,"method":"roots/list"}"#);

    assert_eq!(host.tell([Event::Close]), [Observed::Withdraw(1)]);
}

#[test]
fn after_close_nothing_happens_but_that_calls_fail() {
    let mut host = Host::ready();
    host.tell([Event::Close]);

    let seen = host.tell([
        Event::Open(settings()),
        Event::Started(2),
        frame(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#),
        exited(0),
        Event::Close,
    ]);
    let mut client = host.client;
    let call = client.handle(0, vec![Event::Call(call(1, "x"))]);

    assert_eq!(seen, []);
    assert!(matches!(&call[..], [Effect::Complete(done)] if matches!(done.outcome, Outcome::Fault(_))));
}

#[test]
fn before_open_nothing_happens_but_that_calls_fail() {
    let mut host = Host::new();

    let seen = host.tell([Event::Started(1), frame("{}"), Event::Call(call(1, "x")), Event::CancelCall(1), exited(0)]);

    assert_eq!(faults(&seen), [(1, FaultKind::Disconnected)]);
    assert_eq!(seen.len(), 1);
}

#[test]
fn a_second_open_changes_nothing() {
    let mut host = Host::ready();
    let before = host.client.snapshot(Client::SNAPSHOT_FORMAT);

    let seen = host.tell([Event::Open(settings())]);
    let call = host.calls(call(1, "x"));

    logged(&seen);
    assert_eq!(frames(&call).len(), 1);
    assert_ne!(host.client.snapshot(Client::SNAPSHOT_FORMAT), before);
}

#[test]
fn events_of_what_this_client_never_asked_for_are_ignored() {
    let mut host = Host::ready();

    let seen = host.tell([
        Event::Timer(1),
        Event::ResponseEnd(1),
        Event::ServerSentEvent(ServerSentEvent {
            exchange: 1,
            event_type: None,
            data: br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.to_vec(),
            id: None,
            retry: None,
        }),
        Event::Extension(Extension { name: "a/b@1".to_owned(), body: Vec::new() }),
    ]);

    assert_eq!(seen, []);
}

#[test]
fn a_new_process_in_the_batch_of_the_old_ones_end_does_not_hide_the_disconnect() {
    let mut client = Host::ready().client;

    let effects = client.handle(0, vec![exited(0), Event::Started(2)]);

    assert!(matches!(&effects[..], [Effect::Disconnected(DisconnectCause::Fault(_)), Effect::Write(_)]));
}

#[test]
fn a_client_describes_itself_alike_at_all_times() {
    let info = Client::describe();

    assert_eq!(info.revisions, ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]);
    assert_eq!(info.snapshot_formats, ["innkeeper-mcp/2"]);
    assert_eq!(info.restorable_formats, ["innkeeper-mcp/2", "innkeeper-mcp/1"]);
    let headers =
        ["accept", "content-type", "last-event-id", "mcp-protocol-version", "mcp-session-id", "www-authenticate"];
    assert_eq!(info.headers, headers);
    assert_eq!(info.extensions.len(), 0);
    assert_eq!(info, Client::describe());
}
