//! What another catalog would change, before anybody applies it.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use super::{Catalog, Server};
use crate::names::ServerName;

/// What a catalog would change of the one that a tenant has. Made by [`Tenant::plan`](crate::Tenant::plan), shown as a line for
/// each server that is not as before:
///
/// ```text
/// + wiki
/// - news, with 2 sessions
/// ~ github, reconnects 3 sessions
/// ~ time, reconnects nothing
/// 4 servers unchanged
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// The servers of both catalogs, by name.
    pub servers: Vec<PlannedServer>,
}

/// A server of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedServer {
    /// Its name.
    #[serde(serialize_with = "as_text")]
    pub server: ServerName,
    /// What becomes of it.
    #[serde(flatten)]
    pub change: Change,
}

fn as_text<S: serde::Serializer>(value: &ServerName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// What becomes of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Change {
    /// It is new.
    Added,
    /// It is there no more.
    Removed {
        /// Its sessions, which would be closed.
        sessions: usize,
    },
    /// It stays as it is.
    Unchanged,
    /// It stays, with other settings.
    Changed {
        /// Whether its connections are made from these settings: see [`Server::digest`](crate::Server::digest).
        reconnects: bool,
        /// Its sessions.
        sessions: usize,
    },
}

impl Plan {
    /// From one catalog to another. `sessions` tells how many a server has.
    pub(super) fn between<'a>(
        before: impl Iterator<Item = (&'a ServerName, &'a Server)>,
        after: &Catalog,
        sessions: impl Fn(&ServerName) -> usize,
    ) -> Self {
        let planned = |server: &ServerName, change| PlannedServer { server: server.clone(), change };
        let mut known = BTreeSet::new();
        let mut servers: Vec<PlannedServer> = before
            .map(|(name, server)| {
                known.insert(name);
                let change = match after.get(name) {
                    None => Change::Removed { sessions: sessions(name) },
                    Some(next) if next.digest() != server.digest() => {
                        Change::Changed { reconnects: true, sessions: sessions(name) }
                    }
                    Some(next) if !next.is_as_patient_as(server) => {
                        Change::Changed { reconnects: false, sessions: sessions(name) }
                    }
                    Some(_) => Change::Unchanged,
                };
                planned(name, change)
            })
            .collect();
        let added = after.servers().filter(|(name, _)| !known.contains(name));
        servers.extend(added.map(|(name, _)| planned(name, Change::Added)));
        servers.sort_by(|one, other| one.server.cmp(&other.server));
        Self { servers }
    }

    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.servers.iter().all(|planned| planned.change == Change::Unchanged)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unchanged = 0;
        for PlannedServer { server, change } in &self.servers {
            match *change {
                Change::Added => writeln!(f, "+ {server}")?,
                Change::Removed { sessions: 0 } => writeln!(f, "- {server}")?,
                Change::Removed { sessions } => writeln!(f, "- {server}, with {}", count(sessions, "session"))?,
                Change::Changed { reconnects: true, sessions } if sessions > 0 => {
                    writeln!(f, "~ {server}, reconnects {}", count(sessions, "session"))?;
                }
                Change::Changed { .. } => writeln!(f, "~ {server}, reconnects nothing")?,
                Change::Unchanged => unchanged += 1,
            }
        }
        write!(f, "{} unchanged", count(unchanged, "server"))
    }
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn plan() -> Plan {
        let before = Catalog::new()
            .server("news", Server::command("news"))
            .server("old", Server::command("old"))
            .server("github", Server::command("github"))
            .server("time", Server::command("time"))
            .server("idle", Server::command("idle"))
            .server("same", Server::command("same"));
        let after = Catalog::new()
            .server("wiki", Server::command("wiki"))
            .server("github", Server::command("github-2"))
            .server("time", Server::command("time").call_timeout(Duration::from_secs(1)))
            .server("idle", Server::command("idle-2"))
            .server("same", Server::command("same"));
        let sessions = |name: &ServerName| match name.as_str() {
            "news" => 1,
            "github" | "time" => 3,
            _ => 0,
        };
        Plan::between(before.servers(), &after, sessions)
    }

    #[test]
    fn a_plan_says_what_becomes_of_each_server() {
        let changes: Vec<_> =
            plan().servers.into_iter().map(|planned| (planned.server.to_string(), planned.change)).collect();

        let expected = [
            ("github", Change::Changed { reconnects: true, sessions: 3 }),
            ("idle", Change::Changed { reconnects: true, sessions: 0 }),
            ("news", Change::Removed { sessions: 1 }),
            ("old", Change::Removed { sessions: 0 }),
            ("same", Change::Unchanged),
            ("time", Change::Changed { reconnects: false, sessions: 3 }),
            ("wiki", Change::Added),
        ];
        assert_eq!(changes, expected.map(|(name, change)| (name.to_owned(), change)));
    }

    #[test]
    fn a_plan_is_shown_to_people() {
        let shown = "~ github, reconnects 3 sessions\n~ idle, reconnects nothing\n- news, with 1 session\n- old\n\
                     ~ time, reconnects nothing\n+ wiki\n1 server unchanged";

        assert_eq!(plan().to_string(), shown);
    }

    #[test]
    fn a_plan_is_written_as_json() {
        let document = serde_json::to_value(plan()).unwrap();

        let github = serde_json::json!({ "server": "github", "change": "changed", "reconnects": true, "sessions": 3 });
        assert_eq!(document["servers"][0], github);
        assert_eq!(document["servers"][4], serde_json::json!({ "server": "same", "change": "unchanged" }));
    }

    #[test]
    fn the_same_catalog_changes_nothing() {
        let catalog = Catalog::new().server("time", Server::command("time"));

        let unchanged = Plan::between(catalog.servers(), &catalog, |_| 1);

        assert!(unchanged.is_empty() && !plan().is_empty());
    }
}
