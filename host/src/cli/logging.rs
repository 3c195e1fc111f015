//! The log, on standard error: silent unless asked for.

use std::io;

use tracing_subscriber::{EnvFilter, fmt};

use crate::output::colour_wanted;

/// Begins to write the log, with as much as `-v` was given for.
///
/// What servers write to their standard error belongs to the first step: it is what explains a server that does not
/// work.
pub(crate) fn start(verbosity: u8) {
    let filter = match verbosity {
        // Without -v the variable decides that other Rust programs listen to as well.
        0 => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off")),
        1 => EnvFilter::new("innkeeper=info,innkeeper::stderr=debug"),
        2 => EnvFilter::new("innkeeper=debug"),
        _ => EnvFilter::new("debug,innkeeper=trace"),
    };
    let stderr = io::stderr();
    let subscriber = fmt().with_env_filter(filter).with_ansi(colour_wanted(&stderr)).with_writer(io::stderr).finish();
    // Not `init()`: that would take the records of `log` in as well where any crate of the build asks for the bridge,
    // and those of a compiler of WebAssembly that was built for debugging are gigabytes.
    tracing::subscriber::set_global_default(subscriber).expect("this is the only place that sets a subscriber");
}
