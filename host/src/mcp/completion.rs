//! What an argument may become, while somebody types it. "Server Features / Utilities / Completion".

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{ServerFeature, decode::object};
use crate::{Error, Lease};

/// What has the argument that is to be completed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompletionReference {
    /// A prompt, by its name.
    Prompt(String),
    /// A template of resources, by its template of URIs; its variables are the arguments.
    ResourceTemplate(String),
}

/// What an argument may become.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Completion {
    /// Values, the likeliest first. The specification has a hundred at most.
    pub values: Vec<String>,
    /// How many there are in all, where the server says so.
    pub total: Option<u64>,
    /// Whether there are more than these.
    pub has_more: bool,
    /// The result as the server sent it. JSON.
    pub raw: Bytes,
}

impl Lease {
    /// What an argument, typed as far as `value`, may become. `context` are the arguments that have their values already; servers
    /// know it from 2025-06-18 on.
    ///
    /// # Errors
    ///
    /// What a [`Call`](crate::Call) may return; [`Error::Unsupported`] where the server does not offer completions, which
    /// 2024-11-05 has no way to say: there it is asked; [`Error::Protocol`] where its answer is none.
    pub async fn complete(
        &self,
        reference: &CompletionReference,
        argument: &str,
        value: &str,
        context: &[(&str, &str)],
    ) -> Result<Completion, Error> {
        self.require(ServerFeature::Completions).await?;
        let context: BTreeMap<_, _> = context.iter().copied().collect();
        let mut params = json!({ "ref": reference.to_json(), "argument": { "name": argument, "value": value } });
        if !context.is_empty() {
            params["context"] = json!({ "arguments": context });
        }
        self.ask(self.call("completion/complete").progress(false).params(&params), Completion::new).await
    }
}

impl CompletionReference {
    fn to_json(&self) -> Value {
        match self {
            Self::Prompt(name) => json!({ "type": "ref/prompt", "name": name }),
            Self::ResourceTemplate(uri) => json!({ "type": "ref/resource", "uri": uri }),
        }
    }
}

impl Completion {
    fn new(raw: Bytes) -> Result<Self, String> {
        let result = object(&raw, "the completion")?;
        let completion = result.get("completion").ok_or("the answer of the server has no `completion`")?;
        let values =
            completion.get("values").and_then(Value::as_array).ok_or("the completion has no array `values`")?;
        let value = |value: &Value| value.as_str().map(str::to_owned).ok_or("a value of the completion is no text");
        Ok(Self {
            values: values.iter().map(value).collect::<Result<_, _>>()?,
            total: completion.get("total").and_then(Value::as_u64),
            has_more: completion.get("hasMore").and_then(Value::as_bool).unwrap_or(false),
            raw,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_in_the_order_of_the_server() {
        let completion =
            Completion::new(r#"{"completion":{"values":["b","a"],"total":7,"hasMore":true}}"#.into()).unwrap();

        assert_eq!(
            (completion.values, completion.total, completion.has_more),
            (vec!["b".into(), "a".into()], Some(7), true)
        );
    }

    #[test]
    fn what_is_no_completion_says_what_is_wrong() {
        for (result, expected) in [
            ("[]", "the completion is not an object"),
            ("{}", "the answer of the server has no `completion`"),
            (r#"{"completion":{}}"#, "the completion has no array `values`"),
            (r#"{"completion":{"values":[1]}}"#, "a value of the completion is no text"),
        ] {
            assert_eq!(Completion::new(result.into()).unwrap_err(), expected);
        }
    }
}
