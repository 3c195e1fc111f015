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

/// The times of the calls of each window, in milliseconds.
type Windows = Vec<Vec<f64>>;

pub(crate) async fn fairness(runtime: &Runtime, guest: &Component) {
    println!(
        "load of the machine at the start: {}",
        fs::read_to_string("/proc/loadavg").expect("/proc is mounted").trim()
    );
    let leases = Arc::new(victims(runtime, guest).await);
    let neighbours = Neighbours::new(runtime, guest).await;

    let mut alone = Windows::new();
    let mut beside: Vec<Windows> = NEIGHBOURS.iter().map(|_| Windows::new()).collect();
    let mut done = [0.0; NEIGHBOURS.len()];
    // Compiles nothing, but touches everything once.
    window(&leases).await;
    for round in 0..ROUNDS {
        for place in 0..=NEIGHBOURS.len() {
            match (place + round) % (NEIGHBOURS.len() + 1) {
                0 => alone.push(window(&leases).await),
                number => {
                    let (times, work) = window_beside(&leases, &neighbours, NEIGHBOURS[number - 1]).await;
                    beside[number - 1].push(times);
                    done[number - 1] += work / ROUNDS as f64;
                }
            }
        }
    }
    print(&alone, &beside, &done);
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

async fn window_beside(leases: &Arc<Vec<Lease>>, neighbours: &Neighbours, neighbour: Neighbour) -> (Vec<f64>, f64) {
    let work = Arc::new(AtomicU64::new(0));
    let running = neighbours.start(neighbour, &work).await;
    tokio::time::sleep(SETTLING).await;
    let (before, began) = (work.load(Relaxed), Instant::now());
    let times = window(leases).await;
    let rate = (work.load(Relaxed) - before) as f64 / began.elapsed().as_secs_f64();
    running.stop().await;
    (times, rate)
}

/// The times of the calls of one window, from when they were due, in milliseconds.
async fn window(leases: &Arc<Vec<Lease>>) -> Vec<f64> {
    let (due_from, mut arrivals) = schedule();
    let (done, mut times) = mpsc::unbounded_channel();
    for number in 0..CALLS {
        arrivals.read_u8().await.expect("the schedule goes on");
        let (leases, done) = (leases.clone(), done.clone());
        tokio::spawn(async move {
            ours(&leases[number % leases.len()], 64).await;
            let _ = done.send((due(due_from, number).elapsed()).as_secs_f64() * 1e3);
        });
    }
    drop(done);
    let mut all = Vec::with_capacity(CALLS);
    let gathering = async {
        while let Some(time) = times.recv().await {
            all.push(time);
        }
    };
    tokio::time::timeout(LAST_CALL, gathering).await.expect("all calls are answered");
    assert_eq!(all.len(), CALLS, "a call failed");
    all
}

fn due(from: Instant, number: usize) -> Instant {
    let between = Duration::from_secs(1) / RATE / u32::try_from(TENANTS).expect("there are few");
    from + between * u32::try_from(number).expect("there are few")
}

/// A socket on which a byte arrives whenever a call is due, the first soon.
fn schedule() -> (Instant, tokio::net::UnixStream) {
    let (mut sender, receiver) = UnixStream::pair().expect("a socket can be had");
    receiver.set_nonblocking(true).expect("a socket need not block");
    let from = Instant::now() + Duration::from_millis(20);
    thread::spawn(move || {
        // It stands for another machine, so that it does not wait for this one where the system allows it (sched(7)).
        // SAFETY: sched_setscheduler(2) reads the parameter, which is there.
        unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &libc::sched_param { sched_priority: 1 }) };
        for number in 0..CALLS {
            thread::sleep(due(from, number).saturating_duration_since(Instant::now()));
            if sender.write_all(&[0]).is_err() {
                return;
            }
        }
    });
    (from, tokio::net::UnixStream::from_std(receiver).expect("tokio takes it"))
}

fn print(alone: &Windows, beside: &[Windows], done: &[f64]) {
    println!(
        "\n{TENANTS} tenants with {RATE} calls/s each on {SESSIONS} sessions; {} calls a row; ms, and [least, most] of {ROUNDS} rounds\n",
        CALLS * ROUNDS
    );
    println!("| beside a tenant | p50 | p99 | at most | | rounds | it does |");
    println!("|---|---|---|---|---|---|---|");
    println!("| nobody | {} | {} | | | | |", cell(alone, 50), cell(alone, 99));
    let limit = |alone: f64| (2.0 * alone).max(alone + 2.0);
    let most = limit(pooled(alone, 99));
    for ((neighbour, windows), done) in NEIGHBOURS.iter().zip(beside).zip(done) {
        let verdict = if pooled(windows, 99) <= most { "met" } else { "**missed**" };
        let pairs = alone.iter().zip(windows);
        let met = pairs.filter(|(alone, beside)| of(beside, 99) <= limit(of(alone, 99))).count();
        println!(
            "| {} | {} | {} | {most:.1} | {verdict} | {met} of {ROUNDS} | {done:.0} {}/s |",
            neighbour.title(),
            cell(windows, 50),
            cell(windows, 99),
            neighbour.unit()
        );
    }
}

/// A percentile of all calls, with those of the rounds.
fn cell(windows: &Windows, percent: usize) -> String {
    let rounds: Vec<f64> = windows.iter().map(|window| of(window, percent)).collect();
    let (least, most) = (percentile(rounds.clone(), 0), percentile(rounds, 100));
    format!("{:.2} [{least:.2}, {most:.2}]", pooled(windows, percent))
}

fn pooled(windows: &Windows, percent: usize) -> f64 {
    percentile(windows.concat(), percent)
}

fn of(window: &[f64], percent: usize) -> f64 {
    percentile(window.to_vec(), percent)
}
