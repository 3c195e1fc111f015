//! What a tenant may use, as its platform says it.

use std::path::PathBuf;

use super::{origin::Origin, paths, pattern::Pattern, variables};
use crate::names::{SecretName, ServerName};

/// Servers of its own that a tenant may have, where its policy says nothing else: more than people have in an `mcp.json`, and few
/// enough to be listed.
const SERVERS: usize = 50;

/// Bytes that the definition of one of them may have: command line, variables and address. A thousandth of what a
/// process can be given, and enough for any that people write.
const BYTES: usize = 16 * 1024;

/// What a tenant may use, and what its own servers may be. Given to [`TenantBuilder::policy`](crate::TenantBuilder::policy).
///
/// It is about two kinds of servers. Those of [`TenantBuilder::catalog`](crate::TenantBuilder::catalog) are the platform's, and
/// trusted: [`allow_servers`](Self::allow_servers) and [`deny_servers`](Self::deny_servers) say which of them this tenant may use,
/// by default all. Those of [`TenantBuilder::untrusted_catalog`](crate::TenantBuilder::untrusted_catalog) are the tenant's own, and
/// everything else here is about them: **what is not allowed is denied**, by default all of it.
///
/// ```
/// use innkeeper::Policy;
///
/// let policy = Policy::new()
///     .deny_servers(["*-internal"])
///     .allow_command("/usr/local/bin/mcp-server-time")
///     .allow_variable("TZ")
///     .allow_variable("GITHUB_*")
///     .allow_secret("team/*")
///     .allow_origin("https://mcp.example.com");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    servers: Option<Vec<Pattern>>,
    denied_servers: Vec<Pattern>,
    pub(super) commands: Vec<PathBuf>,
    variables: Vec<String>,
    secrets: Vec<Pattern>,
    pub(super) origins: Vec<String>,
    pub(super) folders: Vec<PathBuf>,
    pub(super) most_servers: usize,
    pub(super) most_bytes: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            servers: None,
            denied_servers: Vec::new(),
            commands: Vec::new(),
            variables: Vec::new(),
            secrets: Vec::new(),
            origins: Vec::new(),
            folders: Vec::new(),
            most_servers: SERVERS,
            most_bytes: BYTES,
        }
    }
}

impl Policy {
    /// All servers of the platform's catalog, and none of the tenant's own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names of servers that the tenant may use, in which `*` stands for any text. Called again, it adds to them. Default: all.
    #[must_use]
    pub fn allow_servers(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.servers.get_or_insert_default().extend(names.into_iter().map(Pattern::new));
        self
    }

    /// Names of servers that the tenant may not use, in which `*` stands for any text, whatever else allows them. Such a server is
    /// not listed, and a lease of it is [`Error::Denied`](crate::Error::Denied). Default: none.
    #[must_use]
    pub fn deny_servers(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.denied_servers.extend(names.into_iter().map(Pattern::new));
        self
    }

    /// A program that the tenant's own servers may be, by its absolute path. Links are resolved on both sides; what is executed
    /// is the file that they lead to now. Nothing is looked for on `PATH`. Default: none.
    ///
    /// **The arguments are the tenant's.** Who allows an interpreter, a shell or a package runner allows every program: `npx`
    /// is every package of npm. And the file must be one that the host's user cannot write to: a server is a process of that
    /// user, and could replace it.
    #[must_use]
    pub fn allow_command(mut self, path: impl Into<PathBuf>) -> Self {
        self.commands.push(path.into());
        self
    }

    /// A variable that the tenant's own servers may set, by its name, or by the beginning of its name with a `*` behind it. Names that
    /// decide which code runs, of loaders, interpreters and package runners (`PATH`, `HOME`, `LD_*`, `NODE_OPTIONS`,
    /// `PYTHONPATH` and the like), match no `*`, only themselves. Default: none.
    #[must_use]
    pub fn allow_variable(mut self, name: impl Into<String>) -> Self {
        self.variables.push(name.into());
        self
    }

    /// Names of secrets that the tenant's own servers may be given, in which `*` stands for any text. Such a server can do
    /// with them what it likes, and its tenant reads them there. Default: none.
    #[must_use]
    pub fn allow_secret(mut self, name: impl Into<String>) -> Self {
        self.secrets.push(Pattern::new(name));
        self
    }

    /// An origin that the tenant's own servers may be at: scheme, host and port, as `https://mcp.example.com:8443`. An address
    /// with a user in it is at none. Default: none.
    #[must_use]
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// A folder that the tenant's own servers may be started in, or below, by its absolute path; links are resolved as for
    /// commands. Default: none, and such a server names no folder.
    #[must_use]
    pub fn allow_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folders.push(folder.into());
        self
    }

    /// How many servers of its own the tenant may have. Default: 50.
    #[must_use]
    pub fn most_untrusted_servers(mut self, servers: usize) -> Self {
        self.most_servers = servers;
        self
    }

    /// Bytes that the definition of one of them may have in all: its name, command line, variables, folder, address. Default:
    /// 16 KiB.
    #[must_use]
    pub fn most_untrusted_bytes(mut self, bytes: usize) -> Self {
        self.most_bytes = bytes;
        self
    }

    /// Whether the tenant may use a server of this name.
    pub(crate) fn allows_server(&self, name: &ServerName) -> bool {
        let one_of = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(name.as_str()));
        self.servers.as_deref().is_none_or(one_of) && !one_of(&self.denied_servers)
    }

    /// How many servers of its own a tenant may have.
    pub(crate) fn servers_at_most(&self) -> usize {
        self.most_servers
    }

    pub(super) fn allows_variable(&self, name: &str) -> bool {
        self.variables.iter().any(|rule| variables::allows(rule, name))
    }

    pub(super) fn allows_secret(&self, name: &SecretName) -> bool {
        self.secrets.iter().any(|pattern| pattern.matches(name.as_str()))
    }

    /// What is wrong with the policy itself: rules that would never apply, which their author does not know.
    pub(crate) fn faults(&self) -> Vec<String> {
        let paths = self.commands.iter().map(|path| ("command", path));
        let paths = paths.chain(self.folders.iter().map(|path| ("folder", path)));
        let paths = paths.filter_map(|(kind, path)| {
            Some(format!("the {kind} `{}` that it allows: {}", path.display(), paths::check(path).err()?))
        });
        let origins = self.origins.iter().filter_map(|origin| {
            // It may have a password in it.
            Some(format!("an origin that it allows is none: {}", Origin::named(origin).err()?))
        });
        paths.chain(origins).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(policy: &Policy, name: &str) -> bool {
        policy.allows_server(&name.into())
    }

    #[test]
    fn by_default_every_server_may_be_used() {
        assert!(allows(&Policy::new(), "github"));
    }

    #[test]
    fn what_is_denied_counts_more_than_what_is_allowed() {
        let policy = Policy::new().allow_servers(["git*"]).allow_servers(["time"]).deny_servers(["gitlab"]);

        assert!(allows(&policy, "github") && allows(&policy, "time"));
        assert!(!allows(&policy, "gitlab") && !allows(&policy, "wiki"));
        assert!(!allows(&Policy::new().allow_servers([""; 0]), "github"), "allowing none is allowing none");
    }

    #[test]
    fn a_rule_that_can_never_apply_is_a_fault() {
        let policy = Policy::new()
            .allow_command("npx")
            .allow_folder("/srv/../etc")
            .allow_origin("https://user:hunter2@a.example")
            .allow_command("/bin/sh")
            .allow_origin("https://a.example");

        let faults = policy.faults();

        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(
            faults[0].contains("`npx`") && faults[1].contains("`..`") && faults[2].contains("a user"),
            "{faults:?}"
        );
        assert!(!faults[2].contains("hunter2"));
    }
}
