//! Pieces of content: what a tool returns, a prompt holds, a model is told.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::{contents::ResourceContents, decode::text, media::Media, resource::Resource};

/// A piece of content. Serialized, it is what the server sent.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Content {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// The piece as the server sent it.
        raw: Map<String, Value>,
    },
    /// An image.
    Image {
        /// Base64; see [`Content::media`].
        data: String,
        /// Media type.
        mime_type: String,
        /// The piece as the server sent it.
        raw: Map<String, Value>,
    },
    /// A sound.
    Audio {
        /// Base64; see [`Content::media`].
        data: String,
        /// Media type.
        mime_type: String,
        /// The piece as the server sent it.
        raw: Map<String, Value>,
    },
    /// A resource, embedded.
    Resource {
        /// The resource.
        resource: ResourceContents,
        /// The piece as the server sent it.
        raw: Map<String, Value>,
    },
    /// A link to a resource, which [`Lease::read_resource`](crate::Lease::read_resource) may read. It need not be one that is listed.
    ResourceLink {
        /// The resource. What the server sent is its `raw`.
        resource: Resource,
    },
    /// A kind that this version does not know, or one without what its kind must have.
    Other(Value),
}

impl From<Value> for Content {
    /// Reads a piece as servers send it.
    fn from(value: Value) -> Self {
        match value {
            Value::Object(raw) => Self::of_kind(raw).unwrap_or_else(|raw| Self::Other(Value::Object(raw))),
            other => Self::Other(other),
        }
    }
}

impl Content {
    fn of_kind(raw: Map<String, Value>) -> Result<Self, Map<String, Value>> {
        let kind = text(&raw, "type").unwrap_or_default();
        let media = (text(&raw, "data"), text(&raw, "mimeType"));
        match (kind.as_str(), media) {
            ("text", _) => match text(&raw, "text") {
                Some(text) => Ok(Self::Text { text, raw }),
                None => Err(raw),
            },
            ("image", (Some(data), Some(mime_type))) => Ok(Self::Image { data, mime_type, raw }),
            ("audio", (Some(data), Some(mime_type))) => Ok(Self::Audio { data, mime_type, raw }),
            ("resource", _) => match raw.get("resource") {
                Some(Value::Object(resource)) => match ResourceContents::new(resource.clone()) {
                    Ok(resource) => Ok(Self::Resource { resource, raw }),
                    Err(_) => Err(raw),
                },
                _ => Err(raw),
            },
            ("resource_link", _) if text(&raw, "uri").is_some() => {
                Resource::new(raw.clone()).map(|resource| Self::ResourceLink { resource }).map_err(|_| raw)
            }
            _ => Err(raw),
        }
    }

    /// The bytes, where it is some that are not text: of an image, a sound, an embedded resource.
    pub fn media(&self) -> Option<Media<'_>> {
        match self {
            Self::Image { data, mime_type, .. } | Self::Audio { data, mime_type, .. } => {
                Some(Media::new(Some(mime_type), data))
            }
            Self::Resource { resource, .. } => resource.media(),
            Self::Text { .. } | Self::ResourceLink { .. } | Self::Other(_) => None,
        }
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text { raw, .. }
            | Self::Image { raw, .. }
            | Self::Audio { raw, .. }
            | Self::Resource { raw, .. }
            | Self::ResourceLink { resource: Resource { raw, .. } } => raw.serialize(serializer),
            Self::Other(value) => value.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_is_told_apart() {
        let kinds = [
            json!({ "type": "text", "text": "hello" }),
            json!({ "type": "image", "data": "AA==", "mimeType": "image/png" }),
            json!({ "type": "audio", "data": "AA==", "mimeType": "audio/wav" }),
            json!({ "type": "resource", "resource": { "uri": "a:b", "text": "hello" } }),
            json!({ "type": "resource_link", "uri": "a:b", "name": "b" }),
        ];

        let [a, b, c, d, e] = kinds.map(Content::from);

        assert!(matches!(a, Content::Text { text, .. } if text == "hello"));
        assert!(matches!(b, Content::Image { mime_type, .. } if mime_type == "image/png"));
        assert!(matches!(c, Content::Audio { .. }));
        assert!(matches!(d, Content::Resource { resource, .. } if resource.text.as_deref() == Some("hello")));
        assert!(matches!(e, Content::ResourceLink { resource } if resource.name == "b"));
    }

    #[test]
    fn each_kind_is_serialized_as_the_server_sent_it() {
        for sent in [
            json!({ "type": "text", "text": "hello", "annotations": { "priority": 1 } }),
            json!({ "type": "image", "data": "AA==", "mimeType": "image/png" }),
            json!({ "type": "resource", "resource": { "uri": "a:b", "blob": "AA==" }, "new": 1 }),
            json!({ "type": "resource_link", "uri": "a:b", "size": 3 }),
            json!({ "type": "smell" }),
        ] {
            assert_eq!(serde_json::to_value(Content::from(sent.clone())).unwrap(), sent);
        }
    }

    #[test]
    fn bytes_are_those_of_images_sounds_and_resources_that_are_not_text() {
        let media = |content| Content::from(content).media().map(|media| media.decode().unwrap());

        assert_eq!(media(json!({ "type": "image", "data": "aGk=", "mimeType": "image/png" })), Some(b"hi".to_vec()));
        assert_eq!(
            media(json!({ "type": "resource", "resource": { "uri": "a:b", "blob": "aGk=" } })),
            Some(b"hi".to_vec())
        );
        assert_eq!(media(json!({ "type": "resource", "resource": { "uri": "a:b", "text": "hi" } })), None);
        assert_eq!(media(json!({ "type": "text", "text": "hi" })), None);
    }

    #[test]
    fn what_is_not_known_is_kept() {
        for value in [
            json!({ "type": "smell" }),
            json!({ "type": "text" }),
            json!({ "type": "image" }),
            json!({ "type": "resource_link" }),
            json!({ "type": "resource", "resource": {} }),
            json!(1),
        ] {
            assert_eq!(Content::from(value.clone()), Content::Other(value));
        }
    }
}
