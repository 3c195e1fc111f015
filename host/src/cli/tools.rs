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
    page.summary(tool.description.as_deref().or(tool.title.as_deref()));
}
