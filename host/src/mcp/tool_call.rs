//! Calling a tool.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use serde::{Serialize, ser::SerializeMap};
use serde_json::{Value, value::RawValue};

use super::{
    content::Content,
    decode::{object, text},
    edge,
    reading::{Readers, Reading},
    telemetry::TOOL_ERROR,
};
use crate::{Call, CallBuilder, CallId, Error, Lease, MayHaveRun, ServerName};

/// The method.
pub(super) const CALL_TOOL: &str = "tools/call";

/// The arguments of a tool, if they are a JSON object.
pub(super) fn arguments(arguments: &impl Serialize) -> Result<Box<RawValue>, Error> {
    let invalid = |reason: String| Error::InvalidInput { what: "the arguments of the tool", reason };
    let arguments = serde_json::value::to_raw_value(arguments).map_err(|error| invalid(error.to_string()))?;
    if !arguments.get().starts_with('{') {
        return Err(invalid("they are not a JSON object".to_owned()));
    }
    Ok(arguments)
}

/// A call of a tool that is being prepared. Made by [`Lease::call_tool`] and [`Tenant::call_tool`](crate::Tenant::call_tool). It
/// holds its session as a lease does.
#[must_use = "a call is made by `start`"]
pub struct ToolCallBuilder {
    call: CallBuilder,
    server: ServerName,
    readers: Readers,
}

impl ToolCallBuilder {
    pub(super) fn new(lease: &Lease, name: &str, arguments: &RawValue) -> Self {
        let call = lease.call(CALL_TOOL).about(name).params(&Params { name, arguments });
        Self { call, server: lease.session().server, readers: edge::of(lease.edge()).readers().clone() }
    }

    /// See [`CallBuilder::deadline`].
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.call = self.call.deadline(deadline);
        self
    }

    /// See [`CallBuilder::progress`].
    pub fn progress(mut self, progress: bool) -> Self {
        self.call = self.call.progress(progress);
        self
    }

    /// See [`CallBuilder::idempotent`].
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.call = self.call.idempotent(idempotent);
        self
    }

    /// Makes the call.
    pub fn start(self) -> ToolCall {
        ToolCall { call: self.call.start(), reading: None, server: self.server, readers: self.readers }
    }
}

struct Params<'a> {
    name: &'a str,
    arguments: &'a RawValue,
}

impl Serialize for Params<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("name", self.name)?;
        map.serialize_entry("arguments", self.arguments)?;
        map.end()
    }
}

/// A call of a tool under way: a future of its result. Dropping it cancels the call, as with [`Call`].
#[must_use = "dropping a call cancels it"]
pub struct ToolCall {
    call: Call,
    /// The result, once it is there.
    reading: Option<Reading<ToolResult>>,
    server: ServerName,
    readers: Readers,
}

impl ToolCall {
    /// See [`Call::id`].
    pub fn id(&self) -> Option<CallId> {
        self.call.id()
    }

    /// The next report on this call; none when it is complete. See [`Call::progress`].
    pub async fn progress(&mut self) -> Option<Progress> {
        self.call.progress().await.map(Progress::new)
    }
}

impl Future for ToolCall {
    type Output = Result<ToolResult, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let result = loop {
            if let Some(reading) = &mut self.reading {
                break ready!(Pin::new(reading).poll(context));
            }
            let raw = ready!(Pin::new(&mut self.call).poll(context))?;
            self.reading = Some(self.readers.read(raw, ToolResult::new));
        };
        let result = result.map_err(|detail| Error::Protocol {
            server: self.server.clone(),
            detail,
            may_have_run: MayHaveRun::Yes,
        });
        match &result {
            Ok(result) if result.is_error => self.call.failed(TOOL_ERROR),
            Ok(_) => {}
            Err(error) => self.call.failed(error.code()),
        }
        Poll::Ready(result)
    }
}

/// A report of the server on a call that is under way.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// How far it is; grows with each report.
    pub progress: f64,
    /// How far it will go, where that is known.
    pub total: Option<f64>,
    /// What it is doing, for people.
    pub message: Option<String>,
    /// The report as the server sent it.
    pub raw: Bytes,
}

impl Progress {
    fn new(raw: Bytes) -> Self {
        let report = object(&raw, "the report").unwrap_or_default();
        let number = |key: &str| report.get(key).and_then(Value::as_f64);
        Self {
            progress: number("progress").unwrap_or_default(),
            total: number("total"),
            message: text(&report, "message"),
            raw,
        }
    }
}

/// What a tool returned.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ToolResult {
    /// Its content, in order.
    pub content: Vec<Content>,
    /// The same for programs, where the tool has an output schema.
    pub structured_content: Option<Value>,
    /// Whether the tool says that it failed. The call as such succeeded.
    pub is_error: bool,
    /// The result as the server sent it. JSON.
    pub raw: Bytes,
}

impl ToolResult {
    fn new(raw: Bytes) -> Result<Self, String> {
        let mut result = object(&raw, "the tool's result")?;
        let content = match result.remove("content") {
            Some(Value::Array(content)) => content.into_iter().map(Content::from).collect(),
            // Some servers leave it out where there is structured content.
            None => Vec::new(),
            Some(_) => return Err("the tool's result has a `content` that is no array".to_owned()),
        };
        Ok(Self {
            content,
            structured_content: result.remove("structuredContent"),
            is_error: result.get("isError").and_then(Value::as_bool).unwrap_or(false),
            raw,
        })
    }
}
