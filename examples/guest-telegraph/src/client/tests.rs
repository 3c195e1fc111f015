//! What the client does, event by event. No wasm and no host: events in, effects out.

use super::*;
use crate::boundary::{Limits, Outstanding, OutstandingCall, RestoreError};

const NO_STATUS: crate::boundary::ExitStatus = crate::boundary::ExitStatus { code: None, signal: None };

fn settings() -> Settings {
    Settings {
        transport: TransportKind::Stream,
        revision: None,
        client_info: b"{}".to_vec(),
        capabilities: b"{}".to_vec(),
        shared: false,
        limits: Limits { max_frame: 64, max_result: 64, max_pages: 1, max_server_requests: 2 },
    }
}

fn call(id: CallId, params: &str) -> Event {
    Event::Call(CallEvent {
        id,
        method: "weigh".into(),
        params: Some(params.as_bytes().to_vec()),
        progress: true,
        all_pages: false,
    })
}

fn frame(text: &str) -> Event {
    Event::Frame(text.as_bytes().to_vec())
}

fn connected() -> Client {
    let mut client = Client::default();
    client.handle(&[Event::Open(settings()), Event::Started(1), frame("WELCOME 1\n{}")]);
    client
}

/// The frames that effects write, with params of calls as `<call:length>` and parts of events as `<#index:length>`.
fn written(effects: &[Effect]) -> Vec<String> {
    let text = |segment: &Segment| match segment {
        Segment::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Segment::Params(params) => format!("<{}:{}>", params.call, params.length),
        Segment::Event(range) => format!("<#{}:{}>", range.index, range.length),
    };
    let frames = effects.iter().filter_map(|effect| match effect {
        Effect::Write(write) => Some(write.frame.iter().map(text).collect()),
        _ => None,
    });
    frames.collect()
}

fn faults(effects: &[Effect]) -> Vec<(CallId, FaultKind)> {
    let faults = effects.iter().filter_map(|effect| match effect {
        Effect::Complete(Completion { call, outcome: Outcome::Fault(fault) }) => Some((*call, fault.kind)),
        _ => None,
    });
    faults.collect()
}

fn outstanding(calls: &[CallId], questions: &[ServerRequestId]) -> Outstanding {
    let call = |&id| OutstandingCall { id, method: "weigh".into(), sent: true };
    Outstanding {
        calls: calls.iter().map(call).collect(),
        server_requests: questions.to_vec(),
        exchanges: Vec::new(),
        timers: Vec::new(),
    }
}

#[test]
fn a_call_before_the_welcome_is_sent_after_it() {
    let mut client = Client::default();

    let before = client.handle(&[Event::Open(settings()), Event::Started(1), call(1, "[3]")]);
    let after = client.handle(&[frame("WELCOME 1\n{}")]);

    assert_eq!(written(&before), ["HELLO 1"]);
    assert!(matches!(after.first(), Some(Effect::Ready(_))), "{after:?}");
    assert_eq!(written(&after), ["ASK 1 weigh\n<1:3>"]);
}

#[test]
fn only_the_frame_of_a_call_is_sent_for_that_call() {
    let mut client = connected();

    let asked = client.handle(&[call(1, "[3]")]);
    let stopped = client.handle(&[Event::CancelCall(1)]);

    assert!(matches!(&asked[..], [Effect::Write(Write { call: Some(1), .. })]), "{asked:?}");
    assert!(matches!(&stopped[..], [Effect::Write(Write { call: None, .. }), Effect::Complete(_)]), "{stopped:?}");
    assert_eq!(faults(&stopped), [(1, FaultKind::Cancelled)]);
}

#[test]
fn results_and_errors_are_passed_on_where_they_lie() {
    let mut client = connected();
    client.handle(&[call(1, "[3]"), call(2, "[4]")]);

    let effects = client.handle(&[frame("STILL 1\n50"), frame("SAY 1\n\"3 kg\""), frame("NO 2\n\"broken\"")]);

    let part = |index, offset, length| vec![Segment::Event(EventRange { index, offset, length })];
    assert_eq!(
        effects,
        [
            Effect::Progress(Progress { call: 1, report: part(0, 8, 2) }),
            Effect::Complete(Completion { call: 1, outcome: Outcome::Result(part(1, 6, 6)) }),
            Effect::Complete(Completion { call: 2, outcome: Outcome::Error(part(2, 5, 8)) }),
        ]
    );
}

#[test]
fn an_answer_that_crossed_with_its_cancellation_is_ignored() {
    let mut client = connected();
    client.handle(&[call(1, "[3]"), Event::CancelCall(1)]);

    let effects = client.handle(&[frame("SAY 1\n\"3 kg\"")]);

    assert!(matches!(&effects[..], [Effect::Log(_)]), "{effects:?}");
}

#[test]
fn params_that_do_not_fit_a_frame_are_refused() {
    let mut client = connected();

    let effects = client.handle(&[call(1, &"x".repeat(64))]);

    assert_eq!(faults(&effects), [(1, FaultKind::TooLarge)]);
    assert_eq!(written(&effects), [""; 0]);
}

#[test]
fn a_verb_of_two_words_is_refused() {
    let mut client = connected();
    let call = CallEvent { id: 1, method: "weigh it".into(), params: None, progress: false, all_pages: false };

    let effects = client.handle(&[Event::Call(call)]);

    assert_eq!(faults(&effects), [(1, FaultKind::Invalid)]);
}

#[test]
fn questions_of_the_server_are_passed_up_and_answered_under_its_tag() {
    let mut client = connected();
    client.handle(&[call(7, "[3]")]);

    let asked = client.handle(&[frame("ASK q1 unit\n{}")]);
    let response = ServerResponse { id: 0, answer: Answer::Result(b"\"kg\"".to_vec()) };
    let answered = client.handle(&[Event::ServerResponse(response)]);

    assert!(matches!(&asked[..], [Effect::ServerRequest(ServerRequest { id: 0, call: Some(7), .. })]), "{asked:?}");
    assert_eq!(written(&answered), ["SAY q1\n<#0:4>"]);
}

#[test]
fn a_withdrawn_question_is_not_answered() {
    let mut client = connected();
    client.handle(&[frame("ASK q1 unit")]);

    let withdrawn = client.handle(&[frame("STOP q1")]);
    let response = ServerResponse { id: 0, answer: Answer::Refused };
    let answered = client.handle(&[Event::ServerResponse(response)]);

    assert_eq!(withdrawn, [Effect::WithdrawServerRequest(0)]);
    assert_eq!(answered, []);
}

#[test]
fn more_questions_than_the_host_takes_are_refused_to_the_server() {
    let mut client = connected();

    let effects = client.handle(&[frame("ASK a unit"), frame("ASK b unit"), frame("ASK c unit")]);

    assert_eq!(written(&effects), ["NO c\n\"too many open questions\""]);
}

#[test]
fn every_open_call_is_completed_when_the_server_is_gone() {
    let mut client = connected();
    client.handle(&[call(1, "[3]"), call(2, "[4]")]);

    let effects = client.handle(&[Event::Exited(NO_STATUS), call(3, "[5]")]);

    let disconnected = FaultKind::Disconnected;
    assert_eq!(faults(&effects), [(1, disconnected), (2, disconnected), (3, disconnected)]);
}

#[test]
fn what_is_no_message_ends_the_connection_once() {
    let mut client = connected();

    let effects = client.handle(&[frame("{\"jsonrpc\":\"2.0\"}"), frame("nor this")]);

    assert!(matches!(&effects[..], [Effect::Disconnected(DisconnectCause::Fault(_))]), "{effects:?}");
}

#[test]
fn a_refused_greeting_is_told_verbatim() {
    let mut client = Client::default();
    client.handle(&[Event::Open(settings()), Event::Started(1)]);

    let effects = client.handle(&[frame("SORRY\n\"full\"")]);

    let reason = vec![Segment::Event(EventRange { index: 0, offset: 6, length: 6 })];
    assert_eq!(effects, [Effect::Disconnected(DisconnectCause::Refused(reason))]);
}

#[test]
fn a_successor_goes_on_where_its_predecessor_stopped() {
    let script = [
        Event::Open(settings()),
        call(1, "[1]"),
        Event::Started(1),
        call(2, "[2]"),
        frame("WELCOME 1\n{}"),
        call(3, "[3]"),
        frame("ASK q1 unit"),
        frame("SAY 2\n2"),
        frame("STILL 3\n50"),
        Event::Exited(NO_STATUS),
    ];
    for point in 0..script.len() {
        let mut client = Client::default();
        client.handle(&script[..point]);
        let calls: Vec<_> = client.calls.keys().copied().collect();
        let questions: Vec<_> = client.questions.keys().copied().collect();

        let (mut successor, effects) =
            Client::restore(&client.snapshot(), &outstanding(&calls, &questions)).expect("it is our own format");

        assert_eq!(effects, [], "at {point}");
        assert_eq!(successor, client, "at {point}");
        assert_eq!(successor.handle(&script[point..]), client.handle(&script[point..]), "at {point}");
    }
}

#[test]
fn a_successor_reconciles_its_state_with_what_the_host_holds() {
    let mut client = connected();
    client.handle(&[call(1, "[1]"), call(2, "[2]"), frame("ASK q1 unit")]);

    let (successor, effects) =
        Client::restore(&client.snapshot(), &outstanding(&[2, 9], &[])).expect("it is our own format");

    assert_eq!(faults(&effects), [(9, FaultKind::Other)]);
    assert_eq!(successor.calls.keys().copied().collect::<Vec<_>>(), [2]);
    assert!(successor.questions.is_empty());
}

#[test]
fn snapshots_of_others_and_damaged_ones_are_told_apart() {
    let nothing = outstanding(&[], &[]);

    assert_eq!(Client::restore(b"mcp/1\n", &nothing).err(), Some(RestoreError::UnknownFormat));
    assert_eq!(Client::restore(b"\xff", &nothing).err(), Some(RestoreError::UnknownFormat));
    let damaged = Client::restore(b"telegraph/1\nline open\ncall 1 none tr", &nothing).err();
    assert!(matches!(damaged, Some(RestoreError::Malformed(_))), "{damaged:?}");
}
