//! What may differ: between two runs of a server, or between its bytes and what the typed model of rmcp makes of them. Each
//! with the reason.
//!
//! A rule says where it applies, so that it hides nothing elsewhere. How often each was needed is printed; one that is needed
//! nowhere any more is to go.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

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

struct Rule {
    name: &'static str,
    reason: &'static str,
    applies: fn(&Subject<'_>) -> bool,
    /// Changes a value, without going into what is in it, and says whether it did.
    rewrite: fn(&mut Value) -> bool,
}

/// Stands where something was that differs from run to run.
const MASK: &str = "…";

const RULES: &[Rule] = &[
    // What rmcp makes of what a server said.
    Rule {
        name: "`execution` of a tool is left out",
        reason: "rmcp's type has no such member; 2025-11-25 has it, for tasks",
        applies: |subject| subject.side == Side::Hosted && subject.label == "tools/list",
        rewrite: |value| remove(value, "execution", |_| true),
    },
    Rule {
        name: "the capability `tasks` is left out",
        reason: "rmcp's type has no such member; 2025-11-25 has it",
        applies: |subject| subject.side == Side::Hosted && subject.label == "the server",
        rewrite: |value| remove(value, "tasks", |_| true),
    },
    Rule {
        name: "an empty `_meta` is left out",
        reason: "rmcp adds one to each notification",
        applies: |subject| {
            subject.side == Side::Native
                && (subject.label == "notifications" || subject.label.starts_with("progress of"))
        },
        rewrite: |value| remove(value, "_meta", |meta| meta.as_object().is_some_and(Map::is_empty)),
    },
    Rule {
        name: "empty parameters are none",
        reason: "rmcp adds parameters to notifications that have none",
        applies: |subject| subject.side == Side::Native && subject.label == "notifications",
        rewrite: |value| {
            change_member(value, "params", |params| {
                let empty = params.as_object().is_some_and(|params| params.keys().all(|key| key == "_meta"));
                empty.then_some(Value::Null)
            })
        },
    },
    Rule {
        name: "`_meta` of a request of the server is left out",
        reason: "rmcp takes it out of the parameters before it hands them on",
        applies: |subject| subject.side == Side::Hosted && subject.label == "requests of the server",
        rewrite: |value| remove(value, "_meta", |_| true),
    },
    Rule {
        name: "an elicitation without a mode is one by form",
        reason: "rmcp writes the default out",
        applies: |subject| subject.label == "requests of the server",
        rewrite: |value| remove(value, "mode", |mode| mode == "form"),
    },
    Rule {
        name: "progress is a floating-point number",
        reason: "rmcp's types say `f64`, so that 1 becomes 1.0",
        applies: |subject| subject.label.starts_with("progress of"),
        rewrite: |value| ["progress", "total"].map(|key| change_member(value, key, as_float)).contains(&true),
    },
    Rule {
        name: "bounds and defaults in the schema of an elicitation are floating-point numbers",
        reason: "rmcp's type for schemas of numbers says `f64`",
        applies: |subject| subject.label == "requests of the server",
        rewrite: |value| {
            ["minimum", "maximum", "default"].map(|key| change_member(value, key, as_float)).contains(&true)
        },
    },
    Rule {
        name: "priorities and temperatures are floating-point numbers of 32 bits",
        reason: "rmcp's types say `f32`, so that 0.7 becomes 0.699999988",
        applies: |_| true,
        rewrite: |value| {
            ["priority", "temperature"].map(|key| change_member(value, key, as_short_float)).contains(&true)
        },
    },
    // What differs from run to run.
    Rule {
        name: "times of day in dynamic resources",
        reason: "they say when they were made",
        applies: |subject| subject.server == "everything" && may_read_resources(subject.label),
        rewrite: |value| change_member(value, "text", |text| cut_behind(text, "created at ")),
    },
    Rule {
        name: "contents of dynamic resources in Base64",
        reason: "they say when they were made",
        applies: |subject| subject.server == "everything" && may_read_resources(subject.label),
        rewrite: |value| change_member(value, "blob", |_| Some(MASK.into())),
    },
    Rule {
        name: "ids of elicitations",
        reason: "UUIDs",
        applies: |subject| subject.server == "everything" && is_about_elicitation(subject.label),
        rewrite: |value| change_text(value, |text| mask(text, 36, is_uuid)),
    },
    Rule {
        name: "simulated log messages",
        reason: "drawn at random, and more of them the longer it takes",
        applies: |subject| subject.server == "everything" && subject.label == "notifications",
        rewrite: |value| {
            let Some(notifications) = value.as_array_mut() else { return false };
            let before = notifications.len();
            notifications.retain(|said| {
                said["method"] != "notifications/message" || said["params"]["logger"] == "everything-server"
            });
            notifications.len() < before
        },
    },
    Rule {
        name: "the order of notifications, and a second one of the same roots",
        reason: "a timer of the server asks for the roots, beside the tool that does",
        applies: |subject| subject.server == "everything" && subject.label == "notifications",
        rewrite: |value| {
            let Some(notifications) = value.as_array_mut() else { return false };
            let before = notifications.clone();
            notifications.sort_by_key(Value::to_string);
            notifications.dedup_by(|said, before| said == before && said["params"]["logger"] == "everything-server");
            *notifications != before
        },
    },
    Rule {
        name: "a second request for the same roots",
        reason: "a timer of the server asks for the roots, beside the tool that does",
        applies: |subject| subject.server == "everything" && subject.label == "requests of the server",
        rewrite: |value| {
            let Some(requests) = value.as_array_mut() else { return false };
            let before = requests.len();
            requests.dedup_by(|request, before| request == before && request["method"] == "roots/list");
            requests.len() < before
        },
    },
    Rule {
        name: "dates, times and days of the week",
        reason: "what these servers are for",
        applies: |subject| matches!(subject.server, "time" | "early"),
        rewrite: |value| change_text(value, without_time),
    },
    Rule {
        name: "the order of tools and prompts",
        reason: "kept in tables with random hashes",
        applies: |subject| subject.server == "early",
        rewrite: |value| {
            ["tools", "prompts", "available_prompts"].map(|key| change_member(value, key, sorted)).contains(&true)
        },
    },
];

fn may_read_resources(label: &str) -> bool {
    label.starts_with("get-resource-reference")
        || label.starts_with("resources/read")
        || label.starts_with("prompts/get")
}

fn is_about_elicitation(label: &str) -> bool {
    label.starts_with("trigger-url-elicitation") || label == "requests of the server"
}

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

fn remove(value: &mut Value, key: &str, which: fn(&Value) -> bool) -> bool {
    let Some(object) = value.as_object_mut() else { return false };
    object.get(key).is_some_and(which) && object.remove(key).is_some()
}

/// Replaces a member of an object, if the change gives something else.
fn change_member(value: &mut Value, key: &str, change: fn(&Value) -> Option<Value>) -> bool {
    let Some(member) = value.get_mut(key) else { return false };
    let changed = change(member).filter(|changed| changed != member);
    changed.map(|changed| *member = changed).is_some()
}

fn change_text(value: &mut Value, change: fn(&str) -> String) -> bool {
    let changed = value.as_str().map(|text| (change(text), text)).filter(|(changed, text)| changed != text);
    let Some((changed, _)) = changed else { return false };
    *value = changed.into();
    true
}

fn as_float(number: &Value) -> Option<Value> {
    number.as_f64().map(Value::from)
}

fn as_short_float(number: &Value) -> Option<Value> {
    #[expect(clippy::cast_possible_truncation, reason = "that is the point")]
    number.as_f64().map(|number| Value::from(f64::from(number as f32)))
}

fn sorted(list: &Value) -> Option<Value> {
    let mut list = list.as_array()?.clone();
    list.sort_by_key(Value::to_string);
    Some(list.into())
}

fn cut_behind(text: &Value, words: &str) -> Option<Value> {
    let (before, _) = text.as_str()?.split_once(words)?;
    Some(format!("{before}{words}{MASK}").into())
}

/// Masks what stretches of so many characters match.
fn mask(text: &str, length: usize, matches: fn(&[char]) -> bool) -> String {
    let text: Vec<char> = text.chars().collect();
    let mut masked = String::new();
    let mut at = 0;
    while at < text.len() {
        match text.get(at..at + length) {
            Some(stretch) if matches(stretch) => {
                masked.push_str(MASK);
                at += length;
            }
            _ => {
                masked.push(text[at]);
                at += 1;
            }
        }
    }
    masked
}

fn is_uuid(stretch: &[char]) -> bool {
    stretch.iter().enumerate().all(|(index, character)| match index {
        8 | 13 | 18 | 23 => *character == '-',
        _ => character.is_ascii_hexdigit(),
    })
}

/// As `2024-02-29T12:00:00` is.
fn is_date_and_time(stretch: &[char]) -> bool {
    stretch.iter().enumerate().all(|(index, character)| match index {
        4 | 7 => *character == '-',
        10 => *character == 'T',
        13 | 16 => *character == ':',
        _ => character.is_ascii_digit(),
    })
}

fn without_time(text: &str) -> String {
    const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    DAYS.iter().fold(mask(text, 19, is_date_and_time), |text, day| text.replace(day, MASK))
}
