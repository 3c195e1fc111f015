//! The same question to several servers.
//!
//! They are asked side by side, so that a slow one costs its own time and not that of all, and one that fails does not
//! take the answers of the others with it.

use std::sync::Arc;

use innkeeper::{Error, Lease};
use serde::{Serialize, Serializer, ser::SerializeMap};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    exit::{Exit, Failure},
    hosting::Host,
};

/// Servers that are opened at a time. Many of them are started by package managers, of which a hundred at once are more
/// than a laptop has memory for.
const AT_ONCE: usize = 16;

/// What came of asking servers, in the order in which they were named.
#[derive(Debug)]
pub(crate) struct Answers<T>(pub(crate) Vec<Answer<T>>);

/// What came of asking one server.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) server: String,
    pub(crate) outcome: Result<T, Failure>,
}

/// Opens each server and asks it. The answers come in the order of `servers`; cancelling this ends all that is under
/// way.
pub(crate) async fn each<T, F>(host: &Host, servers: Vec<String>, ask: fn(Lease) -> F) -> Vec<Answer<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for (index, server) in servers.iter().cloned().enumerate() {
        let (host, permits) = (host.clone(), permits.clone());
        tasks.spawn(async move {
            // The semaphore is never closed, so there always is a permit in the end.
            let _permit = permits.acquire().await;
            let outcome = async { Ok(ask(host.lease(&server).await?).await?) };
            (index, outcome.await)
        });
    }

    let mut outcomes: Vec<Option<Result<T, Failure>>> = servers.iter().map(|_| None).collect();
    while let Some(task) = tasks.join_next().await {
        if let Ok((index, outcome)) = task {
            outcomes[index] = Some(outcome);
        }
    }
    let answers = servers.into_iter().zip(outcomes).map(|(server, outcome)| {
        // A task that panicked left none; what it said is on standard error.
        let outcome = outcome.unwrap_or_else(|| Err(Failure::system("asking the server", "the task panicked")));
        Answer { server, outcome }
    });
    Answers(answers.collect()).unless_alone()
}

impl<T> Answers<T> {
    fn unless_alone(mut self) -> Result<Self, Failure> {
        match self.0.as_mut_slice() {
            [Answer { outcome: Err(_), .. }] => self.0.remove(0).outcome.map(|_| Self(Vec::new())),
            _ => Ok(self),
        }
    }

    fn failed(&self) -> usize {
        self.0.iter().filter(|answer| answer.outcome.is_err()).count()
    }

    /// Where some of several failed, scripts get one status for all.
    pub(crate) fn exit(&self) -> Exit {
        if self.failed() == 0 { Exit::Success } else { Exit::Server }
    }
}
