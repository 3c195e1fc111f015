//! What servers may ask of the platform: folders to work in, a completion of a model, an answer of a person. "Client Features" of
//! the specification.
//!
//! The core passes requests of servers on as they came ([`ServerRequestHandler`]). [`ClientFeatures`] is such a handler that reads
//! them, and announces to servers what it was given an answer for and nothing else: so no server is promised what nobody does. It
//! announces the same whatever revision is spoken, because that is not known before the server has answered, and what an older
//! revision does not know there it leaves aside.
//!
//! What a server asks for and was not announced is refused in the words of the specification, and so is what cannot be read.
//!
//! | file | what it holds |
//! |---|---|
//! | `roots` | folders to work in |
//! | `elicitation` | questions to a person: forms, and pages elsewhere |
//! | `form` | the fields of a form, and their defaults |
//! | `sampling` | requests for a completion, and their results |
//! | `messages` | what such a request tells the model |

mod elicitation;
mod form;
mod messages;
mod roots;
mod sampling;

pub use elicitation::{FormAnswer, FormElicitation, UrlAnswer, UrlElicitation};
pub use form::{FieldKind, FieldOption, FormField, FormSchema};
pub use messages::{SamplingContent, SamplingMessage, SamplingToolResult, ToolUse};
pub use roots::Root;
pub use sampling::{SamplingRefusal, SamplingRequest, SamplingResult, SamplingSupport, ToolChoice};

use std::{fmt, sync::Arc};

use serde_json::{Map, Value, json};

use super::decode::object;
use crate::{Answer, ServerRequest, ServerRequestHandler, transport::BoxFuture};

/// "Invalid params" (JSON-RPC 2.0, section 5.1).
const INVALID_PARAMS: i32 = -32602;

/// Answers a request, of which `Q` is what it asks.
type Answering<Q, A> = Arc<dyn Fn(ServerRequest, Q) -> BoxFuture<'static, A> + Send + Sync>;

/// Asks a model.
type Sampling = Answering<SamplingRequest, Result<SamplingResult, SamplingRefusal>>;

/// Answers what servers ask, with types. A handler for [`RuntimeBuilder::server_requests`](crate::RuntimeBuilder::server_requests)
/// and [`TenantBuilder::server_requests`](crate::TenantBuilder::server_requests). Default: answers nothing, and announces that.
///
/// Each answer is given the request with whom it is for, and what is asked. How long it may take, and when it is dropped, is said
/// at [`ServerRequestHandler::handle`].
///
/// ```
/// use innkeeper::{Runtime, mcp::{ClientFeatures, FormAnswer, Root}};
///
/// let features = ClientFeatures::new()
///     .roots(async |_request| vec![Root::new("file:///workspace").name("workspace")])
///     .elicit_form(async |request, form| {
///         println!("{} asks {:?}: {}", request.server, request.user, form.message);
///         // What is left out here has the default of the form.
///         FormAnswer::Accept(serde_json::Map::new())
///     });
/// let builder = Runtime::builder().server_requests(features);
/// ```
#[derive(Clone, Default)]
pub struct ClientFeatures {
    roots: Option<Answering<(), Vec<Root>>>,
    sampling: Option<(SamplingSupport, Sampling)>,
    forms: Option<Answering<FormElicitation, FormAnswer>>,
    urls: Option<Answering<UrlElicitation, UrlAnswer>>,
}

impl ClientFeatures {
    /// Answers nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says which folders to work in. Announced as folders that may become others: when they do, say
    /// [`Lease::roots_changed`](crate::Lease::roots_changed) in each session that should know.
    pub fn roots<F, Fut>(mut self, answer: F) -> Self
    where
        F: Fn(ServerRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Vec<Root>> + Send + 'static,
    {
        self.roots = Some(Arc::new(move |request, ()| Box::pin(answer(request))));
        self
    }

    /// Asks a model. The specification has a person look at what is asked and at what comes of it; that is the answer's to do.
    pub fn sampling<F, Fut>(mut self, support: SamplingSupport, answer: F) -> Self
    where
        F: Fn(ServerRequest, SamplingRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<SamplingResult, SamplingRefusal>> + Send + 'static,
    {
        self.sampling = Some((support, Arc::new(move |request, sampling| Box::pin(answer(request, sampling)))));
        self
    }

    /// Has a person fill in a form. To fields that are left out of an answer the defaults of the form are added; nothing else of
    /// the answer is compared with it.
    pub fn elicit_form<F, Fut>(mut self, answer: F) -> Self
    where
        F: Fn(ServerRequest, FormElicitation) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = FormAnswer> + Send + 'static,
    {
        self.forms = Some(Arc::new(move |request, form| Box::pin(answer(request, form))));
        self
    }

    /// Sends a person to a page of somebody else. The answer says whether they agreed to go there; that they are done is said
    /// by [`Notification::ElicitationComplete`](super::Notification). Servers ask from 2025-11-25 on.
    pub fn elicit_url<F, Fut>(mut self, answer: F) -> Self
    where
        F: Fn(ServerRequest, UrlElicitation) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = UrlAnswer> + Send + 'static,
    {
        self.urls = Some(Arc::new(move |request, url| Box::pin(answer(request, url))));
        self
    }

    async fn answer(self, request: ServerRequest) -> Answer {
        let answered = match request.method.as_str() {
            "roots/list" => self.list_roots(request).await,
            "sampling/createMessage" => self.sample(request).await,
            "elicitation/create" => self.elicit(request).await,
            _ => Ok(Answer::Refused),
        };
        answered.unwrap_or_else(|problem| error(INVALID_PARAMS, &problem))
    }

    async fn list_roots(self, request: ServerRequest) -> Result<Answer, String> {
        let Some(answer) = self.roots else { return Ok(Answer::Refused) };
        let roots: Vec<Value> = answer(request, ()).await.iter().map(Root::to_json).collect();
        Ok(Answer::Result(json!({ "roots": roots })))
    }

    async fn sample(self, request: ServerRequest) -> Result<Answer, String> {
        let Some((support, answer)) = self.sampling else { return Ok(Answer::Refused) };
        let sampling = SamplingRequest::new(params(&request)?, support)?;
        Ok(match answer(request, sampling).await {
            Ok(result) => Answer::Result(result.to_json()),
            Err(refusal) => error(refusal.code(), refusal.message()),
        })
    }

    async fn elicit(self, request: ServerRequest) -> Result<Answer, String> {
        if self.forms.is_none() && self.urls.is_none() {
            return Ok(Answer::Refused);
        }
        let params = params(&request)?;
        let mode = match params.get("mode") {
            // The mode of the revisions that have one only.
            None => "form",
            Some(mode) => mode.as_str().ok_or("the mode of the elicitation is no text")?,
        };
        match (mode, &self.forms, &self.urls) {
            ("form", Some(answer), _) => {
                let form = FormElicitation::new(params)?;
                let schema = form.schema.clone();
                Ok(Answer::Result(answer(request, form).await.into_json(&schema)))
            }
            ("url", _, Some(answer)) => {
                let url = UrlElicitation::new(&params)?;
                Ok(Answer::Result(answer(request, url).await.to_json()))
            }
            _ => Err(format!("elicitation in the mode `{mode}` was not announced")),
        }
    }
}

impl ServerRequestHandler for ClientFeatures {
    fn capabilities(&self) -> Value {
        let mut announced = Map::new();
        if self.roots.is_some() {
            announced.insert("roots".into(), json!({ "listChanged": true }));
        }
        if let Some((support, _)) = &self.sampling {
            announced.insert("sampling".into(), support.to_json());
        }
        let modes = [("form", self.forms.is_some()), ("url", self.urls.is_some())];
        let modes: Map<_, _> = modes.into_iter().filter(|mode| mode.1).map(|mode| (mode.0.into(), json!({}))).collect();
        if !modes.is_empty() {
            announced.insert("elicitation".into(), modes.into());
        }
        announced.into()
    }

    fn handle(&self, request: ServerRequest) -> BoxFuture<'static, Answer> {
        // All of it in the task of the request: what a server asks may be as large as a frame.
        Box::pin(self.clone().answer(request))
    }
}

impl fmt::Debug for ClientFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientFeatures").field(&self.capabilities()).finish()
    }
}

fn params(request: &ServerRequest) -> Result<Map<String, Value>, String> {
    object(&request.params, "the parameters")
}

/// An error of JSON-RPC.
fn error(code: i32, message: &str) -> Answer {
    Answer::Error(json!({ "code": code, "message": message }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_an_answer_is_announced_and_nothing_else() {
        let roots = || ClientFeatures::new().roots(async |_| vec![]);
        let model = async |_, _| Err(SamplingRefusal::Rejected);
        let form = async |_, _| FormAnswer::Decline;
        let url = async |_, _| UrlAnswer::Decline;

        let cases = [
            (ClientFeatures::new(), json!({})),
            (roots(), json!({ "roots": { "listChanged": true } })),
            (ClientFeatures::new().sampling(SamplingSupport::new(), model), json!({ "sampling": {} })),
            (
                ClientFeatures::new().sampling(SamplingSupport::new().tools().context(), model),
                json!({ "sampling": { "tools": {}, "context": {} } }),
            ),
            (ClientFeatures::new().elicit_form(form), json!({ "elicitation": { "form": {} } })),
            (ClientFeatures::new().elicit_url(url), json!({ "elicitation": { "url": {} } })),
            (
                roots().elicit_form(form).elicit_url(url),
                json!({ "roots": { "listChanged": true }, "elicitation": { "form": {}, "url": {} } }),
            ),
        ];

        for (features, announced) in cases {
            assert_eq!(features.capabilities(), announced);
        }
    }
}
