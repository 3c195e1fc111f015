//! Folders of a session's own, in place of those of the host's user.
//!
//! Programs keep caches, credentials and settings below `HOME`, and scratch files below `TMPDIR`. In a runtime with several
//! tenants one tenant's server would find what another's has left there. So each session gets folders that nobody has used
//! before, and that go when its last process has; those of a host that was killed go when the next one makes its own. It keeps
//! apart what is not looking for the other; servers are one user to the system, and one that looks for it finds it.

mod removal;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::{self, DirBuilder},
    hash::{BuildHasher, RandomState},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, MetadataExt},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, open},
    process::geteuid,
};

use removal::remove_tree;
use tokio::sync::watch;

use crate::{names::SessionId, transport::ConnectError};

/// Variables that name folders of the user, of which an environment must not keep any. The XDG ones have their defaults below
/// `HOME`.
const OF_THE_USER: [&str; 5] = ["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"];

/// How the folders of runtimes begin; what follows is [`random`]. While one is being made it has another name, under which nobody
/// takes it for abandoned.
const PREFIX: &str = "innkeeper-homes-";
const UNFINISHED: &str = "new-innkeeper-homes-";

/// Where the private folders of a runtime are. Made when the first is, removed with the runtime.
#[derive(Default)]
pub(crate) struct PrivateFolders {
    base: Mutex<Option<Arc<Base>>>,
}

/// The folder that a runtime's folders are in.
struct Base {
    path: PathBuf,
    /// Locked as long as the runtime lives, however that ends.
    _lock: OwnedFd,
    /// Of which sessions folders are being removed, and how many.
    removing: Arc<watch::Sender<BTreeMap<SessionId, usize>>>,
}

/// The folders of one session. They are removed, with all that is in them, when this is dropped.
pub(super) struct PrivateFolder {
    path: PathBuf,
    session: SessionId,
    base: Arc<Base>,
}

impl PrivateFolders {
    /// Makes the folders of a session. Blocks.
    pub(super) fn make(&self, session: SessionId) -> Result<PrivateFolder, ConnectError> {
        let failed =
            |error: io::Error| ConnectError::unavailable(format!("its private folders cannot be made: {error}"));
        self.try_make(session).map_err(failed)
    }

    fn try_make(&self, session: SessionId) -> io::Result<PrivateFolder> {
        let base = {
            let mut base = self.base.lock().unwrap_or_else(PoisonError::into_inner);
            match &*base {
                Some(base) => base.clone(),
                None => base.insert(Arc::new(Base::make(&std::env::temp_dir())?)).clone(),
            }
        };
        let folder = PrivateFolder { path: base.path.join(format!("session-{}", random())), session, base };
        private(&folder.path)?;
        for name in ["home", "tmp", "run"] {
            private(&folder.path.join(name))?;
        }
        Ok(folder)
    }

    /// Waits until those of some sessions are removed that were given up so far. Not for any other's: what a server has filled
    /// may take long.
    pub(crate) async fn removed(&self, sessions: &[SessionId]) {
        let removing = {
            let base = self.base.lock().unwrap_or_else(PoisonError::into_inner);
            base.as_ref().map(|base| base.removing.subscribe())
        };
        if let Some(mut removing) = removing {
            let _ = removing.wait_for(|removing| !sessions.iter().any(|session| removing.contains_key(session))).await;
        }
    }
}

impl Base {
    fn make(parent: &Path) -> io::Result<Self> {
        remove_abandoned(parent);
        let random = random();
        let unfinished = parent.join(format!("{UNFINISHED}{random}"));
        private(&unfinished)?;
        let lock = lock(&unfinished)?;
        let path = parent.join(format!("{PREFIX}{random}"));
        fs::rename(unfinished, &path)?;
        Ok(Self { path, _lock: lock, removing: Arc::default() })
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Removes what runtimes have left that were killed: their folders are not locked any more.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let ours = |folder: &fs::Metadata| folder.is_dir() && folder.uid() == geteuid().as_raw();
        // Of the entry itself: a link is not followed.
        if is_named_by_us(&entry.file_name())
            && entry.metadata().is_ok_and(|folder| ours(&folder))
            && let Ok(_lock) = lock(&entry.path())
        {
            remove(&entry.path());
        }
    }
}

/// Whether a folder is called as ours are. To the letter: people begin names of their own with that of a program.
fn is_named_by_us(name: &OsStr) -> bool {
    name.to_str()
        .and_then(|name| name.strip_prefix(PREFIX))
        .is_some_and(|rest| rest.len() == RANDOM && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn lock(folder: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = open(folder, flags, Mode::empty())?;
    flock(&folder, FlockOperation::NonBlockingLockExclusive)?;
    Ok(folder)
}

/// Characters of a name that nobody has by chance.
const RANDOM: usize = 16;

/// For names of folders. Nobody can have made one in advance, whatever its name: making it fails where something is there. So it
/// need not be a secret, and the randomness of hash tables, which every system has, is enough.
fn random() -> String {
    format!("{:0RANDOM$x}", RandomState::new().hash_one(std::process::id()))
}

fn remove(path: &Path) {
    // What a process makes at the same moment stays, until the base is removed.
    if let Err(error) = remove_tree(path) {
        tracing::debug!(folder = %path.display(), %error, "a private folder is not removed");
    }
}

impl PrivateFolder {
    /// What the environment says in place of the user's folders.
    pub(super) fn variables(&self) -> [(OsString, OsString); 3] {
        let folder = |name: &str| self.path.join(name).into_os_string();
        [("HOME", folder("home")), ("TMPDIR", folder("tmp")), ("XDG_RUNTIME_DIR", folder("run"))]
            .map(|(name, value)| (name.into(), value))
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.path);
        let removal = Removal::of(self.session, self.base.clone());
        let removal = move || {
            remove(&path);
            drop(removal);
        };
        // It waits for a disk, and a server may have filled it: not on a worker of the embedder.
        match tokio::runtime::Handle::try_current() {
            Ok(tokio) => _ = tokio.spawn_blocking(removal),
            Err(_) => removal(),
        }
    }
}

/// Counts a folder that is being removed, until it is, or never will be because the threads for it are gone.
struct Removal {
    session: SessionId,
    base: Option<Arc<Base>>,
    removing: Arc<watch::Sender<BTreeMap<SessionId, usize>>>,
}

impl Removal {
    fn of(session: SessionId, base: Arc<Base>) -> Self {
        let removing = base.removing.clone();
        removing.send_modify(|removing| *removing.entry(session).or_default() += 1);
        Self { session, base: Some(base), removing }
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        // First, so that whoever has waited is the last to hold the base, and removes that too.
        drop(self.base.take());
        self.removing.send_modify(|removing| match removing.get_mut(&self.session) {
            Some(count) if *count > 1 => *count -= 1,
            _ => _ = removing.remove(&self.session),
        });
    }
}

/// Whether a variable names a folder of the user.
pub(super) fn is_of_the_user(name: &OsStr) -> bool {
    OF_THE_USER.iter().any(|known| name == *known)
}

fn private(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, task::Poll};

    use super::*;

    #[test]
    fn folders_are_private_and_go_with_what_is_in_them() {
        let folders = PrivateFolders::default();

        let [one, other] = [1, 2].map(|session| folders.make(SessionId(session)).unwrap());
        let [(_, home), (_, scratch), _] = one.variables();
        fs::write(Path::new(&home).join("left"), "behind").unwrap();

        assert_ne!(one.path, other.path);
        assert_eq!(fs::metadata(&scratch).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(one.path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);

        let base = one.path.parent().unwrap().to_owned();
        drop((one, other, folders));
        assert!(!base.exists());
    }

    #[test]
    fn what_a_killed_runtime_left_goes_when_the_next_makes_its_own() {
        let parent = std::env::temp_dir().join(format!("folders-{}", random()));
        let abandoned = parent.join(format!("{PREFIX}0123456789abcdef"));
        // What people call theirs is theirs.
        let foreign =
            ["foreign", "innkeeper-0123456789abcdef", "innkeeper-homes-of-mine", "innkeeper-homes-0123456789abcdef0"];
        let foreign = foreign.map(|name| parent.join(name));
        fs::create_dir_all(abandoned.join("session/home")).unwrap();
        foreign.iter().for_each(|folder| fs::create_dir(folder).unwrap());
        let used = Base::make(&parent).unwrap();

        let own = Base::make(&parent).unwrap();

        assert!(!abandoned.exists());
        assert!(foreign.iter().all(|folder| folder.exists()));
        assert!(used.path.exists() && own.path.exists());
        drop((used, own));
        remove_tree(&parent).unwrap();
    }

    #[tokio::test]
    async fn folders_that_are_being_removed_can_be_waited_for() {
        let folders = PrivateFolders::default();
        let sessions = [SessionId(1)];
        let made = folders.make(SessionId(1)).unwrap();
        let path = made.path.clone();
        fs::create_dir_all(path.join("home/a/b/c")).unwrap();

        drop(made);
        folders.removed(&sessions).await;

        assert!(!path.exists());
        // Nobody waits where there is nothing to wait for.
        folders.removed(&sessions).await;
        PrivateFolders::default().removed(&sessions).await;
    }

    #[tokio::test]
    async fn nobody_waits_for_the_folders_of_another_session() {
        let folders = PrivateFolders::default();
        let large = folders.make(SessionId(1)).unwrap();
        let slow = [large.base.clone(), large.base.clone()].map(|base| Removal::of(SessionId(1), base));

        folders.removed(&[SessionId(2)]).await;

        let [first, second] = slow;
        drop(first);
        let removed = folders.removed(&[SessionId(1)]);
        let mut removed = std::pin::pin!(removed);
        let pending = std::future::poll_fn(|context| Poll::Ready(removed.as_mut().poll(context).is_pending())).await;
        assert!(pending, "one of two is left");
        drop(second);
        removed.await;
    }
}
