//! Variables in the texts of a configuration file.
//!
//! | written | gives |
//! |---|---|
//! | `${NAME}`, `${env:NAME}` | the value of the variable; an error if it is not set |
//! | `${NAME:-text}`, `${env:NAME:-text}` | the value, or `text` if it is not set or empty, as in a shell |
//! | `${secret:NAME}` | in `env`: the secret of that name, which is asked for when the server is started |
//! | `$${` | a literal `${` |
//! | any other `$` | itself |
//!
//! A value is taken as it is: a `${` inside a value is not looked at again, so nobody who controls one variable can
//! read another through it. There are no defaults inside defaults.

use std::{fmt, ops::Range};

use thiserror::Error;

use super::Environment;
use crate::names::SecretName;

/// Most bytes that the texts of one file may come to once their variables are filled in: 4 MiB.
///
/// About twice what Linux lets a process have as arguments and environment. A file of a few bytes per mention could
/// otherwise repeat one large variable a hundred thousand times.
pub const MAX_EXPANDED_BYTES: usize = 4 << 20;

/// Bytes of the name of a secret. Stores have paths as names; none of them is a file's content by mistake.
const LONGEST_SECRET_NAME: usize = 256;

/// A text of a configuration file with its variables filled in.
///
/// Shows itself as it is written in the file, never with the values of its variables; for the same reason there is no
/// `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Expanded {
    written: String,
    value: String,
    /// What of the value does not stand in the file, in order.
    references: Vec<(Range<usize>, Reference)>,
}

/// What a part of a value is there for.
#[derive(Clone, PartialEq, Eq)]
enum Reference {
    Variable,
    Secret(SecretName),
}

/// A piece of a text.
pub(crate) enum Part<'a> {
    /// As it stands in the file.
    Text(&'a str),
    /// The value of a variable.
    Variable(&'a str),
    /// A secret, which has no value here.
    Secret(&'a SecretName),
}

impl Expanded {
    /// A text in which nothing is filled in.
    pub(super) fn as_written(written: &str) -> Self {
        Self { written: written.to_owned(), value: written.to_owned(), references: Vec::new() }
    }

    /// The text in its pieces, none of them empty.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let mut at = 0;
        let end = (self.value.len()..self.value.len(), None);
        let references = self.references.iter().map(|(range, reference)| (range.clone(), Some(reference)));
        references
            .chain([end])
            .flat_map(move |(range, reference)| {
                let before = Part::Text(&self.value[at..range.start]);
                at = range.end;
                let value = &self.value[range];
                [
                    before,
                    match reference {
                        Some(Reference::Secret(name)) => Part::Secret(name),
                        Some(Reference::Variable) => Part::Variable(value),
                        None => Part::Text(value),
                    },
                ]
            })
            .filter(|part| !matches!(part, Part::Text("") | Part::Variable("")))
    }

    /// Whether it names a secret.
    pub(super) fn has_secrets(&self) -> bool {
        self.references.iter().any(|(_, reference)| matches!(reference, Reference::Secret(_)))
    }

    /// The text with its variables filled in, which may be secrets. `${secret:NAME}` stands there as it is written.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The text as it is written in the file.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }
}

impl fmt::Debug for Expanded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.written, f)
    }
}

/// Why a text could not be expanded. Names variables, never their values.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum ExpandError {
    #[error("the variable {0} is not set")]
    NotSet(String),
    #[error("the value of the variable {0} is not valid UTF-8")]
    NotUnicode(String),
    #[error("a \"${{\" is not closed by a \"}}\"")]
    Unterminated,
    // What stands there may be a secret in the wrong place, so it is not repeated.
    #[error("a \"${{...}}\" does not hold the name of a variable")]
    NotAName,
    #[error("a \"${{...}}\" stands inside another")]
    Nested,
    #[error("\"${{input:...}}\" asks an editor for a value")]
    Input,
    #[error("a \"${{secret:...}}\" does not hold the name of a secret")]
    NotASecretName,
    #[error("with this text, the file comes to more than {} MiB once its variables are filled in", MAX_EXPANDED_BYTES >> 20)]
    TooLarge,
}

impl ExpandError {
    /// What to do about it.
    pub(super) fn hint(&self) -> String {
        match self {
            Self::NotSet(name) => {
                format!("set it, or give a default: \"${{{name}:-...}}\"")
            }
            Self::NotUnicode(_) => "give it a value that is text".to_owned(),
            Self::Unterminated | Self::NotAName | Self::Nested => {
                "write \"${NAME}\" or \"${NAME:-default}\", and \"$${\" for a literal \"${\"".to_owned()
            }
            Self::NotASecretName => {
                "write \"${secret:NAME}\": letters, digits, \".\", \"_\", \"-\" and \"/\", without a default".to_owned()
            }
            Self::TooLarge => "pass large values to the server in a file".to_owned(),
            Self::Input => "put the value into an environment variable and write \"${NAME}\"".to_owned(),
        }
    }
}

/// Fills in the variables of `text`, to at most `limit` bytes.
pub(super) fn expand(text: &str, environment: &Environment<'_>, limit: usize) -> Result<Expanded, ExpandError> {
    let mut expanded = String::new();
    let mut references = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, reference) = (&rest[..start], &rest[start + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = reference;
            continue;
        }
        let end = reference.find('}').ok_or(ExpandError::Unterminated)?;
        expanded.push_str(before);
        let begin = expanded.len();
        let kind = match resolve(&reference[..end], environment)? {
            Resolved::Default(text) => {
                expanded.push_str(text);
                None
            }
            Resolved::Value(value) => {
                expanded.push_str(&value);
                Some(Reference::Variable)
            }
            Resolved::Secret(name) => {
                expanded.push_str(&rest[start..=start + 2 + end]);
                Some(Reference::Secret(name))
            }
        };
        references.extend(kind.map(|kind| (begin..expanded.len(), kind)));
        if expanded.len() > limit {
            return Err(ExpandError::TooLarge);
        }
        rest = &reference[end + 1..];
    }
    expanded.push_str(rest);
    if expanded.len() > limit {
        return Err(ExpandError::TooLarge);
    }
    Ok(Expanded { written: text.to_owned(), value: expanded, references })
}

/// What a reference stands for.
enum Resolved<'t> {
    /// The value of a variable.
    Value(String),
    /// The text that the file has in its place.
    Default(&'t str),
    Secret(SecretName),
}

/// What is to stand in place of what stands between `${` and `}`.
fn resolve<'t>(reference: &'t str, environment: &Environment<'_>) -> Result<Resolved<'t>, ExpandError> {
    if reference.contains("${") {
        return Err(ExpandError::Nested);
    }
    if let Some(name) = reference.strip_prefix("secret:") {
        return if is_secret_name(name) { Ok(Resolved::Secret(name.into())) } else { Err(ExpandError::NotASecretName) };
    }
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    if name.starts_with("input:") {
        return Err(ExpandError::Input);
    }
    let name = name.strip_prefix("env:").unwrap_or(name);
    if !is_variable_name(name) {
        return Err(ExpandError::NotAName);
    }

    match (environment(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(Resolved::Default(default)),
        (Some(value), _) => {
            value.into_string().map(Resolved::Value).map_err(|_| ExpandError::NotUnicode(name.to_owned()))
        }
        (None, Some(default)) => Ok(Resolved::Default(default)),
        (None, None) => Err(ExpandError::NotSet(name.to_owned())),
    }
}

/// What stores have as names, paths among them, and nothing that a terminal or a log would take for something else.
fn is_secret_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    (1..=LONGEST_SECRET_NAME).contains(&name.len()) && name.bytes().all(plain)
}

/// What POSIX calls a name (XBD 3.216): letters, digits and underscores, not beginning with a digit.
fn is_variable_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn environment(name: &str) -> Option<OsString> {
        match name {
            "HOME" => Some("/home/ada".into()),
            "EMPTY" => Some("".into()),
            "TRICK" => Some("${HOME}".into()),
            _ => None,
        }
    }

    fn expand(text: &str) -> Result<String, ExpandError> {
        super::expand(text, &environment, 100).map(|expanded| expanded.value)
    }

    #[test]
    fn variables_are_filled_in_where_they_stand() {
        let cases = [
            ("", ""),
            ("plain", "plain"),
            ("${HOME}", "/home/ada"),
            ("${env:HOME}", "/home/ada"),
            ("a${HOME}b${HOME}c", "a/home/adab/home/adac"),
            ("ü${HOME}ü", "ü/home/adaü"),
            ("${EMPTY}", ""),
        ];

        for (text, value) in cases {
            assert_eq!(expand(text).as_deref(), Ok(value), "{text}");
        }
    }

    #[test]
    fn a_default_stands_in_for_a_variable_that_is_unset_or_empty() {
        let cases = [
            ("${NONE:-UTC}", "UTC"),
            ("${env:NONE:-UTC}", "UTC"),
            ("${EMPTY:-UTC}", "UTC"),
            ("${HOME:-UTC}", "/home/ada"),
            ("${NONE:-}", ""),
            ("${NONE:-a:-b}", "a:-b"),
            ("${NONE:-$5 {}", "$5 {"),
        ];

        for (text, value) in cases {
            assert_eq!(expand(text).as_deref(), Ok(value), "{text}");
        }
    }

    #[test]
    fn a_dollar_that_opens_nothing_is_itself() {
        for text in ["$", "$$", "$HOME", "cost: 5$", "$(ls)", "}"] {
            assert_eq!(expand(text).as_deref(), Ok(text), "{text}");
        }
    }

    #[test]
    fn a_doubled_dollar_keeps_a_brace_literal() {
        assert_eq!(expand("$${HOME}").as_deref(), Ok("${HOME}"));
        assert_eq!(expand("$${").as_deref(), Ok("${"));
    }

    #[test]
    fn a_value_is_not_expanded_again() {
        assert_eq!(expand("${TRICK}").as_deref(), Ok("${HOME}"));
    }

    #[test]
    fn an_unset_variable_is_named() {
        assert_eq!(expand("x${NONE}"), Err(ExpandError::NotSet("NONE".into())));
        assert_eq!(expand("${env:NONE}"), Err(ExpandError::NotSet("NONE".into())));
    }

    #[test]
    fn what_is_not_a_reference_is_an_error() {
        let cases = [
            ("${", ExpandError::Unterminated),
            ("${HOME", ExpandError::Unterminated),
            ("${}", ExpandError::NotAName),
            ("${1A}", ExpandError::NotAName),
            ("${A B}", ExpandError::NotAName),
            ("${cmd:ls}", ExpandError::NotAName),
            ("${:-x}", ExpandError::NotAName),
            ("${NONE:-${HOME}}", ExpandError::Nested),
            ("${input:token}", ExpandError::Input),
        ];

        for (text, error) in cases {
            assert_eq!(expand(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_secret_is_kept_as_a_name_among_the_pieces_of_its_text() {
        let text = "$${a}${secret:team/api-key.v2}ü${HOME}${NONE:-x}${secret:b}";

        let expanded = super::expand(text, &environment, 100).expect("a text with two secrets");

        assert_eq!(expanded.value(), "${a}${secret:team/api-key.v2}ü/home/adax${secret:b}");
        assert!(expanded.has_secrets());
        let parts = expanded.parts().map(|part| match part {
            Part::Text(text) => format!("text {text}"),
            Part::Variable(value) => format!("variable {value}"),
            Part::Secret(name) => format!("secret {name}"),
        });
        let expected = ["text ${a}", "secret team/api-key.v2", "text ü", "variable /home/ada", "text x", "secret b"];
        assert_eq!(parts.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_secret_that_is_doubly_marked_or_written_in_a_value_is_none() {
        let environment = |_: &str| Some(OsString::from("${secret:a}"));

        for text in ["$${secret:a}", "${TRICK}", "$secret:a"] {
            let expanded = super::expand(text, &environment, 100).expect("a text");
            assert!(!expanded.has_secrets(), "{text}");
        }
    }

    #[test]
    fn what_names_no_secret_is_an_error() {
        let long = format!("${{secret:{}}}", "x".repeat(LONGEST_SECRET_NAME + 1));
        for text in ["${secret:}", "${secret:a b}", "${secret:a:-b}", "${secret:\u{1b}}", &long] {
            assert_eq!(expand(text), Err(ExpandError::NotASecretName), "{text:?}");
        }
    }

    #[test]
    fn expansion_stops_at_its_bound() {
        let at_the_bound = format!("{}${{HOME}}", "x".repeat(91));
        let beyond = format!("x{at_the_bound}");

        assert_eq!(expand(&at_the_bound).map(|text| text.len()), Ok(100));
        assert_eq!(expand(&beyond), Err(ExpandError::TooLarge));
        assert_eq!(expand(&"${HOME}".repeat(1_000_000)), Err(ExpandError::TooLarge));
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_not_text_is_an_error() {
        use std::os::unix::ffi::OsStringExt;
        let environment = |_: &str| Some(OsString::from_vec(vec![0xff]));

        let error = super::expand("${RAW}", &environment, 100).err();
        assert_eq!(error, Some(ExpandError::NotUnicode("RAW".into())));
    }
}
