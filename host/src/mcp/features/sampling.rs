//! Requests of servers for a completion of a model. "Client Features / Sampling".

use serde_json::{Map, Value, json};

use super::messages::{self, SamplingContent, SamplingMessage};
use crate::mcp::{Content, Tool, decode::text, tool};

/// What servers may ask of a model beyond text. Default: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SamplingSupport {
    tools: bool,
    context: bool,
}

impl SamplingSupport {
    /// Nothing beyond text, images and sounds.
    pub fn new() -> Self {
        Self::default()
    }

    /// Servers may give the model tools (from 2025-11-25 on). The model's wish to use one goes back to the server, which does.
    pub fn tools(mut self) -> Self {
        self.tools = true;
        self
    }

    /// Servers may have the platform add context of its servers ([`SamplingRequest::include_context`]), which the specification
    /// advises against.
    pub fn context(mut self) -> Self {
        self.context = true;
        self
    }

    pub(super) fn to_json(self) -> Value {
        let announced = [("tools", self.tools), ("context", self.context)];
        announced.into_iter().filter(|feature| feature.1).map(|feature| (feature.0.to_owned(), json!({}))).collect()
    }
}

/// What a server wants of a model.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SamplingRequest {
    /// The conversation so far. Each wish to use a tool in it is followed by what came of that.
    pub messages: Vec<SamplingMessage>,
    /// Tokens, at most. None: the server does not say, which it should.
    pub max_tokens: Option<u64>,
    /// What to tell the model first.
    pub system_prompt: Option<String>,
    /// How much chance there is to be.
    pub temperature: Option<f64>,
    /// Where to stop.
    pub stop_sequences: Vec<String>,
    /// Whose context to add: `none`, `thisServer`, `allServers`. The platform may leave it.
    pub include_context: Option<String>,
    /// Which model would be right: hints, and how much cost, speed and intelligence matter.
    pub model_preferences: Option<Value>,
    /// Whatever the provider of the model understands.
    pub metadata: Option<Value>,
    /// What the model may use. Empty, unless [`SamplingSupport::tools`] was announced.
    pub tools: Vec<Tool>,
    /// Whether it has to. None: as it likes.
    pub tool_choice: Option<ToolChoice>,
    /// All of it, as the server sent it.
    pub raw: Map<String, Value>,
}

/// Whether a model has to use tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolChoice {
    /// As it likes.
    Auto,
    /// At least one.
    Required,
    /// It must not.
    None,
}

/// What a model said.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SamplingResult {
    /// The model.
    pub model: String,
    /// What it said.
    pub content: Vec<SamplingContent>,
    /// Why it stopped: `endTurn`, `stopSequence`, `maxTokens`, `toolUse`, or what its provider says.
    pub stop_reason: Option<String>,
}

/// Why no model is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SamplingRefusal {
    /// A person, or the platform for them, does not want it.
    Rejected,
    /// It was tried and failed: why, for the server.
    Failed(String),
}

impl SamplingRequest {
    pub(super) fn new(raw: Map<String, Value>, support: SamplingSupport) -> Result<Self, String> {
        // "The client MUST return an error if this field is provided" without the capability (schema of 2025-11-25).
        if !support.tools
            && let Some(member) = ["tools", "toolChoice"].into_iter().find(|member| raw.contains_key(*member))
        {
            return Err(format!("`{member}` was given, and tools in sampling were not announced"));
        }
        let tools = match raw.get("tools") {
            None => Vec::new(),
            Some(Value::Array(tools)) => tools.iter().cloned().map(tool::tool).collect::<Result<_, _>>()?,
            Some(_) => return Err("the request has `tools` that are no array".to_owned()),
        };
        let texts = raw.get("stopSequences").and_then(Value::as_array).into_iter().flatten();
        Ok(Self {
            messages: messages::read(raw.get("messages"))?,
            max_tokens: raw.get("maxTokens").and_then(Value::as_u64),
            system_prompt: text(&raw, "systemPrompt"),
            temperature: raw.get("temperature").and_then(Value::as_f64),
            stop_sequences: texts.filter_map(|text| Some(text.as_str()?.to_owned())).collect(),
            include_context: text(&raw, "includeContext"),
            model_preferences: raw.get("modelPreferences").cloned(),
            metadata: raw.get("metadata").cloned(),
            tools,
            tool_choice: raw.get("toolChoice").map(ToolChoice::new).transpose()?,
            raw,
        })
    }
}

impl ToolChoice {
    fn new(choice: &Value) -> Result<Self, String> {
        match choice.get("mode") {
            None => Ok(Self::Auto),
            Some(mode) if mode == "auto" => Ok(Self::Auto),
            Some(mode) if mode == "required" => Ok(Self::Required),
            Some(mode) if mode == "none" => Ok(Self::None),
            Some(mode) => Err(format!("there is no choice of tools {mode}")),
        }
    }
}

impl SamplingResult {
    /// What a model said, which may be that it wants to use tools.
    pub fn new(model: impl Into<String>, content: impl IntoIterator<Item = SamplingContent>) -> Self {
        Self { model: model.into(), content: content.into_iter().collect(), stop_reason: None }
    }

    /// A text that a model said.
    pub fn text(model: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(model, [Content::from(json!({ "type": "text", "text": text.into() })).into()])
    }

    /// Says why it stopped.
    pub fn stop_reason(mut self, reason: impl Into<String>) -> Self {
        self.stop_reason = Some(reason.into());
        self
    }

    pub(super) fn to_json(&self) -> Value {
        let content = match &self.content[..] {
            // As the only one it is said as all revisions have it.
            [only] => only.to_json(),
            several => several.iter().map(SamplingContent::to_json).collect(),
        };
        let mut result = json!({ "role": "assistant", "content": content, "model": self.model });
        if let Some(reason) = &self.stop_reason {
            result["stopReason"] = reason.as_str().into();
        }
        result
    }
}

impl SamplingRefusal {
    /// As the specification has it ("Error Handling"), and "Internal error" (JSON-RPC 2.0, section 5.1).
    pub(super) fn code(&self) -> i32 {
        match self {
            Self::Rejected => -1,
            Self::Failed(_) => -32603,
        }
    }

    pub(super) fn message(&self) -> &str {
        match self {
            Self::Rejected => "User rejected sampling request",
            Self::Failed(reason) => reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::messages::ToolUse, *};

    fn request(sent: Value, support: SamplingSupport) -> Result<SamplingRequest, String> {
        SamplingRequest::new(sent.as_object().cloned().unwrap(), support)
    }

    #[test]
    fn a_request_has_what_the_server_said() {
        let sent = json!({
            "messages": [{ "role": "user", "content": { "type": "text", "text": "hi" } }],
            "maxTokens": 7,
            "systemPrompt": "be brief",
            "stopSequences": ["."],
            "tools": [{ "name": "search", "inputSchema": { "type": "object" } }],
            "toolChoice": { "mode": "required" },
        });

        let request = request(sent, SamplingSupport::new().tools()).unwrap();

        assert_eq!((request.max_tokens, request.system_prompt.as_deref()), (Some(7), Some("be brief")));
        assert_eq!((request.tools[0].name.as_str(), request.tool_choice), ("search", Some(ToolChoice::Required)));
        assert_eq!(request.stop_sequences, ["."]);
    }

    #[test]
    fn tools_that_were_not_announced_are_refused() {
        for (member, value) in [("tools", json!([])), ("toolChoice", json!({}))] {
            let problem = request(json!({ "messages": [], member: value }), SamplingSupport::new()).unwrap_err();

            assert_eq!(problem, format!("`{member}` was given, and tools in sampling were not announced"));
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let support = SamplingSupport::new().tools();
        for (sent, expected) in [
            (json!({}), "the request has no array `messages`"),
            (json!({ "messages": [], "tools": 1 }), "the request has `tools` that are no array"),
            (json!({ "messages": [], "tools": [{}] }), "a tool has no text `name`"),
            (json!({ "messages": [], "toolChoice": { "mode": "any" } }), "there is no choice of tools \"any\""),
        ] {
            assert_eq!(request(sent, support).unwrap_err(), expected);
        }
    }

    #[test]
    fn one_piece_of_content_is_said_alone_and_several_are_a_list() {
        let text = json!({ "type": "text", "text": "42" });
        let use_of_tool = json!({ "type": "tool_use", "id": "u1", "name": "search", "input": { "q": "a" } });

        let one = SamplingResult::text("m", "42").stop_reason("endTurn").to_json();
        let wish = ToolUse::new("u1", "search", json!({ "q": "a" }));
        let two = SamplingResult::new("m", [Content::from(text.clone()).into(), wish.into()]).to_json();

        assert_eq!(one, json!({ "role": "assistant", "content": text, "model": "m", "stopReason": "endTurn" }));
        assert_eq!(two["content"], json!([text, use_of_tool]));
    }
}
