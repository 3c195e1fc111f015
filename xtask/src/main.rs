//! The tasks of this repository that cargo alone does not do.
//!
//! Cargo does not turn a wasm module into a component, and a build script must
//! not run cargo: that deadlocks where `CARGO_TARGET_DIR` is set, and would run
//! on every `cargo check`. So the guests are built here, before the crates that
//! embed or load them, and the tests and the demo get what they need from here
//! too.
//!
//! Every task may be run again at any time: what is up to date is left alone.

mod apt;
mod command;
mod component;
mod guests;
mod servers;
mod soak;
mod targets;
mod wasm_toolchain;
mod workspace;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::command::Tool;
use crate::workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask TASK

tasks:
  guest            build the default guest into host/component/
  test-guests      build the guests of the examples and tests into <target>/guests/
  servers          install the real servers of the tests into <target>/servers/
  test [ARG]...    build and install all of that, then run `cargo test --workspace`,
                   or `cargo test ARG...` where there are arguments
  check-targets    check that all compiles for macOS and Windows, where their
                   standard libraries can be had
  soak [MINUTES] [--dev]
                   200 users, churn and killed servers for 20 minutes or as many,
                   with the release build or that of the tests; the verdict, the
                   samples and a plot of them go to <target>/soak/
  demo [ARG]...    build the default guest, a later version of it and the demo server,
                   then run the demo
  platform [--seconds N]
                   install the real servers, build the default guest, then run
                   the agent platform of the examples

environment:
  INNKEEPER_WASM_TOOLCHAIN=rustup|debian
                   use this source of the wasm target and no other; by default
                   the second is tried where the first has none";

/// Exit status of a command line that is not understood, as in `sysexits` of most tools.
const USAGE_STATUS: u8 = 2;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let task = arguments.next();
    let rest: Vec<OsString> = arguments.collect();
    let outcome = match task.as_deref().and_then(|task| task.to_str()) {
        Some("guest") => without_arguments(&rest, guest),
        Some("test-guests") => without_arguments(&rest, test_guests),
        Some("servers") => without_arguments(&rest, servers),
        Some("check-targets") => without_arguments(&rest, check_targets),
        Some("soak") => soak::run(&rest),
        Some("test") => test(&rest),
        Some("demo") => demo(&rest),
        Some("platform") => platform(&rest),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            Ok(())
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(USAGE_STATUS);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn guest() -> Result<()> {
    guests::build_default(&Workspace::find()?)
}

fn test_guests() -> Result<()> {
    guests::build_for_tests(&Workspace::find()?)
}

fn servers() -> Result<()> {
    servers::install(&Workspace::find()?)
}

fn check_targets() -> Result<()> {
    targets::check(&Workspace::find()?)
}

fn test(arguments: &[OsString]) -> Result<()> {
    let workspace = Workspace::find()?;
    // What comes from outside comes first: what is missing shows at once.
    servers::install(&workspace)?;
    guests::build_default(&workspace)?;
    guests::build_for_tests(&workspace)?;
    build_programs(&workspace)?;
    let mut tests = workspace.cargo();
    tests.args(["test"]);
    if arguments.is_empty() {
        tests.args(["--workspace"]);
    } else {
        tests.args(arguments);
    }
    tests.run("run the tests")
}

fn demo(arguments: &[OsString]) -> Result<()> {
    let workspace = Workspace::find()?;
    guests::build_default(&workspace)?;
    guests::build_later(&workspace)?;
    build_programs(&workspace)?;
    Tool::new(built(&workspace, "innkeeper-demo")).args(arguments).run("run the demo")
}

fn platform(arguments: &[OsString]) -> Result<()> {
    let workspace = Workspace::find()?;
    servers::install(&workspace)?;
    guests::build_default(&workspace)?;
    build_programs(&workspace)?;
    // In place of this process: it is its own matter what an interrupt means.
    Tool::new(built(&workspace, "innkeeper-agent-platform")).args(arguments).become_it("run the agent platform")
}

/// A program of the workspace.
fn built(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.target.join("debug").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// Builds all programs of the workspace, with the features that its tests have.
///
/// Always the whole workspace: which features a shared dependency has depends on what is built together, and another set of
/// them means to compile the wasm engine once more. `cargo test` by itself builds the programs of packages with tests only.
fn build_programs(workspace: &Workspace) -> Result<()> {
    workspace.cargo().args(["build", "--workspace", "--bins"]).run("build the programs")
}

/// Refuses arguments of a task that takes none: a mistyped option that is ignored looks as if it had worked.
fn without_arguments(arguments: &[OsString], task: fn() -> Result<()>) -> Result<()> {
    match arguments.first() {
        None => task(),
        Some(argument) => bail!("this task takes no arguments, but got {}; see `cargo xtask help`", argument.display()),
    }
}
