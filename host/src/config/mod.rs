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
//! # What an entry may say
//!
//! | key | value | default |
//! |---|---|---|
//! | `command` | the program of a stdio server; no shell looks at it | – |
//! | `args` | its arguments, as strings | none |
//! | `env` | variables that are added to its environment, as strings | none |
//! | `cwd` | the folder to start it in | the present one |
//! | `isolation` | `"guarded"` or `"basic"`: what keeps its processes from others, see [`Isolation`](crate::Isolation) | `"guarded"` |
//! | `allowPrivileges` | whether its processes may gain privileges, which takes `"basic"` | `false` |
//! | `inheritHome` | whether it has the `HOME`, `TMPDIR` and `XDG_*` of the user | where there is one tenant, as on the command line |
//! | `limits` | what each of its processes may use, see below | what the host may, and no core files |
//! | `url` | the address of an HTTP server, in place of `command` | – |
//! | `headers` | header fields that are added to each request, as strings | none |
//! | `proxy` | the proxy to go through, as a URL; those that the environment names are not used | none |
//! | `caCertificates` | a file (PEM) with the authorities that are trusted, in place of the public ones | those of Mozilla |
//! | `clientCertificate` | a file (PEM) with the certificate that is shown to the server, and its key | none |
//! | `privateAddresses` | whether the name in `url` may lead to an address that is not of the public Internet | `false`; an address in digits, and `localhost`, is meant as it stands |
//! | `timeout` | how long one call may take, with its unit: `"30s"`, `"1m30s"` | that of whoever uses the file |
//! | `disabled` | whether the server is left alone | `false` |
//! | `tools` | which of its tools may be used, and what models are told of them, see below | all, as the server has them |
//! | `type` | what other programs go by: `"stdio"`, `"http"`; it has to agree with the rest. With `"sse"` the server says to which path of its origin requests go | – |
//!
//! Any other key is warned of and ignored. Limits are those of setrlimit(2), of each process by itself; all may be left out:
//!
//! ```json
//! { "command": "server", "limits": { "addressSpace": "4GiB", "openFiles": 1024, "cpuTime": "10m", "coreFiles": true } }
//! ```
//!
//! | limit | value |
//! |---|---|
//! | `addressSpace` | a size with its unit: `KiB`, `MiB`, `GiB`, `TiB`, or `kB`, `MB`, `GB`, `TB` by thousands. Programs with a garbage collector reserve much more than they use: `node` needs some GiB |
//! | `openFiles` | a number from 1 |
//! | `cpuTime` | time on a processor, in whole seconds, like `"10m"`, at most a day; `SIGXCPU` ends a process that has used it up |
//! | `coreFiles` | whether core files may be left, with the memory of the server and the secrets in it; they are off otherwise |
//!
//! A server whose limits are above those of the host does not start, and the error says so.
//!
//! Tools are named as the server names them; `*` stands for any characters, and what is denied is denied also where it is allowed:
//!
//! ```json
//! { "command": "server", "tools": { "allow": ["get_*", "search"], "deny": ["get_secret"], "rename": { "search": "find" }, "describe": { "search": "Finds." } } }
//! ```
//!
//! An array is an allow list: `"tools": ["get_*"]`. So are `includeTools`, `enabledTools` and `enabled_tools`, and `excludeTools`,
//! `disabledTools` and `disabled_tools` are deny lists, as other programs have them. Two lists that say the same are an error.
//!
//! `"tools": { "trustIdempotenceHints": true }` has calls made again whose connection was lost, where the server says that this does no
//! harm; it is for servers that are trusted, see [`ToolRules::trust_idempotence_hints`](crate::ToolRules::trust_idempotence_hints).
//!
//! # Secrets
//!
//! `"env": {"TOKEN": "${secret:github/token}"}` names a secret, inside of a longer text too. It is asked for when the server is
//! started, from whatever keeps the secrets of a runtime, so the file does not have it. In `headers` it is asked for with each
//! request, so that one that was replaced reaches the next. `${file:/run/secrets/token}` is the content of a file, in the same
//! places. In a command line or an address both are refused.
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
mod limits;
mod locate;
mod mcp_json;
mod size;
#[cfg(test)]
mod tests;
mod tools;
mod values;

use std::ffi::OsString;

pub use duration::{DurationError, MAX_DURATION, parse_duration};
pub use entry::{ServerEntry, Transport};
pub use error::{ConfigError, ConfigWarning};
pub(crate) use expand::Part;
pub use expand::{Expanded, MAX_EXPANDED_BYTES};
pub use locate::{ConfigNotFound, locate};
pub use mcp_json::{Inspection, MAX_FILE_BYTES, McpJson};
pub use tools::ToolsEntry;

/// Where variables come from: the value of a variable, or none if it is not set.
///
/// For the environment of the process that is `|name| std::env::var_os(name)`.
pub type Environment<'a> = dyn Fn(&str) -> Option<OsString> + 'a;
