//! The double of a host notices each duty that is not kept.
//!
//! All other tests here lean on it, so each of its rules is broken once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;

use harness::{call, call_with, exited, frame, settings};
use innkeeper_guest::boundary::{
    Answer, Call, Completion, DisconnectCause, Effect, Event, EventRange, Extension, Fault, FaultKind, LogLevel,
    LogLine, Notification, Outcome, ParamsRange, Payload, Progress, Segment, ServerRequest, ServerResponse,
    SessionInfo, Write,
};
use innkeeper_guest::checker::{Checker, Ended, Observed};

fn bytes(text: &str) -> Payload {
    vec![Segment::Bytes(text.as_bytes().to_vec())]
}

fn write(frame: Payload) -> Effect {
    Effect::Write(Write { frame, call: None })
}

fn write_for(call: u64) -> Effect {
    Effect::Write(Write { frame: bytes("x"), call: Some(call) })
}

fn complete(call: u64) -> Effect {
    Effect::Complete(Completion { call, outcome: Outcome::Result(bytes("{}")) })
}

fn fail(call: u64, message: &str) -> Effect {
    let fault = Fault { kind: FaultKind::Other, message: message.to_owned() };
    Effect::Complete(Completion { call, outcome: Outcome::Fault(fault) })
}

fn progress(call: u64) -> Effect {
    Effect::Progress(Progress { call, report: bytes("{}") })
}

fn ask(id: u64, call: Option<u64>) -> Effect {
    Effect::ServerRequest(ServerRequest { id, call, method: "x".to_owned(), params: Vec::new() })
}

fn ready() -> Effect {
    Effect::Ready(SessionInfo { revision: "x".to_owned(), peer: bytes("{}") })
}

fn disconnected() -> Effect {
    let fault = Fault { kind: FaultKind::Other, message: "x".to_owned() };
    Effect::Disconnected(DisconnectCause::Fault(fault))
}

fn log(message: &str) -> Effect {
    Effect::Log(LogLine { level: LogLevel::Info, message: message.to_owned() })
}

fn event_range(index: u32, offset: u32, length: u32) -> Payload {
    vec![Segment::Event(EventRange { index, offset, length })]
}

fn params_range(call: u64, offset: u32, length: u32) -> Payload {
    vec![Segment::Params(ParamsRange { call, offset, length })]
}

/// A host that holds the calls 1 (with parameters `{}`) and 2 (which wants progress).
fn host() -> Checker {
    let mut checker = Checker::new();
    let wants_progress = Call { progress: true, ..call(2, "x") };
    let events =
        [Event::Open(settings()), Event::Started(1), Event::Call(call_with(1, "x", "{}")), Event::Call(wants_progress)];
    checker.apply(&events, &[]).unwrap();
    checker
}

fn violation(events: &[Event], effects: &[Effect]) -> String {
    host().apply(events, effects).unwrap_err().to_string()
}

#[test]
fn what_keeps_every_rule_passes() {
    let events = [frame("0123456789")];
    let effects = [
        ready(),
        write(event_range(0, 2, 3)),
        write(params_range(1, 0, 2)),
        write_for(1),
        progress(2),
        complete(2),
        ask(1, Some(1)),
        Effect::WithdrawServerRequest(1),
        log("a line"),
        fail(1, "gone"),
        disconnected(),
    ];

    let observed = host().apply(&events, &effects).unwrap();

    assert_eq!(observed[1], Observed::Write { frame: b"234".to_vec(), call: None });
    assert_eq!(observed[2], Observed::Write { frame: b"{}".to_vec(), call: None });
    assert_eq!(observed[5], Observed::Complete { call: 2, outcome: Ended::Result(b"{}".to_vec()) });
    assert_eq!(observed.len(), effects.len());
}

#[test]
fn a_call_is_completed_once() {
    assert_eq!(violation(&[], &[complete(1), complete(1)]), "complete names call 1, which is not open");
    assert_eq!(violation(&[], &[complete(9)]), "complete names call 9, which is not open");
    assert_eq!(violation(&[], &[disconnected(), complete(1)]), "complete names call 1, which is not open");
}

#[test]
fn nothing_is_left_open_at_the_end() {
    assert!(violation(&[Event::Close], &[complete(1)]).starts_with("calls left open at the end"));
    assert!(host().apply(&[Event::Close], &[complete(1), fail(2, "closed")]).is_ok());
}

#[test]
fn calls_left_to_the_host_at_a_disconnect_are_told() {
    let observed = host().apply(&[], &[complete(1), disconnected()]).unwrap();

    assert!(matches!(&observed[1], Observed::Disconnected { left_open, .. } if *left_open == [2]));
}

#[test]
fn only_open_calls_are_named() {
    assert_eq!(violation(&[], &[write_for(9)]), "write names call 9, which is not open");
    assert_eq!(violation(&[], &[progress(9)]), "progress names call 9, which is not open");
    assert_eq!(violation(&[], &[complete(2), progress(2)]), "progress names call 2, which is not open");
    assert_eq!(violation(&[], &[progress(1)]), "progress of 1, which wants none");
    assert_eq!(violation(&[], &[ask(1, Some(9))]), "server-request names call 9, which is not open");
}

#[test]
fn ranges_lie_within_their_bytes() {
    let events = [frame("0123"), Event::Timer(1)];
    for payload in [
        event_range(0, 0, 5),
        event_range(0, 5, 0),
        event_range(0, u32::MAX, u32::MAX),
        event_range(1, 0, 0),
        event_range(2, 0, 0),
        params_range(1, 1, 2),
        params_range(9, 0, 0),
    ] {
        let notification = Notification { method: "x".to_owned(), params: payload };
        violation(&events, &[Effect::Notification(notification)]);
    }
    assert_eq!(violation(&[], &[complete(1), write(params_range(1, 0, 1))]), "params of call 1, which is not open");
}

#[test]
fn frames_are_single_lines_of_bounded_length_for_a_server_that_is_there() {
    assert_eq!(violation(&[], &[write(bytes("a\nb"))]), "a frame with a line break");
    assert_eq!(violation(&[], &[write(bytes("a\rb"))]), "a frame with a line break");
    assert!(violation(&[], &[write(bytes(&"x".repeat((1 << 20) + 1)))]).starts_with("a frame of 1048577 bytes"));

    let gone = "wrote while there was no connection";
    let mut checker = Checker::new();
    let early = checker.apply(&[Event::Open(settings())], &[write(bytes("x"))]);
    assert_eq!(early.unwrap_err().to_string(), gone);

    let mut checker = host();
    checker.apply(&[exited(0)], &[]).unwrap();
    assert_eq!(checker.apply(&[], &[write(bytes("x"))]).unwrap_err().to_string(), gone);

    let mut checker = host();
    checker.apply(&[], &[disconnected()]).unwrap();
    assert_eq!(checker.apply(&[], &[write(bytes("x"))]).unwrap_err().to_string(), gone);
}

#[test]
fn requests_of_the_server_have_new_ids_and_are_bounded() {
    assert_eq!(violation(&[], &[ask(1, None), ask(1, None)]), "the server request id 1 may have been used before");
    let too_many = [ask(1, None), ask(2, None), ask(3, None)];
    assert_eq!(violation(&[], &too_many), "more than 2 open requests of the server");
    let withdrawn = Effect::WithdrawServerRequest(1);
    let twice = [ask(1, None), withdrawn.clone(), withdrawn.clone()];
    assert_eq!(violation(&[], &twice), "withdrew the server request 1, which is not open");

    let mut checker = host();
    checker.apply(&[], &[ask(1, None)]).unwrap();
    let answered = Event::ServerResponse(ServerResponse { id: 1, answer: Answer::Refused });
    assert!(checker.apply(&[answered], &[withdrawn]).is_ok(), "the two may cross");
}

#[test]
fn a_connection_is_ready_once() {
    assert_eq!(violation(&[], &[ready(), ready()]), "ready without a connection, or twice on one");
}

#[test]
fn messages_are_short_lower_case_lines() {
    for message in ["", "a\nb", "a\u{1b}b", &"x".repeat(1025)] {
        violation(&[], &[fail(1, message)]);
        violation(&[], &[log(message)]);
    }
    violation(&[], &[fail(1, "Upper case")]);
}

#[test]
fn what_does_not_belong_to_a_transport_of_frames_is_noticed() {
    assert_eq!(violation(&[], &[Effect::Abort(1)]), "an HTTP exchange on a transport of frames");
    violation(&[], &[Effect::OnCloseRequest(None)]);
    violation(&[], &[Effect::Extension(Extension { name: "a/b@1".to_owned(), body: Vec::new() })]);
    let fresh = [Effect::FreshProcess, Effect::FreshProcess, Effect::FreshProcess];
    assert_eq!(violation(&[], &fresh), "a third fresh process");
}

#[test]
fn a_host_that_reuses_an_id_is_noticed_too() {
    assert_eq!(violation(&[Event::Call(call(1, "x"))], &[]), "the host gave the call id 1 twice");
}
