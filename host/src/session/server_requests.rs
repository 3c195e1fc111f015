//! What the server asks the platform: sampling, questions to a person, whatever the protocol has.
//!
//! The embedder answers in a task of its own, so that the session goes on meanwhile. Its future is dropped when the server
//! withdraws the request, when it takes too long, and when the session ends.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use tokio::{sync::mpsc::UnboundedSender, task::AbortHandle, time::timeout};

use super::client::Control;
use crate::{Limits, guest::boundary::Answer, names::UserName, transport::BoxFuture};

/// A request as the session knows it.
pub(crate) struct Asked {
    pub(crate) call: Option<u64>,
    /// For whom it would be answered. None: nobody in particular, in a session that users share.
    pub(crate) user: Option<UserName>,
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
    /// The highest id so far: ids ascend, so that a late answer cannot meet another request of the same id.
    last: Option<u64>,
    control: UnboundedSender<Control>,
}

struct Open {
    /// The calls whose time it holds.
    paused: Vec<u64>,
    task: AbortHandle,
}

impl ServerRequests {
    pub(super) fn new(asker: Arc<dyn Asker>, control: UnboundedSender<Control>) -> Self {
        Self { asker, open: HashMap::new(), last: None, control }
    }

    /// Those that are open, in ascending order.
    pub(super) fn ids(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = self.open.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn is_open(&self, id: u64) -> bool {
        self.open.contains_key(&id)
    }

    /// Whether a request of that id was ever asked.
    pub(super) fn was_asked(&self, id: u64) -> bool {
        self.last.is_some_and(|last| id <= last)
    }

    pub(super) fn ask(&mut self, id: u64, asked: Asked, paused: Vec<u64>, limits: &Limits) {
        self.last = Some(id);
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
        self.open.insert(id, Open { paused, task: task.abort_handle() });
    }

    /// Closes a request. Returns the calls whose time it held; none: it is not open.
    pub(super) fn remove(&mut self, id: u64) -> Option<Vec<u64>> {
        let open = self.open.remove(&id)?;
        open.task.abort();
        Some(open.paused)
    }
}

impl ServerRequests {
    /// Nobody wants the answers any more.
    pub(super) fn clear(&mut self) {
        self.open.drain().for_each(|(_, open)| open.task.abort());
    }
}

impl Drop for ServerRequests {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Answers however the task ends. After an abort its id is not open any more, and never will be again.
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
