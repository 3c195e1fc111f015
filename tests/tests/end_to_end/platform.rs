//! A platform that answers what servers ask: one model, one person and one folder, who always say the same.
//!
//! It keeps what it was asked, so that a test can say what reached it.

use std::sync::{Arc, Mutex};

use innkeeper::{Answer, ServerRequest, ServerRequestHandler, transport::BoxFuture};
use serde_json::{Value, json};

/// The platform. Clones share what was asked.
#[derive(Clone, Default)]
pub(crate) struct Platform {
    capabilities: Value,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Platform {
    /// A platform that announces these capabilities.
    pub(crate) fn announcing(capabilities: Value) -> Self {
        Self { capabilities, asked: Arc::default() }
    }

    /// What was asked since this was last called, in order: objects of `method` and `params`.
    pub(crate) fn take_asked(&self) -> Vec<Value> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// Answers a request of a server; none for what nobody here answers.
    pub(crate) fn answer(&self, method: &str, params: Value) -> Option<Value> {
        let answer = match method {
            "sampling/createMessage" => json!({
                "role": "assistant",
                "content": { "type": "text", "text": "the model says: 42 – ünïcödé" },
                "model": "a model of this test",
                "stopReason": "endTurn",
            }),
            "elicitation/create" if params["mode"] == "url" => json!({ "action": "accept" }),
            "elicitation/create" => json!({ "action": "accept", "content": { "name": "Ada" } }),
            "roots/list" => json!({ "roots": [{ "uri": "file:///workspace", "name": "the workspace" }] }),
            _ => return None,
        };
        self.asked.lock().unwrap().push(json!({ "method": method, "params": params }));
        Some(answer)
    }
}

impl ServerRequestHandler for Platform {
    fn capabilities(&self) -> Value {
        self.capabilities.clone()
    }

    fn handle(&self, request: ServerRequest) -> BoxFuture<'static, Answer> {
        let params = serde_json::from_slice(&request.params).unwrap_or(Value::Null);
        let answer = self.answer(&request.method, params).map_or(Answer::Refused, Answer::Result);
        Box::pin(async move { answer })
    }
}
