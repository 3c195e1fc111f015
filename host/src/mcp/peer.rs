//! What a server says of itself: who it is, what it offers, and how to use it.
//!
//! "Both parties … only use capabilities that were successfully negotiated" ("Base Protocol / Lifecycle / Operation"). So typed
//! calls of what a server does not offer are not made: its caller hears what it does offer, and not one of the many things that
//! servers answer to a method that they do not have. Raw calls ([`Lease::call`](crate::Lease::call)) are made all the same, for
//! servers that announce less than they have; and of a server that says nothing at all of its capabilities nothing is known, so it
//! is asked.
//!
//! Calls of tools are an exception, as they have always been made: whoever has no tools says so.

use std::fmt;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{
    decode::{object, text},
    edge,
};
use crate::{Error, Lease, SessionInfo};

/// The one revision that has the method for completion, and no capability to announce it with.
const WITHOUT_COMPLETIONS: &str = "2024-11-05";

/// Something that a server may offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ServerFeature {
    /// Tools.
    Tools,
    /// Resources, and templates of them.
    Resources,
    /// News of single resources ([`Lease::subscribe`]).
    ResourceSubscriptions,
    /// Prompts.
    Prompts,
    /// Completion of arguments ([`Lease::complete`]).
    Completions,
    /// Log messages, of which the least level can be set ([`Lease::set_logging_level`]).
    Logging,
}

impl ServerFeature {
    const ALL: [Self; 6] =
        [Self::Tools, Self::Resources, Self::ResourceSubscriptions, Self::Prompts, Self::Completions, Self::Logging];

    /// The member of the capabilities that announces it.
    fn capability(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources | Self::ResourceSubscriptions => "resources",
            Self::Prompts => "prompts",
            Self::Completions => "completions",
            Self::Logging => "logging",
        }
    }
}

impl fmt::Display for ServerFeature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ResourceSubscriptions => "subscriptions to resources",
            feature => feature.capability(),
        })
    }
}

/// A server, in its own words. Made by [`Lease::peer`].
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Peer {
    /// Its name.
    pub name: Option<String>,
    /// Its name for people.
    pub title: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// How to use it, for models. It is the server's text: nobody has looked at it.
    pub instructions: Option<String>,
    /// What it offers, as it says it. None: it says nothing of that.
    pub capabilities: Option<Map<String, Value>>,
    /// All that it said when the connection was made; empty where that is no JSON object.
    pub raw: Map<String, Value>,
    /// The revision of the protocol that is spoken with it.
    pub revision: String,
}

impl Peer {
    fn new(peer: Bytes) -> Result<Self, String> {
        // A guest may speak a protocol whose servers introduce themselves in another way: then nothing is known.
        let raw = object(&peer, "what the server says of itself").unwrap_or_default();
        let server = raw.get("serverInfo").and_then(Value::as_object);
        let of_server = |key| server.and_then(|server| text(server, key));
        Ok(Self {
            name: of_server("name"),
            title: of_server("title"),
            version: of_server("version"),
            instructions: text(&raw, "instructions"),
            capabilities: raw.get("capabilities").and_then(Value::as_object).cloned(),
            revision: String::new(),
            raw,
        })
    }

    /// Whether it offers something, or does not say.
    pub fn offers(&self, feature: ServerFeature) -> bool {
        let Some(capabilities) = &self.capabilities else { return true };
        let announced = capabilities.get(feature.capability()).filter(|announced| !announced.is_null());
        match feature {
            ServerFeature::ResourceSubscriptions => {
                announced.and_then(|resources| resources.get("subscribe")) == Some(&Value::Bool(true))
            }
            ServerFeature::Completions if self.revision == WITHOUT_COMPLETIONS => true,
            _ => announced.is_some(),
        }
    }

    /// What of all this it offers.
    pub fn features(&self) -> impl Iterator<Item = ServerFeature> {
        ServerFeature::ALL.into_iter().filter(|feature| self.offers(*feature))
    }
}

impl Lease {
    /// What the server says of itself, on the connection that there is. Where that was lost, another one is made.
    ///
    /// # Errors
    ///
    /// Returns why there is no connection, as [`Lease::ready`] does.
    pub async fn peer(&self) -> Result<Peer, Error> {
        let info = self.ready().await?;
        let SessionInfo { peer, revision, .. } = &*info;
        // Instructions may be as long as a frame.
        let read = edge::of(self.edge()).readers().read(peer.clone(), Peer::new).await;
        let peer = read.map_err(|detail| self.broke_protocol(detail))?;
        Ok(Peer { revision: revision.clone(), ..peer })
    }

    /// Refuses what the server does not offer.
    pub(super) async fn require(&self, feature: ServerFeature) -> Result<(), Error> {
        let peer = self.peer().await?;
        if peer.offers(feature) {
            return Ok(());
        }
        let offered: Vec<String> = peer.features().map(|feature| feature.to_string()).collect();
        let offered =
            if offered.is_empty() { "nothing that this version knows".to_owned() } else { offered.join(", ") };
        let server = self.session().server;
        Err(Error::Unsupported { detail: format!("server `{server}` does not offer {feature}; it offers {offered}") })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn peer(said: &Value, revision: &str) -> Peer {
        Peer { revision: revision.into(), ..Peer::new(said.to_string().into()).unwrap() }
    }

    fn offered(capabilities: Value) -> Vec<String> {
        let peer = peer(&json!({ "capabilities": capabilities }), "2025-11-25");
        peer.features().map(|feature| feature.to_string()).collect()
    }

    #[test]
    fn a_server_offers_what_it_announces() {
        assert_eq!(offered(json!({})), [""; 0]);
        assert_eq!(offered(json!({ "tools": {}, "prompts": null, "logging": {} })), ["tools", "logging"]);
        assert_eq!(offered(json!({ "resources": { "listChanged": true } })), ["resources"]);
        assert_eq!(
            offered(json!({ "resources": { "subscribe": true }, "completions": {} })),
            ["resources", "subscriptions to resources", "completions"]
        );
        assert_eq!(offered(json!({ "resources": { "subscribe": "true" } })), ["resources"]);
    }

    #[test]
    fn a_server_that_says_nothing_of_its_capabilities_may_offer_all() {
        for said in [json!({}), json!({ "capabilities": 1 }), json!(["hello"])] {
            assert_eq!(peer(&said, "2025-11-25").features().count(), ServerFeature::ALL.len(), "{said}");
        }
    }

    #[test]
    fn completion_was_not_announced_in_the_first_revision() {
        let said = json!({ "capabilities": { "prompts": {} } });

        assert!(peer(&said, "2024-11-05").offers(ServerFeature::Completions));
        assert!(!peer(&said, "2025-03-26").offers(ServerFeature::Completions));
    }

    #[test]
    fn who_it_is_and_how_to_use_it_is_said_where_it_says_it() {
        let said = json!({ "serverInfo": { "name": "a", "version": 1 }, "instructions": "ask me", "new": true });
        let peer = peer(&said, "2025-11-25");

        assert_eq!((peer.name.as_deref(), peer.version), (Some("a"), None));
        assert_eq!(peer.instructions.as_deref(), Some("ask me"));
        assert_eq!(peer.raw["new"], true);
    }
}
