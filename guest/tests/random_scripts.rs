//! Whatever host, platform and server do, the client keeps its duties.
//!
//! What a script is and what a run checks is said in `innkeeper_guest::script`.

use innkeeper_guest::script::{self, Report};
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

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_duty_is_kept_whatever_happens(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let ran = script::run(&bytes);

        prop_assert!(ran.is_ok(), "{}", ran.unwrap_err());
    }
}

/// Without this, a mistake in the scripts could make the property above hold of
/// nothing.
#[test]
fn scripts_reach_every_kind_of_effect() {
    let mut report = Report::default();

    for seed in 0..200_u32 {
        let mut state = seed;
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            // A linear congruential generator; Numerical Recipes' constants.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .take(400)
        .collect();
        report.merge(&script::run(&bytes).unwrap());
    }

    for what in [
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
        "write",
    ] {
        assert!(report.seen.contains_key(what), "never seen: {what}; seen: {report:?}");
    }
}
