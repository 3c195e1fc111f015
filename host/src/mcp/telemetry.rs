//! Metrics in the words of the OpenTelemetry conventions for MCP ("Semantic conventions for Model Context Protocol", status:
//! development), through the `metrics` facade. Durations are in seconds.
//!
//! Users and sessions are in the spans and not here: a metric has a series for each combination of its labels.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

use metrics::{Label, SharedString, histogram};

use super::tool_call::CALL_TOOL;
use crate::api::{CallEnded, ConnectionEnded};

/// How long calls took.
const OPERATION: &str = "mcp.client.operation.duration";
/// How long connections were ready.
const SESSION: &str = "mcp.client.session.duration";

/// What the error of a tool that says so itself is called.
pub(super) const TOOL_ERROR: &str = "tool_error";

/// Values of one label of a tenant's metrics, at most: a series is kept for as long as the process lives, and models make up
/// names of tools, callers methods, servers codes.
const MOST_VALUES: usize = 1024;
/// The longest such value, in bytes.
const LONGEST_VALUE: usize = 128;
/// What stands for all other values, as in the conventions for methods of HTTP.
const OTHER: &str = "_OTHER";

/// The values that a label has had.
#[derive(Default)]
struct Values(RwLock<HashSet<Arc<str>>>);

impl Values {
    /// The value as it is to be shown.
    fn show(&self, value: &str) -> SharedString {
        if value.len() > LONGEST_VALUE {
            return OTHER.into();
        }
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(value) {
            return known.clone().into();
        }
        let mut values = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if values.len() >= MOST_VALUES && !values.contains(value) {
            return OTHER.into();
        }
        let value = Arc::<str>::from(value);
        values.insert(value.clone());
        value.into()
    }
}

/// What others than the platform choose of a tenant's labels.
#[derive(Default)]
pub(super) struct Labels {
    methods: Values,
    tools: Values,
    codes: Values,
}

pub(super) fn call_ended(of: &Labels, ended: &CallEnded<'_>) {
    let mut labels = common(ended.tenant.shared(), ended.server.shared());
    labels.push(Label::new("mcp.method.name", of.methods.show(ended.method)));
    if let Some(info) = ended.info {
        labels.push(Label::new("mcp.protocol.version", info.revision.clone()));
    }
    if ended.method == CALL_TOOL {
        labels.push(Label::new("gen_ai.operation.name", "execute_tool"));
        if let Some(tool) = ended.subject {
            labels.push(Label::new("gen_ai.tool.name", of.tools.show(tool)));
        }
    }
    if let Some(failure) = ended.failure {
        labels.push(Label::new("error.type", failure.kind));
        if let Some(status) = failure.status {
            labels.push(Label::new("rpc.response.status_code", of.codes.show(&status.to_string())));
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

fn common(tenant: Arc<str>, server: Arc<str>) -> Vec<Label> {
    vec![
        Label::new("innkeeper.tenant", SharedString::from(tenant)),
        Label::new("innkeeper.server", SharedString::from(server)),
        // Connections are pipes, or streams of an embedder's own.
        Label::new("network.transport", "pipe"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_no_more_values_than_it_may_have() {
        let values = Values::default();
        let known = (0..MOST_VALUES).map(|number| number.to_string()).collect::<Vec<_>>();

        let shown = known.iter().map(|value| values.show(value).into_owned()).collect::<Vec<_>>();

        assert_eq!(shown, known);
        assert_eq!(&*values.show("another"), OTHER);
        assert_eq!(&*values.show("0"), "0", "one that is known stays");
    }

    #[test]
    fn a_value_that_is_too_long_is_another() {
        assert_eq!(&*Values::default().show(&"x".repeat(LONGEST_VALUE + 1)), OTHER);
    }
}
