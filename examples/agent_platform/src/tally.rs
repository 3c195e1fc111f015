//! What is counted, and what is asked of it at the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use innkeeper::{DrainReport, ServerName, SessionKey, Status, Tenant, TenantName};

use crate::events::Seen;

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Answered,
    /// As it is to be: policy is against it.
    Refused(&'static str),
    /// It may have run, and nobody knows.
    InDoubt(&'static str),
    /// Worth another try after this time.
    NotNow(&'static str, Duration),
    Failed(&'static str),
}

/// Counts of calls. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    calls: u64,
    refused: u64,
    in_doubt: u64,
    /// What went wrong without being meant to.
    failed: u64,
    by_code: BTreeMap<&'static str, u64>,
    by_session: BTreeMap<(TenantName, ServerName, &'static str), u64>,
}

impl Tally {
    /// A call has ended. `server` is where its tool is, if there is one.
    pub(crate) fn ended(&self, tenant: &Tenant, user: &'static str, server: Option<&ServerName>, outcome: Outcome) {
        let mut counts = self.counts();
        counts.calls += 1;
        if let Some(server) = server {
            *counts.by_session.entry((tenant.name().clone(), server.clone(), user)).or_default() += 1;
        }
        let code = match outcome {
            Outcome::Answered => return,
            Outcome::Refused(code) => {
                counts.refused += 1;
                code
            }
            Outcome::InDoubt(code) => {
                counts.in_doubt += 1;
                code
            }
            Outcome::NotNow(code, _) | Outcome::Failed(code) => {
                counts.failed += 1;
                code
            }
        };
        *counts.by_code.entry(code).or_default() += 1;
    }

    /// Calls that were made on a session: of its user, or of all users where they share it.
    pub(crate) fn calls_of(&self, session: &SessionKey) -> u64 {
        let counts = self.counts();
        let is_of = |(tenant, server, user): &(TenantName, ServerName, &str)| {
            let by_user = session.user.as_ref().is_none_or(|name| name.as_str() == *user);
            *tenant == session.tenant && *server == session.server && by_user
        };
        counts.by_session.iter().filter(|(key, _)| is_of(key)).map(|(_, calls)| calls).sum()
    }

    /// The account of it all. `killed` is how many servers were.
    pub(crate) fn verdict(
        &self,
        seen: &Seen,
        drained: &DrainReport,
        took: Duration,
        left: &Status,
        killed: usize,
    ) -> Verdict {
        let counts = self.counts();
        let failures: Vec<_> = counts.by_code.iter().map(|(code, count)| format!("{count} {code}")).collect();
        let not_gone = drained.closed.iter().filter(|session| !session.gone).count();
        // No event says why a session is closed. Here it is the drain, or that it was idle: there is room for all.
        let drained_ids: BTreeSet<_> = drained.closed.iter().map(|closed| closed.session.id).collect();
        let reaped = seen.closed.iter().filter(|id| !drained_ids.contains(id)).count();
        Verdict {
            lines: [
                format!(
                    "calls     {}, of which failed: {}",
                    counts.calls,
                    if failures.is_empty() { "none".to_owned() } else { failures.join(", ") }
                ),
                format!(
                    "sessions  {} opened, {reaped} reaped while idle, {} connected anew after {killed} killed",
                    seen.opened, seen.reconnected,
                ),
                format!("drain     {} sessions in {:.1} s", drained.closed.len(), took.as_secs_f64()),
                format!("left      {} sessions, {} processes", left.sessions.len() + not_gone, left.children_alive),
            ],
            is_good: counts.failed == 0
                // An agent makes one call at a time: with its server dies one of them at most.
                && counts.in_doubt <= killed as u64
                && left.sessions.len() + not_gone + left.children_alive == 0
                && left.supervisor.is_none(),
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The account, and whether all went as it should.
pub(crate) struct Verdict {
    lines: [String; 4],
    is_good: bool,
}

impl Verdict {
    pub(crate) fn is_good(&self) -> bool {
        self.is_good
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nthe end")?;
        self.lines.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        f.write_str(if self.is_good { "  all as it should be" } else { "  NOT as it should be" })
    }
}
