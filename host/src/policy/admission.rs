//! A tenant's own definition against its policy: all that is wrong with it, at once.
//!
//! It reads the file system, to resolve links, and changes nothing.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::{
    definition::{Definition, Reached},
    origin::Origin,
    paths,
    rules::Policy,
    variables,
};
use crate::{Isolation, names::ServerName};

/// Bytes of a name: it stands in tables and in every line of a log.
const LONGEST_NAME: usize = 128;

/// A definition that may be used, in the paths that were looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// The file to execute, if it is a command.
    pub(crate) program: Option<PathBuf>,
    /// The folder to start it in, if it names one.
    pub(crate) folder: Option<PathBuf>,
}

/// Something that a definition may not be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) server: ServerName,
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) remedy: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A tenant wrote the names in it.
        let (server, what) = (self.server.as_str().escape_debug(), self.what.escape_debug());
        write!(f, "server `{server}`: {what}; {}", self.remedy)
    }
}

/// Looks at a definition.
pub(crate) fn admit(policy: &Policy, definition: &Definition<'_>) -> Result<Admitted, Vec<Violation>> {
    let mut examined = Examined { server: definition.name, violations: Vec::new() };
    let admitted = examined.examine(policy, definition);
    if examined.violations.is_empty() { Ok(admitted) } else { Err(examined.violations) }
}

struct Examined<'a> {
    server: &'a ServerName,
    violations: Vec<Violation>,
}

impl Examined<'_> {
    fn violated(&mut self, what: impl Into<String>, remedy: &'static str) {
        self.violations.push(Violation { server: self.server.clone(), what: what.into(), remedy });
    }

    fn examine(&mut self, policy: &Policy, definition: &Definition<'_>) -> Admitted {
        let name = self.server.as_str();
        if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
            self.violated("its name is empty, longer than 128 bytes or has control characters", "give it another");
        }
        if definition.bytes > policy.most_bytes {
            let what = format!("its definition has {} bytes, and may have {}", definition.bytes, policy.most_bytes);
            self.violated(what, "raise `Policy::most_untrusted_bytes`");
        }
        match &definition.reached {
            Reached::Command { program, shown, folder, variables } => {
                self.confinement(definition);
                for (name, value) in *variables {
                    self.variable(policy, name);
                    for secret in value.secrets().filter(|secret| !policy.allows_secret(secret)) {
                        let what = format!("the secret `{secret}` of its variable `{name}` is not allowed");
                        self.violated(what, "allow its name with `Policy::allow_secret`");
                    }
                }
                Admitted {
                    program: self.command(policy, program, shown),
                    folder: folder.and_then(|folder| self.folder(policy, folder)),
                }
            }
            Reached::Url(address) => {
                self.address(policy, address);
                Admitted::default()
            }
            Reached::Connector => {
                let remedy = "a connector is code of the platform: have it in the platform's catalog";
                self.violated("it is a connector", remedy);
                Admitted::default()
            }
        }
    }

    fn confinement(&mut self, definition: &Definition<'_>) {
        let confinement = definition.confinement;
        const TRUSTED: &str = "only a server of the platform's catalog may";
        if confinement.isolation != Isolation::Guarded {
            self.violated(format!("it is to be isolated as `{}`, not `guarded`", confinement.isolation), TRUSTED);
        }
        if confinement.allow_privileges {
            self.violated("it is to be allowed privileges", TRUSTED);
        }
        if confinement.limits.core_files {
            self.violated("it is to leave core files", TRUSTED);
        }
        if definition.inherit_home {
            self.violated("it is to have the home folder of the host's user", TRUSTED);
        }
    }

    fn variable(&mut self, policy: &Policy, name: &str) {
        if policy.allows_variable(name) {
            return;
        }
        let remedy = if variables::is_steering(name) {
            "it can decide which code runs: if that is meant, allow it by its exact name with `Policy::allow_variable`"
        } else {
            "allow its name with `Policy::allow_variable`"
        };
        self.violated(format!("its variable `{name}` is not allowed"), remedy);
    }

    fn command(&mut self, policy: &Policy, program: &str, shown: &str) -> Option<PathBuf> {
        let denied = |problem: &str| format!("its command `{shown}` is not allowed{problem}");
        const ALLOW: &str = "allow its absolute path with `Policy::allow_command`";
        match paths::resolve(Path::new(program)) {
            Err(problem) => {
                self.violated(denied(&format!(": {problem}")), "write the absolute path of an allowed command");
            }
            Ok(file) => {
                if policy.commands.iter().any(|allowed| paths::resolve(allowed).as_ref() == Ok(&file)) {
                    return Some(file);
                }
                self.violated(denied(""), ALLOW);
            }
        }
        None
    }

    fn folder(&mut self, policy: &Policy, folder: &Path) -> Option<PathBuf> {
        let denied = |problem: &str| format!("its folder is not allowed{problem}");
        match paths::resolve(folder) {
            Err(problem) => {
                self.violated(denied(&format!(": {problem}")), "write the absolute path of an allowed folder");
            }
            Ok(resolved) => {
                let below =
                    |allowed: &PathBuf| paths::resolve(allowed).is_ok_and(|allowed| resolved.starts_with(allowed));
                if policy.folders.iter().any(below) {
                    return Some(resolved);
                }
                self.violated(denied(""), "allow it, or one above it, with `Policy::allow_folder`");
            }
        }
        None
    }

    fn address(&mut self, policy: &Policy, address: &str) {
        match Origin::of_server(address) {
            // Not repeated: it may have a password in it.
            Err(problem) => {
                self.violated(format!("its address is not allowed: {problem}"), "write one like https://host/path");
            }
            Ok(origin) => {
                if !policy.origins.iter().any(|allowed| Origin::named(allowed).as_ref() == Ok(&origin)) {
                    self.violated(
                        format!("its origin {origin} is not allowed"),
                        "allow it with `Policy::allow_origin`",
                    );
                }
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests;
