//! `innkeeper tools [SERVER]`: what servers offer.
//!
//! A server that fails is shown beside the others' tools; the exit status tells.

use innkeeper::{Error, Lease, mcp::Tool};
use serde::Serialize;

use crate::{
    each::{Answer, Answers, each},
    exit::{Exit, Failure},
    hosting::Host,
    output::Report,
    page::{Page, Style},
    signature,
    spinner::Spinner,
};

/// Characters of a description that are shown: more than two lines are for `--json`.
const DESCRIPTION: usize = 160;

/// The tools of a server.
#[derive(Debug, Serialize)]
pub(crate) struct ToolList {
    tools: Vec<Tool>,
}

pub(crate) async fn run(host: &Host, servers: Vec<String>, spinner: Spinner) -> Result<Answers<ToolList>, Failure> {
    let answers = each(host, servers, list).await;
    drop(spinner);
    answers
}

async fn list(lease: Lease) -> Result<ToolList, Error> {
    Ok(ToolList { tools: lease.tools().await? })
}

impl Report for Answers<ToolList> {
    fn write_text(&self, page: &mut Page) {
        for (index, Answer { server, outcome }) in self.iter().enumerate() {
            if index > 0 {
                page.end_line();
            }
            page.styled(Style::Bold, server).end_line();
            match outcome {
                Err(failure) => {
                    page.failure(failure);
                }
                Ok(ToolList { tools }) if tools.is_empty() => {
                    page.styled(Style::Dim, "  no tools").end_line();
                }
                Ok(ToolList { tools }) => tools.iter().for_each(|tool| write_tool(page, tool)),
            }
        }
    }

    fn exit(&self) -> Exit {
        self.exit_status()
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
