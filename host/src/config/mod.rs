//! The configuration files that people have already.
//!
//! An operator's servers are listed in an `mcp.json`, in the form that other programs read too. This module turns such
//! a file into plain data, and turns whatever is wrong with it into errors that name file, line and key: a file that
//! was written for another program is the first thing that a new user brings, so what Innkeeper says about it decides
//! whether there is a second.
//!
//! The module is the lowest of the crate. It opens nothing, starts nothing, and reads no global state: the environment
//! comes in as a function, so the same file and the same function always give the same result.
//!
//! # What is accepted
//!
//! JSON with comments and trailing commas: people have both in these files.
//!
//! ```
//! use std::ffi::OsString;
//! use innkeeper::config::{McpJson, Transport};
//!
//! let text = r#"{
//!   "mcpServers": {
//!     // Times in every zone.
//!     "time": { "command": "mcp-server-time", "args": ["--local-timezone", "${ZONE:-UTC}"] },
//!   }
//! }"#;
//! let environment = |_: &str| None::<OsString>;
//!
//! let file = McpJson::parse("mcp.json".as_ref(), text.as_bytes(), &environment)
//!     .into_result()
//!     .expect("the file is well formed");
//!
//! let Transport::Stdio { args, .. } = &file.servers["time"].transport else {
//!     panic!("a server with a command is a stdio server");
//! };
//! assert_eq!(args[1].value(), "UTC");
//! assert_eq!(args[1].written(), "${ZONE:-UTC}");
//! ```
//!
//! # Secrets
//!
//! Values of variables are secrets until proven otherwise. No error and no warning contains one, `Debug` shows texts as
//! they are written in the file, and hides the values of environment variables and headers altogether.

mod context;
mod document;
mod duration;
mod entry;
mod error;
mod expand;
mod keys;
mod locate;
mod mcp_json;
#[cfg(test)]
mod tests;
mod values;

use std::ffi::OsString;

pub use duration::{DurationError, MAX_DURATION, parse_duration};
pub use entry::{ServerEntry, Transport};
pub use error::{ConfigError, ConfigWarning};
pub use expand::{Expanded, MAX_EXPANDED_BYTES};
pub use locate::{ConfigNotFound, locate};
pub use mcp_json::{Inspection, MAX_FILE_BYTES, McpJson};

/// Where variables come from: the value of a variable, or none if it is not set.
///
/// For the environment of the process that is `|name| std::env::var_os(name)`.
pub type Environment<'a> = dyn Fn(&str) -> Option<OsString> + 'a;
