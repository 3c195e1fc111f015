//! Metrics in the words of the OpenTelemetry conventions for MCP ("Semantic conventions for Model Context Protocol", status:
//! development), through the `metrics` facade. Durations are in seconds.
//!
//! Users and sessions are in the spans and not here: a metric has a series for each combination of its labels.

use metrics::{Label, SharedString, histogram};

use super::tool_call::CALL_TOOL;
use crate::api::{CallEnded, ConnectionEnded};

/// How long calls took.
const OPERATION: &str = "mcp.client.operation.duration";
/// How long connections were ready.
const SESSION: &str = "mcp.client.session.duration";

/// What the error of a tool that says so itself is called.
pub(super) const TOOL_ERROR: &str = "tool_error";

pub(super) fn call_ended(ended: &CallEnded<'_>) {
    let mut labels = common(ended.tenant.shared(), ended.server.shared());
    labels.push(Label::new("mcp.method.name", ended.method.to_owned()));
    if let Some(info) = ended.info {
        labels.push(Label::new("mcp.protocol.version", info.revision.clone()));
    }
    if ended.method == CALL_TOOL {
        labels.push(Label::new("gen_ai.operation.name", "execute_tool"));
        if let Some(tool) = ended.subject {
            labels.push(Label::new("gen_ai.tool.name", tool.to_owned()));
        }
    }
    if let Some(failure) = ended.failure {
        labels.push(Label::new("error.type", failure.kind));
        if let Some(status) = failure.status {
            labels.push(Label::new("rpc.response.status_code", status.to_string()));
        }
    }
    histogram!(OPERATION, labels).record(ended.took.as_secs_f64());
}

pub(super) fn connection_ended(ended: &ConnectionEnded<'_>) {
    let mut labels = common(ended.tenant.shared(), ended.server.shared());
    labels.push(Label::new("mcp.protocol.version", ended.info.revision.clone()));
    labels.push(Label::new("error.type", ended.error.code()));
    histogram!(SESSION, labels).record(ended.lived.as_secs_f64());
}

fn common(tenant: std::sync::Arc<str>, server: std::sync::Arc<str>) -> Vec<Label> {
    vec![
        Label::new("innkeeper.tenant", SharedString::from(tenant)),
        Label::new("innkeeper.server", SharedString::from(server)),
        // Connections are pipes, or streams of an embedder's own.
        Label::new("network.transport", "pipe"),
    ]
}
