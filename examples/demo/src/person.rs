//! Who answers the questions of servers: here a person who is always there.

use innkeeper::{Answer, ServerRequest, ServerRequestHandler, transport::BoxFuture};
use serde_json::{Value, json};

/// Answers every question with a name.
pub(crate) struct Person;

impl ServerRequestHandler for Person {
    fn capabilities(&self) -> Value {
        json!({ "elicitation": {} })
    }

    fn handle(&self, request: ServerRequest) -> BoxFuture<'static, Answer> {
        let params: Value = serde_json::from_slice(&request.params).unwrap_or_default();
        let question = params["message"].as_str().unwrap_or_default();
        let user = request.user.as_ref().map_or("nobody", |user| user.as_str());
        println!("  {} asks {user} of {}: {question}", request.server, request.tenant);
        let answer = match request.method.as_str() {
            "elicitation/create" => Answer::Result(json!({ "action": "accept", "content": { "name": "Alice" } })),
            _ => Answer::Refused,
        };
        Box::pin(async move { answer })
    }
}
