//! The tools of all servers of a user, as one catalog for a model.
//!
//! A platform asks for it before each turn of a model, so it must cost nothing where nothing has changed: lists are kept over the
//! sessions that they came from, and no session is opened for one that is known. A server that fails, or hangs, takes nothing
//! from the others. What a server says to have changed is asked for again, and is marked until the answer is there.
//!
//! Not here: which tool is right for a task, and what a model may do without asking a person.
//!
//! | file | what it holds |
//! |---|---|
//! | `lists` | what is known, asked for, and forgotten first: plain data |
//! | `recent` | a map that knows what nobody has asked for longest |
//! | `fetch` | asking servers, on tasks of the runtime |
//! | `names` | names that are safe, unique and stable |
//! | `merge` | many lists as one |

mod fetch;
mod lists;
mod merge;
mod names;
mod recent;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use serde::Serialize;

use self::{
    fetch::Shared,
    lists::{Given, Key, Lists, Outcome, Source},
};
use super::{Tool, ToolCallBuilder, edge, rules::Rules, tool_call};
use crate::{Error, Limits, MayHaveRun, ServerName, SessionKey, Tenant, UserName, api::IdempotenceHint};

/// Names that an error lists at most.
const MOST_KNOWN: usize = 20;

/// The tools that a user has, of all servers. Made by [`Tenant::tools`]; it does not change.
///
/// Names are safe for models: `[A-Za-z0-9_-]{1,64}`. A tool is called `server__tool`, with `_` for every other character, or as
/// [`ToolRules::rename`](crate::ToolRules::rename) says. A name that is too long, and one that several tools have, is cut to fit
/// and gets `_` and eight hexadecimal digits of a hash of the server and the tool, for each of them. No order is of
/// influence: the same tools always have the same names.
#[derive(Debug)]
pub struct ToolCatalog {
    generation: u64,
    tools: Vec<CatalogTool>,
    unavailable: Vec<(ServerName, Arc<Error>)>,
}

/// A tool of a [`ToolCatalog`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CatalogTool {
    /// Its name in the catalog, for models and [`Tenant::call_tool`].
    pub name: String,
    /// The server that has it.
    pub server: ServerName,
    /// The tool as the server sent it, with the name that the server has for it.
    pub tool: Arc<Tool>,
    /// The server has announced that its tools are others now, and what they are is not known yet: it is being asked, or did not
    /// answer, and is asked again when the catalog is.
    pub stale: bool,
    description: Option<String>,
}

impl CatalogTool {
    /// What it does, for models: as [`ToolRules::describe`](crate::ToolRules::describe) says, or the server.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref().or(self.tool.description.as_deref())
    }
}

impl ToolCatalog {
    /// Grows whenever what a model would see has changed for the user: two catalogs of one user with the same generation have the
    /// same tools with the same names and descriptions. It may grow for less, where a list was forgotten for others and had again.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The tools, sorted by name.
    pub fn tools(&self) -> &[CatalogTool] {
        &self.tools
    }

    /// A tool by its name in the catalog.
    pub fn get(&self, name: &str) -> Option<&CatalogTool> {
        let at = self.tools.binary_search_by(|tool| tool.name.as_str().cmp(name)).ok()?;
        self.tools.get(at)
    }

    /// The servers whose tools are not known, and why. The next [`Tenant::tools`] asks them again.
    pub fn unavailable(&self) -> impl ExactSizeIterator<Item = (&ServerName, &Error)> {
        self.unavailable.iter().map(|(server, error)| (server, &**error))
    }
}

impl Tenant {
    /// The tools that a user has, of all servers. Asks only servers whose tools are not known, all of them at a time, and waits
    /// for these; each is bounded by its own limits for opening and for a call. A tool list is kept when its session is closed,
    /// up to [`Limits::tool_lists`]. One that its server has announced to be another is asked for again meanwhile, and is stale
    /// until that has an answer.
    ///
    /// ```no_run
    /// # async fn example(acme: innkeeper::Tenant, last: u64) -> Result<(), innkeeper::Error> {
    /// let tools = acme.tools("alice").await?;
    /// if tools.generation() != last {
    ///     for tool in tools.tools() {
    ///         println!("{}: {}", tool.name, tool.description().unwrap_or_default());
    ///     }
    ///     for (server, error) in tools.unavailable() {
    ///         eprintln!("{server} has none at present: {error}");
    ///     }
    /// }
    ///
    /// // What a model answered.
    /// let (name, arguments) = ("github__search", serde_json::json!({ "query": "innkeeper" }));
    /// let result = acme.call_tool("alice", name, &arguments).await?.start().await?;
    /// println!("{:?}", result.content);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Closing`] where the runtime is being closed. What a server does wrong is in
    /// [`ToolCatalog::unavailable`].
    ///
    /// # Cancellation safety
    ///
    /// Dropping the future leaves what has begun: the answers are there for whoever asks next.
    pub async fn tools(&self, user: impl Into<UserName>) -> Result<Arc<ToolCatalog>, Error> {
        self.admit_leases()?;
        let edge = edge::of(self.edge());
        Ok(edge.catalogs().complete(self, &edge.rules(), &user.into()).await)
    }

    /// Prepares a call of a tool by its name in the user's catalog: finds the server, and leases the user's session with it for as
    /// long as the call. A name of an older catalog counts for as long as there is a tool of that name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where the user has no such tool, and where its server may have it and its tools are not known, why they are
    /// not; [`Error::Denied`] where there is one that
    /// [`ToolRules`](crate::ToolRules) are against, [`Error::InvalidInput`] where the arguments are no JSON object, and what
    /// [`Tenant::lease`] returns.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the future gives the lease back. Nothing was sent.
    pub async fn call_tool(
        &self,
        user: impl Into<UserName>,
        name: &str,
        arguments: &impl Serialize,
    ) -> Result<ToolCallBuilder, Error> {
        let user = user.into();
        let arguments = tool_call::arguments(arguments)?;
        self.admit_leases()?;
        let edge = edge::of(self.edge());
        let rules = edge.rules();
        let (server, tool) = edge.catalogs().resolve(self, &rules, &user, name).await?;
        rules.admit(&server, &tool.name)?;
        let lease = self.lease(user, server).await?;
        Ok(ToolCallBuilder::new(&lease, &tool.name, &arguments))
    }
}

/// The catalogs of a tenant's users.
pub(super) struct Catalogs {
    lists: Shared,
    generations: Arc<AtomicU64>,
}

impl Catalogs {
    pub(super) fn new(limits: &Limits, generations: Arc<AtomicU64>) -> Self {
        Self { lists: Shared::new(Lists::new(limits.tool_lists, limits.tool_list_bytes)), generations }
    }

    /// The server of a session says that its list is another.
    pub(super) fn announced(&self, tenant: &Tenant, session: &SessionKey) {
        self.lists.announced(tenant, session);
    }

    /// Names and descriptions may be others for the same lists.
    pub(super) fn rules_changed(&self) {
        self.lists.lock().forget_given();
    }

    /// There is another server under this name, or none.
    pub(super) fn replaced(&self, server: &ServerName) {
        self.lists.lock().forget(server);
    }

    /// Whether a server says of a tool that it may be called twice, as far as the catalogs have it. `user` is the one of the session.
    pub(super) fn idempotence_hint(&self, user: Option<&UserName>, server: &ServerName, tool: &str) -> IdempotenceHint {
        self.lists.lock().idempotence_hint(&Key::of_session(user, server), tool)
    }

    /// The catalog of a user, with an answer of every server whose tools are not known.
    async fn complete(&self, tenant: &Tenant, rules: &Rules, user: &UserName) -> Arc<ToolCatalog> {
        let keys = keys(tenant, user);
        let wanted: Vec<_> = {
            let mut lists = self.lists.lock();
            keys.iter().map(|key| lists.want(key)).collect()
        };
        let mut waiting = Vec::new();
        for (key, wanted) in keys.iter().zip(wanted) {
            if let Some(fetch) = wanted.begin {
                self.lists.fetch(tenant, fetch, user.clone());
            }
            waiting.extend(wanted.wait.map(|wait| (key.server.clone(), wait)));
        }
        let mut outcomes = HashMap::new();
        // One after the other, and no longer than the slowest: they all run already.
        for (server, mut wait) in waiting {
            let outcome = match wait.wait_for(Option::is_some).await {
                Ok(outcome) => outcome.clone(),
                Err(_) => None,
            };
            outcomes.insert(server, outcome.unwrap_or_else(|| Err(Arc::new(unfinished()))));
        }
        self.present(rules, user, &keys, &outcomes)
    }

    /// The catalog of what is known now. `outcomes` is what was answered of late, and may be forgotten already.
    fn present(
        &self,
        rules: &Rules,
        user: &UserName,
        keys: &[Key],
        outcomes: &HashMap<ServerName, Outcome>,
    ) -> Arc<ToolCatalog> {
        let mut lists = self.lists.lock();
        let changes = lists.changes();
        let given = lists.given(user);
        let sources: Arc<[_]> = keys
            .iter()
            .filter_map(|key| {
                let source = match (lists.source(key), outcomes.get(&key.server)) {
                    (Some(known @ Source::Known { .. }), _) => Some(known),
                    (_, Some(Ok(list))) => Some(Source::Known { list: list.clone(), stale: false }),
                    (_, Some(Err(error))) => Some(Source::Failed(error.clone())),
                    (failed, None) => failed,
                };
                source.map(|source| (key.server.clone(), source))
            })
            .collect();
        drop(lists);
        if let Some(given) = given.filter(|given| are_the_same(&given.sources, &sources)) {
            return given.catalog;
        }

        let tools = merge::merge(&sources, rules);
        let failed = |(server, source): &(ServerName, Source)| match source {
            Source::Failed(error) => Some((server.clone(), error.clone())),
            Source::Known { .. } => None,
        };
        let unavailable = sources.iter().filter_map(failed).collect();

        let mut lists = self.lists.lock();
        let generation = match lists.given(user) {
            // Somebody else was faster, with what is newer.
            Some(given) if given.changes > changes => return given.catalog,
            Some(given) if merge::looks_alike(&given.catalog.tools, &tools) => given.catalog.generation,
            _ => self.generations.fetch_add(1, Relaxed) + 1,
        };
        let catalog = Arc::new(ToolCatalog { generation, tools, unavailable });
        lists.give(user, Given { catalog: catalog.clone(), sources, changes }, keys);
        catalog
    }

    /// The tool that a user's catalog has under a name.
    async fn resolve(
        &self,
        tenant: &Tenant,
        rules: &Rules,
        user: &UserName,
        name: &str,
    ) -> Result<(ServerName, Arc<Tool>), Error> {
        let keys = keys(tenant, user);
        // Who was given a catalog has its names from there: what is known is enough, and no server that fails is waited for.
        let given = self.lists.lock().given(user);
        if given.is_some()
            && let Some(found) = self.find(rules, &self.present(rules, user, &keys, &HashMap::new()), name, &keys)?
        {
            return Ok(found);
        }
        let catalog = self.complete(tenant, rules, user).await;
        if let Some(found) = self.find(rules, &catalog, name, &keys)? {
            return Ok(found);
        }
        // Whoever is told that there is no such tool does not come back for it.
        let its_server = catalog
            .unavailable()
            .find(|(server, _)| names::could_be_of(server.as_str(), name) || rules.give(server, name));
        Err(match its_server {
            Some((server, error)) => not_called(server, error),
            None => Error::NotFound {
                what: "tool",
                name: name.to_owned(),
                known: catalog.tools.iter().take(MOST_KNOWN).map(|tool| tool.name.clone()).collect(),
            },
        })
    }

    fn find(
        &self,
        rules: &Rules,
        catalog: &ToolCatalog,
        name: &str,
        keys: &[Key],
    ) -> Result<Option<(ServerName, Arc<Tool>)>, Error> {
        if let Some(found) = catalog.get(name) {
            return Ok(Some((found.server.clone(), found.tool.clone())));
        }
        let sources: Vec<_> = {
            let mut lists = self.lists.lock();
            keys.iter().filter_map(|key| Some((key.server.clone(), lists.source(key)?))).collect()
        };
        match merge::denied(name, &sources, rules) {
            Some((server, tool)) => rules.admit(server, tool).map(|()| None),
            None => Ok(None),
        }
    }
}

/// Where a user finds the lists of a tenant's servers.
fn keys(tenant: &Tenant, user: &UserName) -> Vec<Key> {
    tenant.catalog().servers().map(|(name, server)| Key::new(user, name, server)).collect()
}

fn are_the_same(a: &[(ServerName, Source)], b: &[(ServerName, Source)]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|((a, source), (b, other))| a == b && source.is(other))
}

/// A call that was not made, because the tools of its server could not be had.
fn not_called(server: &ServerName, error: &Error) -> Error {
    let own = error.clone().with_may_have_run(MayHaveRun::No);
    // What a server answered when it was asked for its tools is no answer to the call.
    match own.may_have_run() {
        MayHaveRun::No => own,
        _ => Error::Unavailable {
            server: server.clone(),
            reason: format!("its tools are not known: {error}"),
            retry_after: error.retry_after(),
            may_have_run: MayHaveRun::No,
        },
    }
}

/// A fetch that ended without a word: its task panicked, or went with its tokio runtime.
fn unfinished() -> Error {
    Error::System { what: "asking a server for its tools", reason: "the task that asked has ended".to_owned() }
}
