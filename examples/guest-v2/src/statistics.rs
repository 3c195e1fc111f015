//! How many calls there were, by method, and how they ended.
//!
//! Of every call that was made it is known that it is open, was answered or
//! failed, also over a change of guest: the three always add up. Methods are the
//! platform's words and there may be any number of them, so only the first few
//! are counted by name.

use std::collections::BTreeMap;

use innkeeper_guest::boundary::{CallId, Effect, Outcome, OutstandingCall};
use serde::{Deserialize, Serialize};

/// Methods with counts of their own. A host passes 16 lines of one batch on to its log, and this is one line for each.
const MOST_METHODS: usize = 8;

/// Bytes of a method that is counted by its name. Those of MCP have half as many.
const LONGEST_METHOD: usize = 64;

/// What all other methods are counted under.
const OTHER: &str = "(other)";

/// The calls of a session.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Statistics {
    methods: BTreeMap<String, Counts>,
    /// What each open call is counted under.
    open: BTreeMap<CallId, String>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counts {
    made: u64,
    answered: u64,
    failed: u64,
}

impl Statistics {
    pub(crate) const fn new() -> Self {
        Self { methods: BTreeMap::new(), open: BTreeMap::new() }
    }

    /// A call was made. One that is open already is none.
    pub(crate) fn made(&mut self, id: CallId, method: &str) {
        let plain = method.len() <= LONGEST_METHOD && method.bytes().all(|byte| byte.is_ascii_graphic());
        let known = self.methods.contains_key(method) || self.methods.len() < MOST_METHODS;
        let name = if plain && known { method } else { OTHER };
        if self.open.contains_key(&id) {
            return;
        }
        self.open.insert(id, name.to_owned());
        self.counts(name).made += 1;
    }

    /// Takes what calls came to.
    pub(crate) fn take(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Complete(completion) => {
                    self.ended(completion.call, matches!(completion.outcome, Outcome::Result(_)));
                }
                // The host completes what is open, with an error.
                Effect::Disconnected(_) => self.retain(|_| false),
                _ => {}
            }
        }
    }

    /// Makes these the open calls, as they are those that the host holds. What it does not hold any more it has ended, and not
    /// with an answer; what was not known here was made under another guest.
    pub(crate) fn reconcile(&mut self, held: &[OutstandingCall]) {
        let ids: std::collections::BTreeSet<CallId> = held.iter().map(|call| call.id).collect();
        self.retain(|id| ids.contains(&id));
        for call in held {
            self.made(call.id, &call.method);
        }
    }

    /// Whether every open call is counted somewhere, and the numbers add up.
    pub(crate) fn is_sound(&self) -> bool {
        let mut open: BTreeMap<&str, u64> = BTreeMap::new();
        for name in self.open.values() {
            *open.entry(name).or_default() += 1;
        }
        let adds_up = |(name, counts): (&String, &Counts)| {
            let open = open.get(&**name).copied().unwrap_or_default();
            counts.answered.checked_add(counts.failed).and_then(|ended| ended.checked_add(open)) == Some(counts.made)
        };
        self.methods.len() <= MOST_METHODS + 1
            && open.keys().all(|name| self.methods.contains_key(*name))
            && self.methods.iter().all(adds_up)
    }

    /// A line for the log for each method, and one before them for all. None if there was no call.
    pub(crate) fn lines(&self) -> Vec<String> {
        if self.methods.is_empty() {
            return Vec::new();
        }
        let all = self.methods.values().fold(Counts::default(), |sum, counts| Counts {
            made: sum.made + counts.made,
            answered: sum.answered + counts.answered,
            failed: sum.failed + counts.failed,
        });
        let line = |name: &str, Counts { made, answered, failed }: &Counts| {
            format!("calls of {name}: {made}, of which {answered} answered and {failed} failed")
        };
        let methods = self.methods.iter().map(|(name, counts)| line(name, counts));
        std::iter::once(line("this session", &all)).chain(methods).collect()
    }

    fn ended(&mut self, id: CallId, answered: bool) {
        let Some(name) = self.open.remove(&id) else { return };
        let counts = self.counts(&name);
        let count = if answered { &mut counts.answered } else { &mut counts.failed };
        *count += 1;
    }

    /// Takes all open calls but these for failed.
    fn retain(&mut self, stays: impl Fn(CallId) -> bool) {
        let gone: Vec<CallId> = self.open.keys().copied().filter(|id| !stays(*id)).collect();
        for id in gone {
            self.ended(id, false);
        }
    }

    fn counts(&mut self, name: &str) -> &mut Counts {
        self.methods.entry(name.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(id: CallId, method: &str) -> OutstandingCall {
        OutstandingCall { id, method: method.to_owned(), sent: true }
    }

    #[test]
    fn only_the_first_methods_are_counted_by_name() {
        let mut statistics = Statistics::new();

        for id in 0..100 {
            statistics.made(id, &format!("method/{}", id % 50));
        }
        statistics.made(100, "a line\nbreak");
        statistics.made(101, &"long".repeat(1000));

        let lines = statistics.lines();
        assert_eq!(lines.len(), 1 + MOST_METHODS + 1);
        assert_eq!(lines[0], "calls of this session: 102, of which 0 answered and 0 failed");
        assert_eq!(lines[1], "calls of (other): 86, of which 0 answered and 0 failed");
        assert!(statistics.is_sound());
    }

    #[test]
    fn what_the_host_does_not_hold_has_failed_and_what_it_holds_is_open() {
        let mut statistics = Statistics::new();
        statistics.made(1, "a");
        statistics.made(2, "a");

        statistics.reconcile(&[held(2, "a"), held(3, "b")]);

        let expected = [
            "calls of this session: 3, of which 0 answered and 1 failed",
            "calls of a: 2, of which 0 answered and 1 failed",
            "calls of b: 1, of which 0 answered and 0 failed",
        ];
        assert_eq!(statistics.lines(), expected);
        assert_eq!(statistics.open.keys().copied().collect::<Vec<_>>(), [2, 3]);
        assert!(statistics.is_sound());
    }
}
