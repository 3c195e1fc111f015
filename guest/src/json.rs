//! Reading JSON without building it.
//!
//! Payloads pass through a guest as bytes, so all that has to be known of most
//! of them is where they begin and end. These functions walk over one level of a
//! text and hand out the parts as slices of it; what lies deeper is checked for
//! well-formedness and skipped, without recursion, however deep it is.

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Why a text is not what it should be.
///
/// Says where, never what was found there: such a text may be anything that a
/// server printed, and these messages end in logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    NotUtf8 { at: usize },
    NotJson { line: usize, column: usize },
    NotAnObject,
    NotAnArray,
    Because(&'static str),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::NotUtf8 { at } => write!(f, "not UTF-8 at byte {at}"),
            Malformed::NotJson { line, column } => {
                write!(f, "not JSON at line {line}, column {column}")
            }
            Malformed::NotAnObject => f.write_str("not a JSON object"),
            Malformed::NotAnArray => f.write_str("not a JSON array"),
            Malformed::Because(reason) => f.write_str(reason),
        }
    }
}

/// A visitor may end the walk with a reason.
pub(crate) type Visit = Result<(), &'static str>;

type VisitMember<'v, 'a> = &'v mut dyn FnMut(Cow<'a, str>, &'a str) -> Visit;
type VisitElement<'v, 'a> = &'v mut dyn FnMut(&'a str) -> Visit;

/// Puts `value` into `slot`, unless the object said the same thing before.
pub(crate) fn set<T>(slot: &mut Option<T>, value: T, twice: &'static str) -> Visit {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(twice),
    }
}

/// The bytes as text.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| Malformed::NotUtf8 {
        // The fast look does not say where; nobody waits for the slow one.
        at: str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len),
    })
}

/// Walks over the members of an object: their names, and the text of their
/// values.
pub(crate) fn members<'a>(
    text: &'a str,
    mut visit: impl FnMut(Cow<'a, str>, &'a str) -> Visit,
) -> Result<(), Malformed> {
    walk_members(text, &mut visit)
}

/// One instance for all visitors: the component is compiled whenever a host loads
/// it, so its size is part of every start.
fn walk_members<'a>(text: &'a str, visit: VisitMember<'_, 'a>) -> Result<(), Malformed> {
    if !is_object(text) {
        return Err(not(text, Malformed::NotAnObject));
    }
    let mut rejected = None;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer
        .deserialize_map(Members { visit, rejected: &mut rejected })
        .and_then(|()| deserializer.end())
        .map_err(|error| why(&error, rejected))
}

/// Walks over the elements of an array: the text of each.
pub(crate) fn elements<'a>(text: &'a str, mut visit: impl FnMut(&'a str) -> Visit) -> Result<(), Malformed> {
    walk_elements(text, &mut visit)
}

fn walk_elements<'a>(text: &'a str, visit: VisitElement<'_, 'a>) -> Result<(), Malformed> {
    if !is_array(text) {
        return Err(not(text, Malformed::NotAnArray));
    }
    let mut rejected = None;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer
        .deserialize_seq(Elements { visit, rejected: &mut rejected })
        .and_then(|()| deserializer.end())
        .map_err(|error| why(&error, rejected))
}

/// Whether the text is JSON.
pub(crate) fn check(text: &str) -> Result<(), Malformed> {
    serde_json::from_str::<de::IgnoredAny>(text).map(drop).map_err(|error| why(&error, None))
}

/// What a string says; none if the text is not that of a string.
pub(crate) fn string(text: &str) -> Option<Cow<'_, str>> {
    match serde_json::from_str(text) {
        Ok(Text(string)) => Some(string),
        Err(_) => None,
    }
}

/// The text of a string.
pub(crate) fn quoted(string: &str) -> String {
    // Serialising a string into memory cannot fail.
    serde_json::to_string(string).unwrap_or_default()
}

/// Whether the text is that of an object, going by its first byte.
pub(crate) fn is_object(text: &str) -> bool {
    first(text) == Some(b'{')
}

/// Whether the text is that of an array, going by its first byte.
pub(crate) fn is_array(text: &str) -> bool {
    first(text) == Some(b'[')
}

/// The text of well-formed JSON on a single line.
///
/// JSON allows a raw line break between tokens only, and no two tokens need one
/// to be told apart: each can simply be left out.
pub(crate) fn single_line(text: &str) -> Cow<'_, str> {
    if is_single_line(text) { Cow::Borrowed(text) } else { Cow::Owned(text.replace(['\n', '\r'], "")) }
}

/// Whether the text holds no line break.
pub(crate) fn is_single_line(text: &str) -> bool {
    memchr::memchr2(b'\n', b'\r', text.as_bytes()).is_none()
}

/// The start of what a server said, safe to put into a message for people.
pub(crate) fn excerpt(text: &str) -> String {
    /// Enough to recognise a version or a name; more is no help in one line.
    const MAX_CHARS: usize = 48;

    let shown: String = text.chars().take(MAX_CHARS).flat_map(char::escape_default).collect();
    if text.chars().nth(MAX_CHARS).is_some() { shown + "..." } else { shown }
}

/// What a server or the host said, safe to put into a message for people: at most
/// so many bytes, of printable ASCII.
pub(crate) fn printable(text: &str, max_bytes: usize) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        let before = shown.len();
        if character == ' ' || character.is_ascii_graphic() {
            shown.push(character);
        } else {
            shown.extend(character.escape_default());
        }
        if shown.len() > max_bytes.saturating_sub("...".len()) {
            shown.truncate(before);
            return shown + "...";
        }
    }
    shown
}

/// A member of an object, if there is just one of that name.
pub(crate) fn member<'a>(object: &'a str, wanted: &str) -> Option<&'a str> {
    let mut found = None;
    members(object, |name, value| if name == wanted { set(&mut found, value, "said twice") } else { Ok(()) }).ok()?;
    found
}

fn first(text: &str) -> Option<u8> {
    text.bytes().find(|byte| !byte.is_ascii_whitespace())
}

/// `otherwise`, if the text is JSON at all.
fn not(text: &str, otherwise: Malformed) -> Malformed {
    check(text).err().unwrap_or(otherwise)
}

fn why(error: &serde_json::Error, rejected: Option<&'static str>) -> Malformed {
    match rejected {
        Some(reason) => Malformed::Because(reason),
        None => Malformed::NotJson { line: error.line(), column: error.column() },
    }
}

fn reject<E: de::Error>(visited: Visit, rejected: &mut Option<&'static str>) -> Result<(), E> {
    visited.map_err(|reason| {
        *rejected = Some(reason);
        E::custom(reason)
    })
}

struct Members<'r, 'de> {
    visit: VisitMember<'r, 'de>,
    rejected: &'r mut Option<&'static str>,
}

impl<'de> Visitor<'de> for Members<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((Text(name), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            reject((self.visit)(name, value.get()), self.rejected)?;
        }
        Ok(())
    }
}

struct Elements<'r, 'de> {
    visit: VisitElement<'r, 'de>,
    rejected: &'r mut Option<&'static str>,
}

impl<'de> Visitor<'de> for Elements<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(value) = seq.next_element::<&'de RawValue>()? {
            reject((self.visit)(value.get()), self.rejected)?;
        }
        Ok(())
    }
}

/// A string, borrowed where it has no escapes: what `Cow<str>` would be, if its
/// own `Deserialize` ever borrowed.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;

        impl<'de> Visitor<'de> for Borrow {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Borrow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(text: &str) -> Result<Vec<(String, String)>, Malformed> {
        let mut found = Vec::new();
        members(text, |name, value| {
            found.push((name.into_owned(), value.to_owned()));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn the_members_of_an_object_are_slices_of_its_text() {
        let text = r#" { "a" : [1, {"b":2}] , "\u0063":"\n" } "#;

        let found = walk(text).unwrap();

        let expected = [("a", r#"[1, {"b":2}]"#), ("c", r#""\n""#)];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_is_no_object_is_told_from_what_is_no_json() {
        assert_eq!(walk("[1]"), Err(Malformed::NotAnObject));
        assert_eq!(walk("\"a secret\""), Err(Malformed::NotAnObject));
        assert_eq!(walk(r#"{"a":}"#), Err(Malformed::NotJson { line: 1, column: 6 }));
        assert_eq!(walk(r#"{"a":1} x"#), Err(Malformed::NotJson { line: 1, column: 9 }));
        assert_eq!(walk("listening on 80"), Err(Malformed::NotJson { line: 1, column: 1 }));
        assert_eq!(elements("{}", |_| Ok(())), Err(Malformed::NotAnArray));
    }

    #[test]
    fn a_reason_ends_the_walk() {
        let walked = members(r#"{"a":1,"a":2}"#, |_, _| Err("said twice"));

        assert_eq!(walked, Err(Malformed::Because("said twice")));
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);

        assert_eq!(check(&deep), Ok(()));
        assert_eq!(walk(&format!(r#"{{"a":{deep}}}"#)).unwrap()[0].1, deep);
        assert!(check(&"[".repeat(1_000_000)).is_err());
    }

    #[test]
    fn a_single_line_says_the_same() {
        let pretty = "{\r\n  \"a\": [\n    1,\n    \"\\n\"\n  ]\n}\n";

        let line = single_line(pretty);

        assert!(is_single_line(&line));
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&line), value(pretty));
        assert!(matches!(single_line("{}"), Cow::Borrowed("{}")));
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt("2025-11-25"), "2025-11-25");
        assert_eq!(excerpt("a\nb"), r"a\nb");
        assert_eq!(excerpt("é"), r"\u{e9}");
        assert_eq!(excerpt(&"x".repeat(1000)).len(), 51);
    }

    #[test]
    fn what_is_printable_stays_and_the_rest_is_escaped_within_a_bound() {
        assert_eq!(printable(r#"Bearer realm="a", scope="b c""#, 100), r#"Bearer realm="a", scope="b c""#);
        assert_eq!(printable("a\r\nb\u{e9}", 100), r"a\r\nb\u{e9}");
        assert_eq!(printable(&"\u{10ffff}".repeat(100), 100).len(), 93);
        assert_eq!(printable(&"x".repeat(1000), 100).len(), 100);
    }
}
