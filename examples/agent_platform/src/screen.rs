//! What people see: on a terminal a table that is redrawn in place with the latest notes below it, elsewhere plain lines.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{table::COLUMNS, tally::Verdict};

/// Notes below the table.
const NOTES: usize = 8;

/// Up so many lines, and away with everything from there on: the sequences of ECMA-48 that all terminals know.
fn rub_out(lines: usize) -> String {
    if lines == 0 { String::new() } else { format!("\x1b[{lines}F\x1b[J") }
}

/// Lines that are wider than the terminal are cut rather than wrapped: a wrapped one would be two to go up.
const CUT: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// Where everybody writes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Screen(Arc<Mutex<State>>);

struct State {
    is_terminal: bool,
    /// Lines that stand there and are to be redrawn.
    drawn: usize,
    table: String,
    notes: VecDeque<String>,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let is_terminal = io::stdout().is_terminal();
        Self(Arc::new(Mutex::new(State { is_terminal, drawn: 0, table: String::new(), notes: VecDeque::new() })))
    }

    /// How often the table is worth a look.
    pub(crate) fn interval(&self) -> Duration {
        if self.lock().is_terminal { Duration::from_millis(200) } else { Duration::from_secs(1) }
    }

    /// Says what happened.
    pub(crate) fn note(&self, text: &str) {
        let mut state = self.lock();
        if !state.is_terminal {
            return print(&format!("{text}\n"));
        }
        state.notes.extend(text.lines().map(str::to_owned));
        while state.notes.len() > NOTES {
            state.notes.pop_front();
        }
        state.draw();
    }

    /// Shows the table as it is now.
    pub(crate) fn show(&self, at: Duration, rows: &[[String; COLUMNS.len()]]) {
        let mut state = self.lock();
        let table = render(rows);
        if state.is_terminal {
            state.table = format!("after {} s\n{table}", at.as_secs());
            state.draw();
        } else {
            print(&format!("\nafter {} s\n{table}\n", at.as_secs()));
        }
    }

    /// Says what came of it all, below everything else.
    pub(crate) fn end(&self, verdict: &Verdict) {
        let _state = self.lock();
        print(&format!("{verdict}\n"));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn draw(&mut self) {
        let mut text = format!("{}{CUT}{}\n", rub_out(self.drawn), self.table);
        self.notes.iter().for_each(|note| text.extend(["  ", note, "\n"]));
        self.drawn = text.matches('\n').count();
        print(&format!("{text}{WRAP}"));
    }
}

/// Whoever reads this may be gone, as `head` is: no reason to end with a panic while there are sessions.
fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Each column as wide as its widest cell.
fn render(rows: &[[String; COLUMNS.len()]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).chain([COLUMNS[column].len()]).max();
    let widths: [usize; COLUMNS.len()] = std::array::from_fn(|column| width(column).unwrap_or_default());
    let mut text = line(&COLUMNS, &widths);
    for row in rows {
        text.push_str(&line(row, &widths));
    }
    text
}

fn line<T: AsRef<str>>(cells: &[T], widths: &[usize]) -> String {
    let mut line = String::from(" ");
    for (cell, width) in cells.iter().zip(widths) {
        let _ = write!(line, " {:<width$} ", cell.as_ref());
    }
    format!("{}\n", line.trim_end())
}
