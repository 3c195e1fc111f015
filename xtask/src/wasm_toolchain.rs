//! A toolchain that builds for `wasm32-unknown-unknown`.
//!
//! A fresh machine lacks the standard library for that target. There are two
//! ways to it, and the second is taken where the first is closed:
//!
//! - the toolchain that runs this task, once it has the target: as installed
//!   by a distribution, or brought by `rustup target add`, which needs rustup
//!   and a network where it can download;
//! - Debian's toolchain for browsers, which comes with the sources of the
//!   standard library, from which cargo builds it. That is for closed networks
//!   that have a mirror of Debian but none of rustup's server.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::apt;
use crate::command::{Tool, exists};
use crate::workspace::Workspace;

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Forces one way; see [`Choice`].
const CHOICE_VARIABLE: &str = "INNKEEPER_WASM_TOOLCHAIN";

/// `rustup target add` loads about 20 MB. Where it cannot connect it retries for a while; a network that lets it hang
/// must not hold up the other way for ever.
const RUSTUP_LIMIT: Duration = Duration::from_secs(300);

/// Debian's compiler, the sources of its standard library, and a linker of the same LLVM.
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-22"];
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_LINKER: &str = "/usr/bin/wasm-ld-22";
const DEBIAN_SOURCES: &str = "lib/rustlib/src/rust/library/std/Cargo.toml";

pub(crate) enum Toolchain {
    /// The one that runs this task.
    Own,
    /// Debian's, with a standard library built from its sources.
    Debian,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice {
    Any,
    Rustup,
    Debian,
}

impl Toolchain {
    /// Finds a toolchain that has the target, and installs what is missing where that is possible.
    pub(crate) fn find(workspace: &Workspace) -> Result<Self> {
        let choice = Choice::from_environment()?;
        if choice == Choice::Debian {
            return debian();
        }
        if has_target(workspace, TARGET)? {
            return Ok(Self::Own);
        }
        let Err(error) = add_target(workspace) else { return Ok(Self::Own) };
        if choice == Choice::Rustup {
            return Err(error);
        }
        eprintln!("xtask: {error:#}; trying Debian's packages");
        debian().with_context(|| {
            format!(
                "no toolchain builds for {TARGET} here; where rustup can download, `rustup target add {TARGET}` is all \
                 it takes"
            )
        })
    }

    /// Its cargo, in the root of the workspace.
    pub(crate) fn cargo(&self, workspace: &Workspace) -> Tool {
        match self {
            Self::Own => workspace.cargo(),
            Self::Debian => {
                let mut cargo = Tool::new(DEBIAN_CARGO);
                cargo
                    .args(["-Zbuild-std=std,panic_abort"])
                    .env("RUSTC", DEBIAN_RUSTC)
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", DEBIAN_LINKER)
                    // `-Z` on a stable toolchain: there is no other way to build the standard library.
                    .env("RUSTC_BOOTSTRAP", "1")
                    // These would lead back to the toolchain that runs this task.
                    .env_remove("CARGO")
                    .env_remove("RUSTUP_TOOLCHAIN")
                    .current_dir(&workspace.root);
                cargo
            }
        }
    }

    /// Where it builds to: two compilers in one folder would each undo the other's work.
    pub(crate) fn target_folder(&self, workspace: &Workspace) -> PathBuf {
        match self {
            Self::Own => workspace.target.clone(),
            Self::Debian => workspace.target.join("debian"),
        }
    }
}

impl Choice {
    fn from_environment() -> Result<Self> {
        let Some(value) = env::var_os(CHOICE_VARIABLE) else { return Ok(Self::Any) };
        match value.to_str() {
            Some("") => Ok(Self::Any),
            Some("rustup") => Ok(Self::Rustup),
            Some("debian") => Ok(Self::Debian),
            _ => bail!("{CHOICE_VARIABLE} is {}, but may be `rustup` or `debian` only", value.display()),
        }
    }
}

/// Whether the toolchain that runs this task has a target, whoever installed it.
pub(crate) fn has_target(workspace: &Workspace, target: &str) -> Result<bool> {
    let folder =
        rustc(workspace).args(["--print", "target-libdir", "--target", target]).output("find rustc's targets")?;
    Ok(Path::new(folder.trim_end()).is_dir())
}

/// The rustc that cargo uses here.
fn rustc(workspace: &Workspace) -> Tool {
    let mut rustc = Tool::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.current_dir(&workspace.root);
    rustc
}

fn add_target(workspace: &Workspace) -> Result<()> {
    if !exists("rustup")? {
        bail!("the toolchain has no {TARGET}, and there is no rustup to bring it");
    }
    // Rustup's cargo has set RUSTUP_TOOLCHAIN, so that this is for the toolchain that runs this task.
    let purpose = format!("bring the target {TARGET} by rustup");
    Tool::new("rustup")
        .args(["target", "add", TARGET])
        .current_dir(&workspace.root)
        .run_within(&purpose, RUSTUP_LIMIT)?;
    if !has_target(workspace, TARGET)? {
        bail!("rustup brought {TARGET}, but not for the toolchain that runs this task; is RUSTC set to another?");
    }
    Ok(())
}

fn debian() -> Result<Toolchain> {
    if !debian_is_complete()? {
        apt::install(&DEBIAN_PACKAGES).context("cannot install Debian's toolchain for wasm")?;
        if !debian_is_complete()? {
            bail!(
                "{} are installed, but {DEBIAN_CARGO}, {DEBIAN_RUSTC}, {DEBIAN_LINKER} or the sources of std are not \
                 there: is this Debian 12?",
                DEBIAN_PACKAGES.join(" ")
            );
        }
    }
    println!("building with Debian's toolchain, std from sources: the first time takes a minute");
    Ok(Toolchain::Debian)
}

pub(crate) fn debian_is_complete() -> Result<bool> {
    if ![DEBIAN_CARGO, DEBIAN_RUSTC, DEBIAN_LINKER].iter().all(|program| Path::new(program).exists()) {
        return Ok(false);
    }
    let sysroot = Tool::new(DEBIAN_RUSTC).args(["--print", "sysroot"]).output("find the sources of std")?;
    Ok(Path::new(sysroot.trim_end()).join(DEBIAN_SOURCES).exists())
}
