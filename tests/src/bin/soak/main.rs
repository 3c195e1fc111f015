//! A long run under churn: whether anything is lost, and whether anything grows.
//!
//! ```text
//! soak SECONDS FOLDER
//! ```
//!
//! 200 users of four tenants lease, call, give up and come again; servers are killed with -9, restarted and reaped under them, and
//! the tenants' limits make them evict their own. Each second what the process holds is put into `FOLDER/samples.csv`; the
//! verdict goes to `FOLDER/report.md`, and its exit status says it too.
//!
//! What is asked of it: every call has an outcome, which is a result or an error that says what to do; memory at the end is no
//! more than 5 % above that at a quarter; and when all is closed the descriptors are as many as before, and no process is left.

mod churn;
mod held;
mod tally;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use innkeeper::{Limits, Runtime};

use crate::{
    churn::House,
    held::{Held, Sample},
    tally::Tally,
};

/// Between two samples.
const STEP: Duration = Duration::from_secs(1);

/// Churn before memory counts: until every user, server and limit was met, memory grows by what is there for the first time.
const WARM_UP: Duration = Duration::from_secs(20);

/// What memory may be at the end, against that at a quarter.
const MOST_GROWTH: f64 = 1.05;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let seconds = arguments.next().and_then(|text| text.to_str()?.parse().ok());
    let (Some(seconds), Some(folder)) = (seconds, arguments.next().map(PathBuf::from)) else {
        eprintln!("usage: soak SECONDS FOLDER");
        return ExitCode::from(2);
    };
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads can be had");
    tokio.block_on(soak(Duration::from_secs(seconds), &folder))
}

async fn soak(time: Duration, folder: &Path) -> ExitCode {
    let mut limits = Limits::default();
    // Fewer than there are users, so that they take each other's places all the time.
    limits.sessions_per_tenant = 40;
    limits.idle = Duration::from_secs(5);
    let runtime = Runtime::builder().limits(limits).start().await.expect("the runtime starts");
    let house = House::open(&runtime).await;
    // The supervisor, its threads and the first of everything.
    house.warm_up().await;
    let before = Held::now();

    let tally = Tally::default();
    house.churn(&tally, Instant::now() + WARM_UP).await;
    let began = Instant::now();
    let churn = house.churn(&tally, began + time);
    let mut samples = Vec::new();
    while began.elapsed() < time {
        tokio::time::sleep(STEP).await;
        samples.push(Sample::of(began.elapsed(), &runtime, &tally));
    }
    churn.await;
    house.close().await;
    let after = Held::now();
    let children = runtime.status().children_alive;
    let sessions = runtime.status().sessions.len();
    runtime.drain(Duration::from_secs(10)).await;

    let report = Report::new(&samples, &tally, before, after, sessions + children);
    let rows: String = samples.iter().map(Sample::row).collect();
    fs::create_dir_all(folder).expect("the folder can be made");
    fs::write(folder.join("samples.csv"), format!("{}{rows}", Sample::HEADER)).expect("the samples can be written");
    fs::write(folder.join("report.md"), &report.text).expect("the report can be written");
    println!("{}", report.text);
    if report.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Report {
    text: String,
    passed: bool,
}

impl Report {
    fn new(samples: &[Sample], tally: &Tally, before: Held, after: Held, left: usize) -> Self {
        // The median of a quarter of all samples: what is in flight in one second is a twentieth of it all, up or down.
        let memory = |part: &[Sample]| {
            let mut window: Vec<u64> = part.iter().map(|sample| sample.held.resident).collect();
            window.sort_unstable();
            window.get(window.len() / 2).copied().unwrap_or_default()
        };
        let eighth = samples.len() / 8;
        let quarter = memory(&samples[eighth..(3 * eighth).max(1)]);
        let end = memory(&samples[samples.len() - 2 * eighth..]);
        let growth = end as f64 / quarter as f64;
        let checks = [
            (format!("calls without an outcome, of {}", tally.calls()), tally.lost().to_string(), tally.lost() == 0),
            (
                format!("resident at the end against a quarter, {:.1} MiB", mib(quarter)),
                format!("{:.1} MiB, {growth:.3} times", mib(end)),
                growth <= MOST_GROWTH,
            ),
            (
                format!("descriptors when all is closed, {} before", before.files),
                after.files.to_string(),
                after.files == before.files,
            ),
            ("sessions and processes that are left".into(), left.to_string(), left == 0),
        ];
        let mut text = format!("| {} s of churn | | |\n|---|---|---|\n", samples.len());
        for (what, value, good) in &checks {
            text.push_str(&format!("| {what} | {value} | {} |\n", if *good { "yes" } else { "**no**" }));
        }
        text.push_str("\n| outcome of calls, leases and restarts | how often |\n|---|---|\n");
        text.push_str(&tally.rows());
        Self { text, passed: checks.iter().all(|(_, _, good)| *good) }
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}
