//! `innkeeper prompt SERVER NAME`: a prompt, filled in.

use std::io;

use innkeeper::{
    Error, Lease,
    mcp::{PromptMessage, PromptResult},
};
use serde::{
    Serialize, Serializer,
    ser::{Error as _, SerializeMap},
};
use serde_json::{Map, Value, value::RawValue};

use crate::{
    arguments, content,
    exit::{Exit, Failure},
    hosting::Host,
    options::PromptOptions,
    output::Report,
    page::{Page, Style, harmless},
    save::{self, Folder, Outcome},
    servers::Servers,
    spinner::Spinner,
    target,
};

/// A prompt that can be asked for: everything about it that does not need a server is checked.
#[derive(Debug)]
pub(crate) struct PreparedPrompt {
    server: String,
    name: String,
    arguments: Vec<(String, String)>,
    folder: Option<Folder>,
}

/// A prompt that was filled in.
#[derive(Debug)]
pub(crate) struct PromptReport {
    server: String,
    name: String,
    result: PromptResult,
    /// What became of the content of each message, where it was to be saved.
    saved: Vec<Option<Outcome>>,
    saving: bool,
}

impl PreparedPrompt {
    /// Understands the options. May read standard input, so it belongs before anything is opened.
    pub(crate) fn new(options: &PromptOptions, servers: &Servers) -> Result<Self, Failure> {
        let usage = "prompt SERVER NAME [KEY=VALUE]..., or without SERVER where it is given after `--` or with --url";
        let (server, name, pairs) = target::lead(&options.words, servers, usage)?;
        let arguments = match (&options.args, pairs) {
            (None, pairs) => arguments::from_pairs(pairs)?,
            (Some(source), []) => arguments::from_source(source, io::stdin().lock())?,
            (Some(_), [pair, ..]) => {
                return Err(Failure::usage(format!("`{pair}` cannot be used with --args, which are all arguments")));
            }
        };
        let arguments = texts(arguments)?;
        let folder = Folder::open(options.saving.out.as_deref())?;
        Ok(Self { server: server.to_owned(), name: name.to_owned(), arguments, folder })
    }

    /// What to show while it takes long.
    pub(crate) fn describe(&self) -> String {
        format!("{} {}", self.server, self.name)
    }

    pub(crate) async fn run(self, host: &Host, spinner: Spinner) -> Result<PromptReport, Failure> {
        let lease = host.lease(&self.server).await?;
        let arguments: Vec<_> = self.arguments.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let result = match lease.get_prompt(&self.name, &arguments).await {
            Ok(result) => result,
            Err(error) => return Err(self.explain(&lease, error).await),
        };
        drop(spinner);
        let save = |message: &PromptMessage| Some(self.folder.as_ref()?.save(&self.name, message.content.media()?));
        let saved = result.messages.iter().map(save).collect();
        Ok(PromptReport { server: self.server, name: self.name, result, saved, saving: self.folder.is_some() })
    }

    /// Servers differ in what they say to a prompt that they do not have, and few say which they do have.
    async fn explain(&self, lease: &Lease, error: Error) -> Failure {
        if let (Error::Server(said), Ok(prompts)) = (&error, lease.prompts().await)
            && prompts.iter().all(|prompt| prompt.name != self.name)
        {
            let what = format!("prompt of `{}` named", self.server);
            let names = prompts.iter().map(|prompt| prompt.name.as_str());
            return target::unknown(&what, &self.name, names).detail("server_error", said.to_string());
        }
        error.into()
    }
}

/// Arguments of prompts are texts ("Server Features / Prompts").
fn texts(arguments: Map<String, Value>) -> Result<Vec<(String, String)>, Failure> {
    let text = |(name, value): (String, Value)| match value {
        Value::String(value) => Ok((name, value)),
        _ => Err(Failure::usage(format!("the argument `{name}` is not a text"))
            .hint(format!("arguments of prompts are: write {name}=..."))),
    };
    arguments.into_iter().map(text).collect()
}

impl Report for PromptReport {
    fn write_text(&self, page: &mut Page) {
        for (message, saved) in self.result.messages.iter().zip(&self.saved) {
            page.styled(Style::Bold, &harmless(message.role.as_str())).end_line();
            content::write_content(page, &message.content, saved.as_ref());
        }
        if self.result.messages.is_empty() {
            content::write_nothing(page);
        }
    }

    fn exit(&self) -> Exit {
        content::exit_of(&self.saved)
    }
}

impl Serialize for PromptReport {
    /// The result as the server sent it, members included that this program does not know.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let result: &RawValue = serde_json::from_slice(&self.result.raw).map_err(S::Error::custom)?;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("server", &self.server)?;
        map.serialize_entry("prompt", &self.name)?;
        map.serialize_entry("result", result)?;
        if self.saving {
            map.serialize_entry("saved", &save::to_json(self.saved.iter().flatten()))?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_are_texts() {
        let object = |value: Value| value.as_object().cloned().expect("an object");

        assert_eq!(texts(object(json!({ "a": "1" }))).ok(), Some(vec![("a".into(), "1".into())]));
        let failure = texts(object(json!({ "a": 1 }))).expect_err("a number");
        assert_eq!(failure.message, "the argument `a` is not a text");
    }
}
