//! From the bytes of a file to a syntax tree that knows its lines.
//!
//! Comments and trailing commas are allowed, because people have them in these files. Everything else is JSON to the
//! letter: a parser that also guesses what a missing comma meant hides the mistake from every other program that reads
//! the file.

use jsonc_parser::{CollectOptions, ParseOptions, ast::Value, parse_to_ast};

/// Why bytes are not a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DocumentError {
    /// Nothing but space and comments.
    Empty,
    /// Not text; with the line of the first byte that is not.
    NotUtf8 { line: usize },
    /// Not JSON.
    NotJson { line: usize, column: usize, problem: String },
}

/// The byte order mark, with which some editors begin a file (RFC 8259, section 8.1 lets a reader ignore it).
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text of a document, without a byte order mark.
pub(super) fn decode(bytes: &[u8]) -> Result<&str, DocumentError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| DocumentError::NotUtf8 { line: count_lines(&bytes[..error.valid_up_to()]) })?;
    Ok(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text))
}

/// The value that the text of a document holds.
pub(super) fn parse(text: &str) -> Result<Value<'_>, DocumentError> {
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
    };
    let parsed = parse_to_ast(text, &CollectOptions::default(), &options).map_err(|error| DocumentError::NotJson {
        line: error.line_display(),
        column: error.column_display(),
        problem: uncapitalized(&error.kind().to_string()),
    })?;
    parsed.value.ok_or(DocumentError::Empty)
}

/// Finds the lines of byte offsets in a text.
#[derive(Debug)]
pub(super) struct Lines {
    /// Offsets at which the second and later lines begin, ascending.
    starts: Vec<usize>,
}

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        Self { starts: text.match_indices('\n').map(|(offset, _)| offset + 1).collect() }
    }

    /// The line of a byte offset, counted from 1.
    pub(super) fn at(&self, offset: usize) -> usize {
        1 + self.starts.partition_point(|start| *start <= offset)
    }
}

/// The line in which the byte after `bytes` stands, counted from 1.
fn count_lines(bytes: &[u8]) -> usize {
    1 + bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// Our errors begin in lower case; the parser's do not.
fn uncapitalized(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next();
    first.into_iter().flat_map(char::to_lowercase).chain(characters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_trailing_commas_are_allowed() {
        for text in ["{\"a\": 1,}", "// x\n{\"a\": /* y */ [1, 2,],} // z"] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn other_dialects_are_not_json() {
        for text in ["{a: 1}", "{'a': 1}", "{\"a\": 0x1}", "{\"a\": +1}", "{\"a\": 1 \"b\": 2}", "{} {}", "a: 1"] {
            assert!(matches!(parse(text), Err(DocumentError::NotJson { .. })), "{text}");
        }
    }

    #[test]
    fn a_syntax_error_has_a_line_and_a_column() {
        let error = parse("{\n  \"a\": 1\n  \"b\": 2\n}").expect_err("a comma is missing");

        assert_eq!(error, DocumentError::NotJson { line: 2, column: 9, problem: "expected comma".into() });
    }

    #[test]
    fn nothing_but_space_and_comments_is_empty() {
        for text in ["", " \n\t", "// nothing yet\n", "/* nothing */"] {
            assert!(matches!(parse(text), Err(DocumentError::Empty)), "{text:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_ignored() {
        assert_eq!(decode(b"\xef\xbb\xbf{}"), Ok("{}"));
    }

    #[test]
    fn bytes_that_are_not_text_have_a_line() {
        assert_eq!(decode(b"{\n\n\xff}"), Err(DocumentError::NotUtf8 { line: 3 }));
    }

    #[test]
    fn nesting_without_end_is_an_error_and_no_overflow() {
        assert!(matches!(parse(&"[".repeat(1 << 20)), Err(DocumentError::NotJson { .. })));
    }

    #[test]
    fn offsets_find_their_lines() {
        let lines = Lines::of("a\nbc\n\nd");

        assert_eq!([0, 1, 2, 4, 5, 6, 7].map(|offset| lines.at(offset)), [1, 1, 2, 2, 3, 4, 4]);
    }
}
