//! What the server asks the platform: sampling, questions to a person, whatever the protocol has.
//!
//! The embedder answers in a task of its own, so that the session goes on meanwhile. Its future is dropped when the server
//! withdraws the request, when it takes too long, and when the session ends.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use tokio::{sync::mpsc::UnboundedSender, task::AbortHandle, time::timeout};

use super::handle::Control;
use crate::{Limits, guest::boundary::Answer, transport::BoxFuture};

/// A request as the session knows it.
pub(crate) struct Asked {
    pub(crate) call: Option<u64>,
    pub(crate) method: String,
    pub(crate) params: Bytes,
}

/// Who answers; made by the layer above for each session.
pub(crate) trait Asker: Send + Sync + 'static {
    /// What it can answer, as the protocol announces it. JSON.
    fn capabilities(&self) -> Bytes;

    fn ask(&self, asked: Asked) -> BoxFuture<'static, Answer>;
}

pub(super) struct ServerRequests {
    asker: Arc<dyn Asker>,
    open: HashMap<u64, Open>,
    control: UnboundedSender<Control>,
}

struct Open {
    call: Option<u64>,
    task: AbortHandle,
}

impl ServerRequests {
    pub(super) fn new(asker: Arc<dyn Asker>, control: UnboundedSender<Control>) -> Self {
        Self { asker, open: HashMap::new(), control }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn contains(&self, id: u64) -> bool {
        self.open.contains_key(&id)
    }

    pub(super) fn ask(&mut self, id: u64, asked: Asked, limits: &Limits) {
        let call = asked.call;
        let mut answer = AnswerOnDrop { id, answer: Answer::Refused, control: self.control.clone() };
        let asking = self.asker.ask(asked);
        let limit = limits.server_request;
        let task = tokio::spawn(async move {
            // All of it moves into the task, so that an abort before its first poll answers too.
            let answer = &mut answer;
            // A handler that panics, or takes too long, has refused.
            if let Ok(given) = timeout(limit, asking).await {
                answer.answer = given;
            }
        });
        self.open.insert(id, Open { call, task: task.abort_handle() });
    }

    /// Closes a request. Returns the call that it was for; none: there is no such request.
    pub(super) fn remove(&mut self, id: u64) -> Option<Option<u64>> {
        let open = self.open.remove(&id)?;
        open.task.abort();
        Some(open.call)
    }
}

impl Drop for ServerRequests {
    fn drop(&mut self) {
        self.open.values().for_each(|open| open.task.abort());
    }
}

/// Answers however the task ends. After an abort nobody listens any more.
struct AnswerOnDrop {
    id: u64,
    answer: Answer,
    control: UnboundedSender<Control>,
}

impl Drop for AnswerOnDrop {
    fn drop(&mut self) {
        let answer = std::mem::replace(&mut self.answer, Answer::Refused);
        let _ = self.control.send(Control::Answer { id: self.id, answer });
    }
}
