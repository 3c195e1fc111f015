//! How an upgrade is to be done.

use std::time::Duration;

use crate::{ServerName, limits::LONGEST};

/// Sessions that are replaced at a time. A live upgrade computes for most of its time, so more than there are processors gain
/// little, and a restart waits for most of it.
const CONCURRENCY: usize = 16;

/// How an upgrade is to be done.
///
/// ```
/// use std::time::Duration;
/// use innkeeper::Upgrade;
///
/// // A twentieth of the sessions first, watched for ten seconds; sessions that cannot be handed over are left to their holders.
/// let careful = Upgrade::live().first(0.05, Duration::from_secs(10)).or_drain(Duration::from_secs(60));
/// ```
#[derive(Clone, Debug)]
pub struct Upgrade {
    pub(super) mode: Mode,
    pub(super) fallback: Fallback,
    pub(super) server: Option<ServerName>,
    /// Share of the sessions that go first, and how long they are watched.
    pub(super) first: Option<(f64, Duration)>,
    /// How long all of them are watched.
    pub(super) watch: Duration,
    pub(super) tolerated: usize,
    pub(super) concurrency: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Live,
    Drain(Duration),
    Restart,
}

/// What becomes of a session that cannot be handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fallback {
    /// The upgrade goes back.
    GoBack,
    Drain(Duration),
    Restart,
}

impl Upgrade {
    fn new(mode: Mode) -> Self {
        Self {
            mode,
            fallback: Fallback::GoBack,
            server: None,
            first: None,
            watch: Duration::ZERO,
            tolerated: 0,
            concurrency: CONCURRENCY,
        }
    }

    pub(crate) fn is_of_one_server(&self) -> bool {
        self.server.is_some()
    }

    /// Each session goes on with the new guest from where the old one is: same process, same connection, same protocol session, and
    /// calls in flight go on. A session without a connection gets the new guest with its next one.
    ///
    /// Where the new guest cannot go on from where the old one is, the whole upgrade stops, and the sessions that were upgraded go
    /// back: unless [`or_drain`](Self::or_drain) or [`or_restart`](Self::or_restart) says otherwise.
    pub fn live() -> Self {
        Self::new(Mode::Live)
    }

    /// New leases get sessions with the new guest. The sessions that there are stay with those who hold them, and are closed when the
    /// last lease is given back, or `deadline` after the upgrade began: then calls under way fail with
    /// [`Error::Closing`](crate::Error::Closing). Meanwhile a tenant may have two sessions where it had one; each takes a place in
    /// [`Limits::sessions_per_tenant`](crate::Limits::sessions_per_tenant).
    pub fn drain(deadline: Duration) -> Self {
        Self::new(Mode::Drain(deadline.min(LONGEST)))
    }

    /// Each session gets another connection, with the new guest and another process. Calls under way fail with
    /// [`Error::Closing`](crate::Error::Closing), and say whether they may have run. The leases stay.
    pub fn restart() -> Self {
        Self::new(Mode::Restart)
    }

    /// A session that cannot be handed over live is drained, with the deadline of [`drain`](Self::drain).
    #[must_use]
    pub fn or_drain(mut self, deadline: Duration) -> Self {
        self.fallback = Fallback::Drain(deadline.min(LONGEST));
        self
    }

    /// A session that cannot be handed over live is restarted.
    #[must_use]
    pub fn or_restart(mut self) -> Self {
        self.fallback = Fallback::Restart;
        self
    }

    /// The sessions with this server only. Default: all. What is said of one server holds until an upgrade of all.
    #[must_use]
    pub fn server(mut self, server: impl Into<ServerName>) -> Self {
        self.server = Some(server.into());
        self
    }

    /// A share of the sessions first, from 0 to 1 and at least one session; then it is watched for so long whether their guests fail.
    /// New sessions get the old guest until then. Default: all at once. Says nothing to an upgrade that drains, which chooses no
    /// sessions.
    #[must_use]
    pub fn first(mut self, share: f64, watch: Duration) -> Self {
        self.first = Some((share.clamp(0.0, 1.0), watch.min(LONGEST)));
        self
    }

    /// How long it is watched, when all sessions are upgraded, whether their guests fail. The upgrade ends after that. Default: not
    /// at all.
    #[must_use]
    pub fn watch(mut self, watch: Duration) -> Self {
        self.watch = watch.min(LONGEST);
        self
    }

    /// Faults of the new guest that are no reason to go back. Default: 0.
    #[must_use]
    pub fn tolerate(mut self, faults: usize) -> Self {
        self.tolerated = faults;
        self
    }

    /// Sessions that are replaced at a time. Default: 16; at least one.
    #[must_use]
    pub fn concurrency(mut self, sessions: usize) -> Self {
        self.concurrency = sessions.max(1);
        self
    }
}
