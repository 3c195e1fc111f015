//! Following a configuration file: whatever is written to it, the tenant has it.
//!
//! What is watched is not the file but the folder that it is in: editors and deployments put another file in its place, and one that
//! is gone for a moment comes back. Each change of anything there is a reason to look, and what is in the file decides. It is read
//! *after* the news of a change was taken, and news that comes meanwhile, or during a reload, is kept: so the last edit counts.

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    task::{AbortHandle, JoinSet},
    time::{Instant, timeout_at},
};

use super::{Catalog, ReloadReport, Tenant, WeakTenant};
use crate::{
    Error,
    config::{Inspection, McpJson},
};

/// A file that is being written is quiet for so long when it is whole. An editor saves in a few milliseconds.
const QUIET: Duration = Duration::from_millis(100);

/// How long to wait for that at most: the folder may be a busy one.
const MOST: Duration = Duration::from_secs(1);

/// What may be told and not be taken yet. Whoever does not listen stops nothing: what is more is dropped.
const BACKLOG: usize = 64;

type Variables = Arc<dyn Fn(&str) -> Option<OsString> + Send + Sync>;

/// What came of a change of the file.
#[derive(Debug)]
#[non_exhaustive]
pub enum Followed {
    /// The tenant has what the file says. What could not be opened is in the report, and is tried again.
    Reloaded(ReloadReport),
    /// The file is broken, or gone, or policy does not allow what it says: the tenant has what it had, and this is why.
    Kept(Error),
}

/// A file that is followed, until this is dropped. Made by [`Tenant::follow`].
#[must_use = "dropping it ends the following"]
pub struct Following {
    news: Receiver<Followed>,
    _watcher: RecommendedWatcher,
    task: AbortHandle,
}

impl Following {
    /// What came of the next change of the file; none when it changes and the tenant is gone. The first is of the file as it is when it is begun
    /// to be followed.
    ///
    /// Cancellation safe.
    pub async fn next(&mut self) -> Option<Followed> {
        self.news.recv().await
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Following").finish_non_exhaustive()
    }
}

impl Tenant {
    /// Has the tenant what an `mcp.json` says, now and whenever that changes: by [`reload`](Self::reload), in place of the catalog of
    /// the platform's servers. A file that is broken changes nothing. Changes are waited out for a tenth of a second, so that a file
    /// that is being written is read when it is whole. `variables` has the values of `${NAME}`.
    ///
    /// # Errors
    ///
    /// [`Error::System`] where the folder of the file cannot be watched: it is not there, or the system has no more watches to
    /// give.
    pub fn follow(
        &self,
        file: impl Into<PathBuf>,
        variables: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static,
    ) -> Result<Following, Error> {
        let file = file.into();
        // One is enough to know that there is something, however much it was.
        let (changed, changes) = mpsc::channel(1);
        let watcher = watch(&file, changed)
            .map_err(|error| Error::System { what: "watching a configuration file", reason: error.to_string() })?;
        let (tell, news) = mpsc::channel(BACKLOG);
        let follower = Follower { tenant: self.downgrade(), file, variables: Arc::new(variables), changes, tell };
        let task = self.inner.shared.tokio.spawn(follower.run()).abort_handle();
        Ok(Following { news, _watcher: watcher, task })
    }
}

fn is_reading(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

fn watch(file: &Path, changed: Sender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Who only reads changes nothing, ourselves included. What went wrong may have hidden a change.
        if event.is_ok_and(|event| is_reading(event.kind)) {
            return;
        }
        // Where there is one already, that will do.
        let _ = changed.try_send(());
    })?;
    let folder = |path: &Path| match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let beside = folder(file);
    watcher.watch(&beside, RecursiveMode::NonRecursive)?;
    // A link is looked after at both ends.
    if let Ok(target) = file.canonicalize() {
        let beside_target = folder(&target);
        if beside.canonicalize().is_ok_and(|beside| beside != beside_target) {
            watcher.watch(&beside_target, RecursiveMode::NonRecursive)?;
        }
    }
    Ok(watcher)
}

struct Follower {
    tenant: WeakTenant,
    file: PathBuf,
    variables: Variables,
    changes: Receiver<()>,
    tell: Sender<Followed>,
}

impl Follower {
    async fn run(mut self) {
        let mut reloads = JoinSet::new();
        let mut last = None;
        loop {
            let Some(found) = self.read().await else { return };
            // How it is written does not matter, nor that it was written again.
            if last.as_ref() != Some(&found) {
                last = Some(found.clone());
                match found.into_result() {
                    Ok(file) => {
                        let catalog = Catalog::from_mcp_json(&file);
                        let Some(tenant) = self.tenant.upgrade() else { return };
                        reloads.spawn(async move { tenant.reload(catalog).await });
                    }
                    Err(problems) => self.tell(Followed::Kept(problems.into())),
                }
            }
            loop {
                tokio::select! {
                    biased;
                    changed = self.changes.recv() => match changed {
                        Some(()) => break,
                        None => return,
                    },
                    Some(reloaded) = reloads.join_next() => match reloaded {
                        Ok(Ok(report)) => self.tell(Followed::Reloaded(report)),
                        Ok(Err(error)) => self.tell(Followed::Kept(error)),
                        // It went with its tokio runtime.
                        Err(_) => return,
                    },
                }
            }
            self.quiet().await;
        }
    }

    /// Waits until nothing has changed for a moment.
    async fn quiet(&mut self) {
        let latest = Instant::now() + MOST;
        while let Ok(Some(())) = timeout_at(latest.min(Instant::now() + QUIET), self.changes.recv()).await {
            if Instant::now() >= latest {
                return;
            }
        }
    }

    /// What is in the file. None: the tokio runtime is gone.
    async fn read(&self) -> Option<Inspection> {
        let (file, variables) = (self.file.clone(), self.variables.clone());
        tokio::task::spawn_blocking(move || McpJson::inspect(&file, &*variables)).await.ok()
    }

    fn tell(&self, followed: Followed) {
        match &followed {
            Followed::Reloaded(report) => tracing::info!(file = %self.file.display(), "reloaded: {report}"),
            Followed::Kept(error) => tracing::warn!(file = %self.file.display(), %error, "not reloaded"),
        }
        let _ = self.tell.try_send(followed);
    }
}
