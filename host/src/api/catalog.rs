//! Which servers a tenant has, and how to reach each.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use serde::Serialize;

use crate::{
    Isolation, ProcessLimits,
    config::{Expanded, McpJson, ServerEntry, ToolsEntry, Transport},
    isolation::Confinement,
    names::ServerName,
    policy::ToolRules,
    transport::{Command, Connector, Endpoint, command_line},
};

/// The servers of a tenant, by name.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    servers: BTreeMap<ServerName, Server>,
}

impl Catalog {
    /// A catalog without servers.
    pub fn new() -> Self {
        Self::default()
    }

    /// The servers of an `mcp.json`, without those that are disabled. Texts with variables are shown as they stand in the file.
    pub fn from_mcp_json(file: &McpJson) -> Self {
        let enabled = file.servers.iter().filter(|(_, entry)| !entry.disabled);
        enabled.fold(Self::new(), |catalog, (name, entry)| catalog.server(name.as_str(), Server::from(entry)))
    }

    /// Adds a server. One of the same name is replaced.
    #[must_use]
    pub fn server(mut self, name: impl Into<ServerName>, server: Server) -> Self {
        self.servers.insert(name.into(), server);
        self
    }

    pub(super) fn insert(&mut self, name: ServerName, server: Server) {
        self.servers.insert(name, server);
    }

    pub(super) fn remove(&mut self, name: &ServerName) {
        self.servers.remove(name);
    }

    /// The servers, sorted by name.
    pub fn servers(&self) -> impl Iterator<Item = (&ServerName, &Server)> {
        self.servers.iter()
    }

    /// A server by name.
    pub fn get(&self, name: &ServerName) -> Option<&Server> {
        self.servers.get(name)
    }
}

/// Who shares a session with a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Scope {
    /// Each user of the tenant has one of their own: the default.
    #[default]
    User,
    /// All users of the tenant share one. The server cannot tell them apart, and may show one what it learned from another. What it
    /// asks the platform goes to the user of the call where the protocol says which call it is about, and to the tenant's handler
    /// otherwise ([`TenantBuilder::server_requests`](crate::TenantBuilder::server_requests)); without one it is refused.
    Tenant,
    /// Each lease has one of its own, which is closed with it: for servers whose state belongs to one task.
    Exclusive,
}

/// In which order the sessions with a server are replaced when its definition was edited. See
/// [`Tenant::reload`](crate::Tenant::reload).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Replace {
    /// The new session is opened first, and the old one is left to those who hold it: nobody waits. The default.
    #[default]
    Overlap,
    /// The old session is over before the new one is begun: for a server that holds a lock, or a port. Who wants a session meanwhile
    /// waits.
    After,
}

/// How to reach a server, and what is particular to it.
#[derive(Clone)]
pub struct Server {
    pub(super) reach: Reach,
    pub(super) open_timeout: Option<Duration>,
    pub(super) call_timeout: Option<Duration>,
    pub(super) revision: Option<String>,
    pub(super) confinement: Confinement,
    pub(super) inherit_home: Option<bool>,
    pub(super) scope: Scope,
    pub(super) tool_rules: ToolRules,
    pub(super) replace: Replace,
}

#[derive(Clone)]
pub(super) enum Reach {
    Command(Command),
    Connector(Arc<dyn Connector>),
    Url(Endpoint),
}

impl Server {
    /// A process that speaks over standard input and output. One is started for each session.
    pub fn command(command: impl Into<Command>) -> Self {
        Self::new(Reach::Command(command.into()))
    }

    /// A server that the embedder connects to by itself.
    pub fn connector(connector: Arc<dyn Connector>) -> Self {
        Self::new(Reach::Connector(connector))
    }

    /// A server at a URL, over HTTP. Without the feature `http` such servers are listed and cannot be opened: a lease is
    /// [`Error::Unsupported`](crate::Error::Unsupported).
    pub fn url(endpoint: impl Into<Endpoint>) -> Self {
        Self::new(Reach::Url(endpoint.into()))
    }

    fn new(reach: Reach) -> Self {
        Self {
            reach,
            open_timeout: None,
            call_timeout: None,
            revision: None,
            confinement: Confinement::default(),
            inherit_home: None,
            scope: Scope::default(),
            tool_rules: ToolRules::default(),
            replace: Replace::default(),
        }
    }

    /// Who shares a session with it. Default: [`Scope::User`].
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    pub(crate) fn shared_by(&self) -> Scope {
        self.scope
    }

    /// In which order its sessions are replaced when its definition was edited. Default: [`Replace::Overlap`].
    #[must_use]
    pub fn replace(mut self, replace: Replace) -> Self {
        self.replace = replace;
        self
    }

    /// How long opening may take. Default: [`Limits::open`](crate::Limits::open).
    #[must_use]
    pub fn open_timeout(mut self, timeout: Duration) -> Self {
        self.open_timeout = Some(timeout);
        self
    }

    /// How long a call may take without news. Default: [`Limits::call`](crate::Limits::call).
    #[must_use]
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = Some(timeout);
        self
    }

    /// The revision of the protocol to speak, as the guest knows it. Default: the guest finds out.
    #[must_use]
    pub fn revision(mut self, revision: impl Into<String>) -> Self {
        self.revision = Some(revision.into());
        self
    }

    /// What keeps the server's processes from others of the same user. Default: [`Isolation::Guarded`]. What a machine does not
    /// give is [`Error::Isolation`](crate::Error::Isolation), and never less in its place.
    #[must_use]
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.confinement.isolation = isolation;
        self.confinement.allow_privileges &= isolation == Isolation::Basic;
        self
    }

    /// Lets the server's processes gain privileges, by `sudo` or setuid programs. Default: no, on Linux. It takes
    /// [`Isolation::Basic`], which this sets, and a later [`Isolation::Guarded`] takes it back. What has gained privileges cannot be
    /// killed by the host's user: such a process may outlive its session.
    #[must_use]
    pub fn allow_privileges(mut self, allow: bool) -> Self {
        self.confinement.allow_privileges = allow;
        if allow {
            self.confinement.isolation = Isolation::Basic;
        }
        self
    }

    /// What each process of the server may use. Default: what the host may, and no core files.
    #[must_use]
    pub fn process_limits(mut self, limits: ProcessLimits) -> Self {
        self.confinement.limits = limits;
        self
    }

    /// Whether the server has the `HOME`, `XDG_*` and `TMPDIR` of the host; otherwise it gets empty folders for each of its
    /// processes, which go with it. Default: in a runtime with one tenant it has, in one with several it has not. `npx` and
    /// `uvx` keep their caches there, and download anew each time without.
    #[must_use]
    pub fn inherit_home(mut self, inherit: bool) -> Self {
        self.inherit_home = Some(inherit);
        self
    }

    /// Which of the server's tools may be used, and what models are told of them. Default: all, as the server has them. They bind
    /// each call, however it is made, beside those of the tenant
    /// ([`TenantBuilder::tool_rules`](crate::TenantBuilder::tool_rules)).
    #[must_use]
    pub fn tool_rules(mut self, rules: ToolRules) -> Self {
        self.tool_rules = rules;
        self
    }

    /// The rules for its tools.
    pub(crate) fn rules_for_tools(&self) -> &ToolRules {
        &self.tool_rules
    }

    /// One line for people: the command line, the URL, what the connector says of itself.
    pub fn describe(&self) -> String {
        match &self.reach {
            Reach::Command(command) => command.to_string(),
            Reach::Connector(connector) => connector.describe(),
            Reach::Url(endpoint) => endpoint.to_string(),
        }
    }
}

impl From<&ServerEntry> for Server {
    fn from(entry: &ServerEntry) -> Self {
        let mut server = match &entry.transport {
            Transport::Stdio { command, args, env, cwd, isolation, allow_privileges, inherit_home, limits } => {
                let shown = command_line(command.written(), args.iter().map(Expanded::written));
                let mut built = Command::new(command.value()).args(args.iter().map(Expanded::value)).shown_as(shown);
                for (name, value) in env {
                    built = built.env_template(name, value.into());
                }
                if let Some(folder) = cwd {
                    built = built.current_dir(folder.value());
                }
                let server = Self::command(built).isolation(*isolation).process_limits(*limits);
                let server = server.allow_privileges(*allow_privileges);
                Self { inherit_home: *inherit_home, ..server }
            }
            Transport::Http { url, headers, proxy, ca_certificates, client_certificate, private_addresses, sse } => {
                let endpoint = Endpoint::of_template(url.into(), url.written());
                let mut endpoint = headers
                    .iter()
                    .fold(endpoint, |endpoint, (name, value)| endpoint.header_template(name, value.into()))
                    .private_addresses(*private_addresses)
                    .origin_paths(*sse);
                if let Some(proxy) = proxy {
                    endpoint = endpoint.proxy_template(proxy.into());
                }
                if let Some(file) = ca_certificates {
                    endpoint = endpoint.ca_certificates(file.value());
                }
                if let Some(file) = client_certificate {
                    endpoint = endpoint.client_certificate(file.value());
                }
                Self::url(endpoint)
            }
        };
        server.call_timeout = entry.timeout;
        server.tool_rules = tool_rules(&entry.tools);
        server
    }
}

fn tool_rules(entry: &ToolsEntry) -> ToolRules {
    let mut rules = ToolRules::new();
    if let Some(allow) = &entry.allow {
        rules = allow.iter().fold(rules.allow_only_listed(), |rules, pattern| rules.allow(pattern.as_str()));
    }
    rules = entry.deny.iter().fold(rules, |rules, pattern| rules.deny(pattern.as_str()));
    for (tool, name) in &entry.rename {
        rules = rules.rename(tool.as_str(), name.as_str());
    }
    for (tool, description) in &entry.describe {
        rules = rules.describe(tool.as_str(), description.as_str());
    }
    if let Some(trust) = entry.trust_idempotence_hints {
        rules = rules.trust_idempotence_hints(trust);
    }
    rules
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("reach", &self.describe())
            .field("open_timeout", &self.open_timeout)
            .field("call_timeout", &self.call_timeout)
            .field("revision", &self.revision)
            .field("confinement", &self.confinement)
            .field("inherit_home", &self.inherit_home)
            .field("scope", &self.scope)
            .field("tool_rules", &self.tool_rules)
            .finish()
    }
}
