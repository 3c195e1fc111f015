//! What became of a reload.

use std::{fmt, time::Duration};

use serde::Serialize;

use crate::names::ServerName;

/// What became of a reload. Made by [`Tenant::reload`](crate::Tenant::reload).
#[derive(Clone, Debug, Serialize)]
#[must_use = "a server that cannot be opened stays as it was"]
#[non_exhaustive]
pub struct ReloadReport {
    /// Which reload of the tenant, counted from 1: the last that was asked for.
    pub version: u64,
    /// The servers of both catalogs, by name.
    pub servers: Vec<ServerReload>,
    /// How long it took.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
}

/// What became of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ServerReload {
    /// Its name.
    #[serde(serialize_with = "as_text")]
    pub server: ServerName,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Reloaded,
}

/// What became of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Reloaded {
    /// It is new. Nothing was opened.
    Added,
    /// It stays as it is.
    Unchanged,
    /// It has other settings, which its connections are not made from.
    Updated,
    /// It has other settings, and its sessions were replaced.
    Replaced {
        /// Sessions that were opened with them.
        opened: usize,
        /// Sessions that could not be: whoever needs them next tries again.
        unopened: usize,
    },
    /// It is there no more.
    Removed {
        /// Its sessions, which were left to those who hold them.
        sessions: usize,
    },
    /// No session could be opened with its new settings: it has the old ones, and is tried again after a while.
    Kept {
        /// Why.
        reason: String,
    },
}

impl ReloadReport {
    /// Whether all servers are as the catalog has them.
    pub fn is_in_force(&self) -> bool {
        self.kept().next().is_none()
    }

    /// The servers that are not as the catalog has them, and why.
    pub fn kept(&self) -> impl Iterator<Item = (&ServerName, &str)> {
        self.servers.iter().filter_map(|reload| match &reload.outcome {
            Reloaded::Kept { reason } => Some((&reload.server, reason.as_str())),
            _ => None,
        })
    }
}

impl fmt::Display for ReloadReport {
    /// A line for each server that is not as before.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unchanged = 0;
        for ServerReload { server, outcome } in &self.servers {
            match outcome {
                Reloaded::Added => writeln!(f, "+ {server}")?,
                Reloaded::Unchanged => unchanged += 1,
                Reloaded::Updated => writeln!(f, "~ {server}, reconnected nothing")?,
                Reloaded::Replaced { opened, unopened: 0 } => {
                    writeln!(f, "~ {server}, sessions opened anew: {opened}")?;
                }
                Reloaded::Replaced { opened, unopened } => {
                    writeln!(f, "~ {server}, sessions opened anew: {opened}, that could not be: {unopened}")?;
                }
                Reloaded::Removed { sessions } => {
                    writeln!(f, "- {server}, sessions left to their holders: {sessions}")?;
                }
                Reloaded::Kept { reason } => writeln!(f, "! {server} stays as it was: {reason}")?,
            }
        }
        write!(f, "unchanged: {unchanged}")
    }
}

fn as_text<S: serde::Serializer>(value: &ServerName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}
