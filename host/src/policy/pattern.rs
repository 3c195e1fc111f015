//! Names with a `*` in them.

use std::fmt;

/// A name, in which each `*` stands for any text, also none. There is nothing else to it, and no way to mean a `*`: the names of
/// servers and secrets have none.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pattern(String);

impl Pattern {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        let mut pieces = self.0.split('*');
        // Of a text that is split there is always a first piece.
        let Some(mut rest) = pieces.next().and_then(|first| name.strip_prefix(first)) else { return false };
        let Some(last) = pieces.next_back() else { return rest.is_empty() };
        for piece in pieces {
            // The earliest place leaves the most for what follows.
            let Some(at) = rest.find(piece) else { return false };
            rest = &rest[at + piece.len()..];
        }
        rest.ends_with(last)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        let cases = [
            ("github", "github", true),
            ("github", "github2", false),
            ("github", "mygithub", false),
            ("*", "", true),
            ("*", "anything", true),
            ("git*", "git", true),
            ("git*", "gitlab", true),
            ("git*", "digit", false),
            ("*-internal", "wiki-internal", true),
            ("*-internal", "wiki-internal-2", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("ab*bc", "abc", false),
            ("**", "x", true),
            ("", "", true),
            ("", "x", false),
        ];

        for (pattern, name, matches) in cases {
            assert_eq!(Pattern::new(pattern).matches(name), matches, "{pattern} {name}");
        }
    }
}
