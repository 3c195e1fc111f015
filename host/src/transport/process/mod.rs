//! Processes: servers that speak over standard input and output.
//!
//! This is the only module that starts or signals processes. There are two forms of it, by what the system has:
//!
//! - **Linux.** The only process that the host starts is the supervisor, which starts the servers, and finds all that they
//!   start. Nothing outlives its session.
//! - **Other Unix systems**, `group`. A server has a process group, with a watcher in it that ends the group. What leaves the
//!   group is not found.
//!
//! Whatever happens to the host, an order to a supervisor or a watcher is not needed for the end of a session: its socket
//! being closed is the order, and the kernel sees to that. So no panic, cancelled future, dead tokio runtime or `SIGKILL`
//! can skip it.
//!
//! | file | what it holds |
//! |---|---|
//! | `invocation`, `program`, `environment`, `folders` | what a server is: its file, its variables, its folders |
//! | `stderr` | the last lines of a server's standard error |
//! | `group` | the form for systems other than Linux |
//!
//! And of the form for Linux:
//!
//! | file | what it holds |
//! |---|---|
//! | `protocol` | what is said to supervisors; it is a file of the supervisor |
//! | `executable` | the supervisor as something that can be executed |
//! | `supervisor` | the root: started, told to open sessions, waited for |
//! | `spawn` | a session from its command to its connection |
//! | `request` | how a server is described to the supervisor |
//! | `explain` | what supervisors answer, for people |
//! | `peer` | a server that runs, until nothing of it is left |
//! | `trees` | which session has which processes |
//! | `output` | a server's standard output |

mod environment;
mod folders;
mod invocation;
mod program;
mod stderr;

#[cfg(target_os = "linux")]
mod executable;
#[cfg(target_os = "linux")]
mod explain;
#[cfg(target_os = "linux")]
mod output;
#[cfg(target_os = "linux")]
mod peer;
#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "the supervisor uses the other half")]
#[path = "../../../supervisor/protocol.rs"]
mod protocol;
#[cfg(target_os = "linux")]
mod request;
#[cfg(target_os = "linux")]
mod spawn;
#[cfg(target_os = "linux")]
mod supervisor;
#[cfg(target_os = "linux")]
mod trees;

// Its tests run on Linux too, where it is of no other use.
#[cfg(any(test, not(target_os = "linux")))]
mod group;

#[cfg(test)]
mod harness;
#[cfg(all(test, target_os = "linux"))]
mod tests;

pub(crate) use folders::PrivateFolders;

#[cfg(not(target_os = "linux"))]
pub(crate) use group::{ProcessConnector, Supervisors};
#[cfg(target_os = "linux")]
pub(crate) use {executable::PROGRAM, explain::lacks, spawn::ProcessConnector, supervisor::Supervisors};
