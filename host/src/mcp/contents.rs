//! What is in a resource: text, or bytes.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    decode::{list, object, required_text, text},
    media::Media,
};

/// What is in a resource, or in a part of one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
#[non_exhaustive]
pub struct ResourceContents {
    /// Where it is.
    #[serde(skip)]
    pub uri: String,
    /// Media type.
    #[serde(skip)]
    pub mime_type: Option<String>,
    /// The text, if it is text.
    #[serde(skip)]
    pub text: Option<String>,
    /// The bytes, if it is not. Base64; see [`ResourceContents::media`].
    #[serde(skip)]
    pub blob: Option<String>,
    /// All of it, as the server sent it.
    pub raw: Map<String, Value>,
}

impl ResourceContents {
    /// Contents that are neither text nor bytes are kept as they are: some servers send what is empty in this way.
    pub(super) fn new(raw: Map<String, Value>) -> Result<Self, String> {
        Ok(Self {
            uri: required_text(&raw, "uri", "a resource")?,
            mime_type: text(&raw, "mimeType"),
            text: text(&raw, "text"),
            blob: text(&raw, "blob"),
            raw,
        })
    }

    /// The bytes, if it is not text.
    pub fn media(&self) -> Option<Media<'_>> {
        Some(Media::new(self.mime_type.as_deref(), self.blob.as_deref()?))
    }
}

/// What a server has read. Made by [`Lease::read_resource`](crate::Lease::read_resource).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ReadResource {
    /// Its contents: several, where the resource has parts, as a folder has.
    pub contents: Vec<ResourceContents>,
    /// The result as the server sent it. JSON.
    pub raw: Bytes,
}

impl ReadResource {
    pub(super) fn new(raw: Bytes) -> Result<Self, String> {
        let result = object(&raw, "the resource that was read")?;
        let contents = list(result, "contents", "the contents of a resource", ResourceContents::new)?;
        Ok(Self { contents, raw })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(result: &str) -> Result<ReadResource, String> {
        ReadResource::new(Bytes::from(result.to_owned()))
    }

    #[test]
    fn text_and_bytes_are_told_apart() {
        let read =
            read(r#"{"contents":[{"uri":"a:b","text":""},{"uri":"a:c","mimeType":"x/y","blob":"aGk="}]}"#).unwrap();

        let [text, blob] = &read.contents[..] else { panic!("{read:?}") };
        assert_eq!((text.text.as_deref(), text.media()), (Some(""), None));
        let media = blob.media().unwrap();
        assert_eq!((media.mime_type, media.decode().unwrap()), (Some("x/y"), b"hi".to_vec()));
    }

    #[test]
    fn what_is_no_contents_says_what_is_wrong() {
        for (result, expected) in [
            ("1", "the resource that was read is not an object"),
            ("{}", "the answer of the server has no array `contents`"),
            (r#"{"contents":{}}"#, "the answer of the server has no array `contents`"),
            (r#"{"contents":["a"]}"#, "the contents of a resource is not an object"),
            (r#"{"contents":[{"text":"a"}]}"#, "a resource has no text `uri`"),
        ] {
            assert_eq!(read(result).unwrap_err(), expected);
        }
    }
}
