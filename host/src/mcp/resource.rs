//! Resources as a server lists them, and news of them. "Server Features / Resources".

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    ServerFeature,
    contents::ReadResource,
    decode::{list, object, required_text, text},
};
use crate::{Error, Lease};

/// Something that a server can be asked to read.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
#[non_exhaustive]
pub struct Resource {
    /// Where it is: what [`Lease::read_resource`] takes. The server's text, of any scheme, and not checked to be a URI.
    #[serde(skip)]
    pub uri: String,
    /// Its name; its URI, where the server gives none.
    #[serde(skip)]
    pub name: String,
    /// A name for people.
    #[serde(skip)]
    pub title: Option<String>,
    /// What it is, for people and models.
    #[serde(skip)]
    pub description: Option<String>,
    /// Media type.
    #[serde(skip)]
    pub mime_type: Option<String>,
    /// Its size in bytes, before it is encoded.
    #[serde(skip)]
    pub size: Option<u64>,
    /// For whom it is, and how much it matters: hints.
    #[serde(skip)]
    pub annotations: Option<Value>,
    /// All of it, as the server sent it.
    pub raw: Map<String, Value>,
}

/// A family of resources, whose URIs are made by filling in a template.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
#[non_exhaustive]
pub struct ResourceTemplate {
    /// A template of URIs (RFC 6570).
    #[serde(skip)]
    pub uri_template: String,
    /// Its name; the template, where the server gives none.
    #[serde(skip)]
    pub name: String,
    /// A name for people.
    #[serde(skip)]
    pub title: Option<String>,
    /// What it is for, for people and models.
    #[serde(skip)]
    pub description: Option<String>,
    /// Media type of all of them, where it is the same.
    #[serde(skip)]
    pub mime_type: Option<String>,
    /// For whom they are, and how much they matter: hints.
    #[serde(skip)]
    pub annotations: Option<Value>,
    /// All of it, as the server sent it.
    pub raw: Map<String, Value>,
}

impl Lease {
    /// The resources of the server, all pages of them. Those that only a template names are not among them.
    ///
    /// # Errors
    ///
    /// What a [`Call`](crate::Call) may return; [`Error::Unsupported`] where the server does not offer resources;
    /// [`Error::Protocol`] where its answer is no list of them.
    pub async fn resources(&self) -> Result<Vec<Resource>, Error> {
        self.require(ServerFeature::Resources).await?;
        self.ask(self.call("resources/list").progress(false).all_pages(), resources).await
    }

    /// The templates of the server's resources, all pages of them. Servers that have none may answer that they do not know the
    /// method (code -32601).
    ///
    /// # Errors
    ///
    /// As [`Lease::resources`].
    pub async fn resource_templates(&self) -> Result<Vec<ResourceTemplate>, Error> {
        self.require(ServerFeature::Resources).await?;
        self.ask(self.call("resources/templates/list").progress(false).all_pages(), templates).await
    }

    /// What is at a URI. It goes to the server as it is, and to nobody else: nothing is opened here.
    ///
    /// # Errors
    ///
    /// As [`Lease::resources`]. A server that has no such resource answers with [`Error::Server`], of which the code is -32002.
    pub async fn read_resource(&self, uri: &str) -> Result<ReadResource, Error> {
        self.require(ServerFeature::Resources).await?;
        self.ask(self.call("resources/read").params(&json!({ "uri": uri })), ReadResource::new).await
    }

    /// Asks the server for news of a resource. They come as [`Notification::ResourceUpdated`](super::Notification), through the
    /// [`events`](crate::Runtime::events) of the runtime.
    ///
    /// A subscription is the connection's, and is lost with it: where [`Event::SessionOpened`](crate::Event) has another incarnation,
    /// subscribe again. It does not keep its session: that is closed when it was idle, unless a lease is held.
    /// Over HTTP a server that forgets the session of the protocol forgets it too, and that session is made anew by the guest without
    /// a word: whoever must not miss anything reads the resource now and then.
    ///
    /// # Errors
    ///
    /// What a [`Call`](crate::Call) may return; [`Error::Unsupported`] where the server does not offer subscriptions.
    pub async fn subscribe(&self, uri: &str) -> Result<(), Error> {
        self.require(ServerFeature::ResourceSubscriptions).await?;
        self.tell("resources/subscribe", &json!({ "uri": uri })).await
    }

    /// Wants no more news of a resource. Some may come yet.
    ///
    /// # Errors
    ///
    /// As [`Lease::subscribe`].
    pub async fn unsubscribe(&self, uri: &str) -> Result<(), Error> {
        self.require(ServerFeature::ResourceSubscriptions).await?;
        self.tell("resources/unsubscribe", &json!({ "uri": uri })).await
    }
}

impl Resource {
    /// A resource, or a link to one.
    pub(super) fn new(raw: Map<String, Value>) -> Result<Self, String> {
        let uri = required_text(&raw, "uri", "a resource")?;
        Ok(Self {
            name: text(&raw, "name").unwrap_or_else(|| uri.clone()),
            title: text(&raw, "title"),
            description: text(&raw, "description"),
            mime_type: text(&raw, "mimeType"),
            size: raw.get("size").and_then(Value::as_u64),
            annotations: raw.get("annotations").cloned(),
            uri,
            raw,
        })
    }
}

impl ResourceTemplate {
    fn new(raw: Map<String, Value>) -> Result<Self, String> {
        let uri_template = required_text(&raw, "uriTemplate", "a template of resources")?;
        Ok(Self {
            name: text(&raw, "name").unwrap_or_else(|| uri_template.clone()),
            title: text(&raw, "title"),
            description: text(&raw, "description"),
            mime_type: text(&raw, "mimeType"),
            annotations: raw.get("annotations").cloned(),
            uri_template,
            raw,
        })
    }
}

fn resources(result: Bytes) -> Result<Vec<Resource>, String> {
    list(object(&result, "the list of resources")?, "resources", "a resource", Resource::new)
}

fn templates(result: Bytes) -> Result<Vec<ResourceTemplate>, String> {
    let result = object(&result, "the list of templates of resources")?;
    list(result, "resourceTemplates", "a template of resources", ResourceTemplate::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_keeps_what_this_version_does_not_know() {
        let listed = br#"{"resources":[{"uri":"a:b","name":"b","size":3,"mimeType":"text/plain","icons":[]}]}"#;
        let resources = resources(Bytes::from_static(listed)).unwrap();

        let resource = &resources[0];
        assert_eq!((resource.uri.as_str(), resource.name.as_str(), resource.size), ("a:b", "b", Some(3)));
        assert_eq!(serde_json::to_value(resource).unwrap()["icons"], json!([]));
    }

    #[test]
    fn a_resource_without_a_name_is_called_by_its_uri() {
        let resources = resources(Bytes::from_static(br#"{"resources":[{"uri":"a:b","size":-1}]}"#)).unwrap();

        assert_eq!((resources[0].name.as_str(), resources[0].size), ("a:b", None));
    }

    #[test]
    fn a_template_has_its_own_member_for_the_uri() {
        let listed = br#"{"resourceTemplates":[{"uriTemplate":"a:{b}","title":"B"}]}"#;
        let templates = templates(Bytes::from_static(listed)).unwrap();

        assert_eq!((templates[0].uri_template.as_str(), templates[0].name.as_str()), ("a:{b}", "a:{b}"));
        assert_eq!(templates[0].title.as_deref(), Some("B"));
    }

    #[test]
    fn a_list_that_is_none_says_what_is_wrong() {
        for (listed, expected) in [
            ("[]", "the list of resources is not an object"),
            ("{}", "the answer of the server has no array `resources`"),
            (r#"{"resources":[{}]}"#, "a resource has no text `uri`"),
            (r#"{"resources":[1]}"#, "a resource is not an object"),
        ] {
            assert_eq!(resources(listed.into()).unwrap_err(), expected);
        }
        let without = templates(r#"{"resourceTemplates":[{"uri":"a:b"}]}"#.into()).unwrap_err();
        assert_eq!(without, "a template of resources has no text `uriTemplate`");
    }
}
