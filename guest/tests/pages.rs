//! Lists in pages: 2025-11-25, server/utilities/pagination.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;

use harness::*;
use innkeeper_guest::boundary::{
    Call, Completion, Effect, Event, EventRange, FaultKind, Limits, Outcome, Segment, Settings,
};
use innkeeper_guest::checker::Observed;

/// A session in which all pages of `method` have been asked for, as request 2.
fn asked(method: &str, limits: Limits) -> Host {
    let mut host = Host::ready_with(Settings { limits, ..settings() }, NEWEST);
    host.calls(call_all(7, method));
    host
}

fn asked_for_tools() -> Host {
    asked("tools/list", settings().limits)
}

/// A page in answer to the request `id`.
fn page(host: &mut Host, id: u64, result: &str) -> Vec<Observed> {
    host.says(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))
}

#[test]
fn pages_become_one_result() {
    let mut host = asked_for_tools();

    let second =
        page(&mut host, 2, r#"{"_meta":{"a":[0]},"tools":[{"name":"a"}, {"name":"b"}],"nextCursor":"x\"y","z":1}"#);
    let third = page(&mut host, 3, r#"{"tools":[],"nextCursor":""}"#);
    let whole = page(&mut host, 4, r#"{"ignored":1,"tools":[ {"name":"c"} ]}"#);

    let request = |id, cursor: &str| {
        wrote_for(
            7,
            &format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list","params":{{"cursor":"{cursor}"}}}}"#),
        )
    };
    assert_eq!(second, [request(3, r#"x\"y"#)]);
    assert_eq!(third, [request(4, "")]);
    let tools = r#"{"_meta":{"a":[0]},"tools":[{"name":"a"}, {"name":"b"},{"name":"c"}],"z":1}"#;
    assert_eq!(whole, [result(7, tools)]);
}

#[test]
fn a_single_page_passes_through_as_it_is() {
    for page in [r#"{ "tools": [ ] }"#, r#"{"tools":[],"nextCursor":null}"#, "null", "[]", "{}", r#"{"tools":7}"#] {
        let mut host = asked_for_tools();

        let seen = host.client.handle(0, vec![frame(&format!(r#"{{"id":2,"result":{page}}}"#))]);

        let length = u32::try_from(page.len()).unwrap();
        let range = EventRange { index: 0, offset: 17, length };
        let outcome = Outcome::Result(vec![Segment::Event(range)]);
        assert_eq!(seen, [Effect::Complete(Completion { call: 7, outcome })], "{page}");
    }
}

#[test]
fn the_parameters_of_the_call_are_said_with_every_page() {
    let mut host = Host::ready();
    let params = r#"{"a":1,"_meta":{"b":2}}"#;

    let first =
        host.calls(Call { progress: true, params: Some(params.as_bytes().to_vec()), ..call_all(7, "tools/list") });
    let second = page(&mut host, 2, r#"{"tools":[],"nextCursor":"x"}"#);

    let frame = |id, cursor| {
        let params = format!(r#"{{{cursor}"a":1,"_meta":{{"progressToken":{id},"b":2}}}}"#);
        wrote_for(7, &format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list","params":{params}}}"#))
    };
    assert_eq!(first, [frame(2, "")]);
    assert_eq!(second, [frame(3, r#""cursor":"x","#)]);
}

#[test]
fn the_list_goes_by_the_method_and_for_others_is_the_first_one() {
    for (method, list) in [
        ("tools/list", "tools"),
        ("prompts/list", "prompts"),
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
        ("things/list", "others"),
    ] {
        let mut host = asked(method, settings().limits);

        let others = if list == "others" { "" } else { r#""others":[0],"# };
        page(&mut host, 2, &format!(r#"{{"_meta":[0],{others}"{list}":[1],"more":[0],"nextCursor":"x"}}"#));
        let whole = page(&mut host, 3, &format!(r#"{{"more":[9],"{list}":[2]}}"#));

        assert_eq!(whole, [result(7, &format!(r#"{{"_meta":[0],{others}"{list}":[1,2],"more":[0]}}"#))]);
    }
}

#[test]
fn a_repeated_cursor_is_an_error() {
    let mut host = asked_for_tools();

    page(&mut host, 2, r#"{"tools":[1],"nextCursor":"a"}"#);
    page(&mut host, 3, r#"{"tools":[2],"nextCursor":"b"}"#);
    let seen = page(&mut host, 4, r#"{"tools":[3],"nextCursor":"a"}"#);

    assert_eq!(faults(&seen), [(7, FaultKind::ProtocolViolation)]);
    assert_eq!(reason(&seen), "the server gave the same cursor again after 3 pages");
}

#[test]
fn endless_pages_are_an_error() {
    let mut host = asked("tools/list", Limits { max_pages: 3, ..settings().limits });

    page(&mut host, 2, r#"{"tools":[1],"nextCursor":"a"}"#);
    page(&mut host, 3, r#"{"tools":[2],"nextCursor":"b"}"#);
    let seen = page(&mut host, 4, r#"{"tools":[3],"nextCursor":"c"}"#);

    assert_eq!(faults(&seen), [(7, FaultKind::TooLarge)]);
    assert_eq!(frames(&seen), [""; 0]);
}

#[test]
fn as_many_pages_as_are_allowed_are_fetched() {
    let mut host = asked("tools/list", Limits { max_pages: 2, ..settings().limits });

    page(&mut host, 2, r#"{"tools":[1],"nextCursor":"a"}"#);
    let whole = page(&mut host, 3, r#"{"tools":[2]}"#);

    assert_eq!(whole, [result(7, r#"{"tools":[1,2]}"#)]);
}

#[test]
fn pages_that_come_to_more_than_a_result_may_have_are_an_error() {
    let whole = r#"{"tools":["aaaa","bbbb"]}"#;
    let outcome = |max_result| {
        let mut host = asked("tools/list", Limits { max_result, ..settings().limits });
        page(&mut host, 2, r#"{"tools":["aaaa"],"nextCursor":"x"}"#);
        page(&mut host, 3, r#"{"tools":["bbbb"]}"#)
    };

    let fits = outcome(whole.len() as u64);
    let exceeds = outcome(whole.len() as u64 - 1);

    assert_eq!(fits, [result(7, whole)]);
    assert_eq!(faults(&exceeds), [(7, FaultKind::TooLarge)]);
}

#[test]
fn tiny_pages_with_huge_cursors_are_bounded_like_huge_pages() {
    let mut host = asked("tools/list", Limits { max_result: 1000, ..settings().limits });

    let seen = page(&mut host, 2, &format!(r#"{{"tools":[],"nextCursor":"{}"}}"#, "x".repeat(1000)));

    assert_eq!(faults(&seen), [(7, FaultKind::TooLarge)]);
}

#[test]
fn a_cursor_that_does_not_fit_into_a_frame_ends_the_call() {
    let mut host = asked("tools/list", Limits { max_frame: 1024, ..settings().limits });

    let seen = page(&mut host, 2, &format!(r#"{{"tools":[],"nextCursor":"{}"}}"#, "x".repeat(960)));

    assert_eq!(faults(&seen), [(7, FaultKind::TooLarge)]);
}

#[test]
fn pages_that_cannot_be_put_together_are_an_error() {
    for (first, second) in [
        (r#"{"tools":[],"nextCursor":7}"#, None),
        (r#"{"tools":[],"nextCursor":"a","nextCursor":"b"}"#, None),
        (r#"{"tools":[],"tools":[],"nextCursor":"a"}"#, None),
        (r#"{"nextCursor":"a"}"#, None),
        (r#"{"tools":{},"nextCursor":"a"}"#, None),
        (r#"{"tools":[],"nextCursor":"a"}"#, Some("{}")),
        (r#"{"tools":[],"nextCursor":"a"}"#, Some("null")),
        (r#"{"tools":[],"nextCursor":"a"}"#, Some(r#"{"tools":7}"#)),
    ] {
        let mut host = asked_for_tools();

        let mut seen = page(&mut host, 2, first);
        if let Some(second) = second {
            seen = page(&mut host, 3, second);
        }

        assert_eq!(faults(&seen), [(7, FaultKind::ProtocolViolation)], "{first} {second:?}");
    }
}

#[test]
fn an_error_on_a_later_page_is_the_answer() {
    let mut host = asked_for_tools();

    page(&mut host, 2, r#"{"tools":[1],"nextCursor":"a"}"#);
    let seen = host.says(r#"{"jsonrpc":"2.0","id":3,"error":{"code":-32602}}"#);

    assert_eq!(seen, [error(7, r#"{"code":-32602}"#)]);
}

#[test]
fn a_cursor_of_the_callers_own_contradicts_all_pages() {
    let mut host = Host::ready();
    let params = Some(br#"{"cursor":"x"}"#.to_vec());

    let all = host.calls(Call { params: params.clone(), ..call_all(7, "tools/list") });
    let one = host.calls(Call { params, ..call(8, "tools/list") });

    assert_eq!(faults(&all), [(7, FaultKind::Invalid)]);
    assert_eq!(frames(&one).len(), 1);
}

#[test]
fn a_call_for_one_page_gets_one_page() {
    let mut host = Host::ready();
    host.calls(call(7, "tools/list"));

    let seen = page(&mut host, 2, r#"{"tools":[1],"nextCursor":"a"}"#);

    assert_eq!(seen, [result(7, r#"{"tools":[1],"nextCursor":"a"}"#)]);
}

#[test]
fn several_lists_are_gathered_side_by_side() {
    let mut host = Host::ready();
    host.tell([Event::Call(call_all(1, "tools/list")), Event::Call(call_all(2, "prompts/list"))]);

    page(&mut host, 3, r#"{"prompts":["p"],"nextCursor":"a"}"#);
    page(&mut host, 2, r#"{"tools":["t"],"nextCursor":"a"}"#);
    let tools = page(&mut host, 5, r#"{"tools":["u"]}"#);
    let prompts = page(&mut host, 4, r#"{"prompts":["q"]}"#);

    assert_eq!(tools, [result(1, r#"{"tools":["t","u"]}"#)]);
    assert_eq!(prompts, [result(2, r#"{"prompts":["p","q"]}"#)]);
}
