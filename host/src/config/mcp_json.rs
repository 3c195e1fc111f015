//! A whole `mcp.json`: the file, its frame, and the servers in it.
//!
//! One file is often shared by several programs, so what stands beside `mcpServers` belongs to others and is left
//! alone. What stands in its place is not: the usual mistakes there each get an answer that says what to do.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use jsonc_parser::ast::{ObjectProp, Value};

use super::{
    Environment,
    context::{Context, KeyPath, Members},
    document::{self, DocumentError},
    entry::{self, ServerEntry},
    error::{ConfigError, ConfigWarning},
};

/// Largest configuration file that is read: 1 MiB.
///
/// Thousands of servers fit. What is larger is another file by mistake, and reading that whole would be the first thing
/// that goes wrong.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// The servers that an `mcp.json` lists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct McpJson {
    /// The file.
    pub path: PathBuf,
    /// The servers by name, disabled ones among them.
    pub servers: BTreeMap<String, ServerEntry>,
    /// What is doubtful in the file. It can be used all the same.
    pub warnings: Vec<ConfigWarning>,
}

/// All that reading a file gave: what could be read, and all that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// What could be read. Where there are errors, the servers that have none.
    pub config: McpJson,
    /// What is wrong, in the order of the file.
    pub errors: Vec<ConfigError>,
}

impl Inspection {
    /// The file, if nothing is wrong with it.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub fn into_result(self) -> Result<McpJson, Vec<ConfigError>> {
        if self.errors.is_empty() { Ok(self.config) } else { Err(self.errors) }
    }

    fn failed(path: &Path, error: ConfigError) -> Self {
        Self { config: McpJson::without_servers(path), errors: vec![error] }
    }
}

impl McpJson {
    /// Reads a file, for use.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, and if it cannot be read, why.
    pub fn load(path: &Path, environment: &Environment<'_>) -> Result<Self, Vec<ConfigError>> {
        Self::inspect(path, environment).into_result()
    }

    /// Reads a file, to say what is in it and what is wrong with it.
    #[must_use]
    pub fn inspect(path: &Path, environment: &Environment<'_>) -> Inspection {
        match File::open(path).and_then(read_bounded) {
            Ok(bytes) => Self::parse(path, &bytes, environment),
            Err(error) => {
                let hint = match error.kind() {
                    io::ErrorKind::NotFound => Some("is the path right?"),
                    io::ErrorKind::IsADirectory => Some("name a file in that folder"),
                    _ => None,
                };
                Inspection::failed(path, ConfigError::of_file(path, format!("cannot be read: {error}"), hint))
            }
        }
    }

    /// Reads the content of a file. `path` is for errors only.
    #[must_use]
    pub fn parse(path: &Path, bytes: &[u8], environment: &Environment<'_>) -> Inspection {
        if bytes.len() > MAX_FILE_BYTES {
            let problem = format!("is larger than {} MiB", MAX_FILE_BYTES >> 20);
            return Inspection::failed(path, ConfigError::of_file(path, problem, Some("is it the right file?")));
        }
        let parsed = document::decode(bytes).and_then(|text| Ok((text, document::parse(text)?)));
        let (text, root) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => return Inspection::failed(path, not_a_document(path, error)),
        };

        let mut context = Context::new(path, text, environment);
        let servers = read_servers(&mut context, &root);
        // Duplicates are noticed when an object is opened, before what is in it.
        context.errors.sort_by_key(|error| error.line);
        context.warnings.sort_by_key(|warning| warning.line);

        let config = Self { path: path.to_owned(), servers, warnings: context.warnings };
        Inspection { config, errors: context.errors }
    }

    fn without_servers(path: &Path) -> Self {
        Self { path: path.to_owned(), servers: BTreeMap::new(), warnings: Vec::new() }
    }
}

/// Reads to the end, or to one byte more than is allowed.
fn read_bounded(file: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn not_a_document(path: &Path, error: DocumentError) -> ConfigError {
    let skeleton = "write at least {\"mcpServers\": {}}";
    match error {
        DocumentError::Empty => ConfigError::of_file(path, "is empty", Some(skeleton)),
        DocumentError::NotUtf8 { line } => ConfigError {
            line: Some(line),
            ..ConfigError::of_file(path, "is not UTF-8 text", Some("save it as UTF-8"))
        },
        DocumentError::NotJson { line, column, problem } => ConfigError {
            line: Some(line),
            ..ConfigError::of_file(path, format!("is not JSON: {problem} at column {column}"), None)
        },
    }
}

fn read_servers(context: &mut Context<'_>, root: &Value<'_>) -> BTreeMap<String, ServerEntry> {
    let top = KeyPath::default();
    let mut servers = BTreeMap::new();
    let Some(members) = context.members(&top, root) else { return servers };
    let Some(property) = members.get("mcpServers") else {
        report_missing(context, root, &members);
        return servers;
    };
    if let Some(others) = members.get("servers") {
        let key = top.member("servers");
        context.warn(*others, &key, "is ignored beside \"mcpServers\"", "move its servers to \"mcpServers\"");
    }

    let key = top.member("mcpServers");
    let Some(entries) = context.members(&key, &property.value) else { return servers };
    if entries.is_empty() {
        context.warn(*property, &key, "lists no server", "");
    }
    for (name, property) in entries {
        let key = key.member(name);
        let named = check_name(context, &key, name, property);
        let entry = entry::read(context, &key, property);
        if let (true, Some(entry)) = (named, entry) {
            servers.insert(name.to_owned(), entry);
        }
    }
    servers
}

/// Names are printed, put into `SERVER.TOOL` and into logs.
fn check_name(context: &mut Context<'_>, key: &KeyPath, name: &str, property: &ObjectProp<'_>) -> bool {
    let problem = if name.is_empty() {
        "the name of the server is empty"
    } else if name.chars().any(char::is_control) {
        "the name of the server contains a control character"
    } else {
        return true;
    };
    context.error(property, key, problem, "give it a name of letters, digits and hyphens");
    false
}

/// Says what to do about a file that has no `mcpServers`.
fn report_missing(context: &mut Context<'_>, root: &Value<'_>, members: &Members<'_>) {
    let is_entry = |members: &Members<'_>| members.contains_key("command") || members.contains_key("url");
    let is_bare_map = |members: &Members<'_>| {
        !members.is_empty()
            && members.values().all(|member| {
                let entry = member.value.as_object();
                entry.is_some_and(|entry| entry.get("command").is_some() || entry.get("url").is_some())
            })
    };

    let misspelled = members.iter().find(|(name, _)| {
        let plain = name.replace(['_', '-'], "").to_lowercase();
        plain == "mcpservers" || plain == "mcpserver"
    });
    if let Some((name, property)) = misspelled {
        context.error(*property, &KeyPath::default().member(name), "is not a known key", "rename it to \"mcpServers\"");
    } else if let Some(property) = members.get("servers") {
        let hint = "rename \"servers\" to \"mcpServers\"";
        context.error(*property, &KeyPath::default(), "there is \"servers\", but no \"mcpServers\"", hint);
    } else if is_entry(members) {
        let hint = "wrap it in {\"mcpServers\": {\"NAME\": ...}}";
        context.error(root, &KeyPath::default(), "there is a single server without a name", hint);
    } else if is_bare_map(members) {
        let hint = "wrap them in {\"mcpServers\": ...}";
        context.error(root, &KeyPath::default(), "there are servers, but not under \"mcpServers\"", hint);
    } else {
        let hint = "list the servers under that key: {\"mcpServers\": {\"NAME\": {\"command\": ...}}}";
        context.error(root, &KeyPath::default(), "there is no \"mcpServers\"", hint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_largest_file_is_read() {
        let endless = io::repeat(b' ');

        let bytes = read_bounded(endless).expect("reading from memory does not fail");

        assert_eq!(bytes.len(), MAX_FILE_BYTES + 1);
    }
}
