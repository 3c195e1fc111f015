//! The agents: each works for a user of a tenant, with that user's tools.
//!
//! What a model would decide, a script decides here. Everything else is as a platform does it: ask for the tools before each turn,
//! call one by the name that the model gave, and go by the kind of the error where that fails.

use std::time::Duration;

use innkeeper::{Error, MayHaveRun, Tenant};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet, time::sleep};

use crate::{
    platform::Platform,
    tally::{Outcome, Tally},
};

/// Between two turns: what a model takes to think, but shorter.
const THINKING: Duration = Duration::from_millis(150);

/// What a model decided to call, and with what.
type Turn = (&'static str, Value);

/// Sets all agents to work until they are told to stop.
pub(crate) fn start(platform: &Platform, tally: &Tally, stopped: &watch::Receiver<bool>) -> JoinSet<()> {
    let (acme, globex) = (&platform.acme, &platform.globex);
    let mut agents = JoinSet::new();
    let mut employ = |tenant: &Tenant, user, script, rounds| {
        let agent = Agent { tenant: tenant.clone(), user, tally: tally.clone() };
        let mut stopped = stopped.clone();
        agents.spawn(async move {
            tokio::select! {
                () = agent.work(script, rounds) => {}
                // Drops the call that is under way, which cancels it: the server is told, and nothing is waited for.
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
        });
    };
    employ(acme, "alice", alice(), usize::MAX);
    employ(acme, "bob", bob(), usize::MAX);
    // She asks once, and leaves. Her session is idle from then on, and is reaped.
    employ(acme, "carol", vec![("everything__echo", json!({ "message": "back after lunch" }))], 1);
    employ(globex, "dave", dave(), usize::MAX);
    employ(globex, "erin", dave(), usize::MAX);
    agents
}

fn alice() -> Vec<Turn> {
    vec![
        ("add", json!({ "a": 19, "b": 23 })),
        // Long enough for its server to be killed during it.
        ("everything__trigger-long-running-operation", json!({ "duration": 1, "steps": 4 })),
        ("time__get_current_time", json!({ "timezone": "Europe/Vienna" })),
    ]
}

fn bob() -> Vec<Turn> {
    vec![
        ("everything__echo", json!({ "message": "hello" })),
        ("time__convert_time", json!({ "source_timezone": "UTC", "time": "09:30", "target_timezone": "Asia/Tokyo" })),
        // It is denied, so no catalog has it. Models guess names, and it does not help them.
        (DENIED, json!({})),
    ]
}

fn dave() -> Vec<Turn> {
    vec![
        ("calculator__add", json!({ "a": 2, "b": 40 })),
        ("time__get_current_time", json!({ "timezone": "America/Lima" })),
        ("greeter__echo", json!({ "text": "from our own server" })),
    ]
}

/// What the rules of a server are against.
const DENIED: &str = "everything__get-env";

struct Agent {
    tenant: Tenant,
    user: &'static str,
    tally: Tally,
}

impl Agent {
    async fn work(self, script: Vec<Turn>, rounds: usize) {
        let mut generation = 0;
        for (tool, arguments) in std::iter::repeat_n(script, rounds).flatten() {
            // Costs nothing where nothing has changed: lists of tools are kept, also over sessions that were reaped.
            let tools = match self.tenant.tools(self.user).await {
                Ok(tools) => tools,
                Err(error) => return self.tally.ended(&self.tenant, self.user, None, Outcome::Failed(error.code())),
            };
            if tools.generation() != generation {
                generation = tools.generation();
                // Here a model would be told its tools: `tools.tools()`, each with name, description and schema.
            }

            // Which server it is on, for the table. A tool that is not there is one that the model made up.
            let server = tools.get(tool).map(|tool| tool.server.clone());
            let outcome = self.call(tool, &arguments).await;
            self.tally.ended(&self.tenant, self.user, server.as_ref(), outcome);
            sleep(if let Outcome::NotNow(_, after) = outcome { after } else { THINKING }).await;
        }
    }

    /// Calls a tool. The session is opened where there is none, and held by the call: nothing reaps it meanwhile.
    async fn call(&self, tool: &str, arguments: &Value) -> Outcome {
        let called = async { self.tenant.call_tool(self.user, tool, arguments).await?.start().await };
        match called.await {
            Ok(result) if result.is_error => Outcome::Failed("tool_error"),
            Ok(_) => Outcome::Answered,
            Err(error @ Error::Denied { .. }) if tool == DENIED => Outcome::Refused(error.code()),
            Err(error) => match (error.retry_after(), error.may_have_run()) {
                // A full tenant, a server that failed too often: worth another try, but not now.
                (Some(after), _) => Outcome::NotNow(error.code(), after),
                // To be told to the model, or a person: nobody else knows whether it is safe to do this again.
                (None, MayHaveRun::Unknown) => Outcome::InDoubt(error.code()),
                (None, _) => Outcome::Failed(error.code()),
            },
        }
    }
}
