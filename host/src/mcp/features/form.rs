//! The fields of a form: what of JSON Schema the specification has for them, and their defaults.
//!
//! Forms are flat: fields are texts, numbers, yes or no, and choices. A field of another kind is kept as it is, for platforms that
//! know more than this version.

use serde_json::{Map, Value};

use crate::mcp::decode::text;

/// A form.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FormSchema {
    /// Its fields, in the order of the server.
    pub fields: Vec<FormField>,
    /// JSON Schema, as the server sent it.
    pub raw: Map<String, Value>,
}

/// A field of a form.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FormField {
    /// Its name, which its value is given by.
    pub name: String,
    /// A name for people.
    pub title: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// Whether a form without it is not filled in.
    pub required: bool,
    /// What it is where nobody says otherwise. Servers give defaults to texts, numbers and choices from 2025-11-25 on.
    pub default: Option<Value>,
    /// What it may be.
    pub kind: FieldKind,
    /// JSON Schema of it, as the server sent it.
    pub raw: Value,
}

/// What a field may be.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FieldKind {
    /// A text.
    Text {
        /// `email`, `uri`, `date` or `date-time`.
        format: Option<String>,
        /// Characters, at least.
        min_length: Option<u64>,
        /// Characters, at most.
        max_length: Option<u64>,
    },
    /// A number.
    Number {
        /// Whether it is to be a whole one.
        integer: bool,
        /// The least.
        minimum: Option<f64>,
        /// The greatest.
        maximum: Option<f64>,
    },
    /// Yes or no.
    Boolean,
    /// One of some.
    Choice {
        /// What there is to choose from.
        options: Vec<FieldOption>,
    },
    /// Several of some: an array of their values.
    Choices {
        /// What there is to choose from.
        options: Vec<FieldOption>,
        /// How many, at least.
        min_items: Option<u64>,
        /// How many, at most.
        max_items: Option<u64>,
    },
    /// A kind that this version does not know.
    Other,
}

/// Something to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldOption {
    /// Its value.
    pub value: String,
    /// Its name for people.
    pub title: Option<String>,
}

impl FormSchema {
    pub(super) fn new(raw: Map<String, Value>) -> Result<Self, String> {
        let properties = match raw.get("properties") {
            Some(Value::Object(properties)) => properties,
            None => &Map::new(),
            Some(_) => return Err("the form has `properties` that are no object".to_owned()),
        };
        let required: Vec<&str> =
            raw.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let fields = properties
            .iter()
            .map(|(name, schema)| FormField::new(name, schema, required.contains(&name.as_str())))
            .collect();
        Ok(Self { fields, raw })
    }

    /// Values with the defaults of the fields that are left out (SEP-1034).
    pub fn with_defaults(&self, mut values: Map<String, Value>) -> Map<String, Value> {
        for FormField { name, default, .. } in &self.fields {
            if let Some(default) = default
                && !values.contains_key(name)
            {
                values.insert(name.clone(), default.clone());
            }
        }
        values
    }
}

impl FormField {
    fn new(name: &str, schema: &Value, required: bool) -> Self {
        let empty = Map::new();
        let members = schema.as_object().unwrap_or(&empty);
        Self {
            name: name.to_owned(),
            title: text(members, "title"),
            description: text(members, "description"),
            required,
            default: members.get("default").cloned(),
            kind: FieldKind::new(members),
            raw: schema.clone(),
        }
    }
}

impl FieldKind {
    fn new(schema: &Map<String, Value>) -> Self {
        let count = |name| schema.get(name).and_then(Value::as_u64);
        let number = |name| schema.get(name).and_then(Value::as_f64);
        match schema.get("type").and_then(Value::as_str) {
            Some("string") => match options(schema) {
                Some(options) => Self::Choice { options },
                None => Self::Text {
                    format: text(schema, "format"),
                    min_length: count("minLength"),
                    max_length: count("maxLength"),
                },
            },
            Some(kind @ ("number" | "integer")) => {
                Self::Number { integer: kind == "integer", minimum: number("minimum"), maximum: number("maximum") }
            }
            Some("boolean") => Self::Boolean,
            Some("array") => match schema.get("items").and_then(Value::as_object).and_then(options) {
                Some(options) => Self::Choices { options, min_items: count("minItems"), max_items: count("maxItems") },
                None => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

/// What there is to choose from, in one of the ways that revisions have for it: constants with titles (`oneOf`, and `anyOf` for
/// several), an `enum`, and an `enum` with `enumNames` beside it.
fn options(schema: &Map<String, Value>) -> Option<Vec<FieldOption>> {
    if let Some(titled) = ["oneOf", "anyOf"].into_iter().find_map(|name| schema.get(name)?.as_array()) {
        let option = |option: &Value| {
            let option = option.as_object()?;
            Some(FieldOption { value: text(option, "const")?, title: text(option, "title") })
        };
        return titled.iter().map(option).collect();
    }
    let names = schema.get("enumNames").and_then(Value::as_array);
    let title = |index: usize| Some(names?.get(index)?.as_str()?.to_owned());
    let values = schema.get("enum")?.as_array()?.iter().enumerate();
    values.map(|(index, value)| Some(FieldOption { value: value.as_str()?.to_owned(), title: title(index) })).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form(schema: Value) -> FormSchema {
        FormSchema::new(schema.as_object().cloned().unwrap()).unwrap()
    }

    fn kind(schema: Value) -> FieldKind {
        form(json!({ "properties": { "a": schema } })).fields.remove(0).kind
    }

    fn titles(kind: FieldKind) -> Vec<(String, Option<String>)> {
        let (FieldKind::Choice { options } | FieldKind::Choices { options, .. }) = kind else { panic!("{kind:?}") };
        options.into_iter().map(|option| (option.value, option.title)).collect()
    }

    #[test]
    fn fields_come_in_the_order_of_the_server() {
        let form = form(json!({
            "type": "object",
            "properties": { "b": { "type": "boolean", "default": true }, "a": { "type": "string", "title": "A" } },
            "required": ["a"],
        }));

        let [b, a] = &form.fields[..] else { panic!("{form:?}") };
        assert_eq!((b.name.as_str(), b.required, &b.default), ("b", false, &Some(json!(true))));
        assert_eq!((a.name.as_str(), a.required, a.title.as_deref()), ("a", true, Some("A")));
    }

    #[test]
    fn each_kind_is_told_apart() {
        let text = FieldKind::Text { format: Some("email".into()), min_length: Some(3), max_length: None };
        assert_eq!(kind(json!({ "type": "string", "format": "email", "minLength": 3 })), text);
        let number = FieldKind::Number { integer: true, minimum: Some(1.0), maximum: None };
        assert_eq!(kind(json!({ "type": "integer", "minimum": 1 })), number);
        assert_eq!(kind(json!({ "type": "boolean" })), FieldKind::Boolean);
        for other in [json!({ "type": "object" }), json!({ "type": "array" }), json!({}), json!(true)] {
            assert_eq!(kind(other), FieldKind::Other);
        }
    }

    #[test]
    fn choices_are_read_in_each_way_that_revisions_have_for_them() {
        let plain = ["x", "y"].map(|value| (value.to_owned(), None));
        let titled = [("x", "X"), ("y", "Y")].map(|(value, title)| (value.to_owned(), Some(title.to_owned())));
        let constants = json!([{ "const": "x", "title": "X" }, { "const": "y", "title": "Y" }]);

        assert_eq!(titles(kind(json!({ "type": "string", "enum": ["x", "y"] }))), plain);
        assert_eq!(titles(kind(json!({ "type": "string", "enum": ["x", "y"], "enumNames": ["X", "Y"] }))), titled);
        assert_eq!(titles(kind(json!({ "type": "string", "oneOf": constants }))), titled);
        assert_eq!(titles(kind(json!({ "type": "array", "items": { "type": "string", "enum": ["x", "y"] } }))), plain);
        assert_eq!(titles(kind(json!({ "type": "array", "items": { "anyOf": constants } }))), titled);
    }

    #[test]
    fn defaults_stand_in_for_what_is_left_out_and_for_nothing_else() {
        let form = form(json!({ "properties": {
            "name": { "type": "string" },
            "age": { "type": "integer", "default": 30 },
            "agrees": { "type": "boolean", "default": true },
            "pets": { "type": "array", "items": { "enum": ["cat"] }, "default": ["cat"] },
        } }));
        let given = json!({ "name": "Ada", "agrees": false, "age": null });

        let values = form.with_defaults(given.as_object().cloned().unwrap());

        assert_eq!(Value::from(values), json!({ "name": "Ada", "agrees": false, "age": null, "pets": ["cat"] }));
    }
}
