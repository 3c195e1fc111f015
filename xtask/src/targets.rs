//! Checks that the library and the command line compile for the systems that it is not tested on.
//!
//! `cargo check` links nothing, so it takes no linker, SDK or headers of the target: only its standard library, which rustup
//! brings, or which cargo builds from sources where Debian's toolchain is installed (see `wasm_toolchain`). The wasm engine has
//! two small files of C; they are stood in for by a compiler that makes empty files, because nobody reads what it makes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::wasm_toolchain::{Toolchain, debian_is_complete, has_target};
use crate::workspace::Workspace;

/// Servers in process groups, and no servers that are commands.
const TARGETS: [&str; 2] = ["aarch64-apple-darwin", "x86_64-pc-windows-msvc"];

/// Makes every file that it is told to write, empty: `-o FILE`, and archives named anywhere.
const STAND_IN: &str = "\
#!/bin/sh
for argument do
    case ${previous-} in -o) : >\"$argument\" ;; esac
    previous=$argument
    argument=${argument#-out:}
    case $argument in *.a | *.lib) : >\"$argument\" ;; esac
done
";

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let folder = workspace.target.join("targets");
    let stand_in = stand_in(&folder)?;
    for target in TARGETS {
        let toolchain = if has_target(workspace, target)? {
            Toolchain::Own
        } else if debian_is_complete()? {
            Toolchain::Debian
        } else {
            println!(
                "{target}: skipped, because its standard library is not here; `rustup target add {target}` brings it, as do \
                 Debian's rustc-web, cargo-web and rust-web-src"
            );
            continue;
        };
        println!("{target}: checking; the first time takes some minutes");
        let mut cargo = toolchain.cargo(workspace);
        cargo.args(["check", "--quiet", "--package", "innkeeper", "--lib", "--bins", "--features", "cli", "--locked"]);
        cargo.args(["--target", target, "--target-dir"]).args([&folder]);
        let suffix = target.replace('-', "_");
        cargo.env(&format!("CC_{suffix}"), &stand_in).env(&format!("AR_{suffix}"), &stand_in);
        // Whoever writes for one system does not see what is of no use on another.
        cargo.env("RUSTFLAGS", "--deny warnings");
        cargo.run(&format!("check the library and the command line for {target}"))?;
    }
    Ok(())
}

fn stand_in(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("no-c-compiler");
    let made = fs::create_dir_all(folder).and_then(|()| fs::write(&path, STAND_IN)).and_then(|()| executable(&path));
    made.with_context(|| format!("cannot make {}", path.display()))?;
    Ok(path)
}

#[cfg(unix)]
fn executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn executable(_path: &Path) -> std::io::Result<()> {
    Ok(())
}
