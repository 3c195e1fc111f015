//! Which servers a tenant has, and how to reach each.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use crate::{
    config::{Expanded, McpJson, ServerEntry, Transport},
    names::ServerName,
    transport::{Command, Connector, command_line},
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

    /// The servers, sorted by name.
    pub fn servers(&self) -> impl Iterator<Item = (&ServerName, &Server)> {
        self.servers.iter()
    }

    /// A server by name.
    pub fn get(&self, name: &ServerName) -> Option<&Server> {
        self.servers.get(name)
    }
}

/// How to reach a server, and what is particular to it.
#[derive(Clone)]
pub struct Server {
    pub(super) reach: Reach,
    pub(super) open_timeout: Option<Duration>,
    pub(super) call_timeout: Option<Duration>,
    pub(super) revision: Option<String>,
}

#[derive(Clone)]
pub(super) enum Reach {
    Command(Command),
    Connector(Arc<dyn Connector>),
    /// The URL as people may see it.
    Url(String),
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

    /// A server at a URL. This version lists such servers and cannot open them: a lease is
    /// [`Error::Unsupported`](crate::Error::Unsupported).
    pub fn url(url: impl Into<String>) -> Self {
        Self::new(Reach::Url(url.into()))
    }

    fn new(reach: Reach) -> Self {
        Self { reach, open_timeout: None, call_timeout: None, revision: None }
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

    /// One line for people: the command line, the URL, what the connector says of itself.
    pub fn describe(&self) -> String {
        match &self.reach {
            Reach::Command(command) => command.to_string(),
            Reach::Connector(connector) => connector.describe(),
            Reach::Url(shown) => shown.clone(),
        }
    }
}

impl From<&ServerEntry> for Server {
    fn from(entry: &ServerEntry) -> Self {
        let mut server = match &entry.transport {
            Transport::Stdio { command, args, env, cwd } => {
                let shown = command_line(command.written(), args.iter().map(Expanded::written));
                let mut built = Command::new(command.value()).args(args.iter().map(Expanded::value)).shown_as(shown);
                for (name, value) in env {
                    built = built.env(name, value.value());
                }
                if let Some(folder) = cwd {
                    built = built.current_dir(folder.value());
                }
                Self::command(built)
            }
            Transport::Http { url, .. } => Self::url(url.written()),
        };
        server.call_timeout = entry.timeout;
        server
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("reach", &self.describe())
            .field("open_timeout", &self.open_timeout)
            .field("call_timeout", &self.call_timeout)
            .field("revision", &self.revision)
            .finish()
    }
}
