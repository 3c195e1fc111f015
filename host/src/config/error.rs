//! What is wrong with a configuration file, and where.
//!
//! An error and a warning say the same things: the place, the problem, and what to do about it. They are two types
//! because a program must stop for the one and go on after the other.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// A reason why a configuration file cannot be used.
///
/// Shows itself as one line:
///
/// ```text
/// mcp.json:12: mcpServers.github.command: is empty; name the program to start
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1. None where the problem is the file as a whole.
    pub line: Option<usize>,
    /// The key, as a path from the top of the file. None where the problem lies outside any key.
    pub key: Option<String>,
    /// What is wrong. Never contains the value of a variable.
    pub problem: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Something in a configuration file that has no effect, or probably not the one that was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigWarning {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: Option<usize>,
    /// The key, as a path from the top of the file.
    pub key: Option<String>,
    /// What is doubtful. Never contains the value of a variable.
    pub problem: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl ConfigError {
    /// An error about a file as a whole.
    pub(super) fn of_file(file: &Path, problem: impl Into<String>, hint: Option<&str>) -> Self {
        Self { file: file.to_owned(), line: None, key: None, problem: problem.into(), hint: hint.map(str::to_owned) }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, key, problem, hint } = self;
        write_line(f, file, *line, key.as_deref(), problem, hint.as_deref())
    }
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, key, problem, hint } = self;
        write_line(f, file, *line, key.as_deref(), problem, hint.as_deref())
    }
}

/// `file:line: key: problem; hint`, the form that editors and terminals know how to jump to.
fn write_line(
    f: &mut fmt::Formatter<'_>,
    file: &Path,
    line: Option<usize>,
    key: Option<&str>,
    problem: &str,
    hint: Option<&str>,
) -> fmt::Result {
    write!(f, "{}", file.display())?;
    if let Some(line) = line {
        write!(f, ":{line}")?;
    }
    if let Some(key) = key {
        write!(f, ": {key}")?;
    }
    write!(f, ": {problem}")?;
    if let Some(hint) = hint {
        write!(f, "; {hint}")?;
    }
    Ok(())
}
