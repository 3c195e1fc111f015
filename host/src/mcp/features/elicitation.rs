//! Questions of servers to a person. "Client Features / Elicitation".
//!
//! A form asks for what may pass through the platform. What may not (a password, a payment) a server has a person say on a page of
//! its own: then the platform only shows where that is, and hears whether the person agreed to go there.

use serde_json::{Map, Value, json};
use url::Url;

use super::form::FormSchema;
use crate::{ServerError, mcp::decode::required_text};

/// "URL elicitation required" (2025-11-25).
const URL_ELICITATION_REQUIRED: i64 = -32042;

/// A form that a server wants to have filled in.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FormElicitation {
    /// Why, for people. It is the server's text: show whose it is.
    pub message: String,
    /// The form.
    pub schema: FormSchema,
    /// All of it, as the server sent it.
    pub raw: Map<String, Value>,
}

/// What came of a form.
#[derive(Clone, Debug, PartialEq)]
pub enum FormAnswer {
    /// It was filled in: values by the names of fields. Those that are left out have their defaults.
    Accept(Map<String, Value>),
    /// The person does not want to.
    Decline,
    /// The person went away, and has not decided.
    Cancel,
}

/// A page that a server wants a person to visit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UrlElicitation {
    /// Why, for people. It is the server's text: show whose it is.
    pub message: String,
    /// Where: `https`, or `http`. Show all of it before somebody goes there, and neither open it nor load anything of it unasked.
    pub url: String,
    /// What the server calls it when it says that it is done
    /// ([`Notification::ElicitationComplete`](crate::mcp::Notification::ElicitationComplete)).
    pub elicitation_id: String,
}

/// Whether a person agreed to visit a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlAnswer {
    /// They go there. Whether they do there what they should is not known yet.
    Accept,
    /// They do not want to.
    Decline,
    /// They went away, and have not decided.
    Cancel,
}

impl FormElicitation {
    pub(super) fn new(raw: Map<String, Value>) -> Result<Self, String> {
        let message = required_text(&raw, "message", "the elicitation")?;
        let Some(Value::Object(schema)) = raw.get("requestedSchema") else {
            return Err("the elicitation has no object `requestedSchema`".to_owned());
        };
        Ok(Self { message, schema: FormSchema::new(schema.clone())?, raw })
    }
}

impl FormAnswer {
    /// The answer to a server that has asked with this form.
    pub(super) fn into_json(self, schema: &FormSchema) -> Value {
        match self {
            Self::Accept(content) => json!({ "action": "accept", "content": schema.with_defaults(content) }),
            Self::Decline => json!({ "action": "decline" }),
            Self::Cancel => json!({ "action": "cancel" }),
        }
    }
}

impl UrlElicitation {
    pub(super) fn new(raw: &Map<String, Value>) -> Result<Self, String> {
        let member = |name| required_text(raw, name, "the elicitation");
        let elicitation =
            Self { message: member("message")?, url: member("url")?, elicitation_id: member("elicitationId")? };
        // A link with another scheme could run something instead of showing it.
        match Url::parse(&elicitation.url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(elicitation),
            Ok(url) => Err(format!("the URL of the elicitation has the scheme `{}`, and not https", url.scheme())),
            Err(error) => Err(format!("the elicitation has no valid URL: {error}")),
        }
    }

    /// The pages that have to be visited before a call can be made, where that is what its error says (from 2025-11-25 on); none
    /// where it says something else. When they are done, make the call again. Pages that cannot be visited are left out.
    pub fn required_by(error: &ServerError) -> Vec<Self> {
        if error.code() != Some(URL_ELICITATION_REQUIRED) {
            return Vec::new();
        }
        let data = error.data().unwrap_or_default();
        let elicitations = data.get("elicitations").and_then(Value::as_array).into_iter().flatten();
        elicitations.filter_map(|elicitation| Self::new(elicitation.as_object()?).ok()).collect()
    }
}

impl UrlAnswer {
    pub(super) fn to_json(self) -> Value {
        let action = match self {
            Self::Accept => "accept",
            Self::Decline => "decline",
            Self::Cancel => "cancel",
        };
        json!({ "action": action })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    fn page(url: &str) -> Value {
        json!({ "mode": "url", "message": "pay", "url": url, "elicitationId": "e1" })
    }

    #[test]
    fn a_form_that_cannot_be_read_says_why() {
        for (sent, expected) in [
            (json!({}), "the elicitation has no text `message`"),
            (json!({ "message": "a" }), "the elicitation has no object `requestedSchema`"),
            (json!({ "message": "a", "requestedSchema": [] }), "the elicitation has no object `requestedSchema`"),
        ] {
            assert_eq!(FormElicitation::new(object(&sent)).unwrap_err(), expected);
        }
    }

    #[test]
    fn a_page_is_one_that_a_browser_shows() {
        assert_eq!(UrlElicitation::new(&object(&page("https://example.com/a?b"))).unwrap().elicitation_id, "e1");
        for url in ["javascript:alert(1)", "file:///etc/passwd", "data:text/html,a", "example.com", "", "https://"] {
            UrlElicitation::new(&object(&page(url))).unwrap_err();
        }
        let without_id = json!({ "message": "pay", "url": "https://example.com" });
        let error = UrlElicitation::new(&object(&without_id)).unwrap_err();
        assert_eq!(error, "the elicitation has no text `elicitationId`");
    }

    #[test]
    fn an_error_says_which_pages_have_to_be_visited_first() {
        let error = |code: i64| {
            let data = json!({ "elicitations": [page("https://example.com/1"), page("ftp://example.com"), 1] });
            ServerError::new(json!({ "code": code, "message": "first", "data": data }).to_string().into())
        };

        let required = UrlElicitation::required_by(&error(URL_ELICITATION_REQUIRED));

        assert_eq!(required.iter().map(|page| page.url.as_str()).collect::<Vec<_>>(), ["https://example.com/1"]);
        assert_eq!(UrlElicitation::required_by(&error(-32602)), []);
    }
}
