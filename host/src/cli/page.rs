//! Text for people, put together before it is printed.
//!
//! Servers come from anywhere, and so does the text that they send. On a terminal, control characters in it could move
//! the cursor, change the title or worse, so they are shown as what they are not: harmless. In a file or a pipe the
//! text stays as it came.

use std::fmt::Write;

use crate::exit::Failure;

/// Characters of a description that are shown: more than two lines are for `--json`.
const DESCRIPTION: usize = 160;

/// A text under construction.
#[derive(Debug)]
pub(crate) struct Page {
    text: String,
    terminal: bool,
    coloured: bool,
}

/// How a piece of text stands out, as the parameter of SGR (ECMA-48, 8.3.117).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Style {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
}

impl Style {
    fn parameter(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
        }
    }
}

/// A cell of a table: its text, and how it stands out.
pub(crate) type Cell = (String, Option<Style>);

impl Page {
    pub(crate) fn new(terminal: bool, coloured: bool) -> Self {
        Self { text: String::new(), terminal, coloured }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Adds text that was made here, or that is one line already.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.push_harmless(text, |_| false);
        self
    }

    /// Adds text that stands out.
    pub(crate) fn styled(&mut self, style: Style, text: &str) -> &mut Self {
        if self.coloured {
            self.text.push_str("\x1b[");
            self.text.push_str(style.parameter());
            self.text.push('m');
        }
        self.push(text);
        if self.coloured {
            self.text.push_str("\x1b[0m");
        }
        self
    }

    /// Ends the line.
    pub(crate) fn end_line(&mut self) -> &mut Self {
        self.text.push('\n');
        self
    }

    /// Adds text of several lines, such as the result of a tool, and ends the last one.
    pub(crate) fn block(&mut self, text: &str) -> &mut Self {
        self.push_harmless(text, |character| matches!(character, '\n' | '\t'));
        if !text.ends_with('\n') {
            self.end_line();
        }
        self
    }

    /// Adds what is worth a line of a description, below what it describes.
    pub(crate) fn summary(&mut self, description: Option<&str>) -> &mut Self {
        if let Some(summary) = description.and_then(summary) {
            self.push("      ").styled(Style::Dim, &summary).end_line();
        }
        self
    }

    /// Adds rows with their cells below each other. The last cell of a row is as wide as it is.
    pub(crate) fn table(&mut self, rows: &[Vec<Cell>]) -> &mut Self {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column| rows.iter().filter_map(|row: &Vec<Cell>| row.get(column)).map(cell_width).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in rows {
            for (column, cell) in row.iter().enumerate() {
                match cell.1 {
                    Some(style) => self.styled(style, &cell.0),
                    None => self.push(&cell.0),
                };
                if column + 1 < row.len() {
                    let gap = widths[column] - cell_width(cell) + 2;
                    self.text.extend(std::iter::repeat_n(' ', gap));
                }
            }
            self.end_line();
        }
        self
    }

    /// Adds a failure: its message, and what to do about it.
    pub(crate) fn failure(&mut self, failure: &Failure) -> &mut Self {
        self.styled(Style::Red, "error").push(": ").block(&failure.message);
        if let Some(hint) = &failure.hint {
            self.styled(Style::Dim, "hint").push(": ").block(hint);
        }
        self
    }

    fn push_harmless(&mut self, text: &str, keep: impl Fn(char) -> bool) {
        if self.terminal {
            self.text.extend(text.chars().map(|character| if keep(character) { character } else { shown(character) }));
        } else {
            self.text.push_str(text);
        }
    }
}

/// A text as one line that cannot do anything to a terminal.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(shown).collect()
}

fn shown(character: char) -> char {
    if character.is_control() { char::REPLACEMENT_CHARACTER } else { character }
}

/// The first line that says something, cut where it is long.
fn summary(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let mut characters = line.chars();
    let mut summary: String = characters.by_ref().take(DESCRIPTION).collect();
    if characters.next().is_some() {
        summary.push_str("...");
    }
    Some(summary)
}

fn cell_width(cell: &Cell) -> usize {
    cell.0.chars().count()
}

/// A number of bytes for people.
pub(crate) fn bytes(count: usize) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let mut unit = 0;
    let mut rest = count;
    // One decimal where it says something, in whole numbers.
    let mut tenths = 0;
    while rest >= 1024 && unit + 1 < UNITS.len() {
        tenths = rest % 1024 * 10 / 1024;
        rest /= 1024;
        unit += 1;
    }
    let mut text = rest.to_string();
    if unit > 0 && rest < 10 && tenths > 0 {
        let _ = write!(text, ".{tenths}");
    }
    format!("{text} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Page {
        Page::new(false, false)
    }

    #[test]
    fn columns_stand_below_each_other_and_the_last_is_ragged() {
        let cell = |text: &str| (text.to_owned(), None);
        let mut page = plain();

        page.table(&[vec![cell("a"), cell("bb"), cell("c")], vec![cell("äää"), cell("b"), cell("longer")]]);

        assert_eq!(page.text(), "a    bb  c\näää  b   longer\n");
    }

    #[test]
    fn colour_does_not_shift_columns() {
        let mut page = Page::new(true, true);

        page.table(&[
            vec![("a".into(), Some(Style::Bold)), ("b".into(), None)],
            vec![("cc".into(), None), ("d".into(), None)],
        ]);

        assert_eq!(page.text(), "\u{1b}[1ma\u{1b}[0m   b\ncc  d\n");
    }

    #[test]
    fn a_terminal_never_sees_control_characters_of_a_server() {
        let mut page = Page::new(true, false);

        page.push("a\u{1b}[31m\n").block("b\r\u{9b}2J\n\tc");

        assert_eq!(page.text(), "a\u{fffd}[31m\u{fffd}b\u{fffd}\u{fffd}2J\n\tc\n");
    }

    #[test]
    fn a_pipe_gets_the_text_as_it_came() {
        let mut page = plain();

        page.block("a\u{1b}[31m\r\n");

        assert_eq!(page.text(), "a\u{1b}[31m\r\n");
    }

    #[test]
    fn without_colour_nothing_is_styled() {
        let mut page = plain();

        page.styled(Style::Red, "error");

        assert_eq!(page.text(), "error");
    }

    #[test]
    fn sizes_are_short() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (12_345, "12 KiB"),
            (3 << 20, "3 MiB"),
            (5 << 40, "5120 GiB"),
        ];

        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn a_summary_is_the_first_line_that_says_something() {
        assert_eq!(summary("\n  Converts times.\nIn detail: ..."), Some("Converts times.".into()));
        assert_eq!(summary(" \n"), None);
    }

    #[test]
    fn a_long_summary_is_cut() {
        let summary = summary(&"ä".repeat(200)).expect("there is text");

        assert_eq!(summary.chars().count(), DESCRIPTION + 3);
        assert!(summary.ends_with("ä..."));
    }
}
