//! What a tenant notices of its neighbours: its calls alone, and beside a tenant of the same runtime that misbehaves, in turn.
//!
//! A round has one window without a neighbour and one beside each, in an order of its own, so that what else the machine
//! does meets all of them alike. A neighbour meets the goal if the 99th percentile of the calls beside it is at most twice
//! that of the calls alone, or two milliseconds more.
//!
//! Requests come over a socket, as those of a platform do, by a schedule that waits for no answer, and their time counts from
//! when they were sent: one that nobody takes because the threads are busy is late, and is not left out.

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

/// Sessions of the tenant that is measured, and its calls a second on all of them.
const SESSIONS: usize = 10;
const RATE: u32 = 50;

/// 3,000 calls beside each neighbour, 300 in a window. The variable asks for fewer rounds, to see whether all of it runs.
const ROUNDS: usize = 10;
const ROUNDS_VARIABLE: &str = "INNKEEPER_FAIRNESS_ROUNDS";
const CALLS: u32 = 300;

/// Until a neighbour does what it does all the time: its sessions are open, its first guests were killed.
const SETTLING: Duration = Duration::from_millis(400);

/// Until the first call of a window, whose sender is to be there before.
const FIRST_CALL: Duration = Duration::from_millis(20);

/// Far more than the last call of a window takes.
const LAST_CALL: Duration = Duration::from_secs(20);

/// What the calls of one window took, in milliseconds.
#[derive(Default)]
struct Window {
    /// From when a request was sent until its result was there.
    times: Vec<f64>,
    /// What the thread that took a request did before, once that was there: see [`clocks`](crate::clocks).
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
    let rounds = std::env::var(ROUNDS_VARIABLE).map_or(ROUNDS, |rounds| rounds.parse().expect("it is a number"));
    let load = fs::read_to_string("/proc/loadavg").expect("/proc is mounted");
    println!("load of the machine at the start: {}", load.trim());
    let leases = Arc::new(sessions(runtime, guest).await);
    let neighbours = Neighbours::new(runtime, guest).await;

    let mut alone = Row::default();
    let mut beside: Vec<Row> = NEIGHBOURS.iter().map(|_| Row::default()).collect();
    // So that the first that counts finds everything open.
    window(&leases).await;
    for round in 0..rounds {
        let mut order: Vec<Option<usize>> = (0..NEIGHBOURS.len()).map(Some).chain([None]).collect();
        fastrand::Rng::with_seed(round as u64).shuffle(&mut order);
        for place in order {
            match place {
                None => alone.windows.push(window(&leases).await),
                Some(number) => {
                    let (window, work) = window_beside(&leases, &neighbours, NEIGHBOURS[number]).await;
                    beside[number].windows.push(window);
                    beside[number].work.push(work);
                }
            }
        }
    }
    print(&alone, &beside);
}

/// The sessions that are called in turn.
async fn sessions(runtime: &Runtime, guest: &Component) -> Vec<Lease> {
    let catalog = Catalog::new().server("plain", server(Scenario::Plain));
    let tenant = runtime.tenant("measured").guest(guest.clone()).catalog(catalog);
    let tenant = tenant.apply().await.expect("the name is free");
    let mut leases = Vec::new();
    for user in 0..SESSIONS {
        leases.push(tenant.lease(format!("user-{user}"), "plain").await.expect("the server opens"));
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
    let (mut requests, sent) = send_requests();
    let (done, mut times) = mpsc::unbounded_channel();
    let mut window = Window::default();
    for lease in (0..leases.len()).cycle().take(CALLS as usize) {
        requests.read_u8().await.expect("all are sent");
        let (at, look) = sent.recv().expect("it was said when");
        window.waits.extend(look.of_this_thread_since().map(milliseconds));
        let (leases, done) = (leases.clone(), done.clone());
        tokio::spawn(async move {
            ours(&leases[lease], 64).await;
            let _ = done.send(milliseconds(at.elapsed()));
        });
    }
    drop(done);
    let gathering = async {
        while let Some(time) = times.recv().await {
            window.times.push(time);
        }
    };
    tokio::time::timeout(LAST_CALL, gathering).await.expect("all calls are answered");
    assert_eq!(window.times.len(), CALLS as usize, "a call failed");
    window
}

/// Sends a byte for each call of a window when it is due, and says when that was and what the threads of the runtime had done
/// by then.
fn send_requests() -> (tokio::net::UnixStream, std::sync::mpsc::Receiver<(Instant, Look)>) {
    let (mut sender, receiver) = UnixStream::pair().expect("a socket can be had");
    receiver.set_nonblocking(true).expect("a socket need not block");
    let (saying, sent) = std::sync::mpsc::channel();
    let from = Instant::now() + FIRST_CALL;
    thread::spawn(move || {
        for number in 0..CALLS {
            let due = from + Duration::from_secs(1) / RATE * number;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if saying.send((Instant::now(), Look::now())).is_err() || sender.write_all(&[0]).is_err() {
                return;
            }
        }
    });
    (tokio::net::UnixStream::from_std(receiver).expect("tokio takes it"), sent)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn print(alone: &Row, beside: &[Row]) {
    let rounds = alone.windows.len();
    println!(
        "\n{RATE} calls/s on {SESSIONS} sessions, {} beside each neighbour; ms, all rounds and [least, most] of {rounds}\n",
        CALLS as usize * rounds
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
            "| {} | {} | {} | {most:.1} | {verdict} | {met} of {rounds} | {} | {:.0} {}/s |",
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
    /// A percentile of all calls, with the least and the most of the rounds.
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
