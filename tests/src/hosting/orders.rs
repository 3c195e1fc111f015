//! What a test tells a hosting process, and what that answers: a line of JSON each.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How much of the system stands between a server and other processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Isolation {
    /// The default: processes that are not its own are out of reach.
    Guarded,
    /// Its processes are kept together, and no more.
    Basic,
}

/// What a hosting process hosts. Its only argument.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// The server's program.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// What is in its environment beside what every server sees.
    pub env: BTreeMap<String, String>,
    /// Its isolation.
    pub isolation: Isolation,
    /// A guest other than the embedded one.
    pub guest: Option<PathBuf>,
    /// Whether a session without a lease is closed at once. Otherwise never.
    pub reaps_at_once: bool,
}

impl Settings {
    /// A guarded server of the embedded guest, without anything more.
    pub fn new(program: impl Into<String>, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            isolation: Isolation::Guarded,
            guest: None,
            reaps_at_once: false,
        }
    }
}

/// What a hosting process is to do. It answers each with one [`Answer`], in turn, unless it is gone after it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Open so many sessions more, at the same time, and keep a lease of each. The answer is the list of their processes.
    Open(usize),
    /// Begin to open a session, and do not wait for it.
    BeginToOpen,
    /// Call a tool. The answer is its text.
    CallTool {
        /// Which session, in the order in which they were opened.
        session: usize,
        /// The tool.
        tool: String,
        /// Its arguments.
        arguments: Value,
    },
    /// Call a method of the guest. The answer is the error that it ends with.
    Fail(String),
    /// Drop all leases.
    Release,
    /// Drain the runtime. The answer is how many sessions were closed.
    Drain,
    /// Drain the runtime, and give up once that has begun.
    AbandonDrain,
    /// Open and close sessions, so many times so many.
    Rounds {
        /// How often.
        rounds: usize,
        /// Sessions at the same time.
        sessions: usize,
    },
    /// Drop the tokio runtime and keep everything else.
    DropTokio,
    /// Ignore SIGCHLD, as embedders do that want no zombies.
    IgnoreChildren,
    /// Wait for every child there is whenever one ends, as embedders do that start processes by themselves.
    WaitForAllChildren,
    /// Have a process of the same user start no other while the user has so many; or as many as this process may.
    LimitProcesses {
        /// The process.
        of: u32,
        /// Processes and threads of the user, which the system counts (`RLIMIT_NPROC` of getrlimit(2)).
        most: Option<u64>,
    },
    /// Say what this process holds of the system: see [`Held`].
    Held,
    /// Panic in the first thread.
    Panic,
    /// Call abort(3).
    Abort,
    /// Call exit(3), and drop nothing.
    Exit,
}

/// What a process holds of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Open descriptors.
    pub files: usize,
    /// Threads, but for those of pools.
    pub threads: usize,
    /// Children, zombies included.
    pub children: usize,
}

/// What became of an order.
pub type Answer = Result<Value, String>;
