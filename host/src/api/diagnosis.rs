//! What a machine gives for servers that are commands.

use serde::Serialize;

use super::Runtime;
use crate::Error;

/// What this machine gives: on Linux as the supervisor found out by trying it; on other systems as is known of them.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The process of the supervisor. None on systems other than Linux, where each server has a watcher instead.
    pub supervisor: Option<u32>,
    /// Whether servers can be guarded: see [`Isolation::Guarded`](crate::Isolation::Guarded).
    pub guarded: bool,
    /// What is missing for that, for people.
    pub missing: Option<String>,
    /// Revision of Landlock that the kernel has; 0 for none.
    pub landlock: u64,
    /// Whether the kernel lists the children of a process. Without it, all of /proc is read to find them, which is slower.
    pub lists_children: bool,
    /// Sessions that there may be at a time, after what the system allows.
    pub sessions: usize,
}

impl Runtime {
    /// Finds out what this machine gives for servers that are commands. Starts the supervisor, if it does not run.
    ///
    /// # Errors
    ///
    /// [`Error::System`] where the supervisor cannot be started, and [`Error::Unsupported`] where there is none for the system.
    /// No server that is a command can be used then.
    #[cfg(target_os = "linux")]
    pub async fn diagnose(&self) -> Result<Diagnosis, Error> {
        use crate::transport::process::lacks;

        let root = self.shared.supervisors.root().await;
        let root = root.map_err(|error| Error::System { what: "preparing for servers", reason: error.to_string() })?;
        let missing = lacks(root.hello());
        Ok(Diagnosis {
            supervisor: Some(root.pid()),
            guarded: missing.is_none(),
            missing,
            landlock: root.hello().landlock,
            lists_children: root.lists_children(),
            sessions: self.limits().sessions_per_runtime,
        })
    }

    /// Says what this system gives for servers that are commands: process groups, and nobody guarded. Starts nothing.
    ///
    /// # Errors
    ///
    /// None on this system.
    #[cfg(all(unix, not(target_os = "linux")))]
    pub async fn diagnose(&self) -> Result<Diagnosis, Error> {
        Ok(Diagnosis {
            supervisor: None,
            guarded: false,
            missing: Some("Linux, where alone this version guards servers".to_owned()),
            landlock: 0,
            lists_children: false,
            sessions: self.limits().sessions_per_runtime,
        })
    }

    /// Finds out what this machine gives for servers that are commands: in this version nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`].
    #[cfg(not(unix))]
    pub async fn diagnose(&self) -> Result<Diagnosis, Error> {
        Err(Error::Unsupported {
            detail: "this version starts servers that are commands on Linux, macOS and other Unix systems only"
                .to_owned(),
        })
    }
}
