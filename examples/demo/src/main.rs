//! What Innkeeper does, in one run: `cargo xtask demo`.
//!
//! A sandboxed guest speaks MCP to the demo server: it lists tools, calls some, follows progress, cancels a call and answers
//! a question of the server. At the end it prints what all of that cost.

mod person;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use innkeeper::{Catalog, ComponentSource, Lease, Runtime, Server, mcp::Content};
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
    ensure!(beside.is_file(), "{} is missing; `cargo xtask demo` builds it", beside.display());
    beside.into_os_string().into_string().ok().context("the path of the demo server is not text")
}

/// Microseconds of a call.
async fn echo(lease: &Lease) -> Result<f64> {
    let began = Instant::now();
    for _ in 0..CALLS {
        lease.call_tool("echo", &json!({ "text": "hello" }))?.start().await?;
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS))
}

async fn second_user(acme: &innkeeper::Tenant) -> Result<String> {
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
