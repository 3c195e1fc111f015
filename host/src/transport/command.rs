//! What to run.

use std::{collections::BTreeMap, fmt, path::PathBuf};

/// The command of a stdio server: a program, its arguments, what it sees beyond the allowed environment, and its folder.
///
/// ```
/// use innkeeper::{Command, Server};
///
/// let server = Server::command(Command::new("npx").args(["-y", "@modelcontextprotocol/server-everything"]));
/// let short = Server::command("mcp-server-time");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    pub(crate) program: String,
    pub(crate) args: Vec<String>,
    /// Values may be secrets.
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) cwd: Option<PathBuf>,
}

impl Command {
    /// A program: a path, or a name that is looked for on `PATH`. No shell is involved.
    pub fn new(program: impl Into<String>) -> Self {
        Self { program: program.into(), args: Vec::new(), env: BTreeMap::new(), cwd: None }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable. Beside these a server sees `HOME`, `LANG`, `LANGUAGE`, `LOGNAME`, `PATH`, `SHELL`, `TERM`,
    /// `TMPDIR`, `TZ`, `USER`, and what begins with `LC_` or `XDG_`; nothing else of the host's environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// The folder to run in. Default: that of the host.
    #[must_use]
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cwd = Some(folder.into());
        self
    }
}

impl<T: Into<String>> From<T> for Command {
    fn from(program: T) -> Self {
        Self::new(program)
    }
}

impl fmt::Display for Command {
    /// The command line, quoted where a reader could not tell its arguments apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.program)?;
        for arg in &self.args {
            let plain = !arg.is_empty() && !arg.contains(|c: char| c.is_whitespace() || c == '\'' || c == '"');
            if plain { write!(f, " {arg}")? } else { write!(f, " {arg:?}")? }
        }
        Ok(())
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("command", &self.to_string())
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("cwd", &self.cwd)
            .finish()
    }
}
