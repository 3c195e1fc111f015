//! Secrets in a JSON text, masked so that it stays one.
//!
//! A secret is in a string or is a number. Strings are searched as what they mean
//! and changed as what they are: `\u0040` is an at sign, `\n` is no letter `n`,
//! and what is not a secret keeps the very bytes that it had. A number that is
//! one of a card becomes `0`, for a label would be no number. Everything else
//! passes.
//!
//! The names of members are strings too. Where two secrets are names in one
//! object, it has one name twice afterwards.

use std::ops::Range;

use memchr::memchr2;

use crate::patterns;

/// A text with its secrets masked.
#[derive(Debug, PartialEq)]
pub(crate) struct Masked {
    pub(crate) text: Vec<u8>,
    /// How many there were. Never 0.
    pub(crate) count: u64,
}

/// Masks the secrets in a JSON text. None if there are none.
pub(crate) fn mask(json: &[u8]) -> Option<Masked> {
    let mut masking = Masking { json, text: Vec::new(), copied: 0, count: 0 };
    let mut at = 0;
    while let Some(&byte) = json.get(at) {
        let end = match byte {
            b'"' => masking.string(at + 1),
            b'-' | b'0'..=b'9' => {
                let end = at + json[at..].iter().take_while(|byte| is_number(byte)).count();
                if patterns::is_card(&json[at..end]) {
                    masking.replace(at..end, b"0");
                }
                end - 1
            }
            _ => at,
        };
        at = end + 1;
    }
    masking.finish()
}

/// What a number is made of.
fn is_number(byte: &u8) -> bool {
    byte.is_ascii_digit() || b"+-.eE".contains(byte)
}

struct Masking<'a> {
    json: &'a [u8],
    /// What has been written.
    text: Vec<u8>,
    /// How much of `json` that is about.
    copied: usize,
    count: u64,
}

impl Masking<'_> {
    /// Masks the string whose content begins at `from`, and gives where it ends: its closing quote.
    ///
    /// What an escape of two characters stands for is part of no pattern (RFC 8259, section 7), so the string is read in
    /// pieces between those. Only an escape by number may stand for a letter.
    fn string(&mut self, from: usize) -> usize {
        let json = self.json;
        let (mut piece, mut by_number) = (from, false);
        let mut at = from;
        while let Some(next) = json.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
            at += next;
            if json[at] == b'\\' && json.get(at + 1) == Some(&b'u') {
                by_number = true;
                at += 2;
                continue;
            }
            self.piece(piece..at, by_number);
            if json[at] == b'"' {
                return at;
            }
            at += 2;
            (piece, by_number) = (at, false);
        }
        json.len()
    }

    fn piece(&mut self, piece: Range<usize>, by_number: bool) {
        let source = &self.json[piece.clone()];
        if !by_number {
            for (secret, kind) in patterns::find(source) {
                self.replace(piece.start + secret.start..piece.start + secret.end, kind.label());
            }
            return;
        }
        let mut walk = Walk { source, place: 0, at: 0 };
        for (secret, kind) in patterns::find(&content(source)) {
            let begin = piece.start + walk.to(secret.start);
            let end = piece.start + walk.to(secret.end);
            self.replace(begin..end, kind.label());
        }
    }

    fn replace(&mut self, part: Range<usize>, label: &[u8]) {
        // At once as large as it can become: a text that grows takes twice its room on the way.
        if self.count == 0 {
            self.text.reserve_exact(self.json.len());
        }
        self.text.extend_from_slice(&self.json[self.copied..part.start]);
        self.text.extend_from_slice(label);
        self.copied = part.end;
        self.count += 1;
    }

    fn finish(mut self) -> Option<Masked> {
        if self.count == 0 {
            return None;
        }
        self.text.extend_from_slice(&self.json[self.copied..]);
        Some(Masked { text: self.text, count: self.count })
    }
}

/// What a piece of a string means, as far as patterns go: a byte for each that is not escaped, and a byte for each escape.
fn content(piece: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(piece.len());
    let mut at = 0;
    while let Some((meant, length)) = next(piece, at) {
        content.push(meant);
        at += length;
    }
    content
}

/// From places in the content of a piece to those in the piece. It is walked once more for that: a table of all places would
/// be several times as large as the piece.
struct Walk<'a> {
    source: &'a [u8],
    /// How far it is, in the content and in the piece.
    place: usize,
    at: usize,
}

impl Walk<'_> {
    /// Where the byte of the content at `place` begins, which lies behind the one before.
    fn to(&mut self, place: usize) -> usize {
        while self.place < place
            && let Some((_, length)) = next(self.source, self.at)
        {
            self.place += 1;
            self.at += length;
        }
        self.at.min(self.source.len())
    }
}

/// What stands at a place of a piece, and how long it is. Of a character that is escaped and not ASCII it does not matter which
/// it is, for no pattern has one.
fn next(piece: &[u8], at: usize) -> Option<(u8, usize)> {
    const OTHER: u8 = 0xff;
    const LENGTH: usize = b"\\u0000".len();

    match *piece.get(at)? {
        b'\\' => {
            let digits = piece.get(at + 2..at + LENGTH).and_then(|digits| std::str::from_utf8(digits).ok());
            let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            Some((code.filter(u8::is_ascii).unwrap_or(OTHER), LENGTH))
        }
        byte => Some((byte, 1)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn masked(json: &str) -> String {
        mask(json.as_bytes()).map_or_else(|| json.to_owned(), |masked| String::from_utf8(masked.text).unwrap())
    }

    #[test]
    fn secrets_in_strings_are_masked_and_the_rest_keeps_its_bytes() {
        let json = r#"{ "text" : "to a@b.cc\u002c \"ok\" é", "n": [4111111111111111, 4.0e1, -4111111111111111] }"#;

        let Masked { text, count } = mask(json.as_bytes()).unwrap();

        let expected = r#"{ "text" : "to [mail]\u002c \"ok\" é", "n": [0, 4.0e1, -4111111111111111] }"#;
        assert_eq!((std::str::from_utf8(&text).unwrap(), count), (expected, 2));
    }

    #[test]
    fn an_escape_is_read_as_what_it_means() {
        // An at sign; a letter of a prefix; a line break that is not the letter n; JSON within JSON.
        assert_eq!(masked(r#""alice\u0040example.com""#), r#""[mail]""#);
        assert_eq!(masked(r#""\u0073k-0123456789abcdef""#), r#""[token]""#);
        assert_eq!(masked(r#""keys:\nsk-0123456789abcdef\n""#), r#""keys:\n[token]\n""#);
        assert_eq!(masked(r#""{\"mail\":\"a@b.cc\"}""#), r#""{\"mail\":\"[mail]\"}""#);
        assert_eq!(masked(r#""\ud83d\ude00a@b.cc\ud800""#), r#""\ud83d\ude00[mail]\ud800""#);
        assert_eq!(masked(r#""\\a@b.cc""#), r#""\\[mail]""#);
    }

    #[test]
    fn names_of_members_are_masked_too() {
        assert_eq!(masked(r#"{"a@b.cc":1}"#), r#"{"[mail]":1}"#);
    }

    #[test]
    fn where_there_is_no_secret_there_is_no_copy() {
        for json in ["", "null", r#"{"text":"nobody \"here\""}"#, "[1,2.5e3]", r#"["a@","b.cc"]"#] {
            assert_eq!(mask(json.as_bytes()), None);
        }
    }

    #[test]
    fn what_is_cut_off_is_read_to_its_end() {
        for json in [r#"""#, r#""\"#, r#""\u"#, r#""\u00"#, r#""\u004é"#, r#""a@b.cc\"#] {
            mask(json.as_bytes());
        }
    }

    /// JSON with secrets here and there, some of them escaped.
    fn json() -> impl Strategy<Value = String> {
        let text =
            "([a-z@. ]|\\\\n|\\\\\"|\\\\\\\\|\\\\u0040|\\\\ud800|a@b\\.cc|sk-[a-z0-9]{16}|5555 5555 5555 4444|é){0,8}";
        let leaf = prop_oneof![
            text.prop_map(|text| format!("\"{text}\"")),
            Just("4111111111111111".to_owned()),
            any::<i64>().prop_map(|number| number.to_string()),
            Just("null".to_owned()),
        ];
        leaf.prop_recursive(3, 32, 4, move |inner| {
            let member = (text, inner.clone()).prop_map(|(name, value)| format!("\"{name}\" : {value}"));
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
                prop::collection::vec(member, 0..4).prop_map(|members| format!("{{{}}}", members.join(","))),
            ]
        })
    }

    /// How a value looks from afar, names aside.
    fn shape(value: &Value) -> String {
        match value {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            Value::Number(_) => "number".to_owned(),
            Value::String(_) => "string".to_owned(),
            Value::Array(items) => format!("[{}]", items.iter().map(shape).collect::<Vec<_>>().join(",")),
            Value::Object(_) => "object".to_owned(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn json_stays_json_of_the_same_shape_grows_by_nothing_and_keeps_no_secret(json in json()) {
            let masked = masked(&json);

            prop_assert!(masked.len() <= json.len());
            prop_assert_eq!(mask(masked.as_bytes()), None, "{}", masked);
            // Half of a pair of surrogates is JSON, but not for this reader.
            if let Ok(before) = serde_json::from_str::<Value>(&json) {
                let after: Value = serde_json::from_str(&masked).unwrap();
                prop_assert_eq!(shape(&before), shape(&after));
            }
        }
    }
}
