//! What is said to a server: its lists, everything that they name, and every tool with several sets of arguments.

use innkeeper_tests::schema_arguments::{self, Pins};
use serde_json::{Value, json};

use super::SEED;

/// Lists that a server may have, each with the key of its entries.
pub(super) const LISTS: [(&str, &str); 4] = [
    ("tools/list", "tools"),
    ("resources/list", "resources"),
    ("resources/templates/list", "resourceTemplates"),
    ("prompts/list", "prompts"),
];

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// For people: what is particular about it.
    pub(super) label: String,
    pub(super) method: &'static str,
    pub(super) params: Value,
}

/// All requests after the lists, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Conversation {
    pub(super) steps: Vec<Step>,
    tools: usize,
    sets: usize,
}

impl Conversation {
    /// The conversation that the lists of a server give rise to, in the order of [`LISTS`].
    pub(super) fn new(server: &str, lists: &[Value]) -> Self {
        let mut conversation = Self::default();
        for ((method, key), list) in LISTS.iter().zip(lists) {
            for entry in list["result"][key].as_array().into_iter().flatten() {
                match *method {
                    "tools/list" => conversation.call(server, entry),
                    "resources/list" => conversation.add("resources/read", json!({ "uri": entry["uri"] })),
                    "prompts/list" => conversation.prompt(entry),
                    _ => {}
                }
            }
        }
        conversation.add("resources/read", json!({ "uri": "nowhere://at/all" }));
        conversation.add("prompts/get", json!({ "name": "no such prompt" }));
        conversation.add("tools/call", json!({ "name": "no such tool", "arguments": {} }));
        // Whoever takes notifications has taken those that came before the answer to this.
        conversation.add("ping", json!({}));
        conversation
    }

    pub(super) fn tools(&self) -> usize {
        self.tools
    }

    pub(super) fn summary(&self) -> String {
        format!("{} tools, {} sets of arguments, {} requests", self.tools, self.sets, self.steps.len() + LISTS.len())
    }

    fn add(&mut self, method: &'static str, params: Value) {
        self.steps.push(Step { label: format!("{method} {params}"), method, params });
    }

    fn call(&mut self, server: &str, tool: &Value) {
        let name = tool["name"].as_str().unwrap_or_default();
        // By name, because not every server lists its tools in the same order each time.
        let seed = name.bytes().fold(SEED, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        self.tools += 1;
        for set in schema_arguments::argument_sets(&tool["inputSchema"], &pins(server, name), seed) {
            let params = json!({ "name": name, "arguments": set.arguments });
            self.sets += 1;
            self.steps.push(Step { label: format!("{name}, {:?}: {params}", set.kind), method: "tools/call", params });
        }
    }

    fn prompt(&mut self, prompt: &Value) {
        let arguments = prompt["arguments"].as_array().into_iter().flatten();
        let arguments: Value =
            arguments.filter_map(|argument| Some((argument["name"].as_str()?.to_owned(), json!("1")))).collect();
        self.add("prompts/get", json!({ "name": prompt["name"] }));
        self.add("prompts/get", json!({ "name": prompt["name"], "arguments": arguments }));
    }
}

/// Where a schema does not say what a value does.
fn pins(server: &str, tool: &str) -> Pins {
    match (server, tool) {
        // Takes ten seconds by default.
        ("everything", "trigger-long-running-operation") => {
            Pins::from([("duration", vec![json!(0.01), json!(0.05)]), ("steps", vec![json!(1), json!(3), json!(5)])])
        }
        // Reaches for the network by default.
        ("everything", "gzip-file-as-resource") => {
            Pins::from([("data", vec![json!("data:text/plain,hello"), json!("data:,"), json!("ftp://localhost/")])])
        }
        // The schema says text. Zones without daylight saving time, so that a change of it cannot fall into a run.
        ("time", "get_current_time") => Pins::from([("timezone", zones())]),
        ("time", "convert_time") => Pins::from([
            ("source_timezone", zones()),
            ("target_timezone", zones()),
            ("time", vec![json!("12:30"), json!("00:00"), json!("25:61"), json!("noon")]),
        ]),
        ("demo", "countdown") => Pins::from([
            ("steps", vec![json!(0), json!(1), json!(3)]),
            ("delay_ms", vec![json!(0), json!(1), json!(5)]),
        ]),
        // Its schemas say nothing.
        ("plain", "echo") => {
            Pins::from([("text", vec![json!("hello"), json!(""), json!("ünïcödé 🦀 \" \\ \u{0} \u{2028}")])])
        }
        ("plain", "sleep") => Pins::from([("ms", vec![json!(0), json!(1), json!(5)])]),
        ("plain", "fill") => Pins::from([("bytes", vec![json!(0), json!(1), json!(65_536), json!(1_000_000)])]),
        _ => Pins::new(),
    }
}

fn zones() -> Vec<Value> {
    ["UTC", "Asia/Tokyo", "Asia/Kathmandu", "America/Bogota", "Nowhere/Land", ""].map(Value::from).to_vec()
}
