//! What `cargo xtask test` has built and installed, where the tests find it.
//!
//! What is missing is a panic that names the task to run. It is never a reason
//! to skip a test.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, fs, io, process};

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

/// A program of the tests, by its name.
#[track_caller]
pub fn program(name: &str) -> PathBuf {
    present(profile_folder().join(name), "test")
}

/// A file with the same content that every user can read, for tests that become another one: the file itself, or a copy of it
/// where a folder above it is closed to others, as the home of root is.
pub fn for_everybody(file: &Path) -> PathBuf {
    const OTHERS: u32 = 0o005;
    let open = |path: &Path, bits: u32| fs::metadata(path).is_ok_and(|found| found.permissions().mode() & bits == bits);
    if open(file, OTHERS & 0o004) && file.ancestors().skip(1).all(|folder| open(folder, OTHERS & 0o001)) {
        return file.to_owned();
    }
    // One for each user that runs tests, and copied over from run to run: the programs are large.
    let user = fs::metadata("/proc/self").expect("these tests need a mounted /proc").uid();
    let folder = env::temp_dir().join(format!("innkeeper-tests-{user}"));
    let copy = folder.join(file.file_name().expect("a file has a name"));
    let copied = fs::create_dir_all(&folder).and_then(|()| replace(file, &folder, &copy));
    copied.unwrap_or_else(|error| panic!("cannot copy {} to {}: {error}", file.display(), copy.display()));
    copy
}

/// Puts a copy in place in one step, so that a test beside this one sees the whole file.
fn replace(file: &Path, folder: &Path, copy: &Path) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);

    let (ours, theirs) = (fs::metadata(file)?, fs::metadata(copy).ok());
    if theirs.is_some_and(|theirs| theirs.len() == ours.len() && theirs.mtime() >= ours.mtime()) {
        return Ok(());
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    let unfinished = folder.join(format!("{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    fs::copy(file, &unfinished)?;
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(ours.permissions().mode() | 0o555))?;
    fs::rename(unfinished, copy)
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

/// The same, over the transport of this name: `streamableHttp`, `sse`.
#[track_caller]
pub fn everything_server_over(transport: &str) -> ServerCommand {
    ServerCommand { args: vec![transport.into()], ..everything_server() }
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

/// The folder in which `npx` finds the reference server "everything".
#[track_caller]
pub fn npm_folder() -> PathBuf {
    // What marks it as one with the server in it.
    let program = everything_server().program;
    program.ancestors().nth(3).expect("the folder of a package is three above its programs").to_owned()
}

/// The program `uvx`, and the home of a user of it who has started the reference server for the time before.
#[track_caller]
pub fn uvx() -> (PathBuf, PathBuf) {
    (installed("python/bin/uvx"), installed("uv/home"))
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
