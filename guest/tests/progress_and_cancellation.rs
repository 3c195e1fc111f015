//! What happens to a call before its answer: 2025-11-25, basic/utilities/progress
//! and basic/utilities/cancellation.

mod harness;

use harness::*;
use innkeeper_guest::boundary::{Call, Event, FaultKind, LogLevel};
use innkeeper_guest::checker::Observed;

fn progress(params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{params}}}"#)
}

fn with_progress(id: u64) -> Call {
    Call { progress: true, ..call(id, "tools/call") }
}

#[test]
fn a_call_that_wants_progress_gives_the_server_a_token() {
    let mut host = Host::ready();
    let params = Some(br#"{"name":"a","_meta":{"x":1}}"#.to_vec());

    let sent = host.calls(Call { params, ..with_progress(7) });

    let frame = concat!(
        r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","#,
        r#""params":{"name":"a","_meta":{"progressToken":2,"x":1}}}"#
    );
    assert_eq!(sent, [wrote_for(7, frame)]);
}

#[test]
fn a_report_reaches_its_call_verbatim() {
    let mut host = Host::ready();
    host.tell([Event::Call(with_progress(7)), Event::Call(with_progress(8))]);

    let report = r#"{"progressToken":3, "progress":1.5,"message":"half"}"#;
    let seen = host.says(&progress(report));

    assert_eq!(seen, [Observed::Progress { call: 8, report: report.as_bytes().to_vec() }]);
}

#[test]
fn progress_that_nobody_wants_is_only_logged() {
    let mut host = Host::ready();
    host.tell([Event::Call(with_progress(7)), Event::Call(call(8, "tools/call"))]);

    for params in [
        r#"{"progressToken":3,"progress":1}"#,
        r#"{"progressToken":4,"progress":1}"#,
        r#"{"progressToken":"2","progress":1}"#,
        r#"{"progressToken":2,"progressToken":2}"#,
        r#"{"progress":1}"#,
        "[2]",
    ] {
        assert_eq!(logged(&host.says(&progress(params))).0, LogLevel::Debug, "{params}");
    }
    logged(&host.says(r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#));
}

#[test]
fn progress_after_the_answer_is_only_logged() {
    let mut host = Host::ready();
    host.calls(with_progress(7));
    host.says(r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);

    logged(&host.says(&progress(r#"{"progressToken":2,"progress":1}"#)));
}

#[test]
fn each_page_reports_under_its_own_token() {
    let mut host = Host::ready();
    host.calls(Call { all_pages: true, ..with_progress(7) });
    host.says(r#"{"jsonrpc":"2.0","id":2,"result":{"x":[],"nextCursor":"a"}}"#);

    let stale = host.says(&progress(r#"{"progressToken":2,"progress":1}"#));
    let fresh = host.says(&progress(r#"{"progressToken":3,"progress":1}"#));

    logged(&stale);
    assert!(matches!(fresh[..], [Observed::Progress { call: 7, .. }]));
}

#[test]
fn a_token_of_the_callers_own_is_refused() {
    let mut host = Host::ready();

    for (params, why) in [
        (r#"{"_meta":{"progressToken":1}}"#, "a `_meta.progressToken` of the caller's own; ask for progress instead"),
        (r#"{"_meta":[]}"#, "a `_meta` that is not an object"),
        (r#"{"_meta":{},"_meta":{}}"#, "an object with two members `_meta`"),
    ] {
        let seen = host.calls(call_with(7, "x", params));

        assert_eq!(faults(&seen), [(7, FaultKind::Invalid)]);
        assert_eq!(reason(&seen), format!("the parameters of the call cannot be sent: {why}"));
    }
}

#[test]
fn cancelling_a_call_tells_the_server_and_completes_it() {
    let mut host = Host::ready();
    host.calls(call(7, "tools/call"));

    let seen = host.tell([Event::CancelCall(7)]);

    let frame = concat!(
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","#,
        r#""params":{"requestId":2,"reason":"the caller no longer wants the result"}}"#
    );
    assert_eq!(seen[0], wrote(frame));
    assert_eq!(faults(&seen), [(7, FaultKind::Cancelled)]);
    assert_eq!(seen.len(), 2);
}

#[test]
fn the_answer_to_a_cancelled_call_is_ignored() {
    let mut host = Host::ready();
    host.tell([Event::Call(call(7, "tools/call")), Event::CancelCall(7)]);

    let late = host.says(r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);

    assert_eq!(logged(&late).0, LogLevel::Debug);
}

#[test]
fn a_call_that_waits_is_cancelled_without_a_word_to_the_server() {
    let mut host = Host::in_handshake(settings());
    host.calls(call(7, "tools/call"));

    let seen = host.tell([Event::CancelCall(7)]);
    let ready = host.says(&format!(r#"{{"jsonrpc":"2.0","id":1,"result":{}}}"#, initialize_result(NEWEST)));

    assert_eq!(faults(&seen), [(7, FaultKind::Cancelled)]);
    assert_eq!(seen.len(), 1);
    assert_eq!(ready.len(), 2, "nothing was sent but `initialized`: {ready:?}");
}

#[test]
fn a_call_in_its_pages_is_cancelled_by_the_request_of_the_present_page() {
    let mut host = Host::ready();
    host.calls(call_all(7, "tools/list"));
    host.says(r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[],"nextCursor":"a"}}"#);

    let seen = host.tell([Event::CancelCall(7)]);

    assert!(frames(&seen)[0].contains(r#""requestId":3"#));
}

#[test]
fn cancelling_what_is_not_open_is_ignored() {
    let mut host = Host::ready();
    host.calls(call(7, "tools/call"));
    host.says(r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);

    assert_eq!(host.tell([Event::CancelCall(7), Event::CancelCall(99)]), []);
}
