//! What servers say that is no answer, with a type.
//!
//! The core passes notifications on as they came ([`Event::Notification`]); here they get their meaning. Progress is not among
//! them: it belongs to its [`Call`](crate::Call).

use bytes::Bytes;

use super::{
    decode::{object, required_text},
    logging::LogMessage,
};
use crate::{Error, Event, Lease};

/// "Server Features / Tools / List Changed Notification".
pub(super) const TOOLS_CHANGED: &str = "notifications/tools/list_changed";

/// Something that a server said by itself.
///
/// ```
/// use innkeeper::{Event, mcp::Notification};
///
/// fn told(event: &Event) {
///     if let (Event::Notification { session, .. }, Some(notification)) = (event, Notification::of(event)) {
///         match notification {
///             Notification::ResourceUpdated { uri } => println!("{uri} of {} is another", session.server),
///             Notification::Log(message) => println!("{} [{}] {}", session.server, message.level, message.data),
///             _ => {}
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Notification {
    /// Its tools are others. [`Tenant::tools`](crate::Tenant::tools) knows that already.
    ToolsChanged,
    /// Its resources are others.
    ResourcesChanged,
    /// A resource is another than it was: one that was [subscribed to](Lease::subscribe), or a part of it.
    ResourceUpdated {
        /// Where it is.
        uri: String,
    },
    /// Its prompts are others.
    PromptsChanged,
    /// It logs something.
    Log(LogMessage),
    /// Somebody is done with what they were sent to a URL for ([`UrlElicitation`](super::UrlElicitation)).
    ElicitationComplete {
        /// The id of that elicitation.
        elicitation_id: String,
    },
    /// Something that this version does not know, or that is not said as the specification has it.
    Other {
        /// The method.
        method: String,
        /// The parameters, verbatim. JSON; empty where there are none.
        params: Bytes,
    },
}

impl Notification {
    /// What an event says of a notification; none where it is something else.
    pub fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Notification { method, params, .. } => Some(Self::new(method, params)),
            _ => None,
        }
    }

    fn new(method: &str, params: &Bytes) -> Self {
        Self::known(method, params).unwrap_or_else(|| Self::Other { method: method.to_owned(), params: params.clone() })
    }

    fn known(method: &str, params: &Bytes) -> Option<Self> {
        let member = |name| required_text(&object(params, "a notification").ok()?, name, "a notification").ok();
        Some(match method {
            TOOLS_CHANGED => Self::ToolsChanged,
            "notifications/resources/list_changed" => Self::ResourcesChanged,
            "notifications/prompts/list_changed" => Self::PromptsChanged,
            "notifications/resources/updated" => Self::ResourceUpdated { uri: member("uri")? },
            "notifications/elicitation/complete" => {
                Self::ElicitationComplete { elicitation_id: member("elicitationId")? }
            }
            "notifications/message" => Self::Log(LogMessage::new(object(params, "a log message").ok()?).ok()?),
            _ => return None,
        })
    }
}

impl Lease {
    /// Tells the server that the folders to work in are others now: it asks for them again. For platforms that answer
    /// `roots/list`, such as with [`ClientFeatures::roots`](super::ClientFeatures::roots).
    ///
    /// # Errors
    ///
    /// As [`Lease::notify`].
    pub fn roots_changed(&self) -> Result<(), Error> {
        self.notify("notifications/roots/list_changed", None::<&()>)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mcp::LoggingLevel;

    fn read(method: &str, params: &str) -> Notification {
        Notification::new(method, &Bytes::from(params.to_owned()))
    }

    #[test]
    fn each_kind_is_told_apart() {
        let updated = read("notifications/resources/updated", r#"{"uri":"a:b"}"#);
        let complete = read("notifications/elicitation/complete", r#"{"elicitationId":"e1"}"#);
        let message = read("notifications/message", r#"{"level":"notice","logger":"db","data":{"rows":3}}"#);

        assert_eq!(read("notifications/tools/list_changed", ""), Notification::ToolsChanged);
        assert_eq!(read("notifications/resources/list_changed", "{}"), Notification::ResourcesChanged);
        assert_eq!(read("notifications/prompts/list_changed", ""), Notification::PromptsChanged);
        assert_eq!(updated, Notification::ResourceUpdated { uri: "a:b".into() });
        assert_eq!(complete, Notification::ElicitationComplete { elicitation_id: "e1".into() });
        let Notification::Log(message) = message else { panic!("{message:?}") };
        assert_eq!((message.level, message.logger.as_deref()), (LoggingLevel::Notice, Some("db")));
        assert_eq!(message.data, json!({ "rows": 3 }));
    }

    #[test]
    fn what_is_not_as_the_specification_has_it_is_passed_on_as_it_came() {
        for (method, params) in [
            ("notifications/resources/updated", "{}"),
            ("notifications/resources/updated", r#"{"uri":1}"#),
            ("notifications/elicitation/complete", ""),
            ("notifications/message", r#"{"level":"loud","data":1}"#),
            ("notifications/message", r#"{"level":"info"}"#),
            ("notifications/message", "not JSON"),
            ("notifications/news", "{}"),
        ] {
            let expected = Notification::Other { method: method.into(), params: Bytes::from(params) };
            assert_eq!(read(method, params), expected);
        }
    }
}
