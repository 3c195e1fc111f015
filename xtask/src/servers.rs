//! Real servers for the tests, installed at the versions that `tests/servers/` pins.
//!
//! They go below the target folder, so that `cargo clean` takes them away and
//! nothing of the machine is touched. Scripts of npm packages are not run, and
//! Python packages come as wheels: neither brings code that runs on install.
//! Crates are built here, build scripts included, like every dependency.
//!
//! A folder that was installed from the same pins is left alone. The copy of the
//! pins is written last, so that an interrupted installation is done again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::command::{Tool, exists};
use crate::workspace::Workspace;

/// How long uv may take to fetch a few megabytes. Without a network it tries again by itself.
const PATIENCE: Duration = Duration::from_secs(300);

/// Installs what is not there yet.
pub(crate) fn install(workspace: &Workspace) -> Result<()> {
    let pins = workspace.root.join("tests").join("servers");
    let folder = workspace.target.join("servers");
    install_from_npm(&pins, &folder.join("npm"))?;
    install_from_pypi(&pins, &folder.join("python"))?;
    fill_cache_of_uvx(&pins, &folder.join("python"), &folder.join("uv"))?;
    install_from_crates_io(&pins, &folder.join("rust"), workspace)
}

fn install_from_npm(pins: &Path, folder: &Path) -> Result<()> {
    require("node", "install Node.js 20 or newer, or Debian's package `nodejs`")?;
    require("npm", "it comes with Node.js; Debian has it as package `npm`")?;
    let Some(lock) = Outdated::check(pins.join("package-lock.json"), folder)? else { return Ok(()) };
    println!("installing the npm servers into {}", folder.display());
    let manifest = folder.join("package.json");
    copy(&pins.join("package.json"), &manifest)?;
    copy(&lock.pins, &folder.join("package-lock.json"))?;
    Tool::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(folder)
        .run("install the npm servers")?;
    lock.now_installed()
}

fn install_from_pypi(pins: &Path, folder: &Path) -> Result<()> {
    require("python3", "install Python 3.11 or newer, or Debian's packages `python3 python3-venv`")?;
    let Some(requirements) = Outdated::check(pins.join("requirements.txt"), folder)? else { return Ok(()) };
    println!("installing the Python servers into {}", folder.display());
    Tool::new("python3")
        .args(["-m".as_ref(), "venv".as_ref(), "--clear".as_ref(), folder.as_os_str()])
        .run("make a virtual environment (Debian keeps the module in package `python3-venv`)")?;
    let python = folder.join("bin").join("python");
    let mut pip = Tool::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]);
    // All are pinned, so there is nothing to resolve; `pip check` sees to it that the pins are complete.
    pip.args(["--no-deps", "--requirement"]).args([&requirements.pins]);
    pip.run("install the Python servers")?;
    Tool::new(&python).args(["-m", "pip", "check"]).run("check that the pins of the Python servers are complete")?;
    requirements.now_installed()
}

/// Makes a home in whose cache `uvx` has the Python server, as after a first start.
fn fill_cache_of_uvx(pins: &Path, python: &Path, folder: &Path) -> Result<()> {
    const SERVER: &str = "mcp-server-time";

    let Some(requirements) = Outdated::check(pins.join("requirements.txt"), folder)? else { return Ok(()) };
    println!("filling the cache of uvx in {}", folder.display());
    let pinned = fs::read_to_string(&requirements.pins)
        .with_context(|| format!("cannot read {}", requirements.pins.display()))?;
    let server = pinned.lines().find(|line| line.strip_prefix(SERVER).is_some_and(|rest| rest.starts_with("==")));
    let server = server.with_context(|| format!("{} has no {SERVER}", requirements.pins.display()))?;
    let programs = python.join("bin");
    let mut uv = Tool::new(programs.join("uv"));
    // What the user of this machine has configured must not decide where the cache is.
    [
        "XDG_CACHE_HOME",
        "XDG_DATA_HOME",
        "XDG_BIN_HOME",
        "UV_CACHE_DIR",
        "UV_NO_CACHE",
        "UV_TOOL_DIR",
        "UV_TOOL_BIN_DIR",
    ]
    .iter()
    .for_each(|name| _ = uv.env_remove(name));
    uv.env("HOME", folder.join("home"));
    uv.args(["tool", "install", "--quiet", "--force", "--no-config", "--no-build", "--no-python-downloads"]);
    uv.args(["--python".as_ref(), programs.join("python").as_os_str()]);
    uv.args(["--constraints".as_ref(), requirements.pins.as_os_str()]).args([server]);
    uv.run_within("fill the cache of uvx", PATIENCE)?;
    requirements.now_installed()
}

fn install_from_crates_io(pins: &Path, folder: &Path, workspace: &Workspace) -> Result<()> {
    let Some(list) = Outdated::check(pins.join("crates.txt"), folder)? else { return Ok(()) };
    println!("building the Rust servers into {}: this takes a minute", folder.display());
    let crates = fs::read_to_string(&list.pins).with_context(|| format!("cannot read {}", list.pins.display()))?;
    let mut cargo = workspace.cargo();
    // Not optimised: what is measured here is the client.
    cargo.args(["install", "--quiet", "--locked", "--debug", "--no-track", "--force", "--root"]).args([folder]);
    cargo.args(crates.lines().filter(|line| !line.starts_with('#')));
    cargo.run("build the Rust servers")?;
    list.now_installed()
}

fn require(program: &str, hint: &str) -> Result<()> {
    if exists(program)? {
        return Ok(());
    }
    bail!("the tests run real servers and need `{program}`, which is not on the path: {hint}")
}

/// An installation that is missing or was made from other pins.
struct Outdated {
    /// The file that pins what is to be there.
    pins: PathBuf,
    /// What a complete installation leaves there.
    wanted: Vec<u8>,
    /// Where it leaves it.
    installed: PathBuf,
}

impl Outdated {
    /// None if the folder holds what the file pins.
    fn check(pins: PathBuf, folder: &Path) -> Result<Option<Self>> {
        let mut wanted = fs::read(&pins).with_context(|| format!("cannot read {}", pins.display()))?;
        // Programs of a virtual environment name their interpreter by its path: one that was moved, or copied, has none.
        wanted.extend_from_slice(format!("# in {}\n", folder.display()).as_bytes());
        let installed = folder.join("installed-pins");
        // Whatever keeps the copy from being read, installing again is the remedy.
        if fs::read(&installed).is_ok_and(|present| present == wanted) {
            return Ok(None);
        }
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Some(Self { pins, wanted, installed }))
    }

    fn now_installed(&self) -> Result<()> {
        fs::write(&self.installed, &self.wanted).with_context(|| format!("cannot write {}", self.installed.display()))
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}
