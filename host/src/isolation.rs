//! What a server's processes cannot do to others, and what they may use.

use std::fmt;

use serde::Serialize;

/// What keeps the processes of a session from others of the same user: the host, supervisors, servers of other sessions.
///
/// In either case no process of a session outlives it, on Linux. Other Unix systems have [`Basic`](Self::Basic) only, and there
/// a process that leaves its server's process group is not found, and may live on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Isolation {
    /// They cannot signal or trace what is not of their session, read its memory, environment or descriptors, or change its
    /// limits, priority or processors. They cannot gain privileges, and have none: `sudo`, setuid programs and file
    /// capabilities do not work. It takes Linux 6.12 with Landlock and seccomp. The default.
    ///
    /// A program that sets the processors or the scheduling of its own threads by their ids is refused that too, and goes on
    /// without.
    #[default]
    Guarded,
    /// They are supervised, and nothing more: a server that means harm can kill or stop its supervisor, and the host. On Linux they
    /// cannot gain privileges either, unless [`Server::allow_privileges`](crate::Server::allow_privileges) says so; other
    /// systems have no way to keep them from it.
    Basic,
}

impl Isolation {
    /// The name: `guarded`, `basic`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guarded => "guarded",
            Self::Basic => "basic",
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// All that is set for the processes of one server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Confinement {
    pub(crate) isolation: Isolation,
    /// Never with [`Isolation::Guarded`].
    pub(crate) allow_privileges: bool,
    pub(crate) limits: ProcessLimits,
}

/// What each process of a server may use: setrlimit(2). Default: what the host may, and no core files.
///
/// The number of processes is not among them: the system counts those by user, so that the limit of one server would be the
/// limit of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessLimits {
    /// Address space, in bytes; none: what the host may. Programs with a garbage collector reserve much more than they use: `node` needs some GiB.
    pub address_space: Option<u64>,
    /// Open files; none: as many as the host may have.
    pub open_files: Option<u64>,
    /// Seconds on a processor; none: as many as the host may use. `SIGXCPU` ends a process that has used them up.
    pub cpu_seconds: Option<u64>,
    /// Whether core files may be left. Default: no. They hold the memory of the server, secrets included.
    pub core_files: bool,
}
