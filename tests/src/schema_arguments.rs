//! Arguments for a tool, made from its input schema: valid ones and all the usual wrong ones.
//!
//! What a client makes of a result is only worth comparing over many results, errors included. So from the schema of a tool
//! come several sets of arguments, one for each way in which callers are right or wrong: see [`Kind`]. The same seed gives the
//! same sets.
//!
//! This knows the part of JSON Schema that tools use, and does not check anything: whether arguments are valid is for the
//! server to say. Where a schema does not tell what a value does (one that makes a tool run for hours, or reach for the
//! network), a test *pins* the property to values of its own.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// What is particular about a set of arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The required properties, valid.
    Minimal,
    /// All properties, valid.
    Full,
    /// All properties but one that is required.
    MissingRequired,
    /// All properties, each of another type than it should be.
    WrongTypes,
    /// All properties, and some that the schema does not know.
    ExtraProperties,
    /// All properties; numbers are at, or just outside of, the bounds of the schema or of what JSON readers take.
    BoundaryNumbers,
    /// All properties; texts are of many scripts, with what JSON and terminals need to escape.
    Unicode,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Minimal,
        Self::Full,
        Self::MissingRequired,
        Self::WrongTypes,
        Self::ExtraProperties,
        Self::BoundaryNumbers,
        Self::Unicode,
    ];
}

/// Arguments for one call.
#[derive(Clone, Debug, PartialEq)]
pub struct ArgumentSet {
    /// What is particular about them.
    pub kind: Kind,
    /// The arguments.
    pub arguments: Map<String, Value>,
}

/// Properties whose values a schema alone should not choose, each with the values to choose from. One that is pinned is in
/// every set, because what is left out has a default.
pub type Pins = BTreeMap<&'static str, Vec<Value>>;

/// Sets fewer than this are not enough to compare by: where kinds coincide, there are more with extra properties.
pub const LEAST_SETS: usize = 5;

/// The sets of arguments for a schema, no two alike.
pub fn argument_sets(schema: &Value, pins: &Pins, seed: u64) -> Vec<ArgumentSet> {
    let mut generator = Generator { schema, pins, random: Random(seed) };
    let mut sets: Vec<ArgumentSet> = Vec::new();
    let more = std::iter::repeat(Kind::ExtraProperties);
    for (number, kind) in Kind::ALL.into_iter().chain(more).enumerate() {
        if number >= Kind::ALL.len() && sets.len() >= LEAST_SETS {
            break;
        }
        let arguments = generator.arguments(kind);
        if sets.iter().all(|set| set.arguments != arguments) {
            sets.push(ArgumentSet { kind, arguments });
        }
    }
    sets
}

/// Pseudo-random numbers from a seed: SplitMix64, whose period and spread are ample here.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(u64::MAX);
        // Less than a `usize`, because less than one that was given.
        usize::try_from(self.next() % bound).unwrap_or_default()
    }

    fn choose<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }
}

/// Schemas that refer to themselves end here.
const DEEPEST: usize = 4;

const WORDS: [&str; 6] = ["one", "two words", "three, or more", "4", "", "line\nbreak"];

const UNICODE: [&str; 6] = [
    "żółć – 漢字 – 한국어",
    "🦀👩‍👩‍👧‍👦 e\u{301}",
    "\u{202e}right to left\u{202c} עברית",
    "quote \" backslash \\ slash / tab \t bell \u{7} nul \u{0}",
    "line separators \u{2028} \u{2029} \u{85} \r\n",
    "\u{feff}noncharacters \u{ffff} \u{10ffff}",
];

struct Generator<'a> {
    schema: &'a Value,
    pins: &'a Pins,
    random: Random,
}

impl Generator<'_> {
    fn arguments(&mut self, kind: Kind) -> Map<String, Value> {
        let required = names(&self.schema["required"]);
        let mut left_out = self.random.choose(&required).filter(|_| kind == Kind::MissingRequired).cloned();
        let mut arguments = Map::new();
        // By name: whether objects keep the order of their text depends on the features of other crates.
        let properties: BTreeMap<_, _> = self.schema["properties"].as_object().into_iter().flatten().collect();
        for (name, schema) in properties {
            let pinned = self.pins.contains_key(name.as_str());
            if kind == Kind::Minimal && !required.contains(name) && !pinned {
                continue;
            }
            if left_out.as_ref() == Some(name) {
                left_out = None;
                continue;
            }
            let value = self.property(name, schema, kind);
            arguments.insert(name.clone(), value);
        }
        // Properties that are pinned, but of which the schema does not say anything.
        for name in self.pins.keys() {
            if !arguments.contains_key(*name) && self.schema["properties"].get(*name).is_none() {
                let value = self.property(name, &Value::Null, kind);
                arguments.insert((*name).to_owned(), value);
            }
        }
        if kind == Kind::ExtraProperties {
            let number = self.random.next() % 1000;
            arguments.insert(format!("extra-{number}"), json!({ "nested": [number, null, "x"] }));
            arguments.insert("__proto__".to_owned(), json!("not a prototype"));
        }
        arguments
    }

    fn property(&mut self, name: &str, schema: &Value, kind: Kind) -> Value {
        let value = match self.pins.get(name) {
            Some(values) => self.random.choose(values).cloned().unwrap_or_default(),
            None if kind == Kind::BoundaryNumbers => self.boundary(schema),
            None => self.valid(schema, DEEPEST),
        };
        match kind {
            Kind::WrongTypes => self.of_another_type(&value),
            Kind::Unicode if value.is_string() => self.one_of(&UNICODE),
            _ => value,
        }
    }

    fn valid(&mut self, schema: &Value, depth: usize) -> Value {
        let schema = self.resolved(schema);
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(values) = schema["enum"].as_array() {
            return self.random.choose(values).cloned().unwrap_or_default();
        }
        if let Some(schemas) = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| schema[*key].as_array()) {
            return self.random.choose(schemas).cloned().map_or(Value::Null, |schema| self.valid(&schema, depth));
        }
        match type_of(&schema) {
            "string" => self.text(&schema),
            "integer" => self.number(&schema).round_integer(),
            "number" => json!(self.number(&schema).0),
            "boolean" => json!(self.random.next().is_multiple_of(2)),
            "null" => Value::Null,
            "array" if depth > 0 => {
                let least = schema["minItems"].as_u64().unwrap_or(1).clamp(1, 3);
                (0..least).map(|_| self.valid(&schema["items"], depth - 1)).collect()
            }
            "object" if depth > 0 => {
                let properties = schema["properties"].as_object().into_iter().flatten();
                properties.map(|(name, schema)| (name.clone(), self.valid(schema, depth - 1))).collect()
            }
            "array" => json!([]),
            "object" => json!({}),
            _ => self.one_of(&WORDS),
        }
    }

    fn text(&mut self, schema: &Value) -> Value {
        match schema["format"].as_str() {
            // No address that anybody would connect to.
            Some("uri" | "url") => json!("data:text/plain,hello"),
            Some("email") => json!("someone@example.com"),
            Some("date") => json!("2024-02-29"),
            Some("date-time") => json!("2024-02-29T12:00:00Z"),
            _ => self.one_of(&WORDS),
        }
    }

    fn number(&mut self, schema: &Value) -> Number {
        let least = bound(schema, ["minimum", "exclusiveMinimum"]).unwrap_or(-100.0);
        let most = bound(schema, ["maximum", "exclusiveMaximum"]).unwrap_or(least + 200.0).min(least + 200.0);
        // Between the two, so that exclusive bounds are no matter.
        let steps = 1 + self.random.below(7);
        let share = f64::from(u8::try_from(steps).unwrap_or(4)) / 8.0;
        Number(least + (most - least) * share)
    }

    fn boundary(&mut self, schema: &Value) -> Value {
        let resolved = self.resolved(schema);
        if !matches!(type_of(&resolved), "integer" | "number") {
            return self.valid(schema, DEEPEST);
        }
        let mut values = vec![json!(0), json!(-1), json!(i64::MAX), json!(1_u64 << 53), json!(0.1), json!(1e300)];
        for keys in [["minimum", "exclusiveMinimum"], ["maximum", "exclusiveMaximum"]] {
            if let Some(bound) = bound(&resolved, keys) {
                values.extend([-1.0, 0.0, 1.0].map(|step| Number(bound + step).round_integer()));
            }
        }
        self.random.choose(&values).cloned().unwrap_or_default()
    }

    fn of_another_type(&mut self, value: &Value) -> Value {
        let others = [json!("text"), json!(7), json!(true), json!([1, "2"]), json!({ "a": 1 }), Value::Null];
        let others: Vec<_> =
            others.into_iter().filter(|other| std::mem::discriminant(other) != std::mem::discriminant(value)).collect();
        self.random.choose(&others).cloned().unwrap_or_default()
    }

    fn one_of(&mut self, texts: &[&str]) -> Value {
        json!(self.random.choose(texts))
    }

    /// The schema that a `$ref` within this document names.
    fn resolved(&self, schema: &Value) -> Value {
        let pointer = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        pointer.and_then(|pointer| self.schema.pointer(pointer)).unwrap_or(schema).clone()
    }
}

struct Number(f64);

impl Number {
    /// The integer next to it, without a fraction in JSON.
    fn round_integer(self) -> Value {
        serde_json::from_str(&format!("{:.0}", self.0)).unwrap_or_else(|_| json!(self.0))
    }
}

fn type_of(schema: &Value) -> &str {
    let kind = &schema["type"];
    let first = kind.as_array().and_then(|types| types.first()).unwrap_or(kind);
    first.as_str().unwrap_or_default()
}

/// Bounds beyond what an integer holds exactly are there for validators, and no use to be near to.
fn bound(schema: &Value, keys: [&str; 2]) -> Option<f64> {
    keys.iter().find_map(|key| schema[*key].as_f64()).filter(|bound| bound.abs() < 1e15)
}

fn names(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "count": { "type": "integer", "minimum": 1, "maximum": 10 },
                "name": { "type": "string" },
                "wait": { "$ref": "#/$defs/Seconds" },
                "mode": { "enum": ["a", "b"] },
            },
            "required": ["count", "name"],
            "$defs": { "Seconds": { "type": "number" } },
        })
    }

    fn set(kind: Kind, pins: &Pins, seed: u64) -> Map<String, Value> {
        let sets = argument_sets(&schema(), pins, seed);
        sets.into_iter().find(|set| set.kind == kind).unwrap().arguments
    }

    #[test]
    fn the_same_seed_gives_the_same_sets_and_another_seed_gives_others() {
        let of = |seed| argument_sets(&schema(), &Pins::new(), seed);

        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn valid_sets_obey_the_schema() {
        for seed in 0..100 {
            let full = set(Kind::Full, &Pins::new(), seed);

            assert!((1..=10).contains(&full["count"].as_i64().unwrap()), "{full:?}");
            assert!(full["wait"].is_f64() && full["name"].is_string(), "{full:?}");
            assert!(["a", "b"].contains(&full["mode"].as_str().unwrap()), "{full:?}");
        }
    }

    #[test]
    fn a_minimal_set_has_what_is_required_and_what_is_pinned() {
        let pins = Pins::from([("wait", vec![json!(0.5)])]);

        let minimal = set(Kind::Minimal, &pins, 1);

        assert_eq!(minimal.keys().collect::<Vec<_>>(), ["count", "name", "wait"]);
        assert_eq!(minimal["wait"], 0.5);
    }

    #[test]
    fn one_required_property_is_missing_where_one_is_to_be() {
        for seed in 0..100 {
            let missing = set(Kind::MissingRequired, &Pins::new(), seed);

            assert_eq!(missing.len(), 3);
            assert!(missing.contains_key("count") != missing.contains_key("name"), "{missing:?}");
        }
    }

    #[test]
    fn wrong_types_are_wrong_everywhere_pins_included() {
        let pins = Pins::from([("wait", vec![json!(0.5)])]);
        for seed in 0..100 {
            let wrong = set(Kind::WrongTypes, &pins, seed);

            assert!(
                !wrong["count"].is_number() && !wrong["name"].is_string() && !wrong["wait"].is_number(),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn a_schema_without_properties_has_enough_sets_all_the_same() {
        for schema in [json!({ "type": "object" }), json!({}), json!({ "type": "object", "properties": {} })] {
            let sets = argument_sets(&schema, &Pins::new(), 1);

            assert!(sets.len() >= LEAST_SETS, "{sets:?}");
        }
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({
            "properties": { "tree": { "$ref": "#/$defs/Tree" } },
            "required": ["tree"],
            "$defs": { "Tree": { "type": "object", "properties": { "left": { "$ref": "#/$defs/Tree" } } } },
        });

        assert!(!argument_sets(&schema, &Pins::new(), 1).is_empty());
    }
}
