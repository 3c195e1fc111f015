//! Processes: servers that speak over standard input and output.
//!
//! This is the only module that starts or signals processes. A server gets its own session and process group, an environment
//! of allowed names, and nothing else of the host's; a thread of the runtime, not a task, sees to its end, so that no panic,
//! cancelled future or dead tokio runtime can skip it.
//!
//! Not here yet: what outlives the host itself, or leaves its process group with setsid(2). That takes a process of its
//! own between host and server.
//!
//! | file | what it holds |
//! |---|---|
//! | `environment` | which variables a server sees |
//! | `spawn` | starting it |
//! | `reaper` | the thread that ends and reaps it |
//! | `stderr` | the last lines of its standard error |

mod environment;
mod reaper;
mod spawn;
mod stderr;

pub(crate) use reaper::Reaper;
pub(crate) use spawn::ProcessConnector;
