//! What an upgrade of many sessions under traffic takes and costs: live, and beside it by draining and by restarting.
//!
//! Each session holds a call all the time, of which the host itself counts in the moment of the handover that it is under way;
//! another caller of the session makes short calls, whose times are taken while nothing else happens and during upgrades. Servers
//! count what they run. The guest is replaced by a later version, and that by the first, in turn.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use innkeeper::{Component, ComponentSource, Limits, Runtime, Upgrade, UpgradeReport};
use innkeeper_tests::{
    artifacts,
    crowd::{Crowd, Sizes, Verdict},
    figures::percentile,
};

/// Sessions of each kind. The variable asks for fewer of those in process, to see whether all of it runs.
const SIZES: Sizes = Sizes { framed: 1_000, processes: 50, demos: 0, remotes: 10 };
const SESSIONS_VARIABLE: &str = "INNKEEPER_UPGRADES_SESSIONS";

/// There and back ten times. The others need fewer to be told from it.
const ROUNDS: usize = 20;
const ROUNDS_BESIDE: usize = 4;

/// Between short calls of a session: a thousand sessions make some 2,000 calls a second, and leave most of two cores to others.
const PACE: Duration = Duration::from_millis(500);

/// In which nothing is done, before each upgrade.
const QUIET: Duration = Duration::from_secs(1);

/// How long calls go on that are under way when sessions begin to drain, and a deadline that is longer and one that is not.
const CALLS_GO_ON: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_secs(10);
const EARLY: Duration = Duration::from_millis(500);

/// Far more than any upgrade takes.
const BOUND: Duration = Duration::from_secs(120);

/// How sessions get the other guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Live,
    Drain,
    DrainTooShort,
    Restart,
}

impl Way {
    fn title(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Drain => "drain, calls end in time",
            Self::DrainTooShort => "drain, calls do not",
            Self::Restart => "restart",
        }
    }

    fn rounds(self) -> usize {
        if self == Self::Live { ROUNDS } else { ROUNDS_BESIDE }
    }

    fn plan(self) -> Upgrade {
        match self {
            Self::Live => Upgrade::live(),
            Self::Drain => Upgrade::drain(LATE),
            Self::DrainTooShort => Upgrade::drain(EARLY),
            Self::Restart => Upgrade::restart(),
        }
    }
}

/// What was measured of one way.
#[derive(Default)]
struct Row {
    /// Of each upgrade, in milliseconds.
    took: Vec<f64>,
    /// Of each session of each upgrade that was live, in milliseconds.
    stood_still: Vec<f64>,
    quiet: Vec<f64>,
    during: Vec<f64>,
    /// The least of all sessions at all handovers, and of all sessions together.
    least_calls: Option<usize>,
    least_in_all: Option<usize>,
    /// Processes that were not those of before, in all rounds.
    processes: usize,
    /// Upgrades that were not in force at their end.
    went_back: usize,
    verdict: Verdict,
}

pub(crate) async fn upgrades(guest: &ComponentSource) {
    let mut sizes = SIZES;
    if let Ok(sessions) = std::env::var(SESSIONS_VARIABLE) {
        sizes.framed = sessions.parse().expect("it is a number");
    }
    let load = fs::read_to_string("/proc/loadavg").expect("/proc is mounted");
    println!("load of the machine at the start: {}", load.trim());
    let mut rows = Vec::new();
    for way in [Way::Live, Way::Drain, Way::DrainTooShort, Way::Restart] {
        // The servers over HTTP have one session each, and draining opens a second before it closes the first.
        let sizes = if way == Way::Live { sizes } else { Sizes { remotes: 0, ..sizes } };
        rows.push((way, sizes, of_way(way, sizes, guest.clone()).await));
    }
    print(&rows);
    let (_, _, live) = &rows[0];
    assert!(live.went_back == 0 && live.verdict.failures() == 0 && live.verdict.twice == 0, "{:?}", live.verdict);
    assert!(live.least_calls >= Some(1) && live.processes == 0, "a session had no call, or another process");
}

async fn of_way(way: Way, sizes: Sizes, guest: ComponentSource) -> Row {
    let mut limits = Limits::default();
    // While sessions drain there are two of each.
    limits.sessions_per_tenant = 2 * sizes.sessions();
    let runtime = Runtime::builder().limits(limits).start().await.expect("the runtime starts");
    let default = runtime.load_component(guest).await.expect("the guest loads");
    let later = ComponentSource::File(artifacts::guest("innkeeper-v2-guest"));
    let later = runtime.load_component(later).await.expect("the guest loads");
    let mut crowd = Crowd::open(&runtime, "measured", &default, sizes, Some(PACE)).await;

    let mut row = Row::default();
    for round in 0..way.rounds() {
        let next = if round % 2 == 0 { &later } else { &default };
        crowd.all_hold().await;
        of_round(way, next, &runtime, &crowd, &mut row).await;
    }
    crowd.all_hold().await;
    row.verdict = crowd.end().await;
    runtime.drain(BOUND).await;
    row
}

async fn of_round(way: Way, next: &Component, runtime: &Runtime, crowd: &Crowd, row: &mut Row) {
    let before = processes(runtime);
    crowd.take_times();
    tokio::time::sleep(QUIET).await;
    row.quiet.extend(crowd.take_times().into_iter().map(|(_, took)| milliseconds(took)));

    let began = Instant::now();
    let mut upgrading = crowd.tenant().upgrade(next.clone(), way.plan());
    if way == Way::Drain {
        tokio::select! {
            report = &mut upgrading => panic!("sessions with calls under way were drained: {report:?}"),
            () = tokio::time::sleep(CALLS_GO_ON) => crowd.release(),
        }
    }
    let report = tokio::time::timeout(BOUND, upgrading).await.expect("it is soon over").expect("the guest is fit");
    let ended = Instant::now();
    row.took.push(milliseconds(ended - began));
    row.count(&report);
    if way != Way::Drain {
        crowd.release();
    }
    // Those that were under way when it ended.
    tokio::time::sleep(PACE).await;
    let times = crowd.take_times().into_iter();
    let during = times.filter(|(call, took)| *call <= ended && *call + *took >= began);
    row.during.extend(during.map(|(_, took)| milliseconds(took)));
    let after = processes(runtime);
    row.processes += before.iter().filter(|(user, process)| after.get(*user) != Some(process)).count();
}

impl Row {
    fn count(&mut self, report: &UpgradeReport) {
        self.went_back += usize::from(!report.is_in_force());
        let carried: Vec<_> = report.sessions.iter().filter_map(|session| session.carried()).collect();
        self.stood_still.extend(carried.iter().map(|carried| milliseconds(carried.took)));
        let least = |least: Option<usize>, now| Some(least.map_or(now, |least| least.min(now)));
        if let Some(calls) = carried.iter().map(|carried| carried.calls).min() {
            self.least_calls = least(self.least_calls, calls);
            self.least_in_all = least(self.least_in_all, report.calls_carried());
        }
    }
}

/// The processes of sessions, by user.
fn processes(runtime: &Runtime) -> BTreeMap<String, u32> {
    let sessions = runtime.status().sessions.into_iter().filter(|session| !session.draining);
    sessions.filter_map(|session| Some((session.session.user?.to_string(), session.process?))).collect()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn print(rows: &[(Way, Sizes, Row)]) {
    let sizes = rows[0].1;
    println!(
        "\n{} sessions in process, {} with a process, {} over HTTP where it is live; ms, [least, most]\n",
        sizes.framed, sizes.processes, sizes.remotes
    );
    println!(
        "| | upgrades | each takes | a session stands still, p50 / p99 / most | short calls beside nothing, p50 / p99 | \
         short calls meanwhile, p50 / p99 | calls carried, least of a session / of all | calls | failed | run twice | \
         processes replaced |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for (way, sizes, row) in rows {
        let rounds = row.took.len();
        let failed: Vec<_> = row.verdict.failed.iter().map(|(code, count)| format!("{count} {code}")).collect();
        println!(
            "| {} | {rounds} | {:.0} [{:.0}, {:.0}] | {} | {} | {} | {} | {} | {} | {} | {} of {} |",
            way.title(),
            percentile(row.took.clone(), 50),
            percentile(row.took.clone(), 0),
            percentile(row.took.clone(), 100),
            percentiles(&row.stood_still, &[50, 99, 100]),
            percentiles(&row.quiet, &[50, 99]),
            percentiles(&row.during, &[50, 99]),
            row.least_calls.zip(row.least_in_all).map_or_else(String::new, |(one, all)| format!("{one} / {all}")),
            row.verdict.made,
            if failed.is_empty() { "0".to_owned() } else { failed.join(", ") },
            row.verdict.twice,
            row.processes,
            rounds * sizes.processes,
        );
    }
}

fn percentiles(figures: &[f64], percents: &[usize]) -> String {
    if figures.is_empty() {
        return String::new();
    }
    let figures = percents.iter().map(|percent| format!("{:.2}", percentile(figures.to_vec(), *percent)));
    figures.collect::<Vec<_>>().join(" / ")
}
