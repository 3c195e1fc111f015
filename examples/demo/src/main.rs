//! What Innkeeper does, in one run: `cargo xtask demo`.
//!
//! A sandboxed guest speaks MCP to the demo server: it lists tools, calls some, follows progress, cancels a call and answers
//! a question of the server. Another guest takes its place in the middle of a call. At the end it prints what all of that cost.

mod person;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use innkeeper::{Catalog, Component, ComponentSource, Lease, Runtime, Server, Tenant, Upgrade, mcp::Content};
use serde_json::json;

use crate::person::Person;

/// Calls of which the average is printed.
const CALLS: u32 = 2_000;

#[tokio::main]
async fn main() -> Result<()> {
    let server = demo_server()?;

    heading("a runtime, and the guest that it will run");
    let began = Instant::now();
    let runtime = Runtime::builder().server_requests(Person).start().await?;
    let guest = runtime.load_component(ComponentSource::Embedded).await?;
    say(&format!("{guest}: compiled, checked and tried out in {}", milliseconds(began)));
    say(&format!("it speaks {} and imports nothing", guest.info().revisions.join(", ")));

    heading("a tenant with one server, and a lease of alice's session with it");
    let began = Instant::now();
    let catalog = Catalog::new().server("demo", Server::command(server));
    let acme = runtime.tenant("acme").guest(guest).catalog(catalog).apply().await?;
    let lease = acme.lease("alice", "demo").await?;
    let info = lease.info();
    let process = info.process.context("the demo server is a process")?;
    say(&format!("process {process}, revision {}, open after {}", info.revision, milliseconds(began)));

    heading("its tools");
    for tool in lease.tools().await? {
        say(&format!("{:<10} {}", tool.name, tool.description.unwrap_or_default()));
    }

    heading("a call");
    let sum = lease.call_tool("add", &json!({ "a": 19, "b": 23 }))?.start().await?;
    say(&format!("add a=19 b=23  ->  {}", sum.structured_content.unwrap_or_default()));

    heading("a call with progress");
    let mut countdown = lease.call_tool("countdown", &json!({ "steps": 3, "delay_ms": 300 }))?.start();
    while let Some(report) = countdown.progress().await {
        let total = report.total.unwrap_or_default();
        say(&format!("{} of {total}: {}", report.progress, report.message.unwrap_or_default()));
    }
    say(&text(&countdown.await?.content));

    heading("a call that its caller drops: the server is told, and serves on");
    let mut long = lease.call_tool("countdown", &json!({ "steps": 1000, "delay_ms": 100 }))?.start();
    long.progress().await;
    drop(long);
    say(&format!("cancelled after its first report; a ping takes {:.1} ms", lease.ping().await?.as_secs_f64() * 1e3));

    heading("a question of the server, answered by the platform");
    let greeting = lease.call_tool("ask_name", &json!({}))?.start().await?;
    say(&text(&greeting.content));

    heading("a call, and another guest in the middle of it: same process, same connection");
    let later = runtime.load_component(ComponentSource::File(later_guest()?)).await?;
    replace_guest(&acme, &lease, later).await?;

    heading("what it cost");
    say(&format!("{:.0} µs for a call of `echo`, the average of {CALLS} one after the other", echo(&lease).await?));
    say(&format!("{} for a second user's session, opened while the first is in use", second_user(&acme).await?));

    heading("the end");
    let began = Instant::now();
    drop(lease);
    let report = runtime.drain(Duration::from_secs(5)).await;
    ensure!(report.closed.iter().all(|session| session.gone), "something is left: {report:?}");
    ensure!(!PathBuf::from(format!("/proc/{process}")).exists(), "process {process} is left");
    say(&format!("{} sessions closed in {}, no process left", report.closed.len(), milliseconds(began)));
    Ok(())
}

/// The demo server is built beside this program.
fn demo_server() -> Result<String> {
    let beside =
        std::env::current_exe()?.with_file_name(format!("innkeeper-demo-server{}", std::env::consts::EXE_SUFFIX));
    built(&beside)?;
    beside.into_os_string().into_string().ok().context("the path of the demo server is not text")
}

/// The later version of the guest is built into cargo's target folder, which has a folder for each profile.
fn later_guest() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).context("this program is not in a target folder of cargo")?;
    let guest = target.join("guests").join("innkeeper_v2_guest.wasm");
    built(&guest)?;
    Ok(guest)
}

fn built(file: &Path) -> Result<()> {
    ensure!(file.is_file(), "{} is missing; `cargo xtask demo` builds it", file.display());
    Ok(())
}

/// Replaces the guest while a call is under way, of which one half is reported to the one guest and the other half to the other.
async fn replace_guest(acme: &Tenant, lease: &Lease, later: Component) -> Result<()> {
    let mut countdown = lease.call_tool("countdown", &json!({ "steps": 4, "delay_ms": 300 }))?.start();
    say(&held_by(lease)?);
    let mut reports = 0;
    while let Some(report) = countdown.progress().await {
        say(&format!("{} of {}", report.progress, report.total.unwrap_or_default()));
        reports += 1;
        if reports == 2 {
            let upgrade = acme.upgrade(later.clone(), Upgrade::live()).await?;
            ensure!(upgrade.is_in_force() && upgrade.calls_carried() == 1, "the guest was not replaced: {upgrade}");
            say(&upgrade.to_string());
        }
    }
    say(&text(&countdown.await?.content));
    say(&held_by(lease)?);
    Ok(())
}

/// What serves the session now.
fn held_by(lease: &Lease) -> Result<String> {
    let info = lease.info();
    let process = info.process.context("the demo server is a process")?;
    Ok(format!("process {process}, connection {}, guest {}", info.incarnation, info.guest))
}

/// Microseconds of a call.
async fn echo(lease: &Lease) -> Result<f64> {
    let began = Instant::now();
    for _ in 0..CALLS {
        lease.call_tool("echo", &json!({ "text": "hello" }))?.start().await?;
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS))
}

async fn second_user(acme: &Tenant) -> Result<String> {
    let began = Instant::now();
    acme.lease("bob", "demo").await?;
    Ok(milliseconds(began))
}

fn text(content: &[Content]) -> String {
    let texts = content.iter().filter_map(|content| match content {
        Content::Text { text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join(" ")
}

fn heading(text: &str) {
    println!("\n{text}");
}

fn say(text: &str) {
    println!("  {text}");
}

fn milliseconds(since: Instant) -> String {
    format!("{:.1} ms", since.elapsed().as_secs_f64() * 1e3)
}
