//! Which file a command means.
//!
//! The supervisor executes a path. Looking for it is the host's part, because here it can be explained, and because the `PATH`
//! that counts is the server's own.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

/// Where execvp(3) looks without a `PATH`.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Why there is no such program.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotFound {
    /// There is no such file, or none on `PATH`.
    Missing,
    /// There is, and this user may not execute it.
    NotExecutable,
}

/// The file that execvp(3) would execute in `folder`, where `path` is the value of `PATH`.
pub(super) fn find(program: &str, path: Option<&OsStr>, folder: &Path) -> Result<PathBuf, NotFound> {
    if program.is_empty() {
        return Err(NotFound::Missing);
    }
    if program.contains('/') {
        // Relative to the folder: it is entered first.
        return executable(&folder.join(program));
    }
    let default = OsString::from(DEFAULT_PATH);
    let mut refused = NotFound::Missing;
    for part in path.unwrap_or(&default).as_bytes().split(|byte| *byte == b':') {
        // An empty part means the present folder, as does a relative one: the server's.
        let candidate = folder.join(OsStr::from_bytes(part)).join(program);
        match executable(&candidate) {
            Ok(path) => return Ok(path),
            Err(NotFound::NotExecutable) => refused = NotFound::NotExecutable,
            Err(NotFound::Missing) => {}
        }
    }
    Err(refused)
}

/// This very file, if this user may execute it.
pub(super) fn executable(path: &Path) -> Result<PathBuf, NotFound> {
    match std::fs::metadata(path) {
        Ok(file) if file.is_file() && access(path, Access::EXEC_OK).is_ok() => Ok(path.to_owned()),
        Ok(_) => Err(NotFound::NotExecutable),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(NotFound::NotExecutable),
        Err(_) => Err(NotFound::Missing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_in(program: &str, path: &str) -> Result<PathBuf, NotFound> {
        find(program, Some(path.as_ref()), "/".as_ref())
    }

    #[test]
    fn a_name_is_looked_for_on_the_path() {
        assert_eq!(find_in("sh", "/nonexistent:/bin"), Ok("/bin/sh".into()));
        assert_eq!(find("sh", None, "/".as_ref()), Ok("/bin/sh".into()));
    }

    #[test]
    fn a_relative_part_is_in_the_folder_of_the_server() {
        assert_eq!(find_in("sh", "bin"), Ok("/bin/sh".into()));
        assert_eq!(find("sh", Some("".as_ref()), "/bin".as_ref()), Ok("/bin/sh".into()));
    }

    #[test]
    fn a_name_with_a_slash_is_a_path() {
        assert_eq!(find_in("bin/sh", "/nonexistent"), Ok("/bin/sh".into()));
        assert_eq!(find_in("/nonexistent/sh", "/bin"), Err(NotFound::Missing));
    }

    #[test]
    fn what_cannot_be_executed_is_told_from_what_is_not_there() {
        assert_eq!(find_in("passwd", "/etc"), Err(NotFound::NotExecutable));
        assert_eq!(find_in("bin", "/"), Err(NotFound::NotExecutable));
        assert_eq!(find_in("", "/bin"), Err(NotFound::Missing));
    }
}
