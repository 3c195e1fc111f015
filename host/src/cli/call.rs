//! `innkeeper call SERVER.TOOL`: calls a tool once, and shows what it gives.

use std::{io, time::Duration};

use innkeeper::{
    Error, Lease,
    mcp::{Content, Tool, ToolResult},
};
use serde::{
    Serialize, Serializer,
    ser::{Error as _, SerializeMap},
};
use serde_json::{Map, Value, value::RawValue};

use crate::{
    arguments, content,
    exit::{Exit, Failure},
    hosting::Host,
    options::CallOptions,
    output::Report,
    page::Page,
    save::{self, Folder, Outcome},
    servers::Servers,
    spinner::Spinner,
    target,
};

/// A call that can be made: everything about it that does not need a server is checked.
#[derive(Debug)]
pub(crate) struct PreparedCall {
    server: String,
    tool: String,
    arguments: Map<String, Value>,
    folder: Option<Folder>,
}

/// What a tool gave.
#[derive(Debug)]
pub(crate) struct CallReport {
    server: String,
    tool: String,
    result: ToolResult,
    /// What became of each piece of its content, where it was to be saved.
    saved: Vec<Option<Outcome>>,
    saving: bool,
}

impl PreparedCall {
    /// Understands the options. May read standard input, so it belongs before anything is opened.
    pub(crate) fn new(options: &CallOptions, servers: &Servers) -> Result<Self, Failure> {
        let (server, tool) = match servers.only() {
            Some(server) => (server, options.target.as_str()),
            None => target::split(&options.target, servers)?,
        };
        let arguments = match &options.args {
            Some(source) => arguments::from_source(source, io::stdin().lock())?,
            None => arguments::from_pairs(&options.arguments)?,
        };
        let folder = Folder::open(options.saving.out.as_deref())?;
        Ok(Self { server: server.to_owned(), tool: tool.to_owned(), arguments, folder })
    }

    /// What to show while it takes long.
    pub(crate) fn describe(&self) -> String {
        format!("{} {}", self.server, self.tool)
    }

    /// Makes the call.
    pub(crate) async fn run(
        self,
        host: &Host,
        deadline: Option<Duration>,
        spinner: Spinner,
    ) -> Result<CallReport, Failure> {
        let lease = host.lease(&self.server).await?;
        let outcome = self.call(&lease, deadline, &spinner).await;
        let failed = match &outcome {
            Ok(result) => result.is_error,
            Err(error) => matches!(error, Error::Server(_)),
        };
        if failed {
            self.check_that_tool_exists(&lease, &outcome).await?;
        }
        let result = outcome?;
        drop(spinner);
        let save = |content: &Content| Some(self.folder.as_ref()?.save(self.name_of(content), content.media()?));
        let saved = result.content.iter().map(save).collect();
        Ok(CallReport { saving: self.folder.is_some(), server: self.server, tool: self.tool, result, saved })
    }

    /// What a piece of content is called: a resource by where it is, all else by the tool.
    fn name_of<'a>(&'a self, content: &'a Content) -> &'a str {
        match content {
            Content::Resource { resource, .. } => &resource.uri,
            _ => &self.tool,
        }
    }

    async fn call(&self, lease: &Lease, deadline: Option<Duration>, spinner: &Spinner) -> Result<ToolResult, Error> {
        let mut call = lease.call_tool(&self.tool, &self.arguments)?;
        if let Some(deadline) = deadline {
            call = call.deadline(deadline);
        }
        let mut call = call.start();
        while let Some(progress) = call.progress().await {
            let message = progress.message.as_deref();
            tracing::info!(progress = progress.progress, total = progress.total, message, "progress");
            spinner.report(progress.progress, progress.total, message);
        }
        call.await
    }

    /// Servers differ in what they say to a tool that they do not have, and few say which they do have. So when a call
    /// has failed, and only then, the list of tools is asked for.
    async fn check_that_tool_exists(&self, lease: &Lease, outcome: &Result<ToolResult, Error>) -> Result<(), Failure> {
        let Ok(tools) = lease.tools().await else { return Ok(()) };
        let names = |tools: &[Tool]| tools.iter().map(|tool| tool.name.clone()).collect::<Vec<_>>();
        let names = names(&tools);
        if names.contains(&self.tool) {
            return Ok(());
        }
        let what = format!("tool of `{}` named", self.server);
        let mut failure = target::unknown(&what, &self.tool, names.iter().map(String::as_str));
        if let Err(error) = outcome {
            failure = failure.detail("server_error", error.to_string());
        }
        Err(failure)
    }
}

impl Report for CallReport {
    fn write_text(&self, page: &mut Page) {
        content::write(page, &self.result, &self.saved);
    }

    fn remark(&self) -> Option<&str> {
        self.result.is_error.then_some("the tool reports an error")
    }

    fn exit(&self) -> Exit {
        if self.result.is_error { Exit::ToolError } else { content::exit_of(&self.saved) }
    }
}

impl Serialize for CallReport {
    /// The result as the server sent it, members included that this program does not know.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let result: &RawValue = serde_json::from_slice(&self.result.raw).map_err(S::Error::custom)?;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("server", &self.server)?;
        map.serialize_entry("tool", &self.tool)?;
        map.serialize_entry("result", result)?;
        if self.saving {
            map.serialize_entry("saved", &save::to_json(self.saved.iter().flatten()))?;
        }
        map.end()
    }
}
