//! `innkeeper config check`: what is in the configuration, and all that is wrong with it. Opens no server.

use std::path::PathBuf;

use innkeeper::config::{ConfigError, ConfigWarning, Inspection};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::json;

use crate::{
    exit::{Exit, Failure, problem},
    list::{ListedServer, listed},
    options::GlobalOptions,
    output::Report,
    page::{Page, Style},
    servers,
};

/// What was found in a configuration.
#[derive(Debug)]
pub(crate) struct CheckReport {
    config: PathBuf,
    errors: Vec<ConfigError>,
    warnings: Vec<ConfigWarning>,
    servers: Vec<ListedServer>,
}

pub(crate) fn run(options: &GlobalOptions) -> Result<CheckReport, Failure> {
    Ok(CheckReport::new(servers::inspect(options)?))
}

impl CheckReport {
    fn new(inspection: Inspection) -> Self {
        let servers = listed(&inspection.config);
        let Inspection { config, errors, .. } = inspection;
        Self { config: config.path, errors, warnings: config.warnings, servers }
    }

    /// One line on the whole: how much of what.
    fn summary(&self) -> String {
        let count = |number: usize, what: &str| match number {
            1 => format!("1 {what}"),
            number => format!("{number} {what}s"),
        };
        format!(
            "{}: {}, {}, {}",
            self.config.display(),
            count(self.servers.len(), "server"),
            count(self.errors.len(), "error"),
            count(self.warnings.len(), "warning"),
        )
    }
}

impl Serialize for CheckReport {
    /// Beside what was found, an `error` as every document of a command that failed has it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let warnings: Vec<_> = self
            .warnings
            .iter()
            .map(|warning| {
                json!({
                    "line": warning.line,
                    "key": warning.key,
                    "problem": warning.problem,
                    "hint": warning.hint,
                })
            })
            .collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("config", &self.config)?;
        map.serialize_entry("servers", &self.servers)?;
        map.serialize_entry("errors", &self.errors.iter().map(problem).collect::<Vec<_>>())?;
        map.serialize_entry("warnings", &warnings)?;
        if !self.errors.is_empty() {
            map.serialize_entry("error", &Failure::configuration(self.summary()).to_json())?;
        }
        map.end()
    }
}

impl Report for CheckReport {
    fn write_text(&self, page: &mut Page) {
        for error in &self.errors {
            page.styled(Style::Red, "error").push(": ").push(&error.to_string()).end_line();
        }
        for warning in &self.warnings {
            page.styled(Style::Yellow, "warning").push(": ").push(&warning.to_string()).end_line();
        }
        page.table(&self.servers.iter().map(ListedServer::row).collect::<Vec<_>>());
        page.push(&self.summary()).end_line();
    }

    fn exit(&self) -> Exit {
        if self.errors.is_empty() { Exit::Success } else { Exit::Usage }
    }
}

#[cfg(test)]
mod tests {
    use innkeeper::config::McpJson;

    use super::*;

    fn check(text: &str) -> CheckReport {
        CheckReport::new(McpJson::parse("mcp.json".as_ref(), text.as_bytes(), &|_| None))
    }

    #[test]
    fn all_problems_and_all_servers_are_shown() {
        let report = check(
            "{\"mcpServers\": {\n\"a\": {\"command\": \"x\", \"arg\": []},\n\"b\": {},\n\"c\": {\"command\": \"${Z}\"}}}",
        );
        let mut page = Page::new(false, false);

        report.write_text(&mut page);

        assert_eq!(
            page.text(),
            "error: mcp.json:3: mcpServers.b: has neither \"command\" nor \"url\"; add \"command\" with a program to start, \
             or \"url\" with an address to connect to\n\
             error: mcp.json:4: mcpServers.c.command: the variable Z is not set; set it, or give a default: \"${Z:-...}\"\n\
             warning: mcp.json:2: mcpServers.a.arg: is not a known key, and ignored; did you mean \"args\"?\n\
             a  stdio  enabled  x\n\
             mcp.json: 1 server, 2 errors, 1 warning\n"
        );
        assert_eq!(report.exit(), Exit::Usage);
    }

    #[test]
    fn a_document_with_errors_has_an_error() {
        let document = serde_json::to_value(check("{}")).expect("a report is JSON");

        assert_eq!(document["error"]["code"], "bad_configuration");
        assert_eq!(document["errors"][0]["line"], 1);
    }

    #[test]
    fn a_file_without_errors_is_fine() {
        let report = check(r#"{"mcpServers": {"a": {"command": "x"}}}"#);

        assert_eq!(report.exit(), Exit::Success);
        assert_eq!(serde_json::to_value(&report).expect("a report is JSON").get("error"), None);
    }
}
