//! Which variables of the host's environment a server sees.
//!
//! An environment is where people keep secrets, and servers come from anywhere, so names are allowed one by one: what a
//! program needs to find its home, its tools, its language and its time zone. Everything else is given by the catalog.

use std::ffi::{OsStr, OsString};

/// Names that are passed on.
const ALLOWED: [&str; 10] = ["HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"];

/// Beginnings of names that are passed on: locale(7), XDG Base Directory Specification.
const ALLOWED_PREFIXES: [&str; 2] = ["LC_", "XDG_"];

/// The part of an environment that servers see.
pub(super) fn inherited(
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> impl Iterator<Item = (OsString, OsString)> {
    environment.filter(|(name, _)| allowed(name))
}

fn allowed(name: &OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| ALLOWED.contains(&name) || ALLOWED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_names_are_passed_on() {
        let host = [("PATH", "/bin"), ("LC_ALL", "C"), ("XDG_RUNTIME_DIR", "/run"), ("AWS_SECRET_ACCESS_KEY", "hush")];
        let host = host.map(|(name, value)| (OsString::from(name), OsString::from(value)));

        let names: Vec<_> = inherited(host.into_iter()).map(|(name, _)| name).collect();

        assert_eq!(names, ["PATH", "LC_ALL", "XDG_RUNTIME_DIR"]);
    }
}
