//! What came of a conversation, and where two differ.

use serde_json::{Value, json};

use super::normalisation::{Normalised, Side, Subject};

/// Enough of a value to see what differs.
const SHOWN: usize = 240;

/// One request and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) label: String,
    /// `result`, `error` (both as the server sent them), or `failure`: what the client says by itself.
    pub(super) outcome: Value,
    /// Reports of progress, in order, without their tokens, which each client chooses for itself.
    pub(super) progress: Vec<Value>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Transcript {
    /// What the server said of itself.
    pub(super) peer: Value,
    pub(super) exchanges: Vec<Exchange>,
    /// What the server asked the platform.
    pub(super) asked: Vec<Value>,
    pub(super) notifications: Vec<Value>,
}

impl Transcript {
    pub(super) fn summary(&self) -> String {
        let of = |key: &str| self.exchanges.iter().filter(|exchange| exchange.outcome.get(key).is_some()).count();
        let tool_errors =
            self.exchanges.iter().filter(|exchange| exchange.outcome["result"]["isError"] == true).count();
        let progress: usize = self.exchanges.iter().map(|exchange| exchange.progress.len()).sum();
        format!(
            "{} results ({tool_errors} of them say isError), {} errors, {} failures, {progress} reports of progress, \
             {} requests of the server, {} notifications: {} comparisons",
            of("result"),
            of("error"),
            of("failure"),
            self.asked.len(),
            self.notifications.len(),
            self.parts().len(),
        )
    }

    /// What is different in `hosted`, a line each.
    pub(super) fn differences(&self, hosted: &Self, server: &str, normalised: &mut Normalised) -> Vec<String> {
        let (native, hosted) = (self.parts(), hosted.parts());
        let mut differences = Vec::new();
        if native.len() != hosted.len() {
            differences.push(format!("{} parts natively, {} hosted", native.len(), hosted.len()));
        }
        for ((label, native), (other, hosted)) in native.into_iter().zip(hosted) {
            assert_eq!(label, other, "both said the same");
            let of = |side| Subject { server, label: &label, side };
            let native = normalised.apply(&of(Side::Native), native);
            let hosted = normalised.apply(&of(Side::Hosted), hosted);
            if native != hosted {
                let (path, native, hosted) = first_difference(&native, &hosted, String::new());
                differences.push(format!("{} at {path}: {native} natively, {hosted} hosted", shortened(&label)));
            }
        }
        differences
    }

    /// What is compared, each with a label.
    fn parts(&self) -> Vec<(String, Value)> {
        let mut parts = vec![("the server".to_owned(), self.peer.clone())];
        for exchange in &self.exchanges {
            parts.push((exchange.label.clone(), exchange.outcome.clone()));
            parts.push((format!("progress of {}", exchange.label), json!(exchange.progress)));
        }
        parts.push(("requests of the server".to_owned(), json!(self.asked)));
        parts.push(("notifications".to_owned(), json!(self.notifications)));
        parts
    }
}

/// Where two values differ first, and what each has there.
fn first_difference(native: &Value, hosted: &Value, path: String) -> (String, String, String) {
    let shown = |value: Option<&Value>| value.map_or("nothing".to_owned(), |value| shortened(&value.to_string()));
    match (native, hosted) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<_> = a.keys().chain(b.keys()).collect();
            keys.sort();
            if let Some(key) = keys.into_iter().find(|key| a.get(*key) != b.get(*key)) {
                let path = format!("{path}/{key}");
                return match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => first_difference(a, b, path),
                    (a, b) => (path, shown(a), shown(b)),
                };
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            if let Some(index) = (0..a.len().max(b.len())).find(|index| a.get(*index) != b.get(*index)) {
                let path = format!("{path}/{index}");
                return match (a.get(index), b.get(index)) {
                    (Some(a), Some(b)) => first_difference(a, b, path),
                    (a, b) => (path, shown(a), shown(b)),
                };
            }
        }
        _ => {}
    }
    (format!("{path}/"), shown(Some(native)), shown(Some(hosted)))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
