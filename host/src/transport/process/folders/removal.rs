//! Removing a folder that somebody else has filled.
//!
//! A server may leave a tree of any depth, and with folders that nobody may enter. The standard library walks into it, with a
//! descriptor and a stack frame for each level: twenty thousand levels are the end of the host. Here each folder's folders are
//! moved up to the top before it is removed, so that no tree is deeper than two, and two descriptors are enough.

use std::{
    ffi::{CStr, CString},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, chmodat, openat, renameat, statat, unlinkat},
    io::Errno,
};

/// Removes a folder and all that is in it. Follows no links.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    let top = enter(CWD, path)?;
    let mut moved = 0_u64;
    loop {
        // Those of a folder that had entries when it was read have moved here since, so it is read again.
        let folders = remove_files(top.as_fd())?;
        if folders.is_empty() {
            break;
        }
        for folder in folders {
            let inside = enter(top.as_fd(), &*folder)?;
            for deeper in remove_files(inside.as_fd())? {
                // To take it out of its parent it must be writable itself: it has an entry for that.
                chmodat(&inside, &*deeper, Mode::RWXU, AtFlags::empty())?;
                rename_to_top(inside.as_fd(), &deeper, top.as_fd(), &mut moved)?;
            }
            unlinkat(&top, &*folder, AtFlags::REMOVEDIR)?;
        }
    }
    Ok(unlinkat(CWD, path, AtFlags::REMOVEDIR)?)
}

/// Opens a folder, and makes sure that what is in it can be removed.
fn enter<P: rustix::path::Arg + Copy>(parent: BorrowedFd<'_>, name: P) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
    Ok(openat(parent, name, flags, Mode::empty())?)
}

/// Removes everything in a folder but folders. Returns their names.
fn remove_files(folder: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    let mut folders = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if [c".", c".."].contains(&name) {
            continue;
        }
        if is_folder(folder, name, entry.file_type())? {
            folders.push(name.to_owned());
        } else {
            unlinkat(folder, name, AtFlags::empty())?;
        }
    }
    Ok(folders)
}

fn is_folder(parent: BorrowedFd<'_>, name: &CStr, kind: FileType) -> io::Result<bool> {
    let kind = match kind {
        // Not every file system says it in the list.
        FileType::Unknown => FileType::from_raw_mode(statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode),
        known => known,
    };
    Ok(kind == FileType::Directory)
}

/// Under a name that is free: a server may have taken any.
fn rename_to_top(from: BorrowedFd<'_>, name: &CStr, top: BorrowedFd<'_>, moved: &mut u64) -> io::Result<()> {
    loop {
        *moved += 1;
        // An empty folder would be replaced, and a full one is an error; a file is an error too.
        match renameat(from, name, top, format!("moved-{moved}")) {
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
            renamed => return Ok(renamed?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
        path::PathBuf,
    };

    use rustix::fs::mkdirat;

    use super::*;

    /// Deeper than a process has descriptors, or a thread has stack for.
    const DEPTH: usize = 20_000;

    fn scratch() -> PathBuf {
        let folder = std::env::temp_dir().join(format!("removal-{}", super::super::random()));
        fs::create_dir(&folder).unwrap();
        folder
    }

    #[test]
    fn a_tree_of_any_depth_is_removed() {
        let top = scratch();
        let mut deepest = enter(CWD, &*top).unwrap();
        for _ in 0..DEPTH {
            mkdirat(&deepest, "d", Mode::RWXU).unwrap();
            deepest = enter(deepest.as_fd(), "d").unwrap();
        }

        remove_tree(&top).unwrap();

        assert!(!top.exists());
    }

    #[test]
    fn folders_that_nobody_may_enter_are_removed_and_links_are_not_followed() {
        let (top, outside) = (scratch(), scratch());
        fs::create_dir_all(top.join("a/b/c")).unwrap();
        fs::write(outside.join("kept"), "").unwrap();
        fs::write(top.join("a/file"), "").unwrap();
        fs::create_dir(top.join("moved-1")).unwrap();
        fs::write(top.join("moved-1/file"), "").unwrap();
        symlink(&outside, top.join("a/link")).unwrap();
        for closed in ["a/b/c", "a/b", "a"] {
            fs::set_permissions(top.join(closed), fs::Permissions::from_mode(0o000)).unwrap();
        }

        remove_tree(&top).unwrap();

        assert!(!top.exists());
        assert!(outside.join("kept").is_file());
        remove_tree(&outside).unwrap();
    }
}
