//! `innkeeper tools [SERVER]`: what servers offer.
//!
//! A server that fails is shown beside the others' tools; the exit status tells.

use innkeeper::mcp::Tool;
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    each::{Answer, each},
    exit::Exit,
    hosting::Host,
    output::Report,
    page::{Page, Style},
    signature,
    spinner::Spinner,
};

/// Characters of a description that are shown: more than two lines are for `--json`.
const DESCRIPTION: usize = 160;

/// The tools of servers.
pub(crate) struct ToolList {
    servers: Vec<Answer<Vec<Tool>>>,
}

pub(crate) async fn run(host: &Host, servers: Vec<String>, spinner: Spinner) -> ToolList {
    let servers = each(host, servers, |lease| async move { lease.tools().await }).await;
    drop(spinner);
    ToolList { servers }
}

impl Report for ToolList {
    fn write_text(&self, page: &mut Page) {
        for (index, Answer { server, outcome }) in self.servers.iter().enumerate() {
            if index > 0 {
                page.end_line();
            }
            page.styled(Style::Bold, server).end_line();
            match outcome {
                Err(failure) => {
                    page.failure(failure);
                }
                Ok(tools) if tools.is_empty() => {
                    page.styled(Style::Dim, "  no tools").end_line();
                }
                Ok(tools) => tools.iter().for_each(|tool| write_tool(page, tool)),
            }
        }
    }

    fn exit(&self) -> Exit {
        // Where several failed, the first speaks for all: scripts need one number.
        let failures = self.servers.iter().filter_map(|answer| answer.outcome.as_ref().err());
        failures.map(|failure| failure.exit).next().unwrap_or(Exit::Success)
    }
}

fn write_tool(page: &mut Page, tool: &Tool) {
    page.push("  ").styled(Style::Green, &tool.name);
    let arguments = signature::arguments(&tool.input_schema);
    if !arguments.is_empty() {
        page.push(" ").push(&arguments);
    }
    page.end_line();
    let text = tool.description.as_deref().or(tool.title.as_deref()).unwrap_or_default();
    if let Some(summary) = summary(text) {
        page.push("      ").styled(Style::Dim, &summary).end_line();
    }
}

/// The first line that says something, cut where it is long.
fn summary(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let mut characters = line.chars();
    let mut summary: String = characters.by_ref().take(DESCRIPTION).collect();
    if characters.next().is_some() {
        summary.push_str("...");
    }
    Some(summary)
}

impl Serialize for ToolList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("servers", &self.servers)?;
        map.end()
    }
}

impl Serialize for Answer<Vec<Tool>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("name", &self.server)?;
        match &self.outcome {
            Ok(tools) => map.serialize_entry("tools", tools)?,
            Err(failure) => map.serialize_entry("error", &failure.to_json())?,
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_the_first_line_that_says_something() {
        assert_eq!(summary("\n  Converts times.\nIn detail: ..."), Some("Converts times.".into()));
        assert_eq!(summary(" \n"), None);
    }

    #[test]
    fn a_long_summary_is_cut() {
        let summary = summary(&"ä".repeat(200)).expect("there is text");

        assert_eq!(summary.chars().count(), DESCRIPTION + 3);
        assert!(summary.ends_with("ä..."));
    }
}
