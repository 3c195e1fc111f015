//! The same question to several servers.
//!
//! They are asked side by side, so that a slow one costs its own time and not that of all, and one that fails does not
//! take the answers of the others with it. Where only one is asked, its failure is that of the command.

use std::sync::Arc;

use innkeeper::{Error, Lease};
use serde::{Serialize, Serializer};
use serde_json::Value;
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
pub(crate) struct Answers<T>(Vec<Answer<T>>);

/// What came of asking one server.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) server: String,
    pub(crate) outcome: Result<T, Failure>,
}

/// Opens each server and asks it. Cancelling this ends all that is under way.
pub(crate) async fn each<T, F>(host: &Host, servers: Vec<String>, ask: fn(Lease) -> F) -> Result<Answers<T>, Failure>
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
    Answers::new(answers.collect())
}

impl<T> Answers<T> {
    pub(crate) fn new(answers: Vec<Answer<T>>) -> Result<Self, Failure> {
        match <[Answer<T>; 1]>::try_from(answers) {
            Ok([Answer { server, outcome }]) => Ok(Self(vec![Answer { server, outcome: Ok(outcome?) }])),
            Err(answers) => Ok(Self(answers)),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Answer<T>> {
        self.0.iter()
    }

    /// Where some of several failed, scripts get one status for all.
    pub(crate) fn exit_status(&self) -> Exit {
        if self.failure().is_some() { Exit::Server } else { Exit::Success }
    }

    /// The failures of all servers as one.
    fn failure(&self) -> Option<Failure> {
        let failed = self.iter().filter(|answer| answer.outcome.is_err()).count();
        (failed > 0).then(|| Failure::servers(failed, self.0.len()))
    }
}

impl<T: Serialize> Serialize for Answers<T> {
    /// Beside what each server answered, an `error` as every document of a command that failed has it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Document<'a, T> {
            servers: Vec<OfServer<'a, T>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<Value>,
        }
        #[derive(Serialize)]
        struct OfServer<'a, T> {
            name: &'a str,
            #[serde(flatten)]
            answer: Option<&'a T>,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<Value>,
        }
        let servers = self.iter().map(|Answer { server, outcome }| OfServer {
            name: server,
            answer: outcome.as_ref().ok(),
            error: outcome.as_ref().err().map(Failure::to_json),
        });
        let document = Document { servers: servers.collect(), error: self.failure().map(|failure| failure.to_json()) };
        document.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Serialize)]
    struct Colour {
        colour: &'static str,
    }

    fn answer(server: &str, colour: Option<&'static str>) -> Answer<Colour> {
        let outcome = colour.map(|colour| Colour { colour }).ok_or_else(|| Failure::system("asking", "no"));
        Answer { server: server.into(), outcome }
    }

    #[test]
    fn the_failure_of_the_only_server_is_that_of_the_command() {
        let failure = Answers::new(vec![answer("a", None)]).expect_err("the only one failed");

        assert_eq!(failure.message, "asking: no");
    }

    #[test]
    fn the_failure_of_one_of_several_stands_beside_the_others() {
        let answers = Answers::new(vec![answer("a", None), answer("b", Some("red"))]).expect("one of two is fine");

        assert_eq!(answers.exit_status(), Exit::Server);
        assert_eq!(
            serde_json::to_value(&answers).expect("answers are JSON"),
            json!({
                "servers": [
                    { "name": "a", "error": { "code": "system", "message": "asking: no" } },
                    { "name": "b", "colour": "red" },
                ],
                "error": { "code": "servers_failed", "message": "1 of 2 servers failed" },
            })
        );
    }

    #[test]
    fn without_failures_there_is_no_error() {
        let answers = Answers::new(vec![answer("a", Some("red")), answer("b", Some("blue"))]).expect("both are fine");

        assert_eq!(answers.exit_status(), Exit::Success);
        assert_eq!(serde_json::to_value(&answers).expect("answers are JSON").get("error"), None);
    }
}
