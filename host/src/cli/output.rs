//! What a command prints.
//!
//! A command returns a [`Report`]; what becomes of it is decided here, in one place: one JSON document with `--json`,
//! text for people without. Standard output carries the report and nothing else; failures, logs and the spinner go to
//! standard error. Nothing but this file and the log prints.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

use serde::Serialize;
use serde_json::json;

use crate::{
    exit::{Exit, Failure},
    page::Page,
};

/// What a command found out. Serialized, it is the JSON document of the command.
pub(crate) trait Report: Serialize {
    /// The same for people.
    fn write_text(&self, page: &mut Page);

    /// What a reader of the text could miss, for standard error.
    fn remark(&self) -> Option<&str> {
        None
    }

    /// The exit status that it means.
    fn exit(&self) -> Exit {
        Exit::Success
    }
}

/// Where and how to print.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints what came of a command, and gives the exit status.
    pub(crate) fn print<R: Report>(self, outcome: &Result<R, Failure>) -> Exit {
        match outcome {
            Ok(report) => self.report(report),
            Err(failure) => self.failure(failure),
        }
    }

    fn report<R: Report>(self, report: &R) -> Exit {
        if self.json {
            return match serde_json::to_string(report) {
                Ok(document) => written(&document, report.exit()),
                Err(error) => self.failure(&Failure::system("writing the result as JSON", error)),
            };
        }
        let stdout = io::stdout();
        let mut page = Page::new(stdout.is_terminal(), colour_wanted(&stdout));
        report.write_text(&mut page);
        let exit = written(page.text().trim_end_matches('\n'), report.exit());
        if let Some(remark) = report.remark() {
            let _ = writeln!(io::stderr(), "{remark}");
        }
        exit
    }

    /// Says why a command did not do what it should.
    pub(crate) fn failure(self, failure: &Failure) -> Exit {
        if self.json {
            return written(&json!({ "error": failure.to_json() }).to_string(), failure.exit);
        }
        let stderr = io::stderr();
        let mut page = Page::new(stderr.is_terminal(), colour_wanted(&stderr));
        page.failure(failure);
        // There is no place left to say that standard error cannot be written to.
        let _ = stderr.lock().write_all(page.text().as_bytes());
        failure.exit
    }
}

/// Says on standard error what a reader of the outcome could miss.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Writes to standard output, with a line end where there is something to end.
fn written(text: &str, exit: Exit) -> Exit {
    if text.is_empty() {
        return exit;
    }
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Ok(()) => exit,
        // Whoever reads has seen enough, as in `innkeeper tools | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: standard output cannot be written to: {error}");
            Exit::Server
        }
    }
}

/// Colour is for terminals that know it and for people who did not ask for none (<https://no-color.org>).
pub(crate) fn colour_wanted(stream: &impl IsTerminal) -> bool {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    stream.is_terminal() && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}
