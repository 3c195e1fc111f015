//! Every duty is kept whatever happens: what `tests/random_scripts.rs` tries with
//! random scripts, with scripts that coverage steers.
//!
//! `cargo fuzz run scripts` takes a nightly toolchain, or `RUSTC_BOOTSTRAP=1`.

#![no_main]

use innkeeper_guest::boundary::TransportKind;
use innkeeper_guest::script;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for transport in [TransportKind::Stream, TransportKind::Http] {
        if let Err(violation) = script::run(transport, bytes) {
            panic!("{violation}");
        }
    }
});
