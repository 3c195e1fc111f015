//! Whatever host, platform and server do, the client keeps its duties.
//!
//! What a script is and what a run checks is said in `innkeeper_guest::script`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use innkeeper_guest::Client;
use innkeeper_guest::boundary::TransportKind;
use innkeeper_guest::script::{self, Report, Step};
use proptest::prelude::*;
use proptest::test_runner::Config;

/// 512 cases unless `PROPTEST_CASES` says otherwise, as it does where there is time.
/// A failure is printed, not put into a file: it belongs into a test with a name.
fn config() -> Config {
    let config = Config { failure_persistence: None, ..Config::default() };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        None => Config { cases: 512, ..config },
    }
}

/// A script that is the same on every run.
fn bytes(seed: u32) -> Vec<u8> {
    // A linear congruential generator; Numerical Recipes' constants.
    let next = |state: &u32| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    // Spread, for the first byte says how a session begins, and is the highest of these.
    std::iter::successors(Some(seed.wrapping_mul(0x9e37_79b9)), next)
        .map(|state| state.to_be_bytes()[0])
        .take(400)
        .collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_duty_is_kept_whatever_happens_on_a_stream(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let ran = script::run(TransportKind::Stream, &bytes);

        prop_assert!(ran.is_ok(), "{}", ran.unwrap_err());
    }

    #[test]
    fn every_duty_is_kept_whatever_happens_over_http(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let ran = script::run(TransportKind::Http, &bytes);

        prop_assert!(ran.is_ok(), "{}", ran.unwrap_err());
    }
}

const TRANSPORTS: [TransportKind; 2] = [TransportKind::Stream, TransportKind::Http];

/// What scripts reach on each.
fn reached(transport: TransportKind) -> Report {
    let mut report = Report::default();
    for seed in 0..400 {
        report.merge(&script::run(transport, &bytes(seed)).unwrap());
    }
    report
}

/// Without this, a mistake in the scripts could make the property above hold of
/// nothing.
#[test]
fn scripts_reach_every_kind_of_effect() {
    let either = [
        "all pages",
        "change of guest",
        "disconnected",
        "error",
        "fault",
        "log",
        "notification",
        "progress",
        "ready",
        "restore",
        "result",
        "server request",
        "withdraw",
    ];
    let of_exchanges = [
        "abort",
        "call to the endpoint of a channel",
        "cancel timer",
        "on-close request",
        "renewal",
        "request",
        "resumption",
        "set timer",
        "timer",
    ];

    for (transport, own) in [(TransportKind::Stream, &["write"][..]), (TransportKind::Http, &of_exchanges)] {
        let report = reached(transport);

        for what in either.iter().chain(own) {
            assert!(report.seen.contains_key(what), "never seen: {what}; seen: {report:?}");
        }
    }
}

/// What a recording is for: another guest does the same, or is another guest.
#[test]
fn a_recording_can_be_replayed() {
    for (seed, transport) in (0..20).flat_map(|seed| TRANSPORTS.map(|transport| (seed, transport))) {
        let mut client = Client::new();

        for step in script::record(transport, &bytes(seed)).unwrap() {
            match step {
                Step::Handle { now, events, effects } => assert_eq!(client.handle(now, events), effects),
                Step::Restore { outstanding, effects } => {
                    let (restored, done) =
                        Client::restore(&client.snapshot(Client::SNAPSHOT_FORMAT).unwrap(), outstanding).unwrap();
                    assert_eq!(done, effects);
                    client = restored;
                }
            }
        }
    }
}

/// A stream that was asked for in one session, and that the server takes up when it has forgotten that session, is not the
/// beginning of the older transport.
#[test]
fn a_script_in_which_a_stream_outlives_its_session_keeps_every_duty() {
    let bytes = [
        0, 15, 0, 0, 66, 0, 96, 0, 0, 1, 155, 0, 0, 5, 32, 0, 0, 84, 0, 0, 0, 20, 0, 72, 0, 0, 0, 0, 0, 71, 0, 0, 0, 4,
        0, 0, 4, 0, 0, 31, 0, 0, 47, 0, 4, 0, 0, 129, 0, 0, 27, 146, 0, 19, 0, 185, 0, 123, 0, 0, 117, 0, 77, 0, 130,
        125, 0, 27, 178, 174, 91, 0, 105, 8, 44, 0, 79, 68, 0, 51, 28, 43, 0, 0, 0, 150, 0, 0, 11, 0, 0, 0, 0, 31, 31,
        125, 0, 5, 0, 31, 0, 0, 20, 0, 2, 0, 0, 0, 11, 0, 0, 0, 108, 0, 58, 0, 20, 0, 0, 0, 0, 0, 85, 31, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];

    assert!(script::run(TransportKind::Http, &bytes).is_ok());
}
