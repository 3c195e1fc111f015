//! A small agent platform on Innkeeper, to be read and to be run: `cargo xtask platform`.
//!
//! Two tenants, five users, three real servers. Agents work through the merged catalog of their tools, one server is killed
//! under them and comes back, one session is left alone and reaped, and what may not be done is refused. Meanwhile a table shows
//! the sessions; at the end everything is closed, and counted.
//!
//! Read it in this order:
//!
//! | file | what it shows |
//! |---|---|
//! | `platform` | a runtime, its tenants, and what each may do |
//! | `vault` | secrets by reference, one for each user |
//! | `agents` | what an agent does with its tools, and with each kind of error |
//! | `mishap` | a server that is killed |
//! | `events` | following what happens |
//! | `table`, `screen` | status, as a table, on a terminal or as lines |
//! | `tally` | what is counted, and what is asked of it at the end |

mod agents;
mod arguments;
mod events;
mod mishap;
mod platform;
mod programs;
mod screen;
mod table;
mod tally;
mod vault;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Result;
use innkeeper::Runtime;
use tokio::sync::watch;

use crate::{arguments::Arguments, platform::Platform, programs::Programs, screen::Screen, tally::Tally};

/// How long sessions have to end by themselves before they are ended by force.
const DRAIN: Duration = Duration::from_secs(10);

/// Exit status of a command line that is not understood.
const USAGE_STATUS: u8 = 2;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let Arguments { time } = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("innkeeper-agent-platform: {problem}");
            return Ok(ExitCode::from(USAGE_STATUS));
        }
    };
    let screen = Screen::new();
    let tally = Tally::default();
    let platform = Platform::open(&Programs::find()?, &screen).await?;
    let events = tokio::spawn(events::follow(platform.runtime.events(), screen.clone()));

    let (stop, stopped) = watch::channel(false);
    let agents = agents::start(&platform, &tally, &stopped);
    let mishap = tokio::spawn(mishap::kill_one(platform.runtime.clone(), tally.clone(), screen.clone(), stopped));
    show_until_the_end(&platform.runtime, &tally, &screen, time).await?;

    // First those who call, then what they call: what a drain ends are calls that nobody wants any more.
    stop.send_replace(true);
    agents.join_all().await;
    let killed = mishap.await?;
    let began = Instant::now();
    let drained = platform.runtime.drain(DRAIN).await;
    let took = began.elapsed();
    let left = platform.runtime.status();

    // Events end when the last handle of the runtime is gone.
    drop(platform);
    let seen = events.await?;
    let verdict = tally.verdict(&seen, &drained, took, &left, killed);
    screen.end(&verdict);
    Ok(if verdict.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Shows the sessions until the time is over, or somebody presses Ctrl-C.
async fn show_until_the_end(runtime: &Runtime, tally: &Tally, screen: &Screen, time: Duration) -> Result<()> {
    let began = Instant::now();
    let mut tick = tokio::time::interval(screen.interval());
    let mut end = std::pin::pin!(tokio::time::sleep(time));
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            _ = tick.tick() => screen.show(began.elapsed(), &table::rows(&runtime.status(), tally)),
            () = &mut end => return Ok(()),
            interrupted = &mut interrupt => {
                interrupted?;
                screen.note("interrupted: closing everything");
                return Ok(());
            }
        }
    }
}
