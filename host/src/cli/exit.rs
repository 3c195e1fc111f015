//! How a run ends: its exit status, and what is said about a failure.
//!
//! Scripts act on the status, programs on the `code`, people on the message. All three say the same thing, so all three
//! are made here.

use std::{fmt, process::ExitCode};

use innkeeper::{Error, MayHaveRun, config::ConfigError};
use serde_json::{Map, Value, json};

use crate::page::bytes;

/// What to do about something that is too large.
const SMALLER: &str = "no message to or from a server may be larger; pass a file instead, or ask for less at a time";

/// The exit status of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: fine.
    Success,
    /// 1: the tool was called, and reports an error.
    ToolError,
    /// 2: the command line or the configuration.
    Usage,
    /// 3: the server or the way to it, time-outs included.
    Server,
    /// 4: refused by a limit or policy.
    Refused,
    /// 128 and the number of the signal: interrupted, after everything was closed.
    Signal(u8),
}

impl Exit {
    pub(crate) fn status(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::ToolError => 1,
            Self::Usage => 2,
            Self::Server => 3,
            Self::Refused => 4,
            Self::Signal(number) => 128_u8.saturating_add(number),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.status().into()
    }
}

/// Why a command did not do what it should.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// Stable name, for programs.
    pub(crate) code: &'static str,
    /// For people.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// More for programs, beside `code` and `message`.
    details: Vec<(String, Value)>,
}

impl Failure {
    fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self { exit, code, message: message.into(), hint: None, details: Vec::new() }
    }

    /// The command line cannot be followed.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// Something that was named does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "not_found", message)
    }

    /// There is no configuration, or not one that can be used.
    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "bad_configuration", message)
    }

    /// Something is larger than one message to or from a server may be.
    pub(crate) fn too_large(what: &str, limit: usize) -> Self {
        let message = format!("{what} is larger than {}", bytes(limit));
        Self::new(Exit::Refused, "too_large", message).hint(SMALLER)
    }

    /// The machine refused something.
    pub(crate) fn system(what: &str, error: impl fmt::Display) -> Self {
        Self::new(Exit::Server, "system", format!("{what}: {error}"))
    }

    /// The machine does not give what servers are to have.
    pub(crate) fn isolation(message: impl Into<String>) -> Self {
        Self::new(Exit::Server, "isolation", message)
    }

    /// Some of several servers did not do what they should.
    pub(crate) fn servers(failed: usize, all: usize) -> Self {
        Self::new(Exit::Server, "servers_failed", format!("{failed} of {all} servers failed"))
    }

    /// Some of what a server offers could not be listed.
    pub(crate) fn lists(failed: usize) -> Self {
        Self::new(Exit::Server, "lists_failed", format!("{failed} of the server's lists could not be had"))
    }

    /// Something that a server sent could not be saved.
    pub(crate) fn unsaved(message: impl Into<String>) -> Self {
        Self::new(Exit::Server, "not_saved", message)
    }

    /// A signal ended the command.
    pub(crate) fn interrupted(signal: u8) -> Self {
        Self::new(Exit::Signal(signal), "interrupted", "interrupted")
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds something for programs.
    pub(crate) fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.push((name.to_owned(), value.into()));
        self
    }

    /// The failure as an object of a JSON document.
    pub(crate) fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("code".into(), self.code.into());
        object.insert("message".into(), self.message.as_str().into());
        if let Some(hint) = &self.hint {
            object.insert("hint".into(), hint.as_str().into());
        }
        object.extend(self.details.clone());
        Value::Object(object)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mut failure = Self::new(exit_of(&error), error.code(), message_of(&error));
        failure.hint = hint_for(&error).map(str::to_owned);
        if let Some(retry_after) = error.retry_after() {
            let milliseconds = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
            failure = failure.detail("retry_after_ms", milliseconds);
        }
        match error.may_have_run() {
            MayHaveRun::No => {}
            MayHaveRun::Unknown => failure = failure.detail("may_have_run", "unknown"),
            MayHaveRun::Yes => failure = failure.detail("may_have_run", "yes"),
        }
        match error {
            // The error of the server is passed on as it came; where it is not JSON, as text.
            Error::Server(error) => {
                let raw = serde_json::from_slice(error.raw())
                    .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(error.raw()).into_owned()));
                failure.detail("server_error", raw)
            }
            Error::ServerExited { exit, .. } => {
                failure.detail("exit", json!({ "status": exit.code, "signal": exit.signal, "stderr": exit.stderr }))
            }
            Error::Config(problems) => failure.detail("problems", problems.iter().map(problem).collect::<Vec<_>>()),
            _ => failure,
        }
    }
}

impl From<Vec<ConfigError>> for Failure {
    fn from(problems: Vec<ConfigError>) -> Self {
        Error::from(problems).into()
    }
}

/// A problem of a configuration as an object of a JSON document.
pub(crate) fn problem(error: &ConfigError) -> Value {
    json!({
        "file": error.file,
        "line": error.line,
        "key": error.key,
        "problem": error.problem,
        "hint": error.hint,
    })
}

/// What the library says, where it does not speak to embedders of settings that the command line does not have.
fn message_of(error: &Error) -> String {
    match error {
        Error::Server(error) => format!("the server answered with an error: {error}"),
        Error::TooLarge { what, limit, .. } => format!("{what} is larger than {}", bytes(*limit)),
        Error::AtCapacity { scope, limit, .. } => format!("{scope} has {limit} sessions, which is its limit"),
        error => error.to_string(),
    }
}

fn exit_of(error: &Error) -> Exit {
    match error {
        Error::NotFound { .. } | Error::Component { .. } | Error::Config(_) | Error::InvalidInput { .. } => Exit::Usage,
        Error::Denied { .. }
        | Error::AtCapacity { .. }
        | Error::Busy { .. }
        | Error::TooLarge { .. }
        | Error::BeyondLimit { .. } => Exit::Refused,
        // What is left lies with the server, the way to it, or the machine.
        _ => Exit::Server,
    }
}

fn hint_for(error: &Error) -> Option<&'static str> {
    match error {
        Error::Timeout { .. } => Some("give it more time with --timeout, or see what the server says with -v"),
        Error::AuthorizationRequired { .. } => {
            Some("give its entry credentials in \"headers\", such as \"${secret:NAME}\"")
        }
        Error::Protocol { .. } => Some("see what the server says with -v; is it an MCP server?"),
        Error::TooLarge { setting: "frame", .. } => Some(SMALLER),
        Error::ServerExited { exit, may_have_run: MayHaveRun::No, .. } if exit.stderr.is_empty() => {
            Some("it wrote nothing to standard error; does the command start an MCP server over stdio?")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_says_whose_turn_it_is() {
        let cases = [
            (Exit::Success, 0),
            (Exit::ToolError, 1),
            (Exit::Usage, 2),
            (Exit::Server, 3),
            (Exit::Refused, 4),
            (Exit::Signal(2), 130),
            (Exit::Signal(15), 143),
        ];

        for (exit, status) in cases {
            assert_eq!(exit.status(), status);
        }
    }

    #[test]
    fn errors_of_the_library_have_a_status_by_kind() {
        let timeout = Error::Timeout {
            phase: innkeeper::Phase::Call,
            server: "time".into(),
            after: std::time::Duration::from_secs(1),
            may_have_run: MayHaveRun::Unknown,
        };
        let cases = [
            (Error::NotFound { what: "server", name: "x".into(), known: vec![] }, Exit::Usage),
            (Error::Component { reason: "x".into() }, Exit::Usage),
            (Error::Config(vec![]), Exit::Usage),
            (Error::Denied { what: "x".into(), reason: "y".into() }, Exit::Refused),
            (Error::AtCapacity { scope: "x".into(), limit: 1, setting: "y" }, Exit::Refused),
            (Error::Busy { server: "x".into(), limit: 1 }, Exit::Refused),
            (Error::Start { server: "x".into(), reason: "y".into() }, Exit::Server),
            (Error::Unsupported { detail: "x".into() }, Exit::Server),
            (timeout, Exit::Server),
        ];

        for (error, exit) in cases {
            assert_eq!(Failure::from(error.clone()).exit, exit, "{error:?}");
        }
    }

    #[test]
    fn a_failure_as_json_has_code_message_and_what_else_is_known() {
        let error = Error::Unavailable {
            may_have_run: MayHaveRun::No,
            server: "time".into(),
            reason: "it failed 5 times".into(),
            retry_after: Some(std::time::Duration::from_millis(1500)),
        };

        let json = Failure::from(error).hint("wait").to_json();

        assert_eq!(
            json,
            json!({
                "code": "unavailable",
                "message": "server `time` is not available: it failed 5 times",
                "hint": "wait",
                "retry_after_ms": 1500,
            })
        );
    }

    #[test]
    fn an_exited_server_leaves_its_last_lines() {
        let error = Error::ServerExited {
            server: "time".into(),
            exit: innkeeper::ServerExit { code: Some(1), signal: None, stderr: vec!["no such zone".into()] },
            may_have_run: MayHaveRun::Unknown,
        };

        let failure = Failure::from(error);

        assert!(failure.message.contains("no such zone"), "{}", failure.message);
        assert_eq!(failure.to_json()["exit"], json!({ "status": 1, "signal": null, "stderr": ["no such zone"] }));
        assert_eq!(failure.to_json()["may_have_run"], "unknown");
    }
}
