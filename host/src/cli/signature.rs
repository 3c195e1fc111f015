//! How a tool is called, in one line: its name and its arguments in the form in which they are typed.
//!
//! ```text
//! convert_time source_timezone=STRING time=STRING [copies:=INTEGER]
//! ```
//!
//! Read from the schema of the tool as far as it goes without following references or alternatives; the whole schema is
//! what `--json` is for.

use serde_json::{Map, Value};

/// Arguments of a tool that are shown: a schema may list thousands.
const SHOWN: usize = 16;

/// The arguments of a tool with that input schema, those that are required first.
pub(crate) fn arguments(schema: &Value) -> String {
    let empty = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();

    // In the order in which the schema requires them, which is mostly that of their importance.
    let first =
        required.iter().filter_map(|name| properties.get_key_value(*name)).map(|(name, value)| argument(name, value));
    let rest = properties.iter().filter(|(name, _)| !required.contains(&name.as_str()));
    let rest = rest.map(|(name, value)| format!("[{}]", argument(name, value)));
    let mut shown: Vec<String> = first.chain(rest).take(SHOWN).collect();
    if properties.len() > SHOWN {
        shown.push("...".to_owned());
    }
    shown.join(" ")
}

fn argument(name: &str, schema: &Value) -> String {
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => format!("{name}={}", choices(schema).unwrap_or_else(|| "STRING".to_owned())),
        Some(kind) => format!("{name}:={}", kind.to_uppercase()),
        None => format!("{name}:=JSON"),
    }
}

/// The values of an enumeration, if they are few and short.
fn choices(schema: &Value) -> Option<String> {
    let values: Option<Vec<&str>> = schema.get("enum")?.as_array()?.iter().map(Value::as_str).collect();
    let joined = values?.join("|");
    (!joined.is_empty() && joined.len() <= 40).then_some(joined)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn required_arguments_come_first_in_the_order_of_the_schema() {
        let schema = json!({
            "type": "object",
            "properties": {
                "copies": { "type": "integer" },
                "time": { "type": "string" },
                "zone": { "type": "string" },
            },
            "required": ["zone", "time"],
        });

        assert_eq!(arguments(&schema), "zone=STRING time=STRING [copies:=INTEGER]");
    }

    #[test]
    fn the_form_says_how_to_type_a_value() {
        let schema = |property: Value| json!({ "properties": { "a": property }, "required": ["a"] });
        let cases = [
            (json!({ "type": "string", "enum": ["x", "y"] }), "a=x|y"),
            (json!({ "type": "string", "enum": ["x".repeat(100)] }), "a=STRING"),
            (json!({ "type": "boolean" }), "a:=BOOLEAN"),
            (json!({ "type": ["string", "null"] }), "a:=JSON"),
            (json!({ "anyOf": [] }), "a:=JSON"),
            (json!(true), "a:=JSON"),
        ];

        for (property, text) in cases {
            assert_eq!(arguments(&schema(property.clone())), text, "{property}");
        }
    }

    #[test]
    fn a_schema_without_properties_has_no_arguments() {
        for schema in [json!({}), json!({ "type": "object" }), json!(null), json!({ "properties": 1, "required": "a" })]
        {
            assert_eq!(arguments(&schema), "", "{schema}");
        }
    }

    #[test]
    fn a_name_that_is_required_but_not_described_is_left_out() {
        assert_eq!(arguments(&json!({ "properties": {}, "required": ["a"] })), "");
    }

    #[test]
    fn many_arguments_are_cut() {
        let properties: Map<String, Value> = (10..40).map(|number| (format!("a{number}"), json!({}))).collect();

        let text = arguments(&json!({ "properties": properties }));

        assert!(text.ends_with("[a25:=JSON] ..."), "{text}");
    }
}
