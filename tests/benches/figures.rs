//! The figures that the README quotes: `cargo bench -p innkeeper-tests`.
//!
//! What is compared is interleaved in one run, round by round, because machines are noisy: the ratio of a round counts, and
//! the median of the rounds with its spread is printed. Nothing here judges, but that a
//! live upgrade may cost no call.
//!
//! With words after `--`, only the sections of these names run: `guest`, `calls`, `fairness`, `upgrades`, `command-line`. The
//! variable `INNKEEPER_GUEST` names another component to measure in place of the embedded one.

#[path = "figures/clocks.rs"]
mod clocks;
#[path = "figures/fairness.rs"]
mod fairness;
#[path = "figures/neighbours.rs"]
mod neighbours;
#[path = "figures/upgrades.rs"]
mod upgrades;

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use bytes::Bytes;
use innkeeper::{
    Catalog, Component, ComponentSource, Lease, Runtime, Server,
    guest::{
        Instance,
        boundary::{Call, Event, Settings, TransportKind},
    },
};
use innkeeper_tests::{
    artifacts,
    awkward::Scenario,
    figures::{ROUNDS, print},
};
use rmcp::{
    ServiceExt,
    model::{CallToolRequestParams, ClientConfig, ProtocolVersion},
    service::{RoleClient, RunningService},
    transport::TokioChildProcess,
};
use serde_json::{Value, json};

fn main() {
    // `cargo test --benches` runs this too, and only wants to know that it starts.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let wants = |section: &str| wanted.is_empty() || wanted.iter().any(|wanted| *wanted == section);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().on_thread_start(clocks::add_this_thread).build().expect("tokio starts");
    runtime.block_on(async {
        println!("median of {ROUNDS} rounds [least, most]\n");
        let innkeeper = Runtime::builder().start().await.expect("the runtime starts");
        let source = match std::env::var_os("INNKEEPER_GUEST") {
            Some(file) => ComponentSource::File(file.into()),
            None => ComponentSource::Embedded,
        };
        let guest = innkeeper.load_component(source.clone()).await.expect("the guest loads");
        if wants("guest") {
            guest_alone(&guest).await;
        }
        if wants("calls") {
            sequential_calls(&innkeeper, &guest).await;
        }
        if wants("fairness") {
            // On a thread of the runtime, as what a platform does.
            let (innkeeper, guest) = (innkeeper.clone(), guest.clone());
            tokio::spawn(async move { fairness::fairness(&innkeeper, &guest).await }).await.expect("it does not panic");
        }
        if wants("upgrades") {
            tokio::spawn(async move { upgrades::upgrades(&source).await }).await.expect("no live upgrade costs a call");
        }
        if wants("command-line") {
            command_line();
        }
        innkeeper.drain(Duration::from_secs(5)).await;
    });
}

// ------------------------------------------------------------------------------------------------ the guest alone

async fn guest_alone(component: &Component) {
    for (name, params, reply, calls) in [
        ("64 B, reply of 64 B", 64, 64, 20_000),
        ("64 B, reply of 1 KiB", 64, 1024, 20_000),
        ("64 B, reply of 64 KiB", 64, 65_536, 1_000),
        ("64 B, reply of 1 MiB", 64, 1_048_576, 100),
        ("1 MiB, reply of 64 B", 1_048_576, 64, 100),
    ] {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let mut guest = opened(component).await;
            // Made beforehand: what is timed is the guest, and bringing bytes to it.
            let calls: Vec<(Call, Bytes)> = (1..=calls).map(|id| call_with_reply(id, params, reply)).collect();
            let count = calls.len();
            let began = Instant::now();
            for (call, reply) in calls {
                call_and_reply(&mut guest, call, reply).await;
            }
            rounds.push(began.elapsed().as_secs_f64() / count as f64 * 1e6);
        }
        print(&format!("guest, call of {name}"), rounds, "µs");
    }

    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..500 {
            drop(opened(component).await);
        }
        rounds.push(began.elapsed().as_secs_f64() / 500.0 * 1e6);
    }
    print("guest, warm start: instance, handshake, drop", rounds, "µs");

    const IDLE: u32 = 1000;
    let before = resident();
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        let mut guest = opened(component).await;
        let (call, reply) = call_with_reply(1, 64, 64);
        call_and_reply(&mut guest, call, reply).await;
        idle.push(guest);
    }
    println!("{:<58} {:>10.1} KiB", "guest, resident while idle", f64::from(resident() - before) / f64::from(IDLE));
}

async fn opened(component: &Component) -> Instance {
    let mut guest = Instance::new(component).await.expect("the guest starts");
    let settings = Settings {
        transport: TransportKind::Stream,
        revision: None,
        client_info: Bytes::from_static(b"{\"name\":\"figures\",\"version\":\"1\"}"),
        capabilities: Bytes::from_static(b"{}"),
        shared: false,
        max_frame: 16 << 20,
        max_result: 16 << 20,
        max_pages: 100,
        max_server_requests: 64,
    };
    guest.handle(0, &[Event::Open(settings), Event::Started(1)]).await.expect("it opens");
    let welcome = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}"#;
    guest.handle(1, &[Event::Frame(Bytes::from_static(welcome.as_bytes()))]).await.expect("it is ready");
    guest
}

/// Ids on the wire follow the handshake's, which is 1.
fn call_with_reply(id: u32, params: usize, reply: usize) -> (Call, Bytes) {
    let params = Bytes::from(format!(r#"{{"name":"echo","arguments":{{"text":"{}"}}}}"#, "x".repeat(params)));
    let text = "x".repeat(reply);
    let reply =
        format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#, id + 1);
    let call =
        Call { id: id.into(), method: "tools/call".into(), params: Some(params), progress: true, all_pages: false };
    (call, reply.into())
}

async fn call_and_reply(guest: &mut Instance, call: Call, reply: Bytes) {
    let written = guest.handle(2, &[Event::Call(call)]).await.expect("it writes");
    let completed = guest.handle(3, &[Event::Frame(reply)]).await.expect("it completes");
    assert!(written.len() == 1 && completed.len() == 1, "{written:?} {completed:?}");
}

/// Resident memory of this process in KiB (proc_pid_status(5)).
fn resident() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it has resident memory");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("it is a number")
}

// ------------------------------------------------------------------------------------------------ calls to a server

/// An awkward server, as a catalog names it.
fn server(scenario: Scenario) -> Server {
    let server = artifacts::awkward_server(scenario);
    let program = server.program.to_str().expect("paths of the target folder are text");
    Server::command(innkeeper::Command::new(program).args(&server.args))
}

async fn sequential_calls(runtime: &Runtime, guest: &Component) {
    let catalog = Catalog::new().server("plain", server(Scenario::Plain));
    let tenant = runtime.tenant("figures").guest(guest.clone()).catalog(catalog).apply().await.expect("it applies");
    let lease = tenant.lease("user", "plain").await.expect("the server opens");

    let server = artifacts::awkward_server(Scenario::Plain);
    let mut native = tokio::process::Command::new(&server.program);
    native.args(&server.args);
    let native = TokioChildProcess::new(native).expect("the server starts");
    let mut client = ClientConfig::default();
    // The default is a revision without a handshake, which this server does not know.
    client.protocol_version = ProtocolVersion::LATEST_WITH_INITIALIZE;
    let native = client.serve(native).await.expect("the server opens");

    for (name, size, calls, at_a_time) in [
        ("64 B, one at a time", 64, 2_000, 1),
        ("64 B, 64 at a time", 64, 8_000, 64),
        ("64 KiB, one at a time", 65_536, 200, 1),
        ("1 MiB, one at a time", 1_048_576, 20, 1),
    ] {
        let mut figures: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for round in 0..ROUNDS {
            // Which goes first changes, so that neither always finds the warmer machine.
            let (ours, theirs) = if round % 2 == 0 {
                let ours = rate(calls, at_a_time, || ours(&lease, size)).await;
                (ours, rate(calls, at_a_time, || theirs(&native, size)).await)
            } else {
                let theirs = rate(calls, at_a_time, || theirs(&native, size)).await;
                (rate(calls, at_a_time, || ours(&lease, size)).await, theirs)
            };
            figures.entry("innkeeper").or_default().push(ours);
            figures.entry("rmcp").or_default().push(theirs);
            figures.entry("ratio").or_default().push(ours / theirs);
        }
        for (who, rounds) in figures {
            print(&format!("calls, {name}: {who}"), rounds, if who == "ratio" { "" } else { "/s" });
        }
    }
    native.cancel().await.expect("the server ends");
}

async fn rate<F: Future<Output = ()>>(calls: usize, at_a_time: usize, call: impl Fn() -> F) -> f64 {
    let began = Instant::now();
    let lanes = (0..at_a_time).map(|_| async {
        for _ in 0..calls / at_a_time {
            call().await;
        }
    });
    futures_util::future::join_all(lanes).await;
    calls as f64 / began.elapsed().as_secs_f64()
}

async fn ours(lease: &Lease, size: usize) {
    let arguments = json!({ "bytes": size });
    let result = lease.call_tool("fill", &arguments).expect("they are an object").start().await.expect("it answers");
    assert!(!result.is_error);
}

async fn theirs(native: &RunningService<RoleClient, ClientConfig>, size: usize) {
    let Value::Object(arguments) = json!({ "bytes": size }) else { unreachable!("it is an object") };
    let request = CallToolRequestParams::new("fill").with_arguments(arguments);
    let result = native.call_tool(request).await.expect("it answers");
    assert_ne!(result.is_error, Some(true));
}

// ------------------------------------------------------------------------------------------------ the command line

fn command_line() {
    let server = artifacts::awkward_server(Scenario::Plain);
    let innkeeper = server.program.with_file_name("innkeeper");
    if !innkeeper.is_file() {
        println!("\n{} is missing: `cargo build --release --workspace --bins` builds it", innkeeper.display());
        return;
    }
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let status = Command::new(&innkeeper)
            .args(["tools", "--json", "--"])
            .arg(&server.program)
            .args(&server.args)
            .stdout(Stdio::null())
            .current_dir(Path::new("/"))
            .status()
            .expect("it starts");
        assert!(status.success());
        rounds.push(began.elapsed().as_secs_f64() * 1e3);
    }
    print("`innkeeper tools -- SERVER`, start to end", rounds, "ms");
}
