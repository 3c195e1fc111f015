//! What is true after each step of a run, and at its end.

use std::{collections::BTreeSet, time::Duration};

use innkeeper::{Error, Event, MayHaveRun, Scope, SessionKey, SessionState, SessionStatus, Status};
use tokio::time::Instant;

use super::{
    plan::scope,
    world::{Checked, OPEN, Waiting, World},
};

/// What may come of a lease or a call where servers die and lie, guests trap, and sessions are few.
const CODES: [&str; 12] = [
    "at_capacity",
    "busy",
    "cancelled",
    "guest_fault",
    "protocol_violation",
    "server_error",
    "server_exited",
    "start_failed",
    "timeout",
    "too_large",
    "unavailable",
    "unsupported",
];

/// How much longer than its deadline something may take: while the end of a connection is read out, its session does nothing
/// else.
const LATE: Duration = Duration::from_secs(1);

macro_rules! ensure {
    ($holds:expr, $($fault:tt)*) => {
        if !$holds {
            return Err(format!($($fault)*));
        }
    };
}

/// Whose session it is.
fn user(session: &SessionKey) -> &str {
    session.user.as_ref().map_or("everybody", |user| user.as_str())
}

fn scope_of(session: &SessionKey) -> Scope {
    let number = session.server.as_str().trim_start_matches("server-").parse();
    scope(number.expect("the servers of a run have numbers"))
}

/// Whether somebody may get this session, if it is of their tenant.
pub(super) fn is_for(session: &SessionKey, waiting: &Waiting) -> bool {
    let whose = match scope_of(session) {
        Scope::Tenant => session.user.is_none(),
        _ => user(session) == waiting.user,
    };
    whose && session.server.as_str() == waiting.server
}

/// The sessions there are, in few words.
fn brief<'a>(rows: impl IntoIterator<Item = &'a SessionStatus>) -> String {
    let row = |row: &SessionStatus| {
        let (key, state, leases) = (&row.session, row.state, row.leases);
        format!("{} of {}, {}, {}: {state}, {leases} leases", key.id, key.tenant, user(key), key.server)
    };
    rows.into_iter().map(row).collect::<Vec<_>>().join("; ")
}

/// Sessions that can be leased.
fn open(status: &Status) -> Vec<&SessionStatus> {
    status.sessions.iter().filter(|session| session.state != SessionState::Closing).collect()
}

impl World {
    pub(super) fn check(&mut self) -> Checked {
        let status = self.runtime.status();
        self.check_counts(&status)?;
        self.check_leases(&status)?;
        self.check_events()?;
        self.check_deadlines()?;
        let faults = self.servers.faults();
        ensure!(faults.is_empty(), "{faults:?}");
        Ok(())
    }

    /// Of each key there is one session, and there are no more than there may be.
    fn check_counts(&self, status: &Status) -> Checked {
        let open = open(status);
        let (exclusive, others): (Vec<&SessionStatus>, Vec<_>) =
            open.iter().partition(|row| scope_of(&row.session) == Scope::Exclusive);
        ensure!(exclusive.iter().all(|row| row.leases == 1), "not one lease each: {}", brief(exclusive));
        let keys: BTreeSet<_> =
            others.iter().map(|row| (&row.session.tenant, &row.session.user, &row.session.server)).collect();
        ensure!(keys.len() == others.len(), "two sessions of one key: {}", brief(others));
        ensure!(open.len() <= self.plan.sessions_per_runtime, "{} sessions in all", open.len());
        for tenant in &self.tenants {
            let sessions = open.iter().filter(|row| row.session.tenant == *tenant.tenant.name()).count();
            ensure!(sessions <= self.plan.sessions_per_tenant, "{sessions} sessions of {}", tenant.tenant.name());
        }
        Ok(())
    }

    /// What is held is counted, and is not closed for being idle.
    fn check_leases(&self, status: &Status) -> Checked {
        let open = open(status);
        for row in &open {
            let held = self.held.iter().filter(|held| held.session.id == row.session.id).count();
            // Who waits may wait for the session before it, and does not know yet that it is gone.
            let waiting = self.waiting.iter().filter(|waiting| {
                *self.tenants[waiting.tenant].tenant.name() == row.session.tenant && is_for(&row.session, waiting)
            });
            let most = held + waiting.count();
            ensure!((held..=most).contains(&row.leases), "{} and it is to have {held} to {most}", brief([*row]));
        }
        for held in &self.held {
            // By force, so that it is its session's to bear; which hears of it when it has done what it is doing.
            if self.tenants[held.tenant].closings > held.closings {
                continue;
            }
            match held.watch.check() {
                Ok(()) => {
                    let is_there = open.iter().any(|row| row.session.id == held.session.id);
                    ensure!(is_there, "{:?} is held, takes calls, and is not in the table", held.session);
                }
                Err(error) => ensure!(error.code() != "closing", "{:?} is held and was closed", held.session),
            }
        }
        Ok(())
    }

    /// A session closes once, and is not heard of after that.
    fn check_events(&mut self) -> Checked {
        while let Some(event) = self.next_event() {
            let (session, closes) = match event.map_err(|lagged| lagged.to_string())? {
                Event::SessionClosing { session, code, .. } => {
                    self.saw(format!("session: {code}"));
                    (session, true)
                }
                Event::SessionOpened { session, .. } | Event::Notification { session, .. } => (session, false),
                _ => continue,
            };
            let was_closing = self.lives.insert(session.id, closes).unwrap_or_default();
            ensure!(!was_closing, "{session:?} was heard of after it had begun to close");
        }
        Ok(())
    }

    fn check_deadlines(&self) -> Checked {
        let now = Instant::now();
        for restarting in &self.restarting {
            let lease = restarting.holder;
            ensure!(now <= restarting.since + 4 * OPEN, "the restart of lease {lease} does not end");
        }
        for call in &self.calls {
            ensure!(now <= call.overdue + LATE, "call {} does not complete", call.number);
        }
        for waiting in &self.waiting {
            let (user, server) = (&waiting.user, &waiting.server);
            // A connection may have to be made more than once.
            ensure!(now <= waiting.since + 4 * OPEN, "{user} waits for a lease of {server} without end");
        }
        Ok(())
    }

    /// Somebody was told that there is no room: so all that the tenant has was held.
    pub(super) fn check_capacity(&mut self, before: &Status, tenant: usize) -> Checked {
        self.saw("lease: at_capacity");
        let open = open(before);
        let name = self.tenants[tenant].tenant.name();
        let own: Vec<_> = open.iter().filter(|row| row.session.tenant == *name).collect();
        let is_full = own.len() == self.plan.sessions_per_tenant || open.len() == self.plan.sessions_per_runtime;
        ensure!(
            is_full && own.iter().all(|row| row.leases > 0),
            "{name} was refused, and there was room: {}",
            brief(&before.sessions)
        );
        Ok(())
    }

    /// An error is one that there is a reason for. `closed`: somebody closed the tenant, or all.
    pub(super) fn check_error(&mut self, of: &str, error: &Error, closed: bool) -> Checked {
        self.saw(format!("{of}: {}", error.code()));
        let has_reason = CODES.contains(&error.code()) || (error.code() == "closing" && closed);
        ensure!(has_reason, "a {of} failed without a reason: {error:?}");
        Ok(())
    }

    /// Nobody did anything for longer than a session may be idle.
    pub(super) fn check_nothing_is_idle(&self) -> Checked {
        let status = self.runtime.status();
        ensure!(status.sessions.iter().all(|row| row.leases > 0), "idle for too long: {}", brief(&status.sessions));
        Ok(())
    }

    /// Everything was drained.
    pub(super) async fn check_the_end(&mut self) -> Checked {
        for held in &self.held {
            ensure!(held.watch.check().is_err(), "{:?} outlives the runtime", held.session);
        }
        let refused = self.tenants[0].tenant.lease("late", "server-0").await.err().map(|error| error.code());
        ensure!(refused == Some("closing"), "a lease after the drain: {refused:?}");
        self.check_nothing_is_left()?;

        self.let_go_of_all();
        self.turns().await;

        self.check_nothing_is_left()?;
        let (connections, servers) = self.servers.open();
        ensure!((connections, servers) == (0, 0), "{connections} connections and {servers} servers are left");
        let open: Vec<_> = self.lives.iter().filter(|(_, closing)| !**closing).map(|(id, _)| id).collect();
        ensure!(open.is_empty(), "{open:?} never closed");
        self.check_calls()
    }

    fn check_nothing_is_left(&self) -> Checked {
        let status = self.runtime.status();
        ensure!(status.sessions.is_empty(), "left behind: {}", brief(&status.sessions));
        let (leases, children, supervisor) = (status.leases, status.children_alive, status.supervisor);
        ensure!(
            (leases, children, supervisor) == (0, 0, None),
            "{leases} leases, {children} processes, {supervisor:?}"
        );
        Ok(())
    }

    /// No call has run twice, and what is said of one that failed is true.
    fn check_calls(&self) -> Checked {
        for ended in &self.ended {
            let times = self.servers.times(ended.number);
            let most = if ended.idempotent { 2 } else { 1 };
            let may_be = match ended.outcome {
                Some(Ok(())) if ended.of_server => 1..=most,
                Some(Err(MayHaveRun::No)) => 0..=0,
                Some(Err(MayHaveRun::Yes)) => 1..=most,
                _ => 0..=most,
            };
            ensure!(may_be.contains(&times), "call {}, {:?}, came {times} times", ended.number, ended.outcome);
        }
        Ok(())
    }
}
