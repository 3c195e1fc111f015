//! Which file a definition means, and whether it is one that was allowed.
//!
//! Both sides are resolved to the file itself, without links, when the tenant is applied; that file is what is executed, whatever
//! its links become later. That nobody replaces the file itself is for its owner and its folder to see to.

use std::path::{Component, Path, PathBuf};

/// What a path of a definition or of a policy is wrong with before anybody looks for it.
pub(super) fn check(path: &Path) -> Result<(), &'static str> {
    if !path.is_absolute() {
        return Err("it is not an absolute path");
    }
    // Where a link is before it, `..` is not what it looks like.
    if path.components().any(|part| part == Component::ParentDir) {
        return Err("it has a `..` in it");
    }
    Ok(())
}

/// The file that a path leads to.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, &'static str> {
    check(path)?;
    std::fs::canonicalize(path).map_err(|_| "it is not there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_absolute_and_goes_down_only() {
        for path in ["sh", "bin/sh", "./sh", "~/sh", ""] {
            assert_eq!(check(Path::new(path)), Err("it is not an absolute path"), "{path}");
        }
        for path in ["/bin/../bin/sh", "/..", "/bin/.."] {
            assert_eq!(check(Path::new(path)), Err("it has a `..` in it"), "{path}");
        }
        assert_eq!(check(Path::new("/bin/./sh")), Ok(()));
    }

    #[cfg(unix)]
    #[test]
    fn a_path_is_resolved_to_the_file_itself() {
        let file = std::fs::canonicalize("/bin/sh").unwrap();

        assert_eq!(resolve(Path::new("/bin/sh")), Ok(file));
        assert_eq!(resolve(Path::new("/none/such")), Err("it is not there"));
    }
}
