//! What a request for a completion tells the model, with the uses of tools in it (2025-11-25).
//!
//! A conversation in which a use of a tool has no result, or a result no use, is one that models' providers refuse with errors of
//! their own; the specification has it refused here ("Sampling / Message Content Constraints").

use serde_json::{Map, Value, json};

use crate::mcp::{
    Content, Role,
    decode::{required_text, text},
};

/// A message of a conversation with a model.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SamplingMessage {
    /// Who says it.
    pub role: Role,
    /// What is said. Several pieces from 2025-11-25 on.
    pub content: Vec<SamplingContent>,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SamplingContent {
    /// A text, an image, a sound.
    Content(Content),
    /// The model wants to use a tool.
    ToolUse(ToolUse),
    /// What came of it.
    ToolResult(SamplingToolResult),
}

/// A model wants to use a tool.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ToolUse {
    /// What the result is to be told by.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments.
    pub input: Value,
    /// All of it, as it is sent.
    pub raw: Map<String, Value>,
}

/// What came of the use of a tool.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SamplingToolResult {
    /// The id of that use.
    pub tool_use_id: String,
    /// Its content.
    pub content: Vec<Content>,
    /// The same for programs.
    pub structured_content: Option<Value>,
    /// Whether the tool says that it failed.
    pub is_error: bool,
    /// All of it, as the server sent it.
    pub raw: Map<String, Value>,
}

impl ToolUse {
    /// A model wants to use a tool with these arguments, an object.
    pub fn new(id: impl Into<String>, name: impl Into<String>, input: Value) -> Self {
        let (id, name) = (id.into(), name.into());
        let raw = Map::from_iter([
            ("type".to_owned(), json!("tool_use")),
            ("id".to_owned(), json!(id)),
            ("name".to_owned(), json!(name)),
            ("input".to_owned(), input.clone()),
        ]);
        Self { id, name, input, raw }
    }
}

impl From<Content> for SamplingContent {
    fn from(content: Content) -> Self {
        Self::Content(content)
    }
}

impl From<ToolUse> for SamplingContent {
    fn from(wish: ToolUse) -> Self {
        Self::ToolUse(wish)
    }
}

impl SamplingContent {
    fn new(value: Value) -> Result<Self, String> {
        let kind = value.get("type").and_then(Value::as_str);
        match (kind, &value) {
            (Some("tool_use"), Value::Object(raw)) => {
                let member = |name| required_text(raw, name, "a use of a tool");
                let input = raw.get("input").cloned().unwrap_or_else(|| json!({}));
                Ok(Self::ToolUse(ToolUse { id: member("id")?, name: member("name")?, input, raw: raw.clone() }))
            }
            (Some("tool_result"), Value::Object(raw)) => Ok(Self::ToolResult(SamplingToolResult {
                tool_use_id: required_text(raw, "toolUseId", "a result of a tool")?,
                content: pieces(raw.get("content").cloned().unwrap_or_default()).map(Content::from).collect(),
                structured_content: raw.get("structuredContent").cloned(),
                is_error: raw.get("isError").and_then(Value::as_bool).unwrap_or(false),
                raw: raw.clone(),
            })),
            _ => Ok(Self::Content(value.into())),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Content(content) => json!(content),
            Self::ToolUse(ToolUse { raw, .. }) | Self::ToolResult(SamplingToolResult { raw, .. }) => raw.clone().into(),
        }
    }
}

/// The messages of a request, in which each use of a tool has its result.
pub(super) fn read(messages: Option<&Value>) -> Result<Vec<SamplingMessage>, String> {
    let messages = messages.and_then(Value::as_array).ok_or("the request has no array `messages`")?;
    let messages = messages.iter().map(message).collect::<Result<Vec<_>, _>>()?;
    check(&messages)?;
    Ok(messages)
}

fn message(message: &Value) -> Result<SamplingMessage, String> {
    let message = message.as_object().ok_or("a message is not an object")?;
    let role = text(message, "role").ok_or("a message has no text `role`")?;
    let content = message.get("content").cloned().ok_or("a message has no `content`")?;
    let content = pieces(content).map(SamplingContent::new).collect::<Result<_, _>>()?;
    Ok(SamplingMessage { role: Role::new(&role), content })
}

/// Content that may stand alone or in a list.
fn pieces(content: Value) -> impl Iterator<Item = Value> {
    match content {
        Value::Array(pieces) => pieces,
        Value::Null => Vec::new(),
        alone => vec![alone],
    }
    .into_iter()
}

fn check(messages: &[SamplingMessage]) -> Result<(), String> {
    // Those of the message before.
    let mut uses: Vec<&str> = Vec::new();
    for SamplingMessage { role, content } in messages {
        let results: Vec<&str> = content.iter().filter_map(SamplingContent::result_of).collect();
        if !results.is_empty() && results.len() < content.len() {
            return Err("Tool results mixed with other content".to_owned());
        }
        if !results.is_empty() && *role != Role::User {
            return Err("Tool results are the user's to give".to_owned());
        }
        if uses.iter().any(|id| !results.contains(id)) {
            return Err("Tool result missing in request".to_owned());
        }
        if results.iter().any(|id| !uses.contains(id)) {
            return Err("Tool result without a use of the tool in the message before".to_owned());
        }
        uses = content.iter().filter_map(SamplingContent::id_of_use).collect();
    }
    if uses.is_empty() { Ok(()) } else { Err("Tool result missing in request".to_owned()) }
}

impl SamplingContent {
    fn id_of_use(&self) -> Option<&str> {
        match self {
            Self::ToolUse(wish) => Some(&wish.id),
            _ => None,
        }
    }

    fn result_of(&self) -> Option<&str> {
        match self {
            Self::ToolResult(result) => Some(&result.tool_use_id),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(content: Value) -> Value {
        json!({ "role": "user", "content": content })
    }

    fn uses(ids: &[&str]) -> Value {
        let content: Vec<_> =
            ids.iter().map(|id| json!({ "type": "tool_use", "id": id, "name": "a", "input": {} })).collect();
        json!({ "role": "assistant", "content": content })
    }

    fn result(id: &str) -> Value {
        json!({ "type": "tool_result", "toolUseId": id, "content": [{ "type": "text", "text": "b" }] })
    }

    fn text() -> Value {
        json!({ "type": "text", "text": "hi" })
    }

    #[test]
    fn content_stands_alone_or_in_a_list() {
        let messages = read(Some(&json!([user(text()), user(json!([text(), text()]))]))).unwrap();

        assert_eq!((messages[0].content.len(), messages[1].content.len()), (1, 2));
    }

    #[test]
    fn each_use_of_a_tool_has_its_result() {
        let conversation = json!([user(text()), uses(&["1", "2"]), user(json!([result("2"), result("1")])), uses(&[])]);

        let messages = read(Some(&conversation)).unwrap();

        let SamplingContent::ToolResult(second) = &messages[2].content[0] else { panic!("{messages:?}") };
        assert_eq!((second.tool_use_id.as_str(), second.content.len()), ("2", 1));
    }

    #[test]
    fn a_conversation_in_which_results_are_missing_or_misplaced_is_refused() {
        for (messages, expected) in [
            (json!([uses(&["1"])]), "Tool result missing in request"),
            (json!([uses(&["1"]), user(text())]), "Tool result missing in request"),
            (json!([uses(&["1", "2"]), user(result("1"))]), "Tool result missing in request"),
            (json!([uses(&["1"]), user(json!([result("1"), text()]))]), "Tool results mixed with other content"),
            (json!([user(result("1"))]), "Tool result without a use of the tool in the message before"),
            (json!([{ "role": "assistant", "content": result("1") }]), "Tool results are the user's to give"),
            (json!([user(json!({ "type": "tool_result" }))]), "a result of a tool has no text `toolUseId`"),
            (json!([{ "role": "user" }]), "a message has no `content`"),
            (json!([{ "content": text() }]), "a message has no text `role`"),
            (json!(["hi"]), "a message is not an object"),
        ] {
            assert_eq!(read(Some(&messages)).unwrap_err(), expected, "{messages}");
        }
    }
}
