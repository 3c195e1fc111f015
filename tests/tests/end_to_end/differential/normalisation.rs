//! What may differ between two runs, or between the server's bytes and what rmcp makes of them; each with the reason.
//!
//! A rule says where it applies, so that it hides nothing elsewhere, and it replaces and does not remove, so that presence is
//! still compared. How often each was needed is printed; one that is needed no more is to go.

use std::collections::BTreeMap;

use serde_json::Value;

/// Who said something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Native,
    Hosted,
}

/// What is about to be compared.
pub(super) struct Subject<'a> {
    pub(super) server: &'a str,
    pub(super) label: &'a str,
    pub(super) side: Side,
}

/// One rule.
struct Rule {
    name: &'static str,
    reason: &'static str,
    applies: fn(&Subject<'_>) -> bool,
    /// Changes a value that is neither object nor array, or an object without going deeper; says whether it did.
    rewrite: fn(&mut Value) -> bool,
}

const RULES: &[Rule] = &[];

/// How often each rule was needed.
#[derive(Default)]
pub(super) struct Normalised(BTreeMap<&'static str, (usize, &'static str)>);

impl Normalised {
    pub(super) fn apply(&mut self, subject: &Subject<'_>, mut value: Value) -> Value {
        for rule in RULES.iter().filter(|rule| (rule.applies)(subject)) {
            let times = everywhere(&mut value, rule.rewrite);
            if times > 0 {
                self.0.entry(rule.name).or_insert((0, rule.reason)).0 += times;
            }
        }
        value
    }

    pub(super) fn print(&self, server: &str) {
        for (name, (times, reason)) in &self.0 {
            println!("{server}: normalised {times} times: {name} ({reason})");
        }
    }
}

/// Rewrites a value and all that is in it, and gives how many were changed.
fn everywhere(value: &mut Value, rewrite: fn(&mut Value) -> bool) -> usize {
    let mut times = usize::from(rewrite(value));
    match value {
        Value::Object(object) => times += object.values_mut().map(|inner| everywhere(inner, rewrite)).sum::<usize>(),
        Value::Array(array) => times += array.iter_mut().map(|inner| everywhere(inner, rewrite)).sum::<usize>(),
        _ => {}
    }
    times
}
