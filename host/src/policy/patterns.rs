//! Finding values in a stream of bytes, as one automaton.
//!
//! A stream comes in pieces that were cut anywhere, and is cut into lines of a bounded length afterwards. Looking for values in
//! a piece or in a line would miss those that were cut, so they are looked for in the stream: the state of an automaton (Aho and
//! Corasick, 1975) says how many of the last bytes may be the beginning of a value, and these wait for what comes next. The time
//! is linear in the text, however many values there are and whatever is in them: who writes the text may have chosen the values
//! too.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use zeroize::Zeroizing;

/// Bytes of the shortest value that is hidden. Shorter ones stand in any text by chance, and whoever can read the text can
/// guess them.
const LEAST: usize = 6;

/// What is shown in place of a value.
pub(super) const SHOWN: &str = "***";

/// Values that are hidden, as an automaton. Its states are the beginnings of values; state 0 is the empty one.
pub(crate) struct Patterns {
    states: Vec<State>,
    /// What a further byte leads to.
    next: HashMap<(u32, u8), u32>,
    /// With which bytes a value begins: nearly all bytes of a text are passed over by this.
    first: [bool; 256],
}

#[derive(Clone, Copy, Default)]
struct State {
    /// The longest other state that this one ends with.
    fallback: u32,
    /// Bytes of this beginning.
    depth: usize,
    /// Bytes of the longest value that it ends with; 0: none.
    hides: usize,
}

impl Default for Patterns {
    fn default() -> Self {
        Self { states: vec![State::default()], next: HashMap::new(), first: [false; 256] }
    }
}

impl Patterns {
    pub(crate) fn of<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let mut patterns = Self::default();
        // The state before each, and the byte between them.
        let mut before = vec![(0, 0)];
        for form in values.flat_map(forms) {
            patterns.add(&form, &mut before);
        }
        patterns.link(&before);
        patterns
    }

    fn add(&mut self, value: &str, before: &mut Vec<(u32, u8)>) {
        let mut state = 0;
        for byte in value.bytes() {
            if state == 0 {
                self.first[usize::from(byte)] = true;
            }
            state = *self.next.entry((state, byte)).or_insert_with(|| {
                before.push((state, byte));
                let depth = self.states[state as usize].depth + 1;
                self.states.push(State { depth, ..State::default() });
                // The values of a process have less than 4 MiB, its system sees to that.
                u32::try_from(self.states.len() - 1).unwrap_or(0)
            });
        }
        self.states[state as usize].hides = value.len();
    }

    /// Finds where each state falls back to, the short ones first.
    fn link(&mut self, before: &[(u32, u8)]) {
        let mut by_depth: Vec<usize> = (1..self.states.len()).collect();
        by_depth.sort_by_key(|state| self.states[*state].depth);
        for state in by_depth {
            let (parent, byte) = before[state];
            let fallback = if parent == 0 { 0 } else { self.after(self.states[parent as usize].fallback, byte) };
            let hides = self.states[fallback as usize].hides;
            let linked = &mut self.states[state];
            linked.fallback = fallback;
            linked.hides = linked.hides.max(hides);
        }
    }

    /// The longest state that a state with a further byte ends with.
    fn after(&self, mut state: u32, byte: u8) -> u32 {
        if state == 0 && !self.first[usize::from(byte)] {
            return 0;
        }
        loop {
            match self.next.get(&(state, byte)) {
                Some(next) => return *next,
                None if state == 0 => return 0,
                None => state = self.states[state as usize].fallback,
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.next.is_empty()
    }

    pub(super) fn bytes<'a>(self: &Arc<Self>, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if self.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let mut masker = Masker::new(self.clone());
        let mut shown = masker.push(bytes).into_owned();
        shown.extend(masker.rest());
        Cow::Owned(shown)
    }

    /// A text as people may see it.
    pub(crate) fn text<'a>(self: &Arc<Self>, text: &'a str) -> Cow<'a, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // Values are texts, so that they begin and end between characters.
            Cow::Owned(shown) => Cow::Owned(String::from_utf8_lossy(&shown).into_owned()),
        }
    }

    /// Hides values in the texts of a document, wherever they stand. False: there are none.
    pub(super) fn hide_in(self: &Arc<Self>, value: &mut serde_json::Value) -> bool {
        use serde_json::Value;
        match value {
            Value::String(text) => self.hide_in_text(text),
            // A value may be a number.
            Value::Number(number) => {
                let mut text = number.to_string();
                let found = self.hide_in_text(&mut text);
                if found {
                    *value = Value::String(text);
                }
                found
            }
            Value::Array(elements) => elements.iter_mut().fold(false, |found, element| self.hide_in(element) | found),
            Value::Object(members) => {
                let mut found = false;
                let hidden = std::mem::take(members).into_iter().map(|(mut name, mut value)| {
                    found |= self.hide_in_text(&mut name) | self.hide_in(&mut value);
                    (name, value)
                });
                *members = hidden.collect();
                found
            }
            Value::Null | Value::Bool(_) => false,
        }
    }

    fn hide_in_text(self: &Arc<Self>, text: &mut String) -> bool {
        let shown = self.text(text).into_owned();
        let found = shown != *text;
        *text = shown;
        found
    }
}

/// What a value looks like in a text: as it is, its lines where it has several, and all of them as JSON and debuggers write them.
fn forms(value: &str) -> Vec<Zeroizing<String>> {
    let mut forms = Vec::new();
    for text in std::iter::once(value).chain(value.lines()).map(str::trim).filter(|text| text.len() >= LEAST) {
        let escaped = serde_json::Value::from(text).to_string();
        let escaped = escaped.trim_matches('"');
        if escaped != text {
            forms.push(Zeroizing::new(escaped.to_owned()));
        }
        forms.push(Zeroizing::new(text.to_owned()));
    }
    forms
}

/// Hides values in a stream.
#[derive(Clone)]
pub(crate) struct Masker {
    patterns: Arc<Patterns>,
    state: u32,
    /// The last bytes: they may be the beginning of a value.
    undecided: Vec<u8>,
    /// Where values are in them, in order. No two touch.
    hidden: VecDeque<Hidden>,
}

/// From where to where there are values.
#[derive(Clone, Copy)]
struct Hidden {
    start: usize,
    end: usize,
    /// Whether that was said already: the beginning of it has gone.
    shown: bool,
}

impl Masker {
    pub(crate) fn new(patterns: Arc<Patterns>) -> Self {
        Self { patterns, state: 0, undecided: Vec::new(), hidden: VecDeque::new() }
    }

    /// Takes the next bytes of the stream, and gives those that can be shown.
    pub(crate) fn push<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if self.patterns.is_empty() {
            return Cow::Borrowed(bytes);
        }
        for byte in bytes {
            self.undecided.push(*byte);
            self.state = self.patterns.after(self.state, *byte);
            let length = self.undecided.len();
            let hides = self.present().hides;
            if hides > 0 {
                self.hide(length - hides, length);
            }
        }
        let decided = self.undecided.len() - self.present().depth;
        Cow::Owned(self.show(decided))
    }

    /// What is undecided, if nothing follows. The beginning of a value is hidden from the length on that values are.
    pub(crate) fn rest(&self) -> Vec<u8> {
        let mut last = self.clone();
        let (length, depth) = (last.undecided.len(), last.present().depth);
        if depth >= LEAST {
            last.hide(length - depth, length);
        }
        last.show(length)
    }

    /// The same, and begins anew.
    pub(crate) fn take_rest(&mut self) -> Vec<u8> {
        let rest = self.rest();
        *self = Self::new(self.patterns.clone());
        rest
    }

    fn present(&self) -> State {
        self.patterns.states[self.state as usize]
    }

    fn hide(&mut self, start: usize, end: usize) {
        let mut hidden = Hidden { start, end, shown: false };
        while let Some(last) = self.hidden.pop_back_if(|last| last.end >= start) {
            hidden.start = hidden.start.min(last.start);
            hidden.shown |= last.shown;
        }
        self.hidden.push_back(hidden);
    }

    /// Gives up the first bytes.
    fn show(&mut self, decided: usize) -> Vec<u8> {
        let mut shown = Vec::with_capacity(decided);
        let mut at = 0;
        while let Some(hidden) = self.hidden.front_mut().filter(|hidden| hidden.start < decided) {
            shown.extend_from_slice(&self.undecided[at..hidden.start]);
            if !hidden.shown {
                shown.extend_from_slice(SHOWN.as_bytes());
            }
            at = hidden.end.min(decided);
            if hidden.end > decided {
                *hidden = Hidden { start: decided, shown: true, ..*hidden };
                break;
            }
            self.hidden.pop_front();
        }
        shown.extend_from_slice(&self.undecided[at..decided]);
        self.undecided.drain(..decided);
        for hidden in &mut self.hidden {
            hidden.start -= decided;
            hidden.end -= decided;
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patterns(values: &[&str]) -> Arc<Patterns> {
        Arc::new(Patterns::of(values.iter().copied()))
    }

    fn masked(values: &[&str], text: &str) -> String {
        patterns(values).text(text).into_owned()
    }

    fn in_pieces(values: &[&str], pieces: &[&[u8]]) -> String {
        let mut masker = Masker::new(patterns(values));
        let mut shown: Vec<u8> = pieces.iter().flat_map(|piece| masker.push(piece).into_owned()).collect();
        shown.extend(masker.rest());
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn values_are_hidden_wherever_they_stand() {
        let cases = [
            ("hunter2", "***"),
            ("a hunter2, hunter2!", "a ***, ***!"),
            ("hunter2hunter2", "***"),
            ("hhunterhunter2", "hhunter***"),
            ("nothing here", "nothing here"),
            ("", ""),
        ];

        for (text, shown) in cases {
            assert_eq!(masked(&["hunter2"], text), shown, "{text}");
        }
    }

    #[test]
    fn values_that_overlap_are_hidden_whole() {
        assert_eq!(masked(&["abcdefgh", "efghijkl"], "x abcdefghijkl x"), "x *** x");
        assert_eq!(masked(&["abcdefgh", "cdefgh"], "abcdefgX cdefgh"), "abcdefgX ***");
        assert_eq!(masked(&["abcdefgh-long", "cdefgh"], "abcdefgh!"), "ab***!");
    }

    #[test]
    fn a_short_value_is_not_hidden() {
        assert_eq!(masked(&["short", ""], "in short"), "in short");
        assert_eq!(masked(&["longer"], "no longer"), "no ***");
    }

    #[test]
    fn a_value_that_was_cut_at_the_end_is_hidden_from_six_bytes_on() {
        assert_eq!(masked(&["hunter2-secret"], "it is hunter"), "it is ***");
        assert_eq!(masked(&["hunter2-secret"], "it is hunte"), "it is hunte");
    }

    #[test]
    fn a_value_is_found_as_json_and_in_lines() {
        let key = "-----BEGIN-----\nMIIEow\"IBAAK\n-----END-----\n";

        assert_eq!(
            masked(&[key], "{\"key\":\"-----BEGIN-----\\nMIIEow\\\"IBAAK\\n-----END-----\\n\"}"),
            "{\"key\":\"***\\n\"}"
        );
        assert_eq!(masked(&[key], "> MIIEow\"IBAAK\r\n"), "> ***\r\n");
        assert_eq!(masked(&[key], key), "***\n");
    }

    #[test]
    fn a_value_is_found_across_the_pieces_of_a_stream() {
        assert_eq!(in_pieces(&["hunter2"], &[b"a hun", b"t", b"er2 b hunt", b"ing"]), "a *** b hunting");
        assert_eq!(in_pieces(&["abcabcabd"], &[b"abcab", b"cabcabd"]), "abc***");
    }

    #[test]
    fn what_cannot_be_the_beginning_of_a_value_is_shown_at_once() {
        let mut masker = Masker::new(patterns(&["hunter2"]));

        assert_eq!(masker.push(b"ready: h"), b"ready: ".as_slice());
        assert_eq!(masker.push(b"ow are you"), b"how are you".as_slice());
    }

    #[test]
    fn an_endless_repetition_of_a_value_is_not_kept() {
        let mut masker = Masker::new(patterns(&["aaaaaaaa"]));

        let shown: usize = (0..100).map(|_| masker.push(&[b'a'; 1000]).len()).sum();

        assert_eq!(shown, SHOWN.len());
        assert!(masker.undecided.len() <= 8 && masker.hidden.len() == 1);
    }

    /// The same, byte by byte and by looking everywhere.
    fn by_looking(values: &[String], text: &[u8]) -> Vec<u8> {
        let mut hidden = vec![false; text.len()];
        for value in values.iter().map(String::as_bytes).filter(|value| value.len() >= LEAST) {
            for start in 0..text.len() {
                if text[start..].starts_with(value) {
                    hidden[start..start + value.len()].fill(true);
                }
                let rest = &text[start..];
                if rest.len() >= LEAST && value.starts_with(rest) {
                    hidden[start..].fill(true);
                }
            }
        }
        let mut shown = Vec::new();
        for (index, byte) in text.iter().enumerate() {
            match (hidden[index], index > 0 && hidden[index - 1]) {
                (false, _) => shown.push(*byte),
                (true, false) => shown.extend_from_slice(SHOWN.as_bytes()),
                (true, true) => {}
            }
        }
        shown
    }

    proptest! {
        #[test]
        fn the_pieces_of_a_stream_make_no_difference(
            values in prop::collection::vec("[ab]{5,12}", 0..4),
            text in "[abc]{0,60}",
            piece in 1_usize..8,
        ) {
            let patterns = Arc::new(Patterns::of(values.iter().map(String::as_str)));
            let mut masker = Masker::new(patterns);
            let mut shown: Vec<u8> = Vec::new();
            for piece in text.as_bytes().chunks(piece) {
                shown.extend(masker.push(piece).iter());
            }
            shown.extend(masker.rest());

            // Where two hidden places meet between two pieces, it may be said twice.
            let once = |bytes: &[u8]| {
                let mut text = String::from_utf8(bytes.to_vec()).unwrap();
                while text.contains("******") {
                    text = text.replace("******", SHOWN);
                }
                text
            };
            prop_assert_eq!(once(&shown), once(&by_looking(&values, text.as_bytes())));
        }
    }
}
