//! Asking servers for their tools, on tasks of the runtime: whoever waits may stop waiting, and the work is there for the next.
//!
//! A task holds its tenant only while it asks, which the limits of opening and of a call bound; a server that announces changes
//! without end keeps neither its session nor its tenant alive.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::lists::{Fetch, Key, List, Lists, Outcome};
use crate::{Error, Lease, MayHaveRun, SessionKey, Tenant, UserName, api::WeakTenant};

/// The least time from one question to the next that a server's announcements may cause. A burst of them is one change to whoever
/// made it, and a server that announces without end is asked once a second, and no more.
const SPACING: Duration = Duration::from_secs(1);

/// The lists of a tenant, behind one short lock.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Lists>>);

impl Shared {
    pub(super) fn new(lists: Lists) -> Self {
        Self(Arc::new(Mutex::new(lists)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Lists> {
        // Nothing under this lock can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for the list of a user, on whatever session that has or gets.
    pub(super) fn fetch(&self, tenant: &Tenant, fetch: Fetch, user: UserName) {
        let duty = Duty { lists: self.clone(), fetch: Some(fetch) };
        tenant.spawn(run(tenant.downgrade(), duty, On::SessionOf(user)));
    }

    /// The server of a session says that its list is another: asks for it there, unless somebody does already.
    pub(super) fn announced(&self, tenant: &Tenant, session: &SessionKey) {
        let Some((fetch, asked_at)) = self.lock().announced(&Key::of(session)) else { return };
        let duty = Duty { lists: self.clone(), fetch: Some(fetch) };
        let not_before = asked_at.map_or_else(Instant::now, |at| at + SPACING);
        tenant.spawn(run(tenant.downgrade(), duty, On::Session(session.clone(), not_before)));
    }
}

/// Where to ask.
enum On {
    SessionOf(UserName),
    /// Only as long as it is open.
    Session(SessionKey, Instant),
}

async fn run(tenant: WeakTenant, mut duty: Duty, mut on: On) {
    loop {
        if let On::Session(_, not_before) = &on {
            sleep_until(*not_before).await;
        }
        let Some(tenant) = tenant.upgrade() else { return };
        let Some((session, next)) = duty.ask(&tenant, &on).await else { return };
        drop(tenant);
        on = On::Session(session, next);
    }
}

/// A fetch that others rely on: it is given up where its task ends before it does.
struct Duty {
    lists: Shared,
    fetch: Option<Fetch>,
}

impl Duty {
    /// Asks. Returns where and when to ask again, where the server said meanwhile that it is to be asked again.
    async fn ask(&mut self, tenant: &Tenant, on: &On) -> Option<(SessionKey, Instant)> {
        let key = self.fetch.as_ref()?.key.clone();
        let lease = match on {
            On::SessionOf(user) => tenant.lease(user.clone(), key.server.clone()).await,
            // Where it is gone, the list stays as it is until somebody wants it.
            On::Session(session, _) => Ok(tenant.rejoin(session)?),
        };
        let began = Instant::now();
        let (session, seen, outcome) = match lease {
            Ok(lease) => {
                // What is announced before the question is known to the answer.
                let seen = self.lists.lock().asking(&key, began);
                (Some(lease.session()), seen, self.list(&lease).await)
            }
            Err(error) => (None, 0, Err(Arc::new(error))),
        };
        if let Err(error) = &outcome {
            tracing::debug!(server = %key.server, %error, "the server's tools cannot be listed");
        }
        let fetch = self.fetch.take()?;
        self.fetch = self.lists.lock().finish(&fetch, seen, outcome);
        self.fetch.is_some().then_some((session?, began + SPACING))
    }

    async fn list(&self, lease: &Lease) -> Outcome {
        let most = self.lists.lock().most_bytes();
        match lease.list_tools().await {
            Ok((tools, bytes)) if bytes <= most => {
                Ok(Arc::new(List { tools: tools.into_iter().map(Arc::new).collect(), bytes }))
            }
            Ok(_) => Err(Arc::new(Error::TooLarge {
                what: format!("the list of tools of server `{}`", lease.session().server),
                limit: most,
                setting: "tool_list_bytes",
                may_have_run: MayHaveRun::Yes,
            })),
            Err(error) => Err(Arc::new(error)),
        }
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        if let Some(fetch) = &self.fetch {
            self.lists.lock().give_up(fetch);
        }
    }
}
