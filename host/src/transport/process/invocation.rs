//! What is executed for a command: a file, in a folder, with variables.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    path::PathBuf,
};

use zeroize::Zeroize;

use super::{
    environment,
    folders::{PrivateFolder, is_of_the_user},
    program::{self, NotFound},
};
use crate::{
    policy::Variables,
    transport::{Command, ConnectError},
};

/// All that a process is made of beside its arguments.
pub(super) struct Invocation {
    pub(super) program: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) environment: Environment,
}

/// What a process sees. Values may be secrets, so their memory is overwritten when it is dropped.
pub(super) struct Environment(pub(super) BTreeMap<OsString, OsString>);

impl Drop for Environment {
    fn drop(&mut self) {
        for value in std::mem::take(&mut self.0).into_values() {
            value.into_encoded_bytes().zeroize();
        }
    }
}

impl Invocation {
    /// Looks for what a command names. Blocks: it may read from a slow disk.
    pub(super) fn of(
        command: &Command,
        variables: &Variables,
        private: Option<&PrivateFolder>,
    ) -> Result<Self, ConnectError> {
        let folder = match &command.cwd {
            Some(folder) if !folder.is_dir() => {
                return Err(ConnectError::new(format!("its folder `{}` does not exist", folder.display())));
            }
            Some(folder) => std::path::absolute(folder),
            None => std::env::current_dir(),
        };
        let folder: PathBuf = folder.map_err(|error| {
            ConnectError::new(format!("the present folder is not known: {error}; give the server one to run in"))
        })?;
        let environment = environment_of(variables, private);
        let path = environment.0.get(OsStr::new("PATH")).map(OsString::as_os_str);
        let found = match &command.pinned {
            // A folder above it may have become a link since.
            Some(file) if std::fs::canonicalize(file).ok().as_ref() != Some(file) => {
                return Err(replaced(command.shown_program()));
            }
            Some(file) => program::executable(file),
            None => program::find(&command.program, path, &folder),
        };
        let program = found.map_err(|not_found| match not_found {
            NotFound::Missing => missing(command.shown_program()),
            NotFound::NotExecutable => not_executable(command.shown_program()),
        })?;
        Ok(Self { program, folder, environment })
    }
}

/// What the server sees: allowed names of the host's environment, folders of its own in place of the user's, and what the
/// catalog gives.
fn environment_of(variables: &Variables, private: Option<&PrivateFolder>) -> Environment {
    let inherited = environment::inherited(std::env::vars_os());
    let mut environment: BTreeMap<_, _> =
        inherited.filter(|(name, _)| private.is_none() || !is_of_the_user(name)).collect();
    environment.extend(private.into_iter().flat_map(PrivateFolder::variables));
    environment.extend(variables.iter().map(|(name, value)| (name.into(), value.as_str().into())));
    Environment(environment)
}

/// Why a file that was there a moment ago was not executed.
pub(super) fn not_executed(program: &str, error: &io::Error) -> ConnectError {
    match error.kind() {
        io::ErrorKind::NotFound => {
            ConnectError::new(format!("the interpreter or loader that `{program}` names does not exist"))
        }
        io::ErrorKind::PermissionDenied => not_executable(program),
        io::ErrorKind::ArgumentListTooLong => {
            ConnectError::new(format!("`{program}`: arguments and environment are larger than the system takes"))
        }
        _ => ConnectError::new(format!("`{program}`: {error}")),
    }
}

fn not_executable(program: &str) -> ConnectError {
    ConnectError::new(format!("`{program}` is not executable for this user"))
}

fn replaced(program: &str) -> ConnectError {
    ConnectError::new(format!(
        "the file that was allowed for `{program}` is not there any more; apply the tenant again to look for it anew"
    ))
}

fn missing(program: &str) -> ConnectError {
    ConnectError::new(if program.contains('/') {
        format!("there is no file `{program}`")
    } else {
        format!("there is no command `{program}` on PATH; install it, or give its full path")
    })
}
