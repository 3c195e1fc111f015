//! `innkeeper prompts [SERVER]`: which prompts there are, and what they are filled in with.

use innkeeper::{
    Error, Lease,
    mcp::{Prompt, PromptArgument, ServerFeature},
};
use serde::Serialize;

use crate::{
    each::{Answer, Answers, each},
    exit::{Exit, Failure},
    hosting::Host,
    output::Report,
    page::{Page, Style, harmless},
    spinner::Spinner,
};

/// Arguments of a prompt that are shown: a server may list thousands.
const SHOWN: usize = 16;

/// The prompts of a server.
#[derive(Debug, Default, Serialize)]
pub(crate) struct PromptList {
    prompts: Vec<Prompt>,
}

pub(crate) async fn run(host: &Host, servers: Vec<String>, spinner: Spinner) -> Result<Answers<PromptList>, Failure> {
    let answers = each(host, servers, list).await;
    drop(spinner);
    answers
}

/// A server that offers none has none, so that it does not fail among others.
async fn list(lease: Lease) -> Result<PromptList, Error> {
    if !lease.peer().await?.offers(ServerFeature::Prompts) {
        return Ok(PromptList::default());
    }
    Ok(PromptList { prompts: lease.prompts().await? })
}

impl Report for Answers<PromptList> {
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
                Ok(PromptList { prompts }) if prompts.is_empty() => {
                    page.styled(Style::Dim, "  no prompts").end_line();
                }
                Ok(PromptList { prompts }) => prompts.iter().for_each(|prompt| write_prompt(page, prompt)),
            }
        }
    }

    fn exit(&self) -> Exit {
        self.exit_status()
    }
}

fn write_prompt(page: &mut Page, prompt: &Prompt) {
    page.push("  ").styled(Style::Green, &harmless(&prompt.name));
    for argument in prompt.arguments.iter().take(SHOWN) {
        page.push(" ").push(&how_to_type(argument));
    }
    if prompt.arguments.len() > SHOWN {
        page.push(" ...");
    }
    page.end_line();
    page.summary(prompt.description.as_deref().or(prompt.title.as_deref()));
}

/// An argument as it is typed: a text, in brackets where it may be left out.
fn how_to_type(argument: &PromptArgument) -> String {
    let name = harmless(&argument.name);
    if argument.required { format!("{name}=STRING") } else { format!("[{name}=STRING]") }
}
