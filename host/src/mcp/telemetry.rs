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
/// names of tools, callers methods, servers codes, guests revisions.
const MOST_NAMES: usize = 1024;
const MOST_CODES: usize = 32;
/// The longest such value, in bytes.
const LONGEST_VALUE: usize = 128;
/// What stands for all other values, as in the conventions for methods of HTTP.
const OTHER: &str = "_OTHER";

/// The values that a label has had.
struct Values {
    known: RwLock<HashSet<Arc<str>>>,
    most: usize,
}

impl Values {
    fn new(most: usize) -> Self {
        Self { known: RwLock::default(), most }
    }

    /// The value as it is to be shown. One that is new is kept only if it is genuine: else whatever somebody makes up would take
    /// the place of what there is.
    fn show(&self, value: &str, is_genuine: bool) -> SharedString {
        if value.len() > LONGEST_VALUE {
            return OTHER.into();
        }
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(value) {
            return known.clone().into();
        }
        if !is_genuine {
            return OTHER.into();
        }
        let mut values = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if values.len() >= self.most && !values.contains(value) {
            return OTHER.into();
        }
        let value = Arc::<str>::from(value);
        values.insert(value.clone());
        value.into()
    }
}

/// What others than the platform choose of a tenant's labels. It outlives the tenant, as its series do.
pub(super) struct Labels {
    methods: Values,
    tools: Values,
    codes: Values,
    revisions: Values,
}

impl Default for Labels {
    fn default() -> Self {
        let names = || Values::new(MOST_NAMES);
        let codes = || Values::new(MOST_CODES);
        Self { methods: names(), tools: names(), codes: codes(), revisions: codes() }
    }
}

pub(super) fn call_ended(of: &Labels, ended: &CallEnded<'_>) {
    let mut labels = common(ended.tenant.shared(), ended.server.shared());
    labels.push(Label::new("mcp.method.name", of.methods.show(ended.method, true)));
    if let Some(info) = ended.info {
        labels.push(Label::new("mcp.protocol.version", of.revisions.show(&info.revision, true)));
    }
    if ended.method == CALL_TOOL {
        labels.push(Label::new("gen_ai.operation.name", "execute_tool"));
        if let Some(tool) = ended.subject {
            labels.push(Label::new("gen_ai.tool.name", of.tools.show(tool, ended.failure.is_none())));
        }
    }
    if let Some(failure) = ended.failure {
        labels.push(Label::new("error.type", failure.kind));
        if let Some(status) = failure.status {
            labels.push(Label::new("rpc.response.status_code", of.codes.show(&status.to_string(), true)));
        }
    }
    histogram!(OPERATION, labels).record(ended.took.as_secs_f64());
}

pub(super) fn connection_ended(of: &Labels, ended: &ConnectionEnded<'_>) {
    let mut labels = common(ended.tenant.shared(), ended.server.shared());
    labels.push(Label::new("mcp.protocol.version", of.revisions.show(&ended.info.revision, true)));
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
        let values = Values::new(100);
        let known = (0..100).map(|number| number.to_string()).collect::<Vec<_>>();

        let shown = known.iter().map(|value| values.show(value, true).into_owned()).collect::<Vec<_>>();

        assert_eq!(shown, known);
        assert_eq!(&*values.show("another", true), OTHER);
        assert_eq!(&*values.show("0", true), "0", "one that is known stays");
    }

    #[test]
    fn what_somebody_made_up_takes_no_place() {
        let values = Values::new(1);

        assert_eq!(&*values.show("made up", false), OTHER);
        assert_eq!(&*values.show("add", true), "add");
        assert_eq!(&*values.show("add", false), "add", "a call of a tool that is there may fail");
    }

    #[test]
    fn a_value_that_is_too_long_is_another() {
        assert_eq!(&*Values::new(1).show(&"x".repeat(LONGEST_VALUE + 1), true), OTHER);
    }
}
