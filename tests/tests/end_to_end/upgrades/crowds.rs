//! Many sessions at once, under traffic, with servers of every kind: guests are replaced there and back, and nobody notices.

use std::{collections::BTreeMap, time::Duration};

use innkeeper::{ComponentSource, Limits, Runtime, SessionUpgrade, Upgrade};
use innkeeper_tests::{
    artifacts,
    crowd::{Crowd, Sizes},
    remote::asked,
};

/// As many as a machine of two cores opens in a few seconds.
const SIZES: Sizes = Sizes { framed: 100, processes: 4, demos: 4, remotes: 2 };

/// There and back three times.
const ROUNDS: usize = 6;

/// Far more than a round takes.
const BOUND: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_with_calls_under_way_is_upgraded_there_and_back_and_none_of_its_calls_notices() {
    let mut limits = Limits::default();
    limits.sessions_per_tenant = SIZES.sessions();
    let runtime = Runtime::builder().limits(limits).start().await.unwrap();
    let default = runtime.load_component(ComponentSource::Embedded).await.unwrap();
    let later = ComponentSource::File(artifacts::guest("innkeeper-v2-guest"));
    let later = runtime.load_component(later).await.unwrap();
    let mut crowd = Crowd::open(&runtime, "acme", &default, SIZES, None).await;
    let before = processes(&runtime);

    for round in 0..ROUNDS {
        let next = if round % 2 == 0 { &later } else { &default };
        crowd.all_hold().await;
        let upgrading = crowd.tenant().upgrade(next.clone(), Upgrade::live());
        let report = tokio::time::timeout(BOUND, upgrading).await.unwrap().unwrap();
        crowd.release();

        assert!(report.is_in_force(), "round {round}: {report}");
        assert_eq!(report.sessions.len(), SIZES.sessions(), "round {round}");
        report.sessions.iter().for_each(|session| check_carried(session, round));
        let status = runtime.status();
        assert!(status.sessions.iter().all(|session| session.guest == next.to_string() && session.incarnation == 1));
    }
    // The calls that the last guests got from those before them are answered, and others are held.
    crowd.all_hold().await;

    assert_eq!(processes(&runtime), before);
    for remote in crowd.remotes() {
        let received = remote.received();
        let opened = received.iter().filter(|request| asked(request) == "POST initialize");
        assert_eq!(opened.count(), 1);
        let ids = received.iter().filter(|request| asked(request) != "POST initialize");
        assert!(ids.into_iter().all(|request| request.header("mcp-session-id") == Some("session-1")));
        assert_eq!(received.iter().filter(|request| asked(request) == "GET").count(), 1, "its stream was opened anew");
    }
    let verdict = crowd.end().await;
    assert_eq!((verdict.failures(), verdict.twice, verdict.answered), (0, 0, verdict.made), "{verdict:?}");
}

/// What the host itself counted in the moment of the handover.
fn check_carried(session: &SessionUpgrade, round: usize) {
    let user = session.session.user.as_ref().unwrap().as_str();
    let carried = session.carried().unwrap_or_else(|| panic!("round {round}, {user}: {session:?}"));
    let at_least = |count: usize, least: usize| assert!(count >= least, "round {round}, {user}: {carried:?}");
    at_least(carried.calls, 1);
    match user.split('-').next() {
        Some("halves") => at_least(carried.partial_frame, 1),
        Some("asks" | "demo") => at_least(carried.server_requests, 1),
        Some("remote") => {
            at_least(carried.server_requests, 1);
            // The stream of the call, and that of what the server says by itself.
            at_least(carried.exchanges, 2);
        }
        _ => {}
    }
}

/// The processes of sessions, by user.
fn processes(runtime: &Runtime) -> BTreeMap<String, Option<u32>> {
    let sessions = runtime.status().sessions.into_iter();
    sessions.map(|session| (session.session.user.unwrap().as_str().to_owned(), session.process)).collect()
}
