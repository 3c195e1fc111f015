//! What `cargo xtask test` has built and installed, where the tests find it.
//!
//! What is missing is a panic that names the task to run. It is never a reason
//! to skip a test.

use std::env;
use std::path::{Path, PathBuf};

/// A program of a server with its arguments.
#[derive(Clone, Debug)]
pub struct ServerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
}

/// The component of a guest for tests, by the name of its package.
#[track_caller]
pub fn guest(package: &str) -> PathBuf {
    let file = format!("{}.wasm", package.replace('-', "_"));
    present(target_folder().join("guests").join(file), "test-guests")
}

/// The awkward server; its argument is the name of a [`Scenario`](crate::awkward::Scenario).
#[track_caller]
pub fn awkward_server(scenario: crate::awkward::Scenario) -> ServerCommand {
    let program = present(profile_folder().join("awkward-server"), "test");
    ServerCommand { program, args: vec![scenario.name().into()] }
}

/// The command line.
#[track_caller]
pub fn innkeeper() -> PathBuf {
    present(profile_folder().join("innkeeper"), "test")
}

/// The demo server, which is made with rmcp.
#[track_caller]
pub fn demo_server() -> ServerCommand {
    ServerCommand { program: present(profile_folder().join("innkeeper-demo-server"), "test"), args: Vec::new() }
}

/// The reference server "everything" of the MCP project, from npm.
#[track_caller]
pub fn everything_server() -> ServerCommand {
    let program = installed("npm/node_modules/.bin/mcp-server-everything");
    ServerCommand { program, args: vec!["stdio".into()] }
}

/// The reference server for the time of the MCP project, from PyPI.
#[track_caller]
pub fn time_server() -> ServerCommand {
    let program = installed("python/bin/mcp-server-time");
    ServerCommand { program, args: vec!["--local-timezone".into(), "UTC".into()] }
}

/// A server for the time from crates.io, made with an rmcp of early days.
#[track_caller]
pub fn rmcp_time_server() -> ServerCommand {
    ServerCommand { program: installed("rust/bin/mcp-server-time"), args: Vec::new() }
}

#[track_caller]
fn installed(path: &str) -> PathBuf {
    present(target_folder().join("servers").join(path), "servers")
}

#[track_caller]
fn present(path: PathBuf, task: &str) -> PathBuf {
    assert!(path.exists(), "{} is missing: run `cargo xtask {task}` first", path.display());
    path
}

/// Cargo's target folder, which cargo marks by a file of this name.
fn target_folder() -> PathBuf {
    let folder = profile_folder();
    let target = folder.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    target.unwrap_or_else(|| panic!("{} is not in a target folder of cargo", folder.display())).to_owned()
}

/// The folder of the profile that the running test was built in, and the binaries beside it.
fn profile_folder() -> PathBuf {
    let test = env::current_exe().expect("the path of this test is known");
    let folder = test.parent().expect("a program is in a folder");
    // Tests are in `deps`, examples in `examples`, binaries one above.
    let beside = ["deps", "examples"].iter().any(|name| folder.ends_with(name));
    let folder = if beside { folder.parent().unwrap_or(folder) } else { folder };
    Path::to_owned(folder)
}
