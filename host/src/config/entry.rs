//! One server of an `mcp.json`.
//!
//! An entry either names a program to start (`command`) or an address to connect to (`url`); nothing is guessed from
//! the rest. Keys that other programs have and this one does not are warned about and ignored, because a file that
//! works elsewhere must not fail here for a comfort that is missing.

use std::{collections::BTreeMap, fmt, time::Duration};

use jsonc_parser::ast::{ObjectProp, Value};

use super::{
    context::{Context, KeyPath, Members, Secrets},
    duration::parse_duration,
    expand::Expanded,
    keys::{HTTP_KEYS, OF_ENTRIES, STDIO_KEYS},
    limits,
    tools::{self, ToolsEntry},
    values::{NUL, check_argument, check_header, check_url, check_variable},
};
use crate::{Isolation, ProcessLimits};

/// How a server is reached and used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerEntry {
    /// How messages reach the server.
    pub transport: Transport,
    /// How long one call may take. None: the default of whoever uses the entry.
    pub timeout: Option<Duration>,
    /// Whether the server is to be left alone. Variables that are not set are no error in such an entry; the texts that
    /// name them stay as written.
    pub disabled: bool,
    /// Which of the server's tools may be used, and what they are called.
    pub tools: ToolsEntry,
    /// The line in which the entry begins, counted from 1.
    pub line: usize,
}

/// How messages reach a server.
///
/// `Debug` hides the values of environment variables and headers.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// A program that is started, over its standard input and output.
    Stdio {
        /// The program. Never empty; no shell looks at it.
        command: Expanded,
        /// Its arguments.
        args: Vec<Expanded>,
        /// Variables that are added to its environment.
        env: BTreeMap<String, Expanded>,
        /// The folder to start it in.
        cwd: Option<Expanded>,
        /// What keeps its processes from others.
        isolation: Isolation,
        /// Whether they may gain privileges; never where they are guarded.
        allow_privileges: bool,
        /// Whether it has the folders of the host's user. None: the default of whoever uses the entry.
        inherit_home: Option<bool>,
        /// What each of its processes may use.
        limits: ProcessLimits,
    },
    /// An address, over HTTP.
    Http {
        /// The address, with the scheme `http` or `https`.
        url: Expanded,
        /// Header fields that are added to each request.
        headers: BTreeMap<String, Expanded>,
    },
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdio { command, args, env, cwd, isolation, allow_privileges, inherit_home, limits } => f
                .debug_struct("Stdio")
                .field("command", command)
                .field("args", args)
                .field("env", &Masked(env))
                .field("cwd", cwd)
                .field("isolation", isolation)
                .field("allow_privileges", allow_privileges)
                .field("inherit_home", inherit_home)
                .field("limits", limits)
                .finish(),
            Self::Http { url, headers } => {
                f.debug_struct("Http").field("url", url).field("headers", &Masked(headers)).finish()
            }
        }
    }
}

/// Shows the names of a map, not its values.
struct Masked<'a>(&'a BTreeMap<String, Expanded>);

impl fmt::Debug for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.keys().map(|name| (name, format_args!("***")))).finish()
    }
}

/// Reads an entry. Gives none if anything in it is wrong.
pub(super) fn read(context: &mut Context<'_>, key: &KeyPath, property: &ObjectProp<'_>) -> Option<ServerEntry> {
    let errors_before = context.errors.len();
    let members = context.members(key, &property.value)?;
    let mut entry = EntryReader { context, key, members: &members };

    let disabled = entry.boolean("disabled").unwrap_or(false);
    entry.context.tolerate_unset = disabled;
    let timeout = entry.timeout();
    let transport = entry.transport(property);
    let tools = tools::read(entry.context, key, &members);
    OF_ENTRIES.warn_of_others(entry.context, key, &members);

    let context = entry.context;
    context.tolerate_unset = false;
    let line = context.line(property);
    let transport = transport.filter(|_| context.errors.len() == errors_before)?;
    Some(ServerEntry { transport, timeout, disabled, tools, line })
}

struct EntryReader<'r, 'a, 't> {
    context: &'r mut Context<'a>,
    key: &'r KeyPath,
    members: &'r Members<'t>,
}

impl<'t> EntryReader<'_, '_, 't> {
    fn get(&self, name: &str) -> Option<(&'t Value<'t>, KeyPath)> {
        self.members.get(name).map(|property| (&property.value, self.key.member(name)))
    }

    fn boolean(&mut self, name: &str) -> Option<bool> {
        let (value, key) = self.get(name)?;
        self.context.boolean(&key, value)
    }

    fn timeout(&mut self) -> Option<Duration> {
        let (value, key) = self.get("timeout")?;
        let text = self.context.quantity(&key, value, "write one like \"30s\"")?;
        match parse_duration(text) {
            Ok(timeout) => Some(timeout),
            Err(error) => {
                let hint = format!(
                    "write \"{text}s\" for seconds or \"{text}ms\" for milliseconds: \
                     some programs read it as the one, some as the other"
                );
                self.context.refuse_duration(&key, value, error, &hint);
                None
            }
        }
    }

    fn transport(&mut self, property: &ObjectProp<'_>) -> Option<Transport> {
        let transport = match (self.get("command"), self.get("url")) {
            (Some(command), None) => self.stdio(command),
            (None, Some(url)) => self.http(url),
            (Some(_), Some((url, _))) => {
                let hint = "remove the one that is not meant";
                self.context.error(url, self.key, "has both \"command\" and \"url\"", hint);
                None
            }
            (None, None) => {
                let hint = "add \"command\" with a program to start, or \"url\" with an address to connect to";
                self.context.error(property, self.key, "has neither \"command\" nor \"url\"", hint);
                None
            }
        };
        self.check_type();
        transport
    }

    fn stdio(&mut self, (value, key): (&Value<'_>, KeyPath)) -> Option<Transport> {
        let command = self.context.expanded(&key, value);
        if let Some(command) = &command {
            self.check_command(&key, value, command);
        }
        let args = match self.get("args") {
            Some((value, key)) => self.context.expanded_array(&key, value, check_argument),
            None => Vec::new(),
        };
        let env = match self.get("env") {
            Some((value, key)) => self.context.expanded_members(&key, value, Secrets::Allowed, check_variable),
            None => BTreeMap::new(),
        };
        let cwd = self.get("cwd").and_then(|(value, key)| {
            let cwd = self.context.expanded(&key, value)?;
            if cwd.value().is_empty() {
                self.context.error(value, &key, "is empty", "name a folder, or remove the key");
            } else if cwd.value().contains('\0') {
                self.context.error(value, &key, NUL, "");
            }
            self.warn_of_tilde(&key, value, &cwd);
            Some(cwd)
        });
        let allow_privileges = self.boolean("allowPrivileges").unwrap_or(false);
        let isolation = self.isolation(allow_privileges);
        let inherit_home = self.boolean("inheritHome");
        let limits = self.get("limits").map(|(value, key)| limits::read(self.context, &key, value)).unwrap_or_default();
        self.warn_of_useless_keys(&HTTP_KEYS, "command");
        Some(Transport::Stdio { command: command?, args, env, cwd, isolation, allow_privileges, inherit_home, limits })
    }

    /// A server that may gain privileges cannot be guarded from using them.
    fn isolation(&mut self, privileged: bool) -> Isolation {
        let Some((value, key)) = self.get("isolation") else {
            return if privileged { Isolation::Basic } else { Isolation::default() };
        };
        match self.context.string(&key, value, "") {
            Some("basic") => return Isolation::Basic,
            Some("guarded") if privileged => {
                let hint = "remove \"allowPrivileges\", or write \"basic\"";
                self.context.error(value, &key, "a guarded server cannot be allowed privileges", hint);
            }
            Some("guarded") | None => {}
            Some(_) => {
                let hint = "write \"guarded\" or \"basic\", or remove the key: \"guarded\" is the default";
                self.context.error(value, &key, "is not a known isolation", hint);
            }
        }
        Isolation::Guarded
    }

    fn check_command(&mut self, key: &KeyPath, value: &Value<'_>, command: &Expanded) {
        let text = command.value();
        if text.trim().is_empty() {
            self.context.error(value, key, "is empty", "name the program to start");
        } else if text.contains('\0') {
            self.context.error(value, key, NUL, "");
        } else if text.split(' ').next().is_some_and(|first| first.len() < text.len() && !first.contains(['/', '\\'])) {
            let hint = "put the words after the first into \"args\"";
            self.context.warn(value, key, "is taken as the name of one program, spaces included", hint);
        }
        self.warn_of_tilde(key, value, command);
    }

    fn warn_of_tilde(&mut self, key: &KeyPath, value: &Value<'_>, path: &Expanded) {
        if path.written().starts_with("~/") {
            self.context.warn(value, key, "\"~\" is not replaced: no shell reads this", "write \"${HOME}/...\"");
        }
    }

    fn http(&mut self, (value, key): (&Value<'_>, KeyPath)) -> Option<Transport> {
        let url = self.context.expanded(&key, value);
        if let Some(url) = &url
            && !(self.context.tolerate_unset && url.written().contains("${"))
            && let Err(problem) = check_url(url.value())
        {
            self.context.error(value, &key, problem, "write one like \"https://example.com/mcp\"");
        }
        let headers = match self.get("headers") {
            Some((value, key)) => self.context.expanded_members(&key, value, Secrets::Refused, check_header),
            None => BTreeMap::new(),
        };
        self.warn_of_useless_keys(&STDIO_KEYS, "url");
        Some(Transport::Http { url: url?, headers })
    }

    /// `type` is what other programs go by; here it must agree with what the entry says anyway.
    fn check_type(&mut self) {
        let Some((value, key)) = self.get("type") else { return };
        let Some(kind) = self.context.string(&key, value, "") else { return };
        let (wanted, unwanted) = match kind {
            "stdio" => ("command", "url"),
            "http" | "streamable-http" | "streamableHttp" | "sse" => ("url", "command"),
            _ => {
                let hint = "write \"stdio\" or \"http\", or remove the key: \"command\" or \"url\" says it already";
                return self.context.error(value, &key, "is not a known type", hint);
            }
        };
        if !self.members.contains_key(wanted) && self.members.contains_key(unwanted) {
            let problem = format!("a server of type {kind:?} has a {wanted:?}, but this one has a {unwanted:?}");
            self.context.error(value, &key, problem, "remove the key");
        }
    }

    fn warn_of_useless_keys(&mut self, useless: &[&str], because: &str) {
        for name in useless {
            if let Some(property) = self.members.get(name) {
                let problem = format!("has no effect on a server that has a {because:?}");
                self.context.warn(*property, &self.key.member(name), problem, "");
            }
        }
    }
}
