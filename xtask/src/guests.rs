//! The guests of this repository, and how each becomes a component.
//!
//! All are built alike: as a module for `wasm32-unknown-unknown` in the profile
//! `guest`, then wrapped. That target has no operating system, so nothing that
//! slips into a dependency can add an import; a target with WASI would add some
//! by itself.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::component::{self, Imports};
use crate::wasm_toolchain::{TARGET, Toolchain};
use crate::workspace::Workspace;

struct Guest {
    package: &'static str,
    /// A feature that the component needs, if it does.
    feature: Option<&'static str>,
    imports: Imports,
}

const DEFAULT: [Guest; 1] = [Guest { package: "innkeeper-guest", feature: Some("component"), imports: Imports::None }];

const LATER: Guest = Guest { package: "innkeeper-v2-guest", feature: None, imports: Imports::None };

const FOR_TESTS: [Guest; 8] = [
    LATER,
    Guest { package: "innkeeper-redact-guest", feature: None, imports: Imports::None },
    Guest { package: "innkeeper-telegraph-guest", feature: None, imports: Imports::None },
    Guest { package: "innkeeper-candidate-guest", feature: None, imports: Imports::None },
    Guest { package: "innkeeper-courier-guest", feature: None, imports: Imports::None },
    Guest { package: "innkeeper-faulty-guest", feature: None, imports: Imports::None },
    Guest { package: "innkeeper-importing-guest", feature: None, imports: Imports::Any },
    Guest { package: "innkeeper-mutant-guest", feature: None, imports: Imports::None },
];

/// Builds the default guest to where the build script of `innkeeper` embeds it from.
pub(crate) fn build_default(workspace: &Workspace) -> Result<()> {
    build(&DEFAULT, workspace, &workspace.root.join("host").join("component"))
}

/// Builds the guest that stands for a later version of the default one to `<target>/guests`.
pub(crate) fn build_later(workspace: &Workspace) -> Result<()> {
    build(&[LATER], workspace, &workspace.target.join("guests"))
}

/// Builds the guests that tests load from files to `<target>/guests`.
pub(crate) fn build_for_tests(workspace: &Workspace) -> Result<()> {
    build(&FOR_TESTS, workspace, &workspace.target.join("guests"))
}

fn build(guests: &[Guest], workspace: &Workspace, folder: &Path) -> Result<()> {
    let toolchain = Toolchain::find(workspace)?;
    let target = toolchain.target_folder(workspace);
    let mut cargo = toolchain.cargo(workspace);
    cargo.args(["build", "--profile", "guest", "--target", TARGET]);
    cargo.args(["--target-dir".as_ref(), target.as_os_str()]);
    // All at once: one by one, what they share is built once more wherever their crate types differ.
    cargo.args(guests.iter().flat_map(|guest| ["--package", guest.package]));
    cargo.args(guests.iter().filter_map(|guest| guest.feature).flat_map(|feature| ["--features", feature]));
    // Flags of the user are for the user's machine (a linker, a CPU) and would break or vary the module. The panic
    // messages in it must not carry the paths of the machine that built it either.
    let mut flags = remapped_paths(workspace)?;
    // Vectors are a third faster on large payloads, and every engine that runs components has them.
    flags.push("--codegen=target-feature=+simd128".to_owned());
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    cargo.run("build the guests")?;

    for guest in guests {
        let name = format!("{}.wasm", guest.package.replace('-', "_"));
        let module = target.join(TARGET).join("guest").join(&name);
        let component = component::from_module(&module, guest.imports)?;
        component::write(&component, &folder.join(name))?;
    }
    Ok(())
}

fn remapped_paths(workspace: &Workspace) -> Result<Vec<String>> {
    let registry = cargo_home()?.join("registry").join("src");
    let flag = |path: &Path, name: &str| format!("--remap-path-prefix={}={name}", path.display());
    Ok(vec![flag(&workspace.root, "innkeeper"), flag(&registry, "registry")])
}

/// Cargo's home folder, as cargo finds it.
fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    let home = env::home_dir().context("cannot find cargo's home folder: set HOME or CARGO_HOME")?;
    Ok(home.join(".cargo"))
}
