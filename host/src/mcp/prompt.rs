//! Prompts: texts for models that a server keeps, to be filled in. "Server Features / Prompts".

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    ServerFeature,
    content::Content,
    decode::{list, object, required_text, text},
    role::Role,
};
use crate::{Error, Lease};

/// A prompt of a server.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
#[non_exhaustive]
pub struct Prompt {
    /// The name to get it by.
    #[serde(skip)]
    pub name: String,
    /// A name for people.
    #[serde(skip)]
    pub title: Option<String>,
    /// What it is for, for people and models.
    #[serde(skip)]
    pub description: Option<String>,
    /// What it can be filled in with, in the order of the server.
    #[serde(skip)]
    pub arguments: Vec<PromptArgument>,
    /// All of it, as the server sent it.
    pub raw: Map<String, Value>,
}

/// Something that a prompt can be filled in with: a text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PromptArgument {
    /// Its name.
    pub name: String,
    /// A name for people.
    pub title: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether the prompt cannot be had without it.
    pub required: bool,
}

/// A prompt that is filled in. Made by [`Lease::get_prompt`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PromptResult {
    /// What it is.
    pub description: Option<String>,
    /// What to tell a model, in order. It is the server's text: nobody has looked at it.
    pub messages: Vec<PromptMessage>,
    /// The result as the server sent it. JSON.
    pub raw: Bytes,
}

/// A message of a [`PromptResult`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PromptMessage {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub content: Content,
}

impl Lease {
    /// The prompts of the server, all pages of them.
    ///
    /// # Errors
    ///
    /// What a [`Call`](crate::Call) may return; [`Error::Unsupported`] where the server does not offer prompts; [`Error::Protocol`]
    /// where its answer is no list of them.
    pub async fn prompts(&self) -> Result<Vec<Prompt>, Error> {
        self.require(ServerFeature::Prompts).await?;
        self.ask(self.call("prompts/list").progress(false).all_pages(), prompts).await
    }

    /// A prompt, filled in. Arguments are texts, by their names; of two with one name the last counts.
    ///
    /// # Errors
    ///
    /// As [`Lease::prompts`]. A server that has no such prompt, or lacks an argument, answers with [`Error::Server`].
    pub async fn get_prompt(&self, name: &str, arguments: &[(&str, &str)]) -> Result<PromptResult, Error> {
        self.require(ServerFeature::Prompts).await?;
        let arguments: BTreeMap<_, _> = arguments.iter().copied().collect();
        let mut params = json!({ "name": name });
        // Left out where there are none, as by everybody: some servers take an empty object for a mistake.
        if !arguments.is_empty() {
            params["arguments"] = json!(arguments);
        }
        self.ask(self.call("prompts/get").params(&params), PromptResult::new).await
    }
}

impl Prompt {
    fn new(raw: Map<String, Value>) -> Result<Self, String> {
        let arguments = match raw.get("arguments") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(arguments)) => arguments.iter().map(PromptArgument::new).collect::<Result<_, _>>()?,
            Some(_) => return Err("a prompt has `arguments` that are no array".to_owned()),
        };
        Ok(Self {
            name: required_text(&raw, "name", "a prompt")?,
            title: text(&raw, "title"),
            description: text(&raw, "description"),
            arguments,
            raw,
        })
    }
}

impl PromptArgument {
    fn new(argument: &Value) -> Result<Self, String> {
        let argument = argument.as_object().ok_or("an argument of a prompt is not an object")?;
        Ok(Self {
            name: required_text(argument, "name", "an argument of a prompt")?,
            title: text(argument, "title"),
            description: text(argument, "description"),
            required: argument.get("required").and_then(Value::as_bool).unwrap_or(false),
        })
    }
}

impl PromptResult {
    fn new(raw: Bytes) -> Result<Self, String> {
        let result = object(&raw, "the prompt")?;
        let description = text(&result, "description");
        let messages = list(result, "messages", "a message of the prompt", |mut message| {
            let role = Role::new(&required_text(&message, "role", "a message of the prompt")?);
            let content = message.remove("content").ok_or("a message of the prompt has no `content`")?;
            Ok(PromptMessage { role, content: Content::from(content) })
        })?;
        Ok(Self { description, messages, raw })
    }
}

fn prompts(result: Bytes) -> Result<Vec<Prompt>, String> {
    list(object(&result, "the list of prompts")?, "prompts", "a prompt", Prompt::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_says_what_it_can_be_filled_in_with() {
        let listed =
            br#"{"prompts":[{"name":"a","arguments":[{"name":"x","required":true},{"name":"y"}],"icons":[]}]}"#;
        let prompts = prompts(Bytes::from_static(listed)).unwrap();

        let arguments: Vec<_> = prompts[0].arguments.iter().map(|x| (x.name.as_str(), x.required)).collect();
        assert_eq!(arguments, [("x", true), ("y", false)]);
        assert_eq!(serde_json::to_value(&prompts[0]).unwrap()["icons"], json!([]));
    }

    #[test]
    fn messages_have_a_role_and_content() {
        let filled_in =
            br#"{"messages":[{"role":"user","content":{"type":"text","text":"hi"}},{"role":"system","content":1}]}"#;
        let result = PromptResult::new(Bytes::from_static(filled_in)).unwrap();

        assert_eq!(result.messages[0].role, Role::User);
        assert!(matches!(&result.messages[0].content, Content::Text { text, .. } if text == "hi"));
        assert_eq!(result.messages[1].role, Role::Other("system".into()));
        assert_eq!(result.messages[1].content, Content::Other(json!(1)));
    }

    #[test]
    fn what_is_no_prompt_says_what_is_wrong() {
        for (listed, expected) in [
            ("null", "the list of prompts is not an object"),
            (r#"{"prompts":{}}"#, "the answer of the server has no array `prompts`"),
            (r#"{"prompts":[{"title":"a"}]}"#, "a prompt has no text `name`"),
            (r#"{"prompts":[{"name":"a","arguments":{}}]}"#, "a prompt has `arguments` that are no array"),
            (r#"{"prompts":[{"name":"a","arguments":["x"]}]}"#, "an argument of a prompt is not an object"),
        ] {
            assert_eq!(prompts(listed.into()).unwrap_err(), expected);
        }
        for (result, expected) in [
            ("{}", "the answer of the server has no array `messages`"),
            (r#"{"messages":[{"content":1}]}"#, "a message of the prompt has no text `role`"),
            (r#"{"messages":[{"role":"user"}]}"#, "a message of the prompt has no `content`"),
        ] {
            assert_eq!(PromptResult::new(result.into()).unwrap_err(), expected);
        }
    }
}
