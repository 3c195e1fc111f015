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
//! Methods are those of the specification, 2024-11-05 to 2025-11-25: "Server Features / Tools", "Base Protocol / Utilities /
//! Ping" and "Progress".

mod admission;
mod catalog;
mod content;
mod decode;
mod edge;
mod reading;
mod rules;
mod telemetry;
mod tool;
mod tool_call;

pub use catalog::{CatalogTool, ToolCatalog};
pub use content::Content;
pub(crate) use edge::McpEdge;
pub use tool::Tool;
pub use tool_call::{Progress, ToolCall, ToolCallBuilder, ToolResult};

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::{Error, Lease};

impl Lease {
    /// The tools of the server, all pages of them, without those that are denied. Asks the server each time;
    /// [`Tenant::tools`](crate::Tenant::tools) need not.
    ///
    /// # Errors
    ///
    /// What a [`Call`](crate::Call) may return; [`Error::Protocol`] where the server's answer is no list of tools.
    pub async fn tools(&self) -> Result<Vec<Tool>, Error> {
        let mut tools = self.list_tools().await?.0;
        edge::of(self.edge()).rules().retain_admitted(&self.session().server, &mut tools);
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
        edge::of(self.edge()).rules().admit(&self.session().server, name)?;
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

    fn broke_protocol(&self, detail: String) -> Error {
        Error::Protocol { server: self.session().server, detail, may_have_run: crate::MayHaveRun::Yes }
    }
}
