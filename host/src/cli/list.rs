//! `innkeeper list`: the servers of the configuration. Opens none.
//!
//! Commands and addresses are shown as they are written in the file: their variables may hold secrets.

use std::path::PathBuf;

use innkeeper::config::{ConfigWarning, Expanded, McpJson, ServerEntry, Transport};
use serde::Serialize;

use crate::{
    exit::Failure,
    options::GlobalOptions,
    output::Report,
    page::{Cell, Page, Style},
    servers,
};

/// The servers of a configuration.
#[derive(Debug, Serialize)]
pub(crate) struct ServerList {
    config: PathBuf,
    servers: Vec<ListedServer>,
    #[serde(skip)]
    warnings: Vec<ConfigWarning>,
}

/// A server as it is configured.
#[derive(Debug, Serialize)]
pub(crate) struct ListedServer {
    name: String,
    disabled: bool,
    #[serde(flatten)]
    transport: ListedTransport,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u128>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "transport", rename_all = "lowercase")]
enum ListedTransport {
    Stdio {
        command: String,
        args: Vec<String>,
    },
    Http {
        url: String,
    },
    /// One that is newer than this program.
    Other,
}

pub(crate) fn run(options: &GlobalOptions) -> Result<ServerList, Failure> {
    let config = servers::inspect(options)?.into_result()?;
    Ok(ServerList { servers: listed(&config), config: config.path, warnings: config.warnings })
}

/// The servers of a configuration, sorted by name.
pub(crate) fn listed(config: &McpJson) -> Vec<ListedServer> {
    config.servers.iter().map(|(name, entry)| ListedServer::new(name, entry)).collect()
}

impl ListedServer {
    fn new(name: &str, entry: &ServerEntry) -> Self {
        let written = |texts: &[Expanded]| texts.iter().map(|text| text.written().to_owned()).collect();
        let transport = match &entry.transport {
            Transport::Stdio { command, args, .. } => {
                ListedTransport::Stdio { command: command.written().to_owned(), args: written(args) }
            }
            Transport::Http { url, .. } => ListedTransport::Http { url: url.written().to_owned() },
            _ => ListedTransport::Other,
        };
        let timeout_ms = entry.timeout.map(|timeout| timeout.as_millis());
        Self { name: name.to_owned(), disabled: entry.disabled, transport, timeout_ms }
    }

    /// The server as a row of a table.
    pub(crate) fn row(&self) -> Vec<Cell> {
        let (transport, address) = match &self.transport {
            ListedTransport::Stdio { command, args } => ("stdio", command_line(command, args)),
            ListedTransport::Http { url } => ("http", url.clone()),
            ListedTransport::Other => ("other", String::new()),
        };
        let state = if self.disabled { ("disabled", Style::Yellow) } else { ("enabled", Style::Green) };
        vec![
            (self.name.clone(), Some(Style::Bold)),
            (transport.to_owned(), None),
            (state.0.to_owned(), Some(state.1)),
            (address, None),
        ]
    }
}

/// A command line, quoted where a reader could not tell its words apart.
fn command_line(command: &str, args: &[String]) -> String {
    let quoted = |word: &str| {
        let plain = !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || c == '\'' || c == '"');
        if plain { word.to_owned() } else { format!("{word:?}") }
    };
    std::iter::once(command).chain(args.iter().map(String::as_str)).map(quoted).collect::<Vec<_>>().join(" ")
}

impl Report for ServerList {
    fn write_text(&self, page: &mut Page) {
        page.styled(Style::Dim, &self.config.display().to_string()).end_line();
        if self.servers.is_empty() {
            page.push("no servers").end_line();
        }
        page.table(&self.servers.iter().map(ListedServer::row).collect::<Vec<_>>());
        if !self.warnings.is_empty() {
            let count = self.warnings.len();
            let what = if count == 1 { "1 warning".to_owned() } else { format!("{count} warnings") };
            page.styled(Style::Yellow, &what).push("; see `innkeeper config check`").end_line();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FILE: &str = r#"{"mcpServers": {
        "time": {"command": "mcp time", "args": ["--key", "${KEY}"], "timeout": "2s"},
        "web": {"url": "https://example.com/${KEY}", "disabled": true}
    }}"#;

    fn list() -> ServerList {
        let environment = |_: &str| Some("hush".into());
        let config = McpJson::parse("mcp.json".as_ref(), FILE.as_bytes(), &environment);
        let config = config.into_result().expect("a valid file");
        ServerList { servers: listed(&config), config: config.path, warnings: config.warnings }
    }

    #[test]
    fn a_list_for_people_is_a_table_with_commands_as_written() {
        let mut page = Page::new(false, false);

        list().write_text(&mut page);

        assert_eq!(
            page.text(),
            "mcp.json\n\
             time  stdio  enabled   \"mcp time\" --key ${KEY}\n\
             web   http   disabled  https://example.com/${KEY}\n\
             1 warning; see `innkeeper config check`\n"
        );
    }

    #[test]
    fn a_list_for_programs_says_the_same() {
        assert_eq!(
            serde_json::to_value(list()).expect("a report is JSON"),
            json!({
                "config": "mcp.json",
                "servers": [
                    {
                        "name": "time",
                        "disabled": false,
                        "transport": "stdio",
                        "command": "mcp time",
                        "args": ["--key", "${KEY}"],
                        "timeout_ms": 2000,
                    },
                    { "name": "web", "disabled": true, "transport": "http", "url": "https://example.com/${KEY}" },
                ],
            })
        );
    }
}
