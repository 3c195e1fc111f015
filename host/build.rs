//! Embeds the default guest, where `cargo xtask guest` has built it.
//!
//! No cargo runs in here: a nested build deadlocks where `CARGO_TARGET_DIR` is set, and would run on every check.

use std::{env, fs, io, path::PathBuf};

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let folder = manifest.join("component");
    let component = folder.join("innkeeper_guest.wasm");

    // The folder too, because a file that does not exist would make cargo run this script on every build.
    println!("cargo::rerun-if-changed={}", folder.display());
    let source = if component.is_file() {
        println!("cargo::rerun-if-changed={}", component.display());
        format!("Some(include_bytes!({component:?}).as_slice())")
    } else {
        "None".to_owned()
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("embedded.rs"), source)
}
