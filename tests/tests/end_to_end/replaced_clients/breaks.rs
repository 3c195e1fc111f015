//! Connections that break: one new one is made, and what was under way is not sent again.

use std::time::Duration;

use futures_util::future::join_all;
use innkeeper::{Error, MayHaveRun};

use super::{
    lease, one,
    site::{BREAK, Break, Over, soon},
    which,
};

/// Calls that fail together.
const CALLS: usize = 16;

/// Fails so many calls with one break. Returns what became of them, and how many sessions the server had for them and as many
/// calls after that.
async fn calls_that_fail_together(over: Over, how: Break) -> (Vec<Result<(), Error>>, usize) {
    let (site, _runtime, tenant) = one(over).await;
    site.break_by(how, false);
    let held = lease(&tenant, "alice").await.unwrap();
    let under_way: Vec<_> = (0..CALLS).map(|_| held.call(BREAK).start()).collect();
    site.sees(BREAK, CALLS).await;

    site.break_by(how, true);
    let outcomes = soon(join_all(under_way)).await;
    let next = join_all((0..CALLS).map(|_| which(&held))).await;

    assert!(next.iter().all(|answered| *answered == next[0]), "{next:?}");
    assert_eq!((site.count(BREAK), site.count("which")), (CALLS, CALLS), "a call was sent again");
    (outcomes.into_iter().map(|outcome| outcome.map(drop)).collect(), site.count("initialize"))
}

/// The code and the doubt of each failure.
fn failures(outcomes: Vec<Result<(), Error>>) -> Vec<(&'static str, MayHaveRun)> {
    outcomes.into_iter().map(Result::unwrap_err).map(|error| (error.code(), error.may_have_run())).collect()
}

#[tokio::test(start_paused = true)]
async fn calls_that_fail_together_have_one_new_connection_over_streams() {
    for how in [Break::Ends, Break::Resets, Break::StopsSaying] {
        let (outcomes, sessions) = calls_that_fail_together(Over::Streams, how).await;

        assert_eq!(failures(outcomes), [("server_exited", MayHaveRun::Unknown); CALLS], "{how:?}");
        assert_eq!(sessions, 2, "{how:?}");
    }
}

#[tokio::test]
async fn calls_that_fail_together_have_no_new_session_over_http() {
    // An exchange is a call's own: the session is none the worse for it.
    for how in [Break::Ends, Break::Resets, Break::Fails] {
        let (outcomes, sessions) = calls_that_fail_together(Over::Http, how).await;

        assert_eq!(failures(outcomes), [("unavailable", MayHaveRun::Unknown); CALLS], "{how:?}");
        assert_eq!(sessions, 1, "{how:?}");
    }
}

#[tokio::test]
async fn calls_whose_session_is_forgotten_have_one_new_session_over_http() {
    let (site, _runtime, tenant) = one(Over::Http).await;
    site.break_by(Break::Forgets, false);
    let held = lease(&tenant, "alice").await.unwrap();
    let under_way: Vec<_> = (0..CALLS).map(|_| held.call(BREAK).start()).collect();
    site.sees(BREAK, CALLS).await;

    // What is said of a session that is not there was not done: each is told again in the next, once.
    site.break_by(Break::Forgets, true);
    let outcomes = soon(join_all(under_way)).await;

    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!((site.count(BREAK), site.count("initialize")), (2 * CALLS, 2));
    assert_eq!(which(&held).await, "old 2");
}

/// Breaks a connection in each way: the call fails, with this code, and the next one succeeds.
async fn a_broken_connection(over: Over, ways: &[(Break, &str)]) {
    for &(how, code) in ways {
        let (site, _runtime, tenant) = one(over).await;
        site.break_by(how, true);
        let held = lease(&tenant, "alice").await.unwrap();
        let broken = held.call(BREAK).deadline(Duration::from_secs(30)).start();
        site.sees(BREAK, 1).await;

        let error = match how {
            // There is nothing to be seen of it but that no answer comes.
            Break::Hangs => {
                site.sees("broken", 1).await;
                over.skip(broken).await.unwrap_err()
            }
            // It is seen by whoever writes the next time.
            Break::StopsHearing => {
                site.sees("broken", 1).await;
                let unsent = soon(held.call("unsent").start()).await.unwrap_err();
                assert_eq!((unsent.code(), unsent.may_have_run()), (code, MayHaveRun::No), "{unsent}");
                soon(broken).await.unwrap_err()
            }
            _ => soon(broken).await.unwrap_err(),
        };
        if (over, how) == (Over::Streams, Break::Hangs) {
            // A server that only says nothing is not taken for a dead one: that is for its user to say.
            soon(held.restart()).await.unwrap();
        }
        let answered = which(&held).await;

        assert_eq!((error.code(), error.may_have_run()), (code, MayHaveRun::Unknown), "{how:?}: {error}");
        assert_eq!((site.count(BREAK), site.count("unsent")), (1, 0), "{how:?}: a call was sent again");
        // Over HTTP it is the connection of an exchange that is another, in the same session.
        let sessions = if over == Over::Streams { 2 } else { 1 };
        assert_eq!((answered, site.count("initialize")), (format!("old {sessions}"), sessions), "{how:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_in_any_way_is_made_again_and_no_call_is_over_streams() {
    let exits = [Break::Ends, Break::Resets, Break::StopsSaying, Break::StopsHearing].map(|how| (how, "server_exited"));
    a_broken_connection(Over::Streams, &exits).await;
    a_broken_connection(Over::Streams, &[(Break::Hangs, "timeout")]).await;
}

#[tokio::test]
async fn a_connection_that_breaks_in_any_way_is_made_again_and_no_call_is_over_http() {
    let broken = [Break::Ends, Break::Resets, Break::Truncates, Break::Fails].map(|how| (how, "unavailable"));
    a_broken_connection(Over::Http, &broken).await;
    a_broken_connection(Over::Http, &[(Break::Hangs, "timeout")]).await;
}
