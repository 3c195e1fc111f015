//! What is taken for a secret in a text, and where it is.
//!
//! Three patterns, each read from a place that gives it away: the at sign of a
//! mail address, the prefix of a token, the first digit of a card's number. Only
//! ASCII is looked at, so a pattern never begins or ends within a character.
//!
//! The time is linear in the length of the text whatever is in it, for the host
//! meters it: a token is read once, a card has a greatest length, and what is
//! read around an at sign ends at the next.

use std::ops::Range;

/// A kind of secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A mail address.
    Mail,
    /// A token or key for the interface of some service.
    Token,
    /// The number of a payment card.
    Card,
}

impl Kind {
    /// What is put in its place. Never longer than the shortest that is masked, so that no result outgrows the limits that
    /// it kept before.
    pub(crate) const fn label(self) -> &'static [u8] {
        match self {
            Self::Mail => b"[mail]",
            Self::Token => b"[token]",
            Self::Card => b"[card]",
        }
    }
}

/// What tokens of well-known services begin with.
const PREFIXES: [&[u8]; 8] = [b"sk-", b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_", b"glpat-"];

/// Bytes behind the prefix with which something is a token. Real ones have more; words have fewer.
const SHORTEST_TOKEN: usize = 16;

/// Digits of the card numbers that are looked for, and of a group in which they are printed.
const CARD: usize = 16;
const GROUP: usize = 4;

/// The secrets in a text, in order. They do not overlap.
pub(crate) const fn find(text: &[u8]) -> Secrets<'_> {
    Secrets { text, floor: 0, at: 0 }
}

/// An iterator, for a text may be little else than secrets.
pub(crate) struct Secrets<'a> {
    text: &'a [u8],
    /// Where the last secret, or the last thing that was none, ended: nothing begins before.
    floor: usize,
    at: usize,
}

impl Iterator for Secrets<'_> {
    type Item = (Range<usize>, Kind);

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.text;
        loop {
            self.at += text.get(self.at..)?.iter().position(|byte| is(GIVES_AWAY, *byte))?;
            let (floor, at) = (self.floor, self.at);
            let secret = match text[at] {
                b'@' => {
                    self.floor = at + 1;
                    mail(text, floor, at).map(|range| (range, Kind::Mail))
                }
                b'0'..=b'9' => card(text, floor, at).map(|end| (at..end, Kind::Card)),
                _ => token(text, floor, at).map(|end| (at..end, Kind::Token)),
            };
            self.at += 1;
            if let Some((range, _)) = &secret {
                self.floor = range.end;
                self.at = range.end;
                return secret;
            }
        }
    }
}

/// Whether a text is the number of a card and nothing else.
pub(crate) fn is_card(text: &[u8]) -> bool {
    text.len() == CARD && card(text, 0, 0) == Some(CARD)
}

/// What a byte may be part of, for all bytes: a text is looked at byte by byte, and most of them are nothing.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    // All patterns are ASCII.
    while byte < 0x80 {
        classes[byte as usize] = classes_of(byte);
        byte += 1;
    }
    let mut prefix = 0;
    while prefix < PREFIXES.len() {
        classes[PREFIXES[prefix][0] as usize] |= GIVES_AWAY;
        prefix += 1;
    }
    classes
};

/// A pattern is read from here.
const GIVES_AWAY: u8 = 1;
/// Letters and digits.
const WORD: u8 = 2;
/// The name in a mail address.
const NAME: u8 = 4;
/// Its domain.
const DOMAIN: u8 = 8;
/// A token behind its prefix.
const TOKEN: u8 = 16;

const fn classes_of(byte: u8) -> u8 {
    match byte {
        b'@' => GIVES_AWAY,
        b'0'..=b'9' => GIVES_AWAY | WORD | NAME | DOMAIN | TOKEN,
        b'a'..=b'z' | b'A'..=b'Z' => WORD | NAME | DOMAIN | TOKEN,
        b'-' => NAME | DOMAIN | TOKEN,
        b'_' => NAME | TOKEN,
        b'.' => NAME | DOMAIN,
        b'%' | b'+' => NAME,
        _ => 0,
    }
}

fn is(class: u8, byte: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// The mail address around the at sign at `at`, as far as it lies behind `floor`: a name, and a domain of at least two labels
/// whose last has at least two letters. What follows those letters is not part of it: the end of a sentence, mostly.
fn mail(text: &[u8], floor: usize, at: usize) -> Option<Range<usize>> {
    let letters = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();

    let name = text[floor..at].iter().rev().take_while(|byte| is(NAME, **byte)).count();
    let domain = text[at + 1..].iter().take_while(|byte| is(DOMAIN, **byte)).count();
    let domain = &text[at + 1..at + 1 + domain];
    let dots = (1..domain.len()).rev().filter(|place| domain[*place] == b'.');
    let end = dots.map(|dot| (dot + 1, letters(&domain[dot + 1..]))).find(|(_, letters)| *letters >= 2);
    end.filter(|_| name > 0).map(|(last, letters)| at - name..at + 1 + last + letters)
}

/// The end of the token that begins at `at`.
fn token(text: &[u8], floor: usize, at: usize) -> Option<usize> {
    if at > floor && (is(WORD, text[at - 1]) || text[at - 1] == b'_') {
        return None;
    }
    let prefix = PREFIXES.iter().find(|prefix| text[at..].starts_with(prefix))?;
    let begin = at + prefix.len();
    let length = text[begin..].iter().take_while(|byte| is(TOKEN, **byte)).count();
    (length >= SHORTEST_TOKEN).then_some(begin + length)
}

/// The end of the card number that begins at `at`: sixteen digits, in a row or in groups of four with one space or hyphen
/// between them, that begin as those of payment cards do and whose last is the right check digit. Without the last two, one of
/// ten numbers of a clock in microseconds would be masked.
fn card(text: &[u8], floor: usize, at: usize) -> Option<usize> {
    let mut digits = [0; CARD];
    let mut separator = None;
    let mut end = at;

    if at > floor && is(WORD, text[at - 1]) {
        return None;
    }
    for (place, digit) in digits.iter_mut().enumerate() {
        if place > 0 && place % GROUP == 0 {
            let between = text.get(end).copied().filter(|byte| b" -".contains(byte));
            if *separator.get_or_insert(between) != between {
                return None;
            }
            end += usize::from(between.is_some());
        }
        *digit = text.get(end).filter(|byte| byte.is_ascii_digit())? - b'0';
        end += 1;
    }
    let ends = !text.get(end).is_some_and(|byte| is(WORD, *byte));
    (ends && (2..=6).contains(&digits[0]) && is_checked(&digits)).then_some(end)
}

/// Whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B).
fn is_checked(digits: &[u8; CARD]) -> bool {
    let doubled = |digit: u8| if digit < 5 { digit * 2 } else { digit * 2 - 9 };
    let sum: u32 = digits
        .iter()
        .enumerate()
        .map(|(place, digit)| u32::from(if place % 2 == 0 { doubled(*digit) } else { *digit }))
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(text: &str) -> String {
        let mut masked = String::new();
        let mut copied = 0;
        for (range, kind) in find(text.as_bytes()) {
            masked += &text[copied..range.start];
            masked += std::str::from_utf8(kind.label()).unwrap();
            copied = range.end;
        }
        masked + &text[copied..]
    }

    #[test]
    fn secrets_are_found_between_other_text() {
        for (text, expected) in [
            ("write to alice@example.com, or bob.b+x@mail.example.org.", "write to [mail], or [mail]."),
            ("a@b.cc", "[mail]"),
            ("<alice@example.com>", "<[mail]>"),
            ("key=sk-0123456789abcdefXYZ_-9;", "key=[token];"),
            ("ghp_0123456789abcdef0123 and github_pat_0123456789abcdef", "[token] and [token]"),
            ("pays with 4111111111111111.", "pays with [card]."),
            ("4111 1111 1111 1111 or 5555-5555-5555-4444", "[card] or [card]"),
            ("ältere@example.com", "ä[mail]"),
        ] {
            assert_eq!(masked(text), expected);
        }
    }

    #[test]
    fn what_only_resembles_a_secret_stays() {
        for text in [
            "@",
            "a@",
            "@b.cc",
            "a@b",
            "a@b.c",
            "a@.cc",
            "a@b.c1",
            "a@b.1cc",
            "name @ example.com",
            "alice@localhost",
            "sk-",
            "sk-learn",
            "task-0123456789abcdefgh",
            "ghp_short",
            "sk 0123456789abcdefgh",
            // The check digit; the first digit; a digit more or less; groups of two kinds; a letter beside it.
            "4111111111111112",
            "1111111111111117",
            "41111111111111111",
            "411111111111111",
            "4111-1111 1111-1111",
            "4111 11111111 1111",
            "x4111111111111111",
            "4111111111111111x",
        ] {
            assert_eq!(masked(text), text);
        }
    }

    #[test]
    fn what_follows_a_secret_is_read_by_itself() {
        assert_eq!(masked("a@b.cc@d.ee a@b@c.dd"), "[mail]@d.ee a@[mail]");
        assert_eq!(masked("sk-0123456789abcdef@example.com"), "[token]@example.com");
        assert_eq!(masked("a@b.cc4111111111111111"), "[mail][card]");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_a_text_is_no_secret_is_left_in_it(text in "([a-c@.4 -]|sk-[a-z]{16}|4111111111111111|ä){0,40}") {
            let masked = masked(&text);

            prop_assert!(masked.len() <= text.len());
            prop_assert_eq!(find(masked.as_bytes()).next(), None, "{}", masked);
        }
    }
}
