//! Tools as a server lists them.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use super::decode::{object, required_text, text};

/// A tool of a server.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
#[non_exhaustive]
pub struct Tool {
    /// The name to call it by.
    #[serde(skip)]
    pub name: String,
    /// A name for people.
    #[serde(skip)]
    pub title: Option<String>,
    /// What it does, for people and models.
    #[serde(skip)]
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    #[serde(skip)]
    pub input_schema: Value,
    /// JSON Schema of its structured result.
    #[serde(skip)]
    pub output_schema: Option<Value>,
    /// What the server says of its behaviour, which is a hint and no promise.
    #[serde(skip)]
    pub annotations: Option<Value>,
    /// All of it, as the server sent it.
    pub raw: Map<String, Value>,
}

impl Tool {
    /// Whether the server says that a second call does no more than the first. Its schema has `idempotentHint` mean something only
    /// where `readOnlyHint` is false; where that is true, the tool changes nothing to begin with. Whether what it changes can be undone
    /// (`destructiveHint`) is another question.
    pub(super) fn is_hinted_idempotent(&self) -> bool {
        let hint = |name: &str| self.annotations.as_ref().and_then(|hints| hints.get(name)).and_then(Value::as_bool);
        hint("readOnlyHint") == Some(true) || hint("idempotentHint") == Some(true)
    }
}

/// The tools of a result of `tools/list`.
pub(super) fn list(result: Bytes) -> Result<Vec<Tool>, String> {
    let mut result = object(&result, "the list of tools")?;
    match result.remove("tools") {
        Some(Value::Array(tools)) => tools.into_iter().map(tool).collect(),
        _ => Err("the list of tools has no array `tools`".to_owned()),
    }
}

/// A tool, of a list or given to a model.
pub(super) fn tool(value: Value) -> Result<Tool, String> {
    let Value::Object(raw) = value else { return Err("a tool is not an object".to_owned()) };
    let name = required_text(&raw, "name", "a tool")?;
    Ok(Tool {
        title: text(&raw, "title"),
        description: text(&raw, "description"),
        input_schema: raw.get("inputSchema").cloned().unwrap_or_else(|| Value::Object(Map::new())),
        output_schema: raw.get("outputSchema").cloned(),
        annotations: raw.get("annotations").cloned(),
        name,
        raw,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_keeps_what_this_version_does_not_know() {
        let tools = br#"{"tools":[{"name":"a","inputSchema":{"type":"object"},"new":1}]}"#;
        let tools = list(Bytes::from_static(tools)).unwrap();

        assert_eq!(tools[0].name, "a");
        assert_eq!(serde_json::to_value(&tools[0]).unwrap()["new"], 1);
    }

    #[test]
    fn a_tool_is_hinted_idempotent_where_it_is_said_to_be_that_or_to_change_nothing() {
        let cases = [
            (r#"{"readOnlyHint":true}"#, true),
            (r#"{"idempotentHint":true}"#, true),
            (r#"{"readOnlyHint":false,"idempotentHint":true,"destructiveHint":true}"#, true),
            (r#"{"readOnlyHint":true,"idempotentHint":false}"#, true),
            (r#"{"readOnlyHint":false,"idempotentHint":false}"#, false),
            (r#"{"destructiveHint":false}"#, false),
            (r#"{"idempotentHint":"true"}"#, false),
            (r#"{"idempotentHint":1}"#, false),
            (r#"{"IdempotentHint":true}"#, false),
            ("{}", false),
            ("true", false),
            ("null", false),
        ];

        for (annotations, expected) in cases {
            let list_text = format!(r#"{{"tools":[{{"name":"a","annotations":{annotations}}}]}}"#);
            assert_eq!(list(list_text.into()).unwrap()[0].is_hinted_idempotent(), expected, "{annotations}");
        }
    }

    #[test]
    fn a_list_that_is_none_says_what_is_wrong() {
        for (list_text, expected) in [
            ("[]", "the list of tools is not an object"),
            ("{}", "the list of tools has no array `tools`"),
            (r#"{"tools":[{}]}"#, "a tool has no text `name`"),
            (r#"{"tools":[1]}"#, "a tool is not an object"),
        ] {
            assert_eq!(list(list_text.into()).unwrap_err(), expected);
        }
    }
}
