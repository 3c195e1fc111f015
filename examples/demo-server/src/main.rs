//! A small MCP server over stdio: one tool for each thing that a client has to
//! cope with.
//!
//! It is made with rmcp as rmcp's users do it, so that the demo and the tests
//! meet an ordinary server of that make. It is not awkward: servers that are
//! stand in `tests/`.

use std::time::Duration;

use anyhow::Context;
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::model::{CallToolResult, ContentBlock, ErrorData, ProgressNotificationParam};
use rmcp::service::{ElicitationError, RequestContext};
use rmcp::{RoleServer, ServerHandler, ServiceExt, tool, tool_handler, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A countdown that nobody cancels is over within this time: an hour, which no caller of a demo waits for.
const LONGEST_COUNTDOWN: Duration = Duration::from_secs(3_600);

struct DemoServer;

#[derive(Deserialize, JsonSchema)]
struct Summands {
    /// First summand.
    a: i64,
    /// Second summand.
    b: i64,
}

#[derive(Serialize, JsonSchema)]
struct Sum {
    /// The sum of both.
    sum: i64,
}

#[derive(Deserialize, JsonSchema)]
struct Text {
    /// What to say.
    text: String,
}

#[derive(Deserialize, JsonSchema)]
struct Countdown {
    /// How many steps to count.
    steps: u32,
    /// How long each step takes, in milliseconds.
    delay_ms: u32,
}

/// What the person is asked for.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Person {
    /// How to address you.
    name: String,
}

rmcp::elicit_safe!(Person);

#[tool_router]
impl DemoServer {
    #[tool(description = "Add two integers. The result is structured.")]
    fn add(&self, Parameters(Summands { a, b }): Parameters<Summands>) -> Result<Json<Sum>, ErrorData> {
        let sum = a.checked_add(b).ok_or_else(|| ErrorData::invalid_params("the sum does not fit 64 bits", None))?;
        Ok(Json(Sum { sum }))
    }

    #[tool(description = "Give back a text.")]
    fn echo(&self, Parameters(Text { text }): Parameters<Text>) -> String {
        text
    }

    #[tool(description = "Count down in steps, with a report of progress after each. Can be cancelled.")]
    async fn countdown(
        &self,
        Parameters(Countdown { steps, delay_ms }): Parameters<Countdown>,
        context: RequestContext<RoleServer>,
    ) -> Result<String, ErrorData> {
        let delay = Duration::from_millis(delay_ms.into());
        if delay.saturating_mul(steps) > LONGEST_COUNTDOWN {
            return Err(ErrorData::invalid_params("that would take more than an hour", None));
        }
        let token = context.meta.get_progress_token();
        for step in 1..=steps {
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                // Whoever cancelled gets no answer, whatever it says.
                () = context.ct.cancelled() => return Ok(format!("cancelled in step {step}")),
            }
            if let Some(token) = &token {
                let report = ProgressNotificationParam::new(token.clone(), step.into())
                    .with_total(steps.into())
                    .with_message(format!("{} to go", steps - step));
                // If the client is gone, then the end of the input ends this server.
                let _ = context.peer.notify_progress(report).await;
            }
        }
        Ok("lift-off".into())
    }

    #[tool(description = "Ask the person behind the client for a name, and greet them.")]
    async fn ask_name(&self, context: RequestContext<RoleServer>) -> Result<CallToolResult, ErrorData> {
        let text = |text: String| vec![ContentBlock::text(text)];
        match context.peer.elicit::<Person>("What is your name?").await {
            Ok(Some(Person { name })) => Ok(CallToolResult::success(text(format!("Hello, {name}!")))),
            Ok(None) => Ok(CallToolResult::success(text("Hello, whoever you are!".into()))),
            Err(ElicitationError::UserDeclined | ElicitationError::UserCancelled) => {
                Ok(CallToolResult::success(text("Hello, stranger!".into())))
            }
            Err(error) => Ok(CallToolResult::error(text(format!("cannot ask: {error}")))),
        }
    }

    #[tool(description = "Fail with a text, as a tool fails: the call succeeds and its result says isError.")]
    fn fail(&self, Parameters(Text { text }): Parameters<Text>) -> CallToolResult {
        CallToolResult::error(vec![ContentBlock::text(text)])
    }
}

#[tool_handler(name = "innkeeper-demo-server")]
impl ServerHandler for DemoServer {}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let service = DemoServer.serve(rmcp::transport::stdio()).await.context("cannot open the session")?;
    service.waiting().await.context("the session ended early")?;
    Ok(())
}
