//! Another catalog for a tenant whose sessions live.
//!
//! Only what is different is touched: a server whose connections are made from the same settings keeps them. A server is replaced
//! for itself, beside the others and under no lock, and its entry in the catalog changes when there is a session that was opened
//! with the new one: until then whoever leases gets the old. What cannot be opened stays as it was, and is tried again after a
//! while. One task does all that for a tenant; when it is given something newer it leaves what it was about, so that however fast
//! edits come, it ends with the last.
//!
//! | file | what it holds |
//! |---|---|
//! | `report` | what became of each server |
//! | `gates` | servers that nobody gets a session with at present |
//! | `server` | one server: another entry in the place of one |
//! | `worker` | all of them, again and again |

mod gates;
mod report;
mod server;
mod worker;

use std::{sync::Arc, time::Duration};

use tokio::sync::{Mutex, watch};

pub use self::report::{ReloadReport, Reloaded, ServerReload};
use self::{gates::Gates, worker::Target};
use super::{Catalog, Tenant, admission::Admission};
use crate::{Error, MayHaveRun, ServerName};

/// What a tenant's reloads have between them.
pub(super) struct Reloads {
    /// What was asked for last.
    wanted: Mutex<Option<Wanted>>,
    target: watch::Sender<Option<Arc<Target>>>,
    told: watch::Sender<Option<ReloadReport>>,
    gates: Gates,
}

#[derive(Clone)]
struct Wanted {
    /// None: that of the builder, which is in force.
    trusted: Option<Catalog>,
    untrusted: Catalog,
}

impl Reloads {
    /// For a tenant that brings these servers.
    pub(super) fn new(untrusted: Catalog) -> Self {
        Self {
            wanted: Mutex::new(Some(Wanted { trusted: None, untrusted })),
            target: watch::Sender::new(None),
            told: watch::Sender::new(None),
            gates: Gates::default(),
        }
    }

    /// Waits until sessions with a server are to be had, at most for so long.
    pub(super) async fn let_in(&self, server: &ServerName, most: Duration) -> Result<(), Error> {
        self.gates.let_in(server, most).await
    }

    pub(super) fn is_closed_for(&self, server: &ServerName) -> bool {
        self.gates.is_closed(server)
    }
}

impl Tenant {
    /// Gives the tenant another catalog of the platform's servers, in the place of the one of
    /// [`TenantBuilder::catalog`](crate::TenantBuilder::catalog). [`plan`](Self::plan) says beforehand what that changes.
    ///
    /// - A server whose connections are made from the same settings ([`Server::digest`](crate::Server::digest)) keeps them. Rules for
    ///   tools are in force at once; a time for calls with the next session.
    /// - Where they are made from others, each session is opened anew, and the old one is left to those who hold it, for
    ///   [`Limits::drain`](crate::Limits::drain): calls under way finish there, and whoever leases now gets the new one.
    ///   [`Server::replace`](crate::Server::replace) can have it the other way round. Where none can be opened, the server stays as
    ///   it was, and is tried again after a while, as long as nothing newer is asked for.
    /// - The sessions with a server that is there no more are left to their holders in the same way. Exclusive sessions are their
    ///   leases', unless their server may be there only once.
    ///
    /// Servers are replaced at the same time, and none waits for another. Returns when all that could be opened is open. Of two
    /// reloads at a time the later one counts, and both return what became of it.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`] and [`Error::InvalidInput`] as [`TenantBuilder::apply`](crate::TenantBuilder::apply): then nothing is
    /// changed. What cannot be opened is in the report.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the future leaves what has begun: the tenant gets the catalog.
    pub async fn reload(&self, catalog: Catalog) -> Result<ReloadReport, Error> {
        self.reload_to(|wanted| wanted.trusted = Some(catalog)).await
    }

    /// The same with the servers that the tenant brings itself, in the place of those of
    /// [`TenantBuilder::untrusted_catalog`](crate::TenantBuilder::untrusted_catalog). Everything is denied that policy does not allow.
    ///
    /// # Errors
    ///
    /// As [`reload`](Self::reload).
    ///
    /// # Cancellation safety
    ///
    /// As [`reload`](Self::reload).
    pub async fn reload_untrusted(&self, catalog: Catalog) -> Result<ReloadReport, Error> {
        self.reload_to(|wanted| wanted.untrusted = catalog).await
    }

    async fn reload_to(&self, edit: impl FnOnce(&mut Wanted)) -> Result<ReloadReport, Error> {
        let inner = &self.inner;
        let reloads = &inner.reloads;
        let (version, mut told) = {
            let mut last = reloads.wanted.lock().await;
            let is_first = reloads.target.borrow().is_none();
            let present = inner.admission.get();
            let mut wanted = last.clone().unwrap_or_else(|| Wanted { trusted: None, untrusted: Catalog::new() });
            edit(&mut wanted);
            let trusted = wanted.trusted.clone().unwrap_or_else(|| present.trusted_catalog());
            let (name, policy, untrusted) = (inner.name.clone(), present.policy.clone(), wanted.untrusted.clone());
            // Following links may read from a slow disk: not on the embedder's workers.
            let admission = tokio::task::spawn_blocking(move || Admission::of(&name, policy, trusted, untrusted)).await;
            let admission = admission.map_err(|error| Error::System {
                what: "looking at the servers of a tenant",
                reason: error.to_string(),
            })??;
            inner.edge.check(&admission.catalog)?;

            // From here on it is the tenant's.
            *last = Some(wanted);
            inner.edge.reload(&admission.catalog);
            let told = reloads.told.subscribe();
            let version = reloads.target.borrow().as_ref().map_or(0, |target| target.version) + 1;
            reloads.target.send_replace(Some(Arc::new(Target { version, admission })));
            if is_first {
                inner.shared.tokio.spawn(worker::work(self.downgrade(), reloads.target.subscribe()));
            }
            (version, told)
        };
        let found = told.wait_for(|report| report.as_ref().is_some_and(|report| report.version >= version)).await;
        let report = found.ok().and_then(|report| report.clone());
        report.ok_or_else(|| Error::Closing { what: format!("tenant `{}`", inner.name), may_have_run: MayHaveRun::No })
    }
}
