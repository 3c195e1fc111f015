//! The edge that speaks MCP by purpose: typed calls over raw JSON.
//!
//! Everything below this module is protocol-neutral; here methods have names. Types keep what the server sent (`raw`), so that
//! a field that this version does not know is not lost. They are our own, not those of an SDK, whose majors come
//! and go faster than embedders can follow.
//!
//! One server's tools are [`Lease::tools`] and [`Lease::call_tool`]; those of all servers of a user, under names that are safe for
//! models, are [`Tenant::tools`](crate::Tenant::tools) and [`Tenant::call_tool`](crate::Tenant::call_tool). [`ToolRules`](crate::ToolRules)
//! bind both, and raw calls too.
//!
//! In the other direction, [`ClientFeatures`] answers what servers ask of the platform.
//!
//! Methods are those of the specification, 2024-11-05 to 2025-11-25: "Server Features", "Client Features", "Base Protocol /
//! Utilities / Ping" and "Progress". What a server does not offer, by what it said when it was connected to, is not asked for: [`Peer`].
//!
//! | file | what it holds |
//! |---|---|
//! | `tool`, `tool_call` | tools, and calling them |
//! | `catalog` | the tools of all servers of a user |
//! | `rules`, `admission` | which tools may be called, and which one a call is of |
//! | `resource`, `contents` | resources, and what is in them |
//! | `prompt`, `role` | prompts |
//! | `completion` | what an argument may become |
//! | `logging` | log messages of servers |
//! | `notification` | what servers say by themselves |
//! | `content`, `media` | pieces of content, and the bytes in them |
//! | `features` | what servers ask of the platform |
//! | `peer` | what a server says of itself |
//! | `edge`, `telemetry` | what this module does for the core |
//! | `decode`, `reading` | reading JSON of servers, and where |

mod admission;
mod catalog;
mod completion;
mod content;
mod contents;
mod decode;
mod edge;
mod features;
mod inspection;
mod logging;
mod media;
mod notification;
mod peer;
mod prompt;
mod reading;
mod resource;
mod role;
mod rules;
mod telemetry;
mod tool;
mod tool_call;

pub use catalog::{CatalogTool, ToolCatalog};
pub use completion::{Completion, CompletionReference};
pub use content::Content;
pub use contents::{ReadResource, ResourceContents};
pub(crate) use edge::McpEdge;
pub use features::{
    ClientFeatures, FieldKind, FieldOption, FormAnswer, FormElicitation, FormField, FormSchema, Root, SamplingContent,
    SamplingMessage, SamplingRefusal, SamplingRequest, SamplingResult, SamplingSupport, SamplingToolResult, ToolChoice,
    ToolUse, UrlAnswer, UrlElicitation,
};
pub use logging::{LogMessage, LoggingLevel};
pub use media::{Media, NotBase64};
pub use notification::Notification;
pub use peer::{Peer, ServerFeature};
pub use prompt::{Prompt, PromptArgument, PromptMessage, PromptResult};
pub use resource::{Resource, ResourceTemplate};
pub use role::Role;
pub use tool::Tool;
pub use tool_call::{Progress, ToolCall, ToolCallBuilder, ToolResult};

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::{CallBuilder, Error, Lease};

impl Lease {
    /// The tools of the server, all pages of them, without those that are denied. Asks the server each time;
    /// [`Tenant::tools`](crate::Tenant::tools) need not.
    ///
    /// # Errors
    ///
    /// What a [`Call`](crate::Call) may return; [`Error::Protocol`] where the server's answer is no list of tools.
    pub async fn tools(&self) -> Result<Vec<Tool>, Error> {
        let mut tools = self.list_tools().await?.0;
        edge::of(self.edge())
            .rules()
            .of_session(&self.session().server, self.definition())
            .retain_admitted(&self.session().server, &mut tools);
        Ok(tools)
    }

    /// All tools of the server, and how many bytes it needed to say so.
    async fn list_tools(&self) -> Result<(Vec<Tool>, usize), Error> {
        let list = self.call("tools/list").progress(false).all_pages().start().await?;
        let bytes = list.len();
        let tools = edge::of(self.edge()).readers().read(list, tool::list).await;
        Ok((tools.map_err(|detail| self.broke_protocol(detail))?, bytes))
    }

    /// Prepares a call of a tool, by the name that the server has for it. `arguments` are its input: a JSON object, as the tool's
    /// schema has it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] where the arguments are no JSON object; [`Error::Denied`] where [`ToolRules`](crate::ToolRules) are
    /// against it.
    pub fn call_tool(&self, name: &str, arguments: &impl Serialize) -> Result<ToolCallBuilder, Error> {
        edge::of(self.edge())
            .rules()
            .of_session(&self.session().server, self.definition())
            .admit(&self.session().server, name)?;
        Ok(ToolCallBuilder::new(self, name, &tool_call::arguments(arguments)?))
    }

    /// Asks the server for a sign of life, and returns how long it took.
    ///
    /// # Errors
    ///
    /// What a [`Call`](crate::Call) may return.
    pub async fn ping(&self) -> Result<Duration, Error> {
        let began = Instant::now();
        self.call("ping").progress(false).start().await?;
        Ok(began.elapsed())
    }

    /// Makes a call, and reads its result.
    async fn ask<T: Unpin + Send + 'static>(
        &self,
        call: CallBuilder,
        read: fn(Bytes) -> Result<T, String>,
    ) -> Result<T, Error> {
        let result = call.start().await?;
        let read = edge::of(self.edge()).readers().read(result, read).await;
        read.map_err(|detail| self.broke_protocol(detail))
    }

    /// Makes a call of which nothing but that it was answered matters.
    async fn tell(&self, method: &str, params: &Value) -> Result<(), Error> {
        self.call(method).progress(false).params(params).start().await.map(drop)
    }

    fn broke_protocol(&self, detail: String) -> Error {
        Error::Protocol { server: self.session().server, detail, may_have_run: crate::MayHaveRun::Yes }
    }
}
