//! Reading typed values out of the syntax tree, and keeping what went wrong.
//!
//! A reader that stops at the first problem makes its user fix a file one run at a time. So nothing here returns an
//! error: a value that cannot be used is reported and gives none, and the reader goes on.

use std::{borrow::Cow, collections::BTreeMap, fmt, path::Path};

use jsonc_parser::{
    ast::{Object, ObjectProp, Value},
    common::Ranged,
};

use super::{
    Environment,
    document::Lines,
    duration::DurationError,
    error::{ConfigError, ConfigWarning},
    expand::{ExpandError, Expanded, MAX_EXPANDED_BYTES, expand},
};

/// The way from the top of a file to a key: `mcpServers.github.args[1]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyPath(String);

impl KeyPath {
    /// The path of a member of the object at this path.
    pub(super) fn member(&self, name: &str) -> Self {
        let plain = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || byte == b'$');
        // Quoting also keeps control characters away from the terminal.
        let name = if plain { Cow::from(name) } else { Cow::from(format!("{name:?}")) };
        let separator = if self.0.is_empty() { "" } else { "." };
        Self(format!("{}{separator}{name}", self.0))
    }

    /// The path of an element of the array at this path.
    pub(super) fn element(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The members of an object by name.
pub(super) type Members<'t> = BTreeMap<&'t str, &'t ObjectProp<'t>>;

/// Whether texts may name secrets.
#[derive(Clone, Copy)]
pub(super) enum Secrets {
    Allowed,
    Refused,
}

/// What all readers of one file share.
pub(super) struct Context<'a> {
    file: &'a Path,
    lines: Lines,
    environment: &'a Environment<'a>,
    /// What is left of [`MAX_EXPANDED_BYTES`]. None once it was not enough: that is said once, and what follows is read
    /// without being expanded.
    remaining_bytes: Option<usize>,
    /// Whether variables may be unset: in servers that are disabled, often just because a variable is missing.
    pub(super) tolerate_unset: bool,
    pub(super) errors: Vec<ConfigError>,
    pub(super) warnings: Vec<ConfigWarning>,
}

impl<'a> Context<'a> {
    pub(super) fn new(file: &'a Path, text: &str, environment: &'a Environment<'a>) -> Self {
        Self {
            file,
            lines: Lines::of(text),
            environment,
            remaining_bytes: Some(MAX_EXPANDED_BYTES),
            tolerate_unset: false,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The line of a node of the tree.
    pub(super) fn line(&self, node: &impl Ranged) -> usize {
        self.lines.at(node.start())
    }

    pub(super) fn error(&mut self, node: &impl Ranged, key: &KeyPath, problem: impl Into<String>, hint: &str) {
        self.errors.push(ConfigError {
            file: self.file.to_owned(),
            line: Some(self.line(node)),
            key: named(key),
            problem: problem.into(),
            hint: given(hint),
        });
    }

    pub(super) fn warn(&mut self, node: &impl Ranged, key: &KeyPath, problem: impl Into<String>, hint: &str) {
        self.warnings.push(ConfigWarning {
            file: self.file.to_owned(),
            line: Some(self.line(node)),
            key: named(key),
            problem: problem.into(),
            hint: given(hint),
        });
    }

    /// The members of `value`, which must be an object. Of members that have the same name the first is kept: programs
    /// differ in which one they take, so none is the right one.
    pub(super) fn members<'t>(&mut self, key: &KeyPath, value: &'t Value<'t>) -> Option<Members<'t>> {
        match value {
            Value::Object(object) => Some(self.members_of(key, object)),
            other => self.wrong_type(key, other, "an object", ""),
        }
    }

    fn members_of<'t>(&mut self, key: &KeyPath, object: &'t Object<'t>) -> Members<'t> {
        let mut members = Members::new();
        for property in &object.properties {
            let name = property.name.as_str();
            if let Some(first) = members.get(name) {
                let first = self.line(*first);
                self.error(
                    property,
                    &key.member(name),
                    format!("stands here a second time, after line {first}"),
                    "remove or rename one of the two",
                );
            } else {
                members.insert(name, property);
            }
        }
        members
    }

    pub(super) fn boolean(&mut self, key: &KeyPath, value: &Value<'_>) -> Option<bool> {
        match value {
            Value::BooleanLit(literal) => Some(literal.value),
            other => self.wrong_type(key, other, "true or false", ""),
        }
    }

    /// A string as it is written.
    pub(super) fn string<'t>(&mut self, key: &KeyPath, value: &'t Value<'_>, hint: &str) -> Option<&'t str> {
        match value {
            Value::StringLit(literal) => Some(&literal.value),
            other => self.wrong_type(key, other, "a string", hint),
        }
    }

    /// A number with its unit, as it is written. The text of one without quotes and unit, too: whoever reads it knows best what
    /// to say of that.
    pub(super) fn quantity<'t>(&mut self, key: &KeyPath, value: &'t Value<'_>, hint: &str) -> Option<&'t str> {
        match value {
            Value::NumberLit(number) => Some(number.value),
            other => self.string(key, other, hint),
        }
    }

    /// Reports that a quantity is no duration. `units` is what to do about a number without a unit.
    pub(super) fn refuse_duration(&mut self, key: &KeyPath, value: &Value<'_>, error: DurationError, units: &str) {
        match error {
            DurationError::NoUnit => self.error(value, key, "a bare number has no unit", units),
            error => self.error(value, key, error.to_string(), ""),
        }
    }

    /// A string with its variables filled in, which names no secret.
    pub(super) fn expanded(&mut self, key: &KeyPath, value: &Value<'_>) -> Option<Expanded> {
        let expanded = self.expanded_with_secrets(key, value)?;
        if expanded.has_secrets() {
            let hint = "give it to the server as a variable of \"env\": other processes can read a command line";
            self.error(value, key, "a \"${secret:...}\" can stand in \"env\" only", hint);
            return None;
        }
        Some(expanded)
    }

    /// A string with its variables filled in. It may name secrets.
    fn expanded_with_secrets(&mut self, key: &KeyPath, value: &Value<'_>) -> Option<Expanded> {
        let written = self.string(key, value, "put it in quotes")?;
        match expand(written, self.environment, self.remaining_bytes?) {
            Ok(expanded) => {
                self.remaining_bytes = self.remaining_bytes.map(|remaining| remaining - expanded.value().len());
                Some(expanded)
            }
            Err(error @ ExpandError::NotSet(_)) if self.tolerate_unset => {
                self.warn(value, key, error.to_string(), "the server is disabled, so this can wait");
                Some(Expanded::as_written(written))
            }
            Err(error) => {
                if error == ExpandError::TooLarge {
                    self.remaining_bytes = None;
                }
                self.error(value, key, error.to_string(), &error.hint());
                None
            }
        }
    }

    /// Strings with their variables filled in, in order. `check` looks at each.
    pub(super) fn expanded_array(
        &mut self,
        key: &KeyPath,
        value: &Value<'_>,
        check: fn(&str) -> Result<(), &'static str>,
    ) -> Vec<Expanded> {
        let Value::Array(array) = value else {
            let hint = "write each argument as a string of its own: [\"--name\", \"value\"]";
            return self.wrong_type(key, value, "an array of strings", hint).unwrap_or_default();
        };
        let mut expanded = Vec::new();
        for (index, element) in array.elements.iter().enumerate() {
            let key = key.element(index);
            let Some(text) = self.expanded(&key, element) else { continue };
            match check(text.value()) {
                Ok(()) => expanded.push(text),
                Err(problem) => self.error(element, &key, problem, ""),
            }
        }
        expanded
    }

    /// Strings with their variables filled in, by name. `check` looks at each.
    pub(super) fn expanded_members(
        &mut self,
        key: &KeyPath,
        value: &Value<'_>,
        secrets: Secrets,
        check: fn(&str, &str) -> Result<(), &'static str>,
    ) -> BTreeMap<String, Expanded> {
        let mut expanded = BTreeMap::new();
        for (name, property) in self.members(key, value).unwrap_or_default() {
            let key = key.member(name);
            let text = match secrets {
                Secrets::Allowed => self.expanded_with_secrets(&key, &property.value),
                Secrets::Refused => self.expanded(&key, &property.value),
            };
            let Some(text) = text else { continue };
            match check(name, text.value()) {
                Ok(()) => {
                    expanded.insert(name.to_owned(), text);
                }
                Err(problem) => self.error(property, &key, problem, ""),
            }
        }
        expanded
    }

    /// Reports that `value` is not what was expected, without repeating it.
    pub(super) fn wrong_type<T>(&mut self, key: &KeyPath, value: &Value<'_>, expected: &str, hint: &str) -> Option<T> {
        let found = match value {
            Value::StringLit(_) => "a string",
            Value::NumberLit(_) => "a number",
            Value::BooleanLit(_) => "true or false",
            Value::Object(_) => "an object",
            Value::Array(_) => "an array",
            Value::NullKeyword(_) => "null",
        };
        self.error(value, key, format!("is {found}, but must be {expected}"), hint);
        None
    }
}

fn named(key: &KeyPath) -> Option<String> {
    given(&key.0)
}

fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_path_reads_like_code() {
        let path = KeyPath::default().member("mcpServers").member("git-hub").member("args").element(1);

        assert_eq!(path.to_string(), "mcpServers.git-hub.args[1]");
    }

    #[test]
    fn a_name_that_would_blur_the_path_is_quoted() {
        let servers = KeyPath::default().member("mcpServers");

        assert_eq!(servers.member("my.server").to_string(), "mcpServers.\"my.server\"");
        assert_eq!(servers.member("").to_string(), "mcpServers.\"\"");
        assert_eq!(servers.member("a\u{1b}[31m").to_string(), "mcpServers.\"a\\u{1b}[31m\"");
    }
}
