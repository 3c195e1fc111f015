//! Every duty is kept whatever happens: what `tests/random_scripts.rs` tries with
//! random scripts, with scripts that coverage steers.
//!
//! `cargo fuzz run scripts` takes a nightly toolchain, or `RUSTC_BOOTSTRAP=1`.

#![no_main]

use innkeeper_guest::script;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Err(violation) = script::run(bytes) {
        panic!("{violation}");
    }
});
