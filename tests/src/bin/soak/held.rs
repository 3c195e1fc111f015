//! What the process holds of the system, over time.

use std::{fs, time::Duration};

use innkeeper::Runtime;

use crate::tally::Tally;

/// What this process holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Bytes of memory that are resident: `VmRSS` of proc_pid_status(5).
    pub(crate) resident: u64,
    /// Open descriptors.
    pub(crate) files: usize,
}

impl Held {
    pub(crate) fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap_or_default();
        Self {
            resident: kibibytes * 1024,
            // The one that this opens is among them, each time.
            files: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
        }
    }
}

/// One second.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    at: Duration,
    pub(crate) held: Held,
    sessions: usize,
    processes: usize,
    leases: usize,
    calls: u64,
}

impl Sample {
    pub(crate) const HEADER: &str = "seconds,resident_bytes,files,sessions,processes,leases,calls\n";

    pub(crate) fn of(at: Duration, runtime: &Runtime, tally: &Tally) -> Self {
        let status = runtime.status();
        Self {
            at,
            held: Held::now(),
            sessions: status.sessions.len(),
            processes: status.children_alive,
            leases: status.leases,
            calls: tally.calls(),
        }
    }

    pub(crate) fn row(&self) -> String {
        let Self { at, held, sessions, processes, leases, calls } = self;
        format!("{:.1},{},{},{sessions},{processes},{leases},{calls}\n", at.as_secs_f64(), held.resident, held.files)
    }
}
