//! The servers that a command can use: those of a configuration file, or one that was given on the command line.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use innkeeper::{
    Catalog, Command, Endpoint, Server,
    config::{Inspection, McpJson, locate},
};

use crate::{
    exit::Failure,
    options::{AdHoc, GlobalOptions},
    output::note,
    target,
};

/// Servers by name, and what is needed to use them.
#[derive(Debug)]
pub(crate) struct Servers {
    catalog: Catalog,
    /// Names, with whether the server may be used.
    enabled: BTreeMap<String, bool>,
    /// The file, if they come from one.
    path: Option<PathBuf>,
}

impl Servers {
    /// The servers that the options name.
    pub(crate) fn choose(ad_hoc: &AdHoc, options: &GlobalOptions) -> Result<Self, Failure> {
        match (ad_hoc.command.split_first(), &ad_hoc.url) {
            (Some((program, args)), _) => Self::ad_hoc(program, args),
            (None, Some(url)) => Self::at(url),
            (None, None) => Self::configured(options),
        }
    }

    /// The server at a URL. Whoever runs this program may reach what this machine may.
    fn at(url: &str) -> Result<Self, Failure> {
        // A name for messages: the host, as it is written.
        let name = url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
        let name =
            name.map(|authority| authority.rsplit('@').next().unwrap_or(authority)).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| {
            Failure::usage(format!("`{url}` is not the URL of a server"))
                .hint("write all of it, such as https://example.com/mcp")
        })?;
        let endpoint = Endpoint::new(url).private_addresses(true).origin_paths(true);
        Ok(Self::one(name, Server::url(endpoint)))
    }

    fn one(name: &str, server: Server) -> Self {
        Self { catalog: Catalog::new().server(name, server), enabled: [(name.to_owned(), true)].into(), path: None }
    }

    fn ad_hoc(program: &str, args: &[String]) -> Result<Self, Failure> {
        // A name for messages: what people call the program.
        let name = Path::new(program).file_name().and_then(|name| name.to_str()).ok_or_else(|| {
            Failure::usage(format!("`{program}` is not a command"))
                .hint("after `--`, write a command and its arguments")
        })?;
        Ok(Self::one(name, Server::command(Command::new(program).args(args))))
    }

    fn configured(options: &GlobalOptions) -> Result<Self, Failure> {
        let mut config = inspect(options)?.into_result()?;
        for warning in &config.warnings {
            tracing::info!("{warning}");
        }
        // A mistyped limit is none: whoever relies on it must not have to ask for a check.
        match config.warnings.len() {
            0 => {}
            1 => note("1 warning; see `innkeeper config check`"),
            count => note(&format!("{count} warnings; see `innkeeper config check`")),
        }
        if let Some(timeout) = options.timeout {
            override_timeouts(&mut config, timeout);
        }
        Ok(Self {
            catalog: Catalog::from_mcp_json(&config),
            enabled: config.servers.iter().map(|(name, entry)| (name.clone(), !entry.disabled)).collect(),
            path: Some(config.path),
        })
    }

    pub(crate) fn catalog(&self) -> Catalog {
        self.catalog.clone()
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.enabled.contains_key(name)
    }

    /// The servers that may be used, sorted.
    pub(crate) fn enabled(&self) -> impl Iterator<Item = &str> {
        self.enabled.iter().filter(|(_, enabled)| **enabled).map(|(name, _)| name.as_str())
    }

    /// The others, sorted.
    pub(crate) fn disabled(&self) -> impl Iterator<Item = &str> {
        self.enabled.iter().filter(|(_, enabled)| !**enabled).map(|(name, _)| name.as_str())
    }

    /// The server of that name, if it may be used.
    pub(crate) fn find(&self, name: &str) -> Result<&str, Failure> {
        match self.enabled.get_key_value(name) {
            Some((name, true)) => Ok(name),
            Some((name, false)) => {
                let failure = Failure::not_found(format!("the server `{name}` is disabled"));
                Err(match &self.path {
                    Some(path) => failure.hint(format!("remove \"disabled\" from its entry in {}", path.display())),
                    None => failure,
                })
            }
            None => Err(target::unknown("server", name, self.enabled())),
        }
    }

    /// The server that is named, or all that may be used. At least one.
    pub(crate) fn select(&self, name: Option<&str>) -> Result<Vec<String>, Failure> {
        let names: Vec<String> = match name {
            Some(name) => vec![self.find(name)?.to_owned()],
            None => self.enabled().map(str::to_owned).collect(),
        };
        if names.is_empty() {
            let path = self.path.as_deref().unwrap_or(Path::new("the configuration"));
            return Err(Failure::configuration(format!("{} has no server that is enabled", path.display()))
                .hint("list one under \"mcpServers\", or give one after `--` or with --url"));
        }
        Ok(names)
    }

    /// The one server that is named, or the only one that there is.
    pub(crate) fn single(&self, name: Option<&str>) -> Result<String, Failure> {
        let mut names = self.select(name)?;
        match (names.pop(), names.is_empty()) {
            (Some(only), true) => Ok(only),
            (last, _) => {
                let all = names.into_iter().chain(last).map(|name| format!("`{name}`")).collect::<Vec<_>>();
                Err(Failure::usage("no server is named").hint(format!("name one of {}", all.join(", "))))
            }
        }
    }

    /// The only server, where one was given on the command line.
    pub(crate) fn only(&self) -> Option<&str> {
        match (&self.path, self.enabled.keys().next()) {
            (None, Some(name)) => Some(name),
            _ => None,
        }
    }

    #[cfg(test)]
    pub(crate) fn for_tests(enabled: &[&str], disabled: &[&str]) -> Self {
        let names = enabled.iter().map(|name| (*name, true)).chain(disabled.iter().map(|name| (*name, false)));
        Self {
            catalog: Catalog::new(),
            enabled: names.map(|(name, enabled)| (name.to_owned(), enabled)).collect(),
            path: Some("mcp.json".into()),
        }
    }
}

/// Reads the configuration file that the options name, or the nearest one.
pub(crate) fn inspect(options: &GlobalOptions) -> Result<Inspection, Failure> {
    let environment = |name: &str| env::var_os(name);
    let path = match &options.config {
        Some(path) => path.clone(),
        None => locate(&environment, &|path| path.exists()).map_err(|error| {
            let places: Vec<_> = error.looked_for.iter().map(|path| path.display().to_string()).collect();
            Failure::configuration(error.to_string())
                .hint("name a file with --config FILE, or give a server after `--` or with --url")
                .detail("looked_for", places)
        })?,
    };
    Ok(McpJson::inspect(&path, &environment))
}

/// What is said on the command line counts more than what stands in the file.
fn override_timeouts(config: &mut McpJson, timeout: Duration) {
    for entry in config.servers.values_mut() {
        entry.timeout = Some(timeout);
    }
}
