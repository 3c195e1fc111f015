//! Servers in process groups: what there is where the kernel does not give orphans to a supervisor.
//!
//! # What is promised
//!
//! When a session ends, or its host does, `SIGKILL` included, **everything in the server's process group ends**. That is less
//! than on Linux:
//!
//! - A process that leaves the group (`setsid`, `setpgid`, a daemon) is not found. The server itself is still ended by its
//!   host, as its parent; not, if it has left and the host was killed.
//! - Nothing is guarded: isolation is [`Basic`](crate::Isolation::Basic) only, and [`Guarded`](crate::Isolation::Guarded), the
//!   default, is an error that says so. A server can signal its watcher; one that is killed ends the session, and one that
//!   is stopped notices nothing.
//! - A group that was killed has been sent `SIGKILL`, and its last processes may take a moment to go.
//! - The server stays in the host's terminal session, in the background: reading from the terminal stops it.
//! - If an embedder waits for all children, or ignores `SIGCHLD`, the status of a server may not be known; its end is.
//!
//! # How
//!
//! ```text
//! host ─┬─ watcher   leader of the group; reads from its socket until the end
//!       └─ server ── whatever it starts
//! ```
//!
//! The watcher comes first, and is a shell with five lines of script: every Unix has one, and a library has no other program
//! to execute. The host then starts the server *into* the watcher's group, before exec, so that there is no moment in which
//! the server runs and nobody would end it: where the group is gone already, there is no server either. The watcher is its
//! group's leader, so that the group's id is nobody else's as long as it was not waited for; and its last act is to kill the
//! group with itself in it.
//!
//! A watcher that is the server's parent would spare the host from waiting for the server, but a shell cannot do that well:
//! it holds the server's pipes, starts it with signals ignored, and tells an exit by a signal from one with a status above 128
//! by guessing. A fork of the host, without exec, would hold its memory and secrets. So a thread waits for each server: the
//! host does not handle `SIGCHLD`, which belongs to the embedder.
//!
//! | file | what it holds |
//! |---|---|
//! | `watcher` | the process that ends the group, and the group as the host has it |
//! | `child` | what is done between fork and exec |
//! | `spawn` | a session from its command to its connection |
//! | `peer` | a server that runs, until its group has ended |
//! | `supervisors` | which session has which server |

mod child;
mod peer;
mod spawn;
mod supervisors;
#[cfg(test)]
mod tests;
mod watcher;

pub(crate) use spawn::ProcessConnector;
pub(crate) use supervisors::Supervisors;
