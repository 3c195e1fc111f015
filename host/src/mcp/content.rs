//! What a tool returns: pieces of content.

use serde::Serialize;
use serde_json::{Map, Value};

use super::decode::text;

/// A piece of content.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Content {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// The piece as the server sent it.
        #[serde(skip)]
        raw: Map<String, Value>,
    },
    /// An image.
    Image {
        /// Base64.
        data: String,
        /// Media type.
        mime_type: String,
        /// The piece as the server sent it.
        #[serde(skip)]
        raw: Map<String, Value>,
    },
    /// A sound.
    Audio {
        /// Base64.
        data: String,
        /// Media type.
        mime_type: String,
        /// The piece as the server sent it.
        #[serde(skip)]
        raw: Map<String, Value>,
    },
    /// A resource, embedded.
    Resource {
        /// Where it is.
        uri: String,
        /// Media type.
        mime_type: Option<String>,
        /// Its content, if it is text.
        text: Option<String>,
        /// The piece as the server sent it.
        #[serde(skip)]
        raw: Map<String, Value>,
    },
    /// A link to a resource.
    ResourceLink {
        /// Where it is.
        uri: String,
        /// Its name.
        name: Option<String>,
        /// The piece as the server sent it.
        #[serde(skip)]
        raw: Map<String, Value>,
    },
    /// A kind that this version does not know, or one without what its kind must have.
    Other(Value),
}

impl Content {
    pub(super) fn new(value: Value) -> Self {
        match value {
            Value::Object(raw) => Self::of_kind(raw).unwrap_or_else(|raw| Self::Other(Value::Object(raw))),
            other => Self::Other(other),
        }
    }

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
            ("resource", _) => {
                let resource = raw.get("resource").and_then(Value::as_object);
                match resource.and_then(|resource| Some((text(resource, "uri")?, resource))) {
                    Some((uri, resource)) => {
                        let (mime_type, text) = (text(resource, "mimeType"), text(resource, "text"));
                        Ok(Self::Resource { uri, mime_type, text, raw })
                    }
                    None => Err(raw),
                }
            }
            ("resource_link", _) => match text(&raw, "uri") {
                Some(uri) => Ok(Self::ResourceLink { uri, name: text(&raw, "name"), raw }),
                None => Err(raw),
            },
            _ => Err(raw),
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

        let [a, b, c, d, e] = kinds.map(Content::new);

        assert!(matches!(a, Content::Text { text, .. } if text == "hello"));
        assert!(matches!(b, Content::Image { mime_type, .. } if mime_type == "image/png"));
        assert!(matches!(c, Content::Audio { .. }));
        assert!(matches!(d, Content::Resource { text: Some(text), .. } if text == "hello"));
        assert!(matches!(e, Content::ResourceLink { name: Some(name), .. } if name == "b"));
    }

    #[test]
    fn what_is_not_known_is_kept() {
        for value in [json!({ "type": "smell" }), json!({ "type": "text" }), json!({ "type": "image" }), json!(1)] {
            assert_eq!(Content::new(value.clone()), Content::Other(value));
        }
    }
}
