//! The edge that speaks MCP by purpose: typed calls over raw JSON.
//!
//! Everything below this module is protocol-neutral; here methods have names. Types keep what the server sent (`raw`), so that
//! a field that this version does not know is not lost. They are our own, not those of an SDK, whose majors come
//! and go faster than embedders can follow.
//!
//! Methods are those of the specification, 2024-11-05 to 2025-11-25: "Server Features / Tools", "Base Protocol / Utilities /
//! Ping" and "Progress".

mod content;
mod decode;
mod tool;
mod tool_call;

pub use content::Content;
pub use tool::Tool;
pub use tool_call::{Progress, ToolCall, ToolCallBuilder, ToolResult};

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::{Error, Lease};

impl Lease {
    /// The tools of the server, all pages of them.
    ///
    /// # Errors
    ///
    /// What a [`Call`](crate::Call) may return; [`Error::Protocol`] where the server's answer is no list of tools.
    pub async fn tools(&self) -> Result<Vec<Tool>, Error> {
        let list = self.call("tools/list").progress(false).all_pages().start().await?;
        let tools = match decode::aside(&list, tool::list) {
            Some(reading) => decode::joined(reading.await),
            None => tool::list(list),
        };
        tools.map_err(|detail| self.broke_protocol(detail))
    }

    /// Prepares a call of a tool. `arguments` are its input: a JSON object, as the tool's schema has it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] where the arguments are no JSON object.
    pub fn call_tool(&self, name: &str, arguments: &impl Serialize) -> Result<ToolCallBuilder, Error> {
        ToolCallBuilder::new(self, name, arguments)
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
