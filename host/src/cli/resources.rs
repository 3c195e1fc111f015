//! `innkeeper resources [SERVER]`: what can be read.

use innkeeper::{
    Error, Lease,
    mcp::{Resource, ResourceTemplate, ServerFeature},
};
use serde::Serialize;

use crate::{
    each::{Answer, Answers, each},
    exit::{Exit, Failure},
    hosting::Host,
    output::Report,
    page::{Page, Style, bytes, harmless},
    spinner::Spinner,
};

/// "Method not found" (JSON-RPC 2.0, section 5.1).
const METHOD_NOT_FOUND: i64 = -32601;

/// The resources of a server.
#[derive(Debug, Default, Serialize)]
pub(crate) struct ResourceList {
    pub(crate) resources: Vec<Resource>,
    pub(crate) resource_templates: Vec<ResourceTemplate>,
}

pub(crate) async fn run(host: &Host, servers: Vec<String>, spinner: Spinner) -> Result<Answers<ResourceList>, Failure> {
    let answers = each(host, servers, list).await;
    drop(spinner);
    answers
}

/// A server that offers none has none, so that it does not fail among others.
async fn list(lease: Lease) -> Result<ResourceList, Error> {
    if !lease.peer().await?.offers(ServerFeature::Resources) {
        return Ok(ResourceList::default());
    }
    Ok(ResourceList { resources: lease.resources().await?, resource_templates: templates(&lease).await? })
}

/// Templates came with resources, and many servers that have none do not know the question.
pub(crate) async fn templates(lease: &Lease) -> Result<Vec<ResourceTemplate>, Error> {
    match lease.resource_templates().await {
        Err(Error::Server(error)) if error.code() == Some(METHOD_NOT_FOUND) => Ok(Vec::new()),
        outcome => outcome,
    }
}

impl Report for Answers<ResourceList> {
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
                Ok(list) => list.write(page),
            }
        }
    }

    fn exit(&self) -> Exit {
        self.exit_status()
    }
}

impl ResourceList {
    fn write(&self, page: &mut Page) {
        if self.resources.is_empty() && self.resource_templates.is_empty() {
            page.styled(Style::Dim, "  no resources").end_line();
        }
        for Resource { uri, name, title, description, mime_type, size, .. } in &self.resources {
            let size = size.map(|size| bytes(usize::try_from(size).unwrap_or(usize::MAX)));
            write(page, uri, [mime_type.clone(), size], description.as_ref().or(title.as_ref()).unwrap_or(name));
        }
        for ResourceTemplate { uri_template, name, title, description, mime_type, .. } in &self.resource_templates {
            let note = [Some("template".to_owned()), mime_type.clone()];
            write(page, uri_template, note, description.as_ref().or(title.as_ref()).unwrap_or(name));
        }
    }
}

/// Where something is stands in a line of its own, also in a pipe, whatever a server put into it.
fn write(page: &mut Page, uri: &str, notes: [Option<String>; 2], description: &str) {
    let notes = notes.into_iter().flatten().collect::<Vec<_>>().join(", ");
    page.push("  ").styled(Style::Green, &harmless(uri));
    if !notes.is_empty() {
        page.push("  ").push(&harmless(&notes));
    }
    page.end_line();
    if description != uri {
        page.summary(Some(description));
    }
}
