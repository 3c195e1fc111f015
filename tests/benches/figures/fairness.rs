//! What a tenant notices of its neighbours: its calls alone, and beside a tenant of the same runtime that misbehaves, in turn.
//!
//! Calls begin by a schedule that waits for no answer, and their time counts from when they were due: a call that begins late
//! because the machine was taken is late, and is not left out. They come over a socket, as requests of a platform do.
//!
//! A round has one window without a neighbour and one beside each, in an order that changes, so that what else the machine
//! does meets all of them alike. A neighbour meets the goal if the 99th percentile of the calls beside it is at most twice
//! that of the calls alone, or two milliseconds more.

use std::{
    fs,
    io::Write,
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use innkeeper::{Catalog, Component, Lease, Runtime};
use innkeeper_tests::{awkward::Scenario, figures::percentile};
use tokio::{io::AsyncReadExt, sync::mpsc};

use crate::{
    clocks::Look,
    neighbours::{NEIGHBOURS, Neighbour, Neighbours},
    ours, server,
};

/// Tenants whose calls are measured, each with [`RATE`] calls a second on [`SESSIONS`] sessions. Several, so that a run takes
/// minutes: 3,000 calls of one take a minute, and there is a window for each neighbour.
const TENANTS: usize = 4;
const SESSIONS: usize = 10;
const RATE: u32 = 50;

/// 3,000 calls for each neighbour, 300 in a window.
const ROUNDS: usize = 10;
const CALLS: usize = 300;

/// Until a neighbour does what it does all the time: its sessions are open, its first guests were killed.
const SETTLING: Duration = Duration::from_millis(400);

/// Far more than the last call of a window takes.
const LAST_CALL: Duration = Duration::from_secs(20);

/// What the calls of one window took, in milliseconds.
#[derive(Default)]
struct Window {
    /// From when a call was due until its result was there.
    times: Vec<f64>,
    /// What the thread that took a call did before, once the call was there: see [`clocks`](crate::clocks).
    waits: Vec<f64>,
}

/// What the calls beside one neighbour took, window by window.
#[derive(Default)]
struct Row {
    windows: Vec<Window>,
    /// What the neighbour did in a second of each.
    work: Vec<f64>,
}

pub(crate) async fn fairness(runtime: &Runtime, guest: &Component) {
    let load = fs::read_to_string("/proc/loadavg").expect("/proc is mounted");
    println!("load of the machine at the start: {}", load.trim());
    let leases = Arc::new(victims(runtime, guest).await);
    let neighbours = Neighbours::new(runtime, guest).await;

    let mut alone = Row::default();
    let mut beside: Vec<Row> = NEIGHBOURS.iter().map(|_| Row::default()).collect();
    // So that the first that counts finds everything open.
    window(&leases).await;
    for round in 0..ROUNDS {
        for place in 0..=NEIGHBOURS.len() {
            match (place + round) % (NEIGHBOURS.len() + 1) {
                0 => alone.windows.push(window(&leases).await),
                number => {
                    let (window, work) = window_beside(&leases, &neighbours, NEIGHBOURS[number - 1]).await;
                    beside[number - 1].windows.push(window);
                    beside[number - 1].work.push(work);
                }
            }
        }
    }
    print(&alone, &beside);
}

/// The sessions that are called, tenant by tenant in turn.
async fn victims(runtime: &Runtime, guest: &Component) -> Vec<Lease> {
    let catalog = Catalog::new().server("plain", server(Scenario::Plain));
    let mut tenants = Vec::new();
    for number in 0..TENANTS {
        let tenant = runtime.tenant(format!("victim-{number}")).guest(guest.clone()).catalog(catalog.clone());
        tenants.push(tenant.apply().await.expect("the name is free"));
    }
    let mut leases = Vec::new();
    for user in 0..SESSIONS {
        for tenant in &tenants {
            leases.push(tenant.lease(format!("user-{user}"), "plain").await.expect("the server opens"));
        }
    }
    leases
}

async fn window_beside(leases: &Arc<Vec<Lease>>, neighbours: &Neighbours, neighbour: Neighbour) -> (Window, f64) {
    let work = Arc::new(AtomicU64::new(0));
    let running = neighbours.start(neighbour, &work).await;
    tokio::time::sleep(SETTLING).await;
    let (before, began) = (work.load(Relaxed), Instant::now());
    let window = window(leases).await;
    let rate = (work.load(Relaxed) - before) as f64 / began.elapsed().as_secs_f64();
    running.stop().await;
    (window, rate)
}

async fn window(leases: &Arc<Vec<Lease>>) -> Window {
    let Schedule { from, mut arrivals, looks } = Schedule::begin();
    let (done, mut times) = mpsc::unbounded_channel();
    let mut window = Window::default();
    for number in 0..CALLS {
        arrivals.read_u8().await.expect("the schedule goes on");
        let look = looks.recv().expect("there is a look for each call");
        window.waits.extend(look.of_this_thread_since().map(milliseconds));
        let (leases, done) = (leases.clone(), done.clone());
        tokio::spawn(async move {
            ours(&leases[number % leases.len()], 64).await;
            let _ = done.send(milliseconds(due(from, number).elapsed()));
        });
    }
    drop(done);
    let gathering = async {
        while let Some(time) = times.recv().await {
            window.times.push(time);
        }
    };
    tokio::time::timeout(LAST_CALL, gathering).await.expect("all calls are answered");
    assert_eq!(window.times.len(), CALLS, "a call failed");
    window
}

fn due(from: Instant, number: usize) -> Instant {
    let between = Duration::from_secs(1) / RATE / u32::try_from(TENANTS).expect("there are few");
    from + between * u32::try_from(number).expect("there are few")
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// When calls are due.
struct Schedule {
    from: Instant,
    /// A byte arrives whenever one is.
    arrivals: tokio::net::UnixStream,
    /// What the threads of the runtime had done by then.
    looks: std::sync::mpsc::Receiver<Look>,
}

impl Schedule {
    fn begin() -> Self {
        let (mut sender, receiver) = UnixStream::pair().expect("a socket can be had");
        receiver.set_nonblocking(true).expect("a socket need not block");
        let (looking, looks) = std::sync::mpsc::channel();
        let from = Instant::now() + Duration::from_millis(20);
        thread::spawn(move || {
            // It stands for another machine, so that it does not wait for this one where the system allows it (sched(7)).
            // SAFETY: sched_setscheduler(2) reads the parameter, which is there.
            unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &libc::sched_param { sched_priority: 1 }) };
            for number in 0..CALLS {
                thread::sleep(due(from, number).saturating_duration_since(Instant::now()));
                if looking.send(Look::now()).is_err() || sender.write_all(&[0]).is_err() {
                    return;
                }
            }
        });
        let arrivals = tokio::net::UnixStream::from_std(receiver).expect("tokio takes it");
        Self { from, arrivals, looks }
    }
}

fn print(alone: &Row, beside: &[Row]) {
    println!(
        "\n{TENANTS} tenants with {RATE} calls/s each on {SESSIONS} sessions; {} calls a row; ms, and [least, most] of {ROUNDS} rounds\n",
        CALLS * ROUNDS
    );
    println!("| beside a tenant | p50 | p99 | p99 may be | | rounds | p99 of the wait for a thread | it does |");
    println!("|---|---|---|---|---|---|---|---|");
    println!("| nobody | {} | {} | | | | {} | |", alone.cell(50), alone.cell(99), alone.waits());
    let most = limit(alone.pooled(99));
    for (neighbour, row) in NEIGHBOURS.iter().zip(beside) {
        let verdict = if row.pooled(99) <= most { "met" } else { "**missed**" };
        let pairs = alone.rounds(99).into_iter().zip(row.rounds(99));
        let met = pairs.filter(|(alone, beside)| *beside <= limit(*alone)).count();
        println!(
            "| {} | {} | {} | {most:.1} | {verdict} | {met} of {ROUNDS} | {} | {:.0} {}/s |",
            neighbour.title(),
            row.cell(50),
            row.cell(99),
            row.waits(),
            percentile(row.work.clone(), 50),
            neighbour.unit()
        );
    }
}

/// What the 99th percentile may be beside a neighbour, in milliseconds.
fn limit(alone: f64) -> f64 {
    (2.0 * alone).max(alone + 2.0)
}

impl Row {
    /// A percentile of all calls, with those of the rounds.
    fn cell(&self, percent: usize) -> String {
        let rounds = self.rounds(percent);
        let (least, most) = (percentile(rounds.clone(), 0), percentile(rounds, 100));
        format!("{:.2} [{least:.2}, {most:.2}]", self.pooled(percent))
    }

    fn pooled(&self, percent: usize) -> f64 {
        percentile(self.windows.iter().flat_map(|window| window.times.clone()).collect(), percent)
    }

    fn rounds(&self, percent: usize) -> Vec<f64> {
        self.windows.iter().map(|window| percentile(window.times.clone(), percent)).collect()
    }

    fn waits(&self) -> String {
        let waits = self.windows.iter().flat_map(|window| window.waits.clone()).collect();
        format!("{:.2}", percentile(waits, 99))
    }
}
