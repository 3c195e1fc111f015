//! Figures of processes: what supervising a server costs beside starting it, and how soon nothing is left of a killed host.
//!
//! `cargo bench -p innkeeper-tests --bench processes`. What is compared is done in turn, in one run.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use innkeeper::{Catalog, Lease, Runtime, Server, Tenant};
use innkeeper_tests::{
    artifacts::{self, ServerCommand},
    awkward::{Scenario, tool},
    figures::{ROUNDS, print},
    hosting::{Account, Host, Order, Settings},
};
use rustix::process::Signal;
use serde_json::json;

/// Servers of a round, one after the other.
const SERVERS: usize = 20;

/// Far more than a close takes.
const CLOSE: Duration = Duration::from_secs(10);

fn main() {
    // `cargo test --benches` runs this too, and only wants to know that it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    println!("median of {ROUNDS} rounds [least, most]\n");
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("tokio starts");
    tokio.block_on(supervised_beside_bare());
    for sessions in [1, 20] {
        gone_after_kill(Scenario::Plain, sessions);
        gone_after_kill(Scenario::Daemon, sessions);
    }
    memory_of_supervisors();
}

// ------------------------------------------------------------------------------------------------ beside a bare spawn

/// What a server was waited for, in milliseconds.
#[derive(Clone, Copy, Default)]
struct Times {
    /// From nothing to the end of the handshake.
    open: f64,
    /// From nothing to the end of the process, with one call.
    whole: f64,
}

async fn supervised_beside_bare() {
    let server = artifacts::awkward_server(Scenario::Plain);
    let runtime = Runtime::builder().start().await.expect("the runtime starts");
    let command = innkeeper::Command::new(server.program.to_str().expect("paths of the target folder are text"));
    let catalog = Catalog::new().server("plain", Server::command(command.args(&server.args)));
    let tenant = runtime.tenant("figures").catalog(catalog).apply().await.expect("it applies");
    // The guest is compiled and the root supervisor runs.
    supervised(&tenant).await;

    let [mut open, mut open_more, mut whole, mut whole_more] = [const { Vec::new() }; 4];
    for round in 0..ROUNDS {
        let (mut ours, mut bare) = (Times::default(), Times::default());
        for number in 0..SERVERS {
            // Which goes first changes, so that neither always finds the warmer machine.
            if (round + number) % 2 == 0 {
                ours.add(supervised(&tenant).await);
                bare.add(unsupervised(&server));
            } else {
                bare.add(unsupervised(&server));
                ours.add(supervised(&tenant).await);
            }
        }
        open.push(bare.open);
        open_more.push(ours.open - bare.open);
        whole.push(bare.whole);
        whole_more.push(ours.whole - bare.whole);
    }
    print("open: bare spawn and handshake", open, "ms");
    print("open: what Innkeeper adds", open_more, "ms");
    print("open, one call, close: bare", whole, "ms");
    print("open, one call, close: what Innkeeper adds", whole_more, "ms");
    runtime.drain(CLOSE).await;
}

impl Times {
    fn add(&mut self, other: Self) {
        self.open += other.open / SERVERS as f64;
        self.whole += other.whole / SERVERS as f64;
    }
}

async fn supervised(tenant: &Tenant) -> Times {
    let began = Instant::now();
    let lease = tenant.lease("user", "plain").await.expect("the server opens");
    let open = milliseconds(began);
    call(&lease).await;
    drop(lease);
    let report = tenant.close(CLOSE).await;
    assert!(report.closed.iter().all(|session| session.gone), "{report:?}");
    Times { open, whole: milliseconds(began) }
}

async fn call(lease: &Lease) {
    let arguments = json!({ "text": "hello" });
    let result = lease.call_tool(tool::ECHO, &arguments).expect("they are an object").start().await;
    assert!(!result.expect("it answers").is_error);
}

/// The least that any client does.
fn unsupervised(server: &ServerCommand) -> Times {
    let began = Instant::now();
    let mut child = Command::new(&server.program)
        .args(&server.args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let mut input = child.stdin.take().expect("it has a pipe");
    let mut output = BufReader::new(child.stdout.take().expect("it has a pipe"));
    let client = json!({ "name": "bare", "version": "0" });
    let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
    writeln!(input, "{}", json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello }))
        .expect("it reads");
    line(&mut output);
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    writeln!(input, "{initialized}").expect("it reads");
    let open = milliseconds(began);
    let echo = json!({ "name": tool::ECHO, "arguments": { "text": "hello" } });
    writeln!(input, "{}", json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": echo }))
        .expect("it reads");
    line(&mut output);
    drop(input);
    child.wait().expect("it ends");
    Times { open, whole: milliseconds(began) }
}

fn line(output: &mut BufReader<ChildStdout>) {
    let mut line = String::new();
    assert!(output.read_line(&mut line).expect("it answers") > 0, "the server ended");
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

// ------------------------------------------------------------------------------------------------ a killed host

fn host_of(scenario: Scenario, sessions: usize) -> Host {
    let server = artifacts::awkward_server(scenario);
    let program = server.program.to_str().expect("paths of the target folder are text");
    let mut host = Host::start(&Settings::new(program, server.args), Account::OfTheTest);
    host.order(&Order::Open(sessions)).expect("the sessions open");
    host
}

/// From `SIGKILL` of the host until no process of it and its sessions is left, zombies included.
fn gone_after_kill(scenario: Scenario, sessions: usize) {
    let rounds = (0..ROUNDS)
        .map(|_| {
            let host = host_of(scenario, sessions);
            let began = Instant::now();
            host.signal(Signal::KILL);
            assert_eq!(host.wait_until_gone(), []);
            let gone_after = milliseconds(began);
            assert_eq!(host.end(), 0);
            gone_after
        })
        .collect();
    print(&format!("gone after SIGKILL of the host: {sessions} x {}", scenario.name()), rounds, "ms");
}

// ------------------------------------------------------------------------------------------------ memory

/// What a session's supervisor has of its own (`Private_Clean` and `Private_Dirty` of proc_pid_smaps(5)), which the kernel
/// shows to root only.
fn memory_of_supervisors() {
    let host = host_of(Scenario::Plain, ROUNDS);
    let private = |supervisor: u32| {
        let rollup = fs::read_to_string(format!("/proc/{supervisor}/smaps_rollup")).ok()?;
        let lines = rollup.lines().filter(|line| line.starts_with("Private_"));
        lines.map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).sum::<Option<f64>>()
    };
    match host.session_supervisors().into_iter().map(private).collect() {
        Some(memory) => print("memory of a session's supervisor", memory, "KiB"),
        None => println!("memory of a session's supervisor: the kernel shows it to root only"),
    }
    assert_eq!(host.end(), 0);
}
