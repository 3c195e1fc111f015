//! Who answers what the servers of a crowd ask: when the round is over.

use std::sync::Arc;

use innkeeper::{Answer, ServerRequest, ServerRequestHandler, transport::BoxFuture};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::counts::Counts;

pub(super) struct Person {
    pub(super) counts: Arc<Counts>,
    pub(super) over: watch::Receiver<u32>,
    pub(super) holds: mpsc::UnboundedSender<()>,
}

impl ServerRequestHandler for Person {
    fn capabilities(&self) -> Value {
        json!({ "elicitation": {}, "roots": {} })
    }

    fn handle(&self, request: ServerRequest) -> BoxFuture<'static, Answer> {
        if request.server.as_str() == "demo" {
            self.counts.asked_by_demo();
        }
        let mut over = self.over.clone();
        // No round ends before all sessions hold a call, this one among them.
        let round = *over.borrow();
        let _ = self.holds.send(());
        Box::pin(async move {
            let _ = over.wait_for(|over| *over > round).await;
            Answer::Result(match request.method.as_str() {
                "roots/list" => json!({ "roots": [] }),
                _ => json!({ "action": "accept", "content": { "name": "Alice" } }),
            })
        })
    }
}
