//! What to run.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

use crate::{
    names::SecretName,
    policy::{Part, Patterns, Template},
};

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
    /// Values may be secrets, and name secrets.
    pub(crate) env: BTreeMap<String, Template>,
    pub(crate) cwd: Option<PathBuf>,
    /// The file that is executed, where policy has looked at it: no link is followed, nothing is looked for.
    pub(crate) pinned: Option<PathBuf>,
    shown: Option<String>,
}

impl Command {
    /// A program: a path, or a name that is looked for on `PATH`. No shell is involved.
    pub fn new(program: impl Into<String>) -> Self {
        Self { program: program.into(), args: Vec::new(), env: BTreeMap::new(), cwd: None, pinned: None, shown: None }
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
    pub fn env(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env_template(name, value.into().into())
    }

    /// Sets an environment variable to a secret, which the runtime's [`SecretStore`](crate::SecretStore) is asked for each time
    /// that a process is started. Its value is hidden in errors, in the log, and in what the process writes to its standard error.
    #[must_use]
    pub fn env_secret(self, name: impl Into<String>, secret: impl Into<SecretName>) -> Self {
        self.env_template(name, Template::secret(secret.into()))
    }

    pub(crate) fn env_template(mut self, name: impl Into<String>, value: Template) -> Self {
        self.env.insert(name.into(), value);
        self
    }

    /// The folder to run in. Default: that of the host.
    #[must_use]
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cwd = Some(folder.into());
        self
    }

    /// What errors, logs and tables show in place of the program and its arguments, which may contain secrets. Default: the
    /// command line itself.
    #[must_use]
    pub fn shown_as(mut self, line: impl Into<String>) -> Self {
        self.shown = Some(line.into());
        self
    }

    /// Bytes of all that its author can make long.
    pub(crate) fn len(&self) -> usize {
        let args = self.args.iter().map(String::len);
        let env = self.env.iter().map(|(name, value)| name.len() + value.len());
        let rest = [
            self.program.len(),
            self.cwd.as_ref().map_or(0, |folder| folder.as_os_str().len()),
            self.shown.as_ref().map_or(0, String::len),
        ];
        args.chain(env).chain(rest).sum()
    }

    /// The program, as people may see it.
    pub(crate) fn shown_program(&self) -> &str {
        match &self.shown {
            Some(line) => line.split_whitespace().next().unwrap_or_default(),
            None => &self.program,
        }
    }
}

impl<T: Into<String>> From<T> for Command {
    fn from(program: T) -> Self {
        Self::new(program)
    }
}

impl fmt::Display for Command {
    /// What [`Command::shown_as`] set; else the command line, quoted where a reader could not tell its arguments apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shown {
            Some(line) => f.write_str(line),
            None => f.write_str(&command_line(&self.program, self.args.iter().map(String::as_str))),
        }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A folder may come out of a variable whose value is hidden.
        let hidden =
            Arc::new(Patterns::of(self.env.values().flat_map(Template::parts).filter_map(|part| match part {
                Part::Variable(value) => Some(value.as_str()),
                Part::Text(_) | Part::Secret(_) => None,
            })));
        let cwd = self.cwd.as_ref().map(|folder| hidden.text(&folder.display().to_string()).into_owned());
        f.debug_struct("Command")
            .field("command", &self.to_string())
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("cwd", &cwd)
            .finish()
    }
}

/// A command line for people.
pub(crate) fn command_line<'a>(program: &str, args: impl Iterator<Item = &'a str>) -> String {
    let mut line = program.to_owned();
    for arg in args {
        let plain = !arg.is_empty() && !arg.contains(|c: char| c.is_whitespace() || c == '\'' || c == '"');
        line.push(' ');
        line.push_str(&if plain { arg.to_owned() } else { format!("{arg:?}") });
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_secrets_is_shown_as_it_was_written() {
        let command =
            Command::new("hush").args(["--key", "s3cret"]).env("TOKEN", "s3cret").shown_as("run --key ${KEY}");

        for text in [command.to_string(), format!("{command:?}"), command.shown_program().to_owned()] {
            assert!(!text.contains("s3cret") && !text.contains("hush"), "{text}");
        }
    }

    #[test]
    fn arguments_are_told_apart() {
        assert_eq!(Command::new("a").args(["b c", "", "d"]).to_string(), r#"a "b c" "" d"#);
    }
}
