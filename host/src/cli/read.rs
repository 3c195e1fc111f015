//! `innkeeper read SERVER URI`: what is in a resource.

use innkeeper::mcp::{ReadResource, ResourceContents};
use serde::{
    Serialize, Serializer,
    ser::{Error as _, SerializeMap},
};
use serde_json::value::RawValue;

use crate::{
    content,
    exit::{Exit, Failure},
    hosting::Host,
    options::ReadOptions,
    output::Report,
    page::Page,
    save::{self, Folder, Outcome},
    servers::Servers,
    spinner::Spinner,
    target,
};

/// Something that can be read: everything about it that does not need a server is checked.
#[derive(Debug)]
pub(crate) struct PreparedRead {
    server: String,
    uri: String,
    folder: Option<Folder>,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct ReadReport {
    server: String,
    uri: String,
    result: ReadResource,
    /// What became of each of its contents, where it was to be saved.
    saved: Vec<Option<Outcome>>,
    saving: bool,
}

impl PreparedRead {
    pub(crate) fn new(options: &ReadOptions, servers: &Servers) -> Result<Self, Failure> {
        let usage = "read SERVER URI, or read URI with a server after `--` or with --url";
        let (server, uri, rest) = target::lead(&options.words, servers, usage)?;
        if let Some(more) = rest.first() {
            return Err(
                Failure::usage(format!("`{more}` is one word too many")).hint(format!("write innkeeper {usage}"))
            );
        }
        let folder = Folder::open(options.saving.out.as_deref())?;
        Ok(Self { server: server.to_owned(), uri: uri.to_owned(), folder })
    }

    /// What to show while it takes long.
    pub(crate) fn describe(&self) -> String {
        format!("{} {}", self.server, self.uri)
    }

    pub(crate) async fn run(self, host: &Host, spinner: Spinner) -> Result<ReadReport, Failure> {
        let lease = host.lease(&self.server).await?;
        let result = lease.read_resource(&self.uri).await.map_err(|error| {
            let hint = format!("`innkeeper resources {}` lists those that it has", self.server);
            match error {
                innkeeper::Error::Server(_) => Failure::from(error).hint(hint),
                error => error.into(),
            }
        })?;
        drop(spinner);
        let save = |contents: &ResourceContents| Some(self.folder.as_ref()?.save(&contents.uri, contents.media()?));
        let saved = result.contents.iter().map(save).collect();
        Ok(ReadReport { server: self.server, uri: self.uri, result, saved, saving: self.folder.is_some() })
    }
}

impl Report for ReadReport {
    fn write_text(&self, page: &mut Page) {
        let several = self.result.contents.len() > 1;
        for (contents, saved) in self.result.contents.iter().zip(&self.saved) {
            match &contents.text {
                // Alone it is what was asked for, and nothing else.
                Some(text) if !several => {
                    page.block(text);
                }
                _ => content::write_contents(page, contents, saved.as_ref()),
            }
        }
        if self.result.contents.is_empty() {
            content::write_nothing(page);
        }
    }

    fn exit(&self) -> Exit {
        content::exit_of(&self.saved)
    }
}

impl Serialize for ReadReport {
    /// The result as the server sent it, members included that this program does not know.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let result: &RawValue = serde_json::from_slice(&self.result.raw).map_err(S::Error::custom)?;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("server", &self.server)?;
        map.serialize_entry("uri", &self.uri)?;
        map.serialize_entry("result", result)?;
        if self.saving {
            map.serialize_entry("saved", &save::to_json(self.saved.iter().flatten()))?;
        }
        map.end()
    }
}
