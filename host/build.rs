//! Embeds what the library brings along: the default guest, where `cargo xtask guest` has built it, and the supervisor, which
//! is compiled here.
//!
//! No cargo runs in here: a nested build deadlocks where `CARGO_TARGET_DIR` is set, and would run on every check. The
//! supervisor is one call of rustc. It is no member of the workspace, because cargo could not link it: it has no standard
//! library, and begins without the C library's start-up.

use std::{
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// Processors that `supervisor/arch.rs` knows.
const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(variable("OUT_DIR"));
    fs::write(out.join("embedded.rs"), guest(&manifest))?;
    fs::write(out.join("embedded_supervisor.rs"), supervisor(&manifest, &out))
}

/// The expression `Option<&[u8]>` of the component.
fn guest(manifest: &Path) -> String {
    let folder = manifest.join("component");
    let component = folder.join("innkeeper_guest.wasm");
    // The folder too, because a file that does not exist would make cargo run this script on every build.
    println!("cargo::rerun-if-changed={}", folder.display());
    if !component.is_file() {
        return "None".to_owned();
    }
    println!("cargo::rerun-if-changed={}", component.display());
    format!("Some(include_bytes!({component:?}).as_slice())")
}

/// The expression `Result<&[u8], &str>` of the supervisor, or of why there is none: the library builds without, and then
/// says so to who wants to start a server.
fn supervisor(manifest: &Path, out: &Path) -> String {
    let sources = manifest.join("supervisor");
    println!("cargo::rerun-if-changed={}", sources.display());
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    if variable("CARGO_CFG_TARGET_OS") != "linux" {
        // Nothing is missing: there, servers are started without.
        return "Err(\"it is for Linux\")".to_owned();
    }
    let program = out.join("innkeeper-supervisor");
    match compile(&sources.join("main.rs"), &program) {
        Ok(()) => format!("Ok(include_bytes!({program:?}).as_slice())"),
        Err(reason) => {
            println!("cargo::warning=no supervisor, so no server can be started: {reason}");
            format!("Err({reason:?})")
        }
    }
}

fn compile(source: &Path, program: &Path) -> Result<(), String> {
    let architecture = variable("CARGO_CFG_TARGET_ARCH");
    let plain = variable("CARGO_CFG_TARGET_POINTER_WIDTH") == "64" && variable("CARGO_CFG_TARGET_ENDIAN") == "little";
    if !plain || !ARCHITECTURES.iter().any(|known| architecture == *known) {
        return Err(format!("it is for {}", ARCHITECTURES.join(" and ")));
    }
    let mut rustc = Command::new(variable("RUSTC"));
    rustc.args(["--edition", "2024", "--crate-name", "innkeeper_supervisor", "--crate-type", "bin"]);
    // Nothing unwinds; every session has a copy of it, so it is small; it is where it was linked to be, so that nothing has to
    // move it before it begins.
    rustc.args(["-C", "panic=abort", "-C", "opt-level=s", "-C", "relocation-model=static", "-C", "strip=symbols"]);
    for argument in ["-nostartfiles", "-nostdlib", "-static"] {
        rustc.arg("-C").arg(format!("link-arg={argument}"));
    }
    if variable("CARGO_CFG_TARGET_ENV") == "musl" {
        // rustc would link its own start-up files.
        rustc.args(["-C", "link-self-contained=no"]);
    }
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = OsString::from("linker=");
        option.push(linker);
        rustc.arg("-C").arg(option);
    }
    rustc.arg("--target").arg(variable("TARGET")).arg("-o").arg(program).arg(source);
    let output = rustc.output().map_err(|error| format!("rustc cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let first = errors.lines().find(|line| line.starts_with("error")).unwrap_or("rustc failed");
    Err(format!("compiling it failed: {first}; is there a linker, such as `cc`?"))
}

/// A variable that cargo sets; empty where it does not.
fn variable(name: &str) -> OsString {
    env::var_os(name).unwrap_or_default()
}
