//! What an `mcp.json` may say, and what is said about one that may not.
//!
//! From bytes to data or to the text of an error, as an operator reads it. What a single piece does (durations,
//! variables, places) is tested beside the piece.

mod accepted;
mod doubtful;
mod refused_entries;
mod refused_files;
mod secrets;

use std::{ffi::OsString, path::Path};

use super::*;
use crate::{Isolation, ProcessLimits};

const SECRET: &str = "hunter2-top-secret";

fn environment(name: &str) -> Option<OsString> {
    match name {
        "TOKEN" => Some(SECRET.into()),
        "EMPTY" => Some("".into()),
        "NUL" => Some("a\0b".into()),
        "BREAK" => Some("a\r\nX-Other: b".into()),
        "LARGE" => Some("x".repeat(1 << 20).into()),
        _ => None,
    }
}

fn inspect(text: &str) -> Inspection {
    McpJson::parse(Path::new("mcp.json"), text.as_bytes(), &environment)
}

/// Reads a file with one server `s`, given the inside of its entry.
fn inspect_entry(inside: &str) -> Inspection {
    inspect(&format!("{{\"mcpServers\": {{\"s\": {{\n{inside}\n}}}}}}"))
}

fn entry(inside: &str) -> ServerEntry {
    let file = inspect_entry(inside).into_result().unwrap_or_else(|errors| panic!("{errors:?}"));
    file.servers["s"].clone()
}

fn errors(inspection: &Inspection) -> Vec<String> {
    inspection.errors.iter().map(ToString::to_string).collect()
}

fn warnings(inspection: &Inspection) -> Vec<String> {
    inspection.config.warnings.iter().map(ToString::to_string).collect()
}

/// The only error about a file.
fn error_of(text: &str) -> String {
    let errors = errors(&inspect(text));
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors[0].clone()
}

/// The only error about an entry, without file, line and the path of the server.
fn error_of_entry(inside: &str) -> String {
    let inspection = inspect_entry(inside);
    let errors = errors(&inspection);
    assert_eq!(errors.len(), 1, "{inside}: {errors:#?}");
    assert!(inspection.config.servers.is_empty(), "{inside}: an entry with an error is kept");
    errors[0].strip_prefix("mcp.json:2: mcpServers.s").unwrap_or(&errors[0]).to_owned()
}

fn warning_of_entry(inside: &str) -> String {
    let inspection = inspect_entry(inside);
    assert_eq!(inspection.errors, [], "{inside}");
    let warnings = warnings(&inspection);
    assert_eq!(warnings.len(), 1, "{inside}: {warnings:#?}");
    warnings[0].strip_prefix("mcp.json:2: mcpServers.s").unwrap_or(&warnings[0]).to_owned()
}
