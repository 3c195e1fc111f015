//! The lists of tools of a tenant: what is known, what is being asked for, and what is forgotten first.
//!
//! Plain data, without a lock, a clock or a task. A list outlives the session that it came from. It is asked for by one *fetch* at
//! a time; what the server announces while that runs is not lost, because the fetch says which announcements it has seen when it
//! asked. Nothing that is known is given up for a failure.

use std::sync::Arc;

use tokio::{sync::watch, time::Instant};

use super::{super::Tool, ToolCatalog, recent::Recent};
use crate::{Error, Scope, Server, ServerName, SessionKey, UserName, api::IdempotenceHint};

/// What a list is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// None: it is that of all users.
    user: Option<UserName>,
    pub(super) server: ServerName,
}

impl Key {
    /// Where a user finds the list of a server: that of the user's session with it.
    pub(super) fn new(user: &UserName, name: &ServerName, server: &Server) -> Self {
        let is_shared = server.shared_by() == Scope::Tenant;
        Self { user: (!is_shared).then(|| user.clone()), server: name.clone() }
    }

    /// The list that is that of a session.
    pub(super) fn of(session: &SessionKey) -> Self {
        Self::of_session(session.user.as_ref(), &session.server)
    }

    /// The same, of a session for this user, or for all.
    pub(super) fn of_session(user: Option<&UserName>, server: &ServerName) -> Self {
        Self { user: user.cloned(), server: server.clone() }
    }
}

/// The tools of a server, as it listed them.
#[derive(Debug, PartialEq)]
pub(super) struct List {
    pub(super) tools: Vec<Arc<Tool>>,
    /// In the server's JSON.
    pub(super) bytes: usize,
}

/// What came of asking.
pub(super) type Outcome = Result<Arc<List>, Arc<Error>>;

/// What is known of one server's tools.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Known { list: Arc<List>, stale: bool },
    Failed(Arc<Error>),
}

impl Source {
    /// Whether it is the very same.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Known { list: a, stale: b }, Self::Known { list: c, stale: d }) => Arc::ptr_eq(a, c) && b == d,
            (Self::Failed(a), Self::Failed(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

/// The catalog that a user was given last.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) catalog: Arc<ToolCatalog>,
    pub(super) sources: Arc<[(ServerName, Source)]>,
    /// When it was made, in changes of the lists.
    pub(super) changes: u64,
}

/// The right, and the duty, to ask for a list.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) key: Key,
    done: watch::Sender<Option<Outcome>>,
}

/// What is there for whoever wants a list.
pub(super) struct Wanted {
    /// Where to wait, as no list is known.
    pub(super) wait: Option<watch::Receiver<Option<Outcome>>>,
    /// A fetch to begin.
    pub(super) begin: Option<Fetch>,
}

pub(super) struct Lists {
    entries: Recent<Key, Entry>,
    given: Recent<UserName, Given>,
    bytes: usize,
    most: usize,
    most_bytes: usize,
    changes: u64,
}

#[derive(Default)]
struct Entry {
    source: Option<Source>,
    /// How often the server has said that its list is another.
    announced: u64,
    /// The fetch that runs, or waits for its time.
    fetching: Option<watch::Receiver<Option<Outcome>>>,
    /// When the last one began.
    asked_at: Option<Instant>,
}

impl Entry {
    fn begin(&mut self, key: &Key) -> Fetch {
        let (done, fetching) = watch::channel(None);
        self.fetching = Some(fetching);
        Fetch { key: key.clone(), done }
    }

    fn bytes(&self) -> usize {
        match &self.source {
            Some(Source::Known { list, .. }) => list.bytes,
            _ => 0,
        }
    }
}

impl Lists {
    pub(super) fn new(most: usize, most_bytes: usize) -> Self {
        Self { entries: Recent::default(), given: Recent::default(), bytes: 0, most, most_bytes, changes: 0 }
    }

    pub(super) fn most_bytes(&self) -> usize {
        self.most_bytes
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Somebody wants a list. One that is known need not be waited for, even where it is stale and being asked for again.
    pub(super) fn want(&mut self, key: &Key) -> Wanted {
        if self.entries.touch(key).is_none() {
            self.entries.insert(key.clone(), Entry::default());
        }
        let Some(entry) = self.entries.peek_mut(key) else { return Wanted { wait: None, begin: None } };
        let (known, fresh) = match &entry.source {
            Some(Source::Known { stale, .. }) => (true, !stale),
            Some(Source::Failed(_)) | None => (false, false),
        };
        let begin = (!fresh && entry.fetching.is_none()).then(|| entry.begin(key));
        let wait = if known { None } else { entry.fetching.clone() };
        self.forget_oldest();
        Wanted { wait, begin }
    }

    /// What is known of a list.
    pub(super) fn source(&mut self, key: &Key) -> Option<Source> {
        self.entries.touch(key)?.source.clone()
    }

    /// Whether a server says of a tool that it may be called twice, as far as is known. That is no use of the list.
    pub(super) fn idempotence_hint(&self, key: &Key, tool: &str) -> IdempotenceHint {
        let Some(Source::Known { list, stale }) = self.entries.peek(key).and_then(|entry| entry.source.as_ref()) else {
            return IdempotenceHint::None;
        };
        // A server may list a name twice, and a call cannot tell which it is of.
        let mut named = list.tools.iter().filter(|listed| listed.name == tool).peekable();
        match named.peek().is_some() && named.all(|listed| listed.is_hinted_idempotent()) {
            false => IdempotenceHint::None,
            true if *stale => IdempotenceHint::Stale,
            true => IdempotenceHint::Current,
        }
    }

    /// The server says that its list is another. Returns a fetch where none is to come anyway, and when the last one began.
    pub(super) fn announced(&mut self, key: &Key) -> Option<(Fetch, Option<Instant>)> {
        let entry = self.entries.peek_mut(key)?;
        entry.announced += 1;
        match &mut entry.source {
            Some(Source::Known { stale, .. }) => *stale = true,
            _ => return None,
        }
        let begin = entry.fetching.is_none().then(|| (entry.begin(key), entry.asked_at));
        self.changes += 1;
        begin
    }

    /// The server is about to be asked. Returns which announcements its answer will know.
    pub(super) fn asking(&mut self, key: &Key, now: Instant) -> u64 {
        self.entries.peek_mut(key).map_or(0, |entry| {
            entry.asked_at = Some(now);
            entry.announced
        })
    }

    /// A fetch is over. `seen` are the announcements that its answer knows. Returns another where there were more meanwhile.
    pub(super) fn finish(&mut self, fetch: &Fetch, seen: u64, outcome: Outcome) -> Option<Fetch> {
        let mut next = None;
        if let Some(entry) = self.entries.peek_mut(&fetch.key) {
            entry.fetching = None;
            let before = entry.bytes();
            let was = entry.source.take();
            let is = match (outcome.clone(), was) {
                (Ok(list), was) => {
                    let stale = entry.announced != seen;
                    if stale {
                        next = Some(entry.begin(&fetch.key));
                    }
                    // The same as before is the very same, and no reason to merge anew.
                    match was {
                        Some(Source::Known { list: known, .. }) if known == list => {
                            Source::Known { list: known, stale }
                        }
                        _ => Source::Known { list, stale },
                    }
                }
                (Err(_), Some(Source::Known { list, .. })) => Source::Known { list, stale: true },
                (Err(error), _) => Source::Failed(error),
            };
            entry.source = Some(is);
            self.bytes = self.bytes - before + entry.bytes();
            self.changes += 1;
            self.forget_oldest();
        }
        fetch.done.send_replace(Some(outcome));
        next
    }

    /// A fetch has come to nothing: its session is gone, or its task.
    pub(super) fn give_up(&mut self, fetch: &Fetch) {
        if let Some(entry) = self.entries.peek_mut(&fetch.key) {
            entry.fetching = None;
        }
    }

    /// What a user was given last.
    pub(super) fn given(&mut self, user: &UserName) -> Option<Given> {
        self.given.touch(user).cloned()
    }

    /// Keeps what a user is given, if all of it is known here: else it would keep lists that were forgotten for being too many. What
    /// a refresh replaces it does keep, until the user is given the next: so all lists are at most twice as many as may be.
    pub(super) fn give(&mut self, user: &UserName, given: Given, keys: &[Key]) {
        let is_known = |(server, source): &(ServerName, Source)| match source {
            Source::Failed(_) => true,
            Source::Known { list, .. } => {
                let key = keys.iter().find(|key| key.server == *server);
                let entry = key.and_then(|key| self.entries.peek(key));
                matches!(entry.and_then(|entry| entry.source.as_ref()), Some(Source::Known { list: known, .. }) if Arc::ptr_eq(known, list))
            }
        };
        if given.sources.iter().all(is_known) {
            self.given.insert(user.clone(), given);
            while self.given.len() > self.most.max(1) {
                let Some(oldest) = self.given.oldest(|_| true) else { break };
                self.given.remove(&oldest);
            }
        }
    }

    /// Makes all catalogs anew that are asked for from now on.
    pub(super) fn forget_given(&mut self) {
        self.given.clear();
        self.changes += 1;
    }

    /// Knows nothing of the lists of a server any more. An answer that is on its way may be of the one before: it is stale.
    pub(super) fn forget(&mut self, server: &ServerName) {
        for key in self.entries.keys().filter(|key| key.server == *server).cloned().collect::<Vec<_>>() {
            let Some(entry) = self.entries.peek_mut(&key) else { continue };
            self.bytes -= entry.bytes();
            entry.source = None;
            entry.announced += 1;
        }
        self.forget_given();
    }

    fn forget_oldest(&mut self) {
        while self.entries.len() > self.most.max(1) || self.bytes > self.most_bytes {
            // One that is being asked for has somebody who waits, or is of no size to speak of.
            let Some(key) = self.entries.oldest(|entry| entry.fetching.is_none()) else { break };
            let Some(entry) = self.entries.remove(&key) else { break };
            self.bytes -= entry.bytes();
            self.changes += 1;
            // Catalogs hold the lists that they were made of.
            match &key.user {
                Some(user) => drop(self.given.remove(user)),
                None => self.given.clear(),
            }
        }
    }
}

#[cfg(test)]
#[path = "lists/tests.rs"]
mod tests;
