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

/// The tools of a result of `tools/list`.
pub(super) fn list(result: Bytes) -> Result<Vec<Tool>, String> {
    let mut result = object(&result, "the list of tools")?;
    match result.remove("tools") {
        Some(Value::Array(tools)) => tools.into_iter().map(tool).collect(),
        _ => Err("the list of tools has no array `tools`".to_owned()),
    }
}

fn tool(value: Value) -> Result<Tool, String> {
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
