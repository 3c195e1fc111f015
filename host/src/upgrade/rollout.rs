//! All sessions of an upgrade: a share first, then the rest, and the way back.
//!
//! Sessions that are opened meanwhile are not forgotten: from the moment at which the new guest is the one that sessions get, none
//! is made with the old one, so whoever looks until there is none left that it has not dealt with has dealt with all.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time::Instant,
};

use super::{
    Guests,
    guests::Assigned,
    plan::{Fallback, Mode, Upgrade},
    replace::{Chosen, Replaced, Replacing},
    report::{SessionUpgrade, UpgradeOutcome, UpgradePhase, UpgradeProgress, UpgradeReport},
    trial::{Trial, Watching},
    tryout::try_out,
};
use crate::{
    Error, Limits,
    guest::Component,
    names::SessionId,
    registry::{Registry, SessionKey, Tenure},
};

/// The sessions of one tenant.
#[derive(Clone)]
pub(crate) struct Fleet {
    pub(crate) generation: u64,
    pub(crate) guests: Arc<Guests>,
}

/// An upgrade under way.
pub(crate) struct Rollout {
    pub(crate) registry: Arc<Registry>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) client_info: Bytes,
    /// By generation.
    pub(crate) fleets: Vec<Fleet>,
    pub(crate) plan: Upgrade,
    pub(crate) to: Component,
    pub(crate) progress: watch::Sender<UpgradeProgress>,
}

/// What was done so far.
#[derive(Default)]
struct Done {
    sessions: BTreeMap<SessionId, (SessionUpgrade, Component)>,
    /// The ends of sessions that are left to their holders.
    ends: Vec<(SessionId, JoinHandle<bool>)>,
    took: Duration,
}

impl Rollout {
    /// How far one is that has not begun.
    pub(crate) fn begin() -> UpgradeProgress {
        UpgradeProgress { phase: UpgradePhase::Waiting, done: 0, sessions: 0 }
    }

    /// Replaces the guests. Dropping the future ends that: each session has the one guest or the other then.
    pub(crate) async fn run(self) -> Result<UpgradeReport, Error> {
        // In the order of generations, so that no two wait for each other.
        let mut turns = Vec::new();
        for fleet in &self.fleets {
            turns.push(fleet.guests.turn().await);
        }
        let tried_out = self.tried_out().await?;
        let trial = Trial::new(&self.to, self.plan.tolerated);
        let watching = Watching::new(self.fleets.iter().map(|fleet| &*fleet.guests), &trial);

        let mut done = Done::default();
        let mut before = Vec::new();
        let verdict = match tried_out {
            Ok(()) => self.replace_all(&trial, &mut done, &mut before).await,
            Err(refused) => Err(refused),
        };
        if verdict.is_err() {
            self.go_back(before, &mut done).await;
        }
        drop(watching);
        self.tell(UpgradePhase::Over, done.sessions.len());
        let faults = trial.faults();
        tracing::info!(guest = %self.to, sessions = done.sessions.len(), faults, went_back = verdict.is_err(), "upgrade");
        Ok(UpgradeReport {
            guest: self.to.to_string(),
            sessions: done.sessions.into_values().map(|(session, _)| session).collect(),
            went_back: verdict.err(),
            faults,
            took: done.took,
        })
    }

    /// Whether the new guest can be used so at all, or why not.
    async fn tried_out(&self) -> Result<Result<(), String>, Error> {
        self.tell(UpgradePhase::TryingOut, 0);
        if self.plan.mode != Mode::Live {
            return Ok(Ok(()));
        }
        let chosen = self.chosen(&BTreeSet::new());
        let assigned = self.fleets.iter().flat_map(|fleet| match &self.plan.server {
            Some(server) => vec![fleet.guests.of(server)],
            None => fleet.guests.all(),
        });
        let old: BTreeMap<String, Component> = chosen
            .into_iter()
            .map(|chosen| chosen.from)
            .chain(assigned)
            .map(|component| (component.digest().to_owned(), component))
            .collect();
        for from in old.values().filter(|from| from.digest() != self.to.digest()) {
            let Err(reason) = try_out(from, &self.to, &self.limits, &self.client_info).await? else { continue };
            // Otherwise each session is asked, because those of other guests may be handed over.
            if self.plan.fallback == Fallback::GoBack {
                return Ok(Err(format!("{} cannot follow {from}: {reason}", self.to)));
            }
        }
        Ok(Ok(()))
    }

    async fn replace_all(
        &self,
        trial: &Arc<Trial>,
        done: &mut Done,
        before: &mut Vec<(Arc<Guests>, Assigned)>,
    ) -> Result<(), String> {
        let plan = self.plan.clone();
        let (first, watch) = (plan.first.filter(|_| !matches!(plan.mode, Mode::Drain(_))), plan.watch);
        let replacing = Arc::new(Replacing {
            registry: self.registry.clone(),
            to: self.to.clone(),
            trial: trial.clone(),
            grace: self.limits.close_input + self.limits.close_terminate,
            began: Instant::now(),
            plan,
        });

        if let Some((share, watch)) = first {
            let mut chosen = self.chosen(&BTreeSet::new());
            chosen.truncate(first_of(chosen.len(), share));
            self.replace(&replacing, chosen, done).await?;
            self.watch(trial, watch, done).await?;
        }
        for fleet in &self.fleets {
            let assigned = fleet.guests.assign(self.plan.server.as_ref(), &self.to);
            before.push((fleet.guests.clone(), assigned));
        }
        loop {
            let chosen = self.chosen(&done.sessions.keys().copied().collect());
            if chosen.is_empty() {
                break;
            }
            self.replace(&replacing, chosen, done).await?;
        }
        Self::await_ends(trial, done).await?;
        self.watch(trial, watch, done).await
    }

    /// The sessions that have another guest, without those that were dealt with, by id.
    fn chosen(&self, dealt_with: &BTreeSet<SessionId>) -> Vec<Chosen> {
        let generations: BTreeSet<u64> = self.fleets.iter().map(|fleet| fleet.generation).collect();
        let rows = self.registry.rows().into_iter();
        // Others are being closed, or left to those who hold them.
        let rows =
            rows.filter(|row| matches!(row.tenure, Tenure::Open(_)) && generations.contains(&row.key.generation));
        let rows = rows.filter(|row| self.plan.server.as_ref().is_none_or(|server| row.key.server == *server));
        let rows = rows.filter(|row| !dealt_with.contains(&row.session.id()));
        let chosen = rows.map(|row| Chosen { from: row.session.guest(), key: row.key, session: row.session });
        let mut chosen: Vec<_> = chosen.filter(|chosen| chosen.from.digest() != self.to.digest()).collect();
        chosen.sort_by_key(|chosen| chosen.session.id());
        chosen
    }

    /// Replaces the guests of these, so many at a time. Stops at the first reason to go back.
    async fn replace(&self, replacing: &Arc<Replacing>, chosen: Vec<Chosen>, done: &mut Done) -> Result<(), String> {
        let began = Instant::now();
        let known = done.sessions.len();
        let sessions = known + chosen.len();
        self.tell_of(UpgradePhase::Replacing, known, sessions);
        let mut waiting = chosen.into_iter();
        let mut under_way = JoinSet::new();
        let mut verdict = Ok(());
        loop {
            while verdict.is_ok() && under_way.len() < replacing.plan.concurrency {
                let Some(chosen) = waiting.next() else { break };
                let replacing = replacing.clone();
                under_way.spawn(async move {
                    let replaced = replacing.replace(&chosen).await;
                    (chosen, replaced)
                });
            }
            let ended = tokio::select! {
                biased;
                () = replacing.trial.exceeded(), if verdict.is_ok() => {
                    verdict = replacing.trial.verdict();
                    // A connection that is being made anew may take its time; it has its guest already. What is handed over takes little.
                    if replacing.plan.mode == Mode::Restart {
                        under_way.abort_all();
                    }
                    continue;
                }
                ended = under_way.join_next() => ended,
            };
            let Some(ended) = ended else { break };
            // A task ends by itself, unless it is aborted.
            let Ok((chosen, Replaced { outcome, refused, end })) = ended else { continue };
            let id = chosen.session.id();
            let session = SessionUpgrade { session: SessionKey::new(id, &chosen.key), outcome, went_back: None };
            done.sessions.insert(id, (session, chosen.from));
            done.ends.extend(end.map(|end| (id, end)));
            self.tell_of(UpgradePhase::Replacing, done.sessions.len(), sessions);
            verdict = verdict.and(refused.map_or(Ok(()), Err)).and_then(|()| replacing.trial.verdict());
        }
        done.took += began.elapsed();
        verdict
    }

    /// Waits for the ends of those that are left to their holders, unless all go back.
    async fn await_ends(trial: &Trial, done: &mut Done) -> Result<(), String> {
        for (id, end) in std::mem::take(&mut done.ends) {
            let in_time = tokio::select! {
                biased;
                () = trial.exceeded() => return trial.verdict(),
                ended = end => ended,
            };
            if let (Ok(in_time), Some((session, _))) = (in_time, done.sessions.get_mut(&id)) {
                session.outcome = if in_time { UpgradeOutcome::Drained } else { UpgradeOutcome::Expired };
            }
        }
        Ok(())
    }

    async fn watch(&self, trial: &Trial, watch: Duration, done: &Done) -> Result<(), String> {
        if !watch.is_zero() {
            self.tell(UpgradePhase::Watching, done.sessions.len());
            let _ = tokio::time::timeout(watch, trial.exceeded()).await;
        }
        trial.verdict()
    }

    /// Gives all sessions that have the new guest the one that they had, or that they would have had.
    async fn go_back(&self, before: Vec<(Arc<Guests>, Assigned)>, done: &mut Done) {
        self.tell(UpgradePhase::GoingBack, done.sessions.len());
        for (guests, assigned) in before {
            guests.go_back(assigned);
        }
        let mut under_way = JoinSet::new();
        let places = Arc::new(Semaphore::new(self.plan.concurrency));
        for fleet in &self.fleets {
            let rows = self.registry.rows().into_iter();
            let rows =
                rows.filter(|row| matches!(row.tenure, Tenure::Open(_)) && row.key.generation == fleet.generation);
            for row in rows.filter(|row| row.session.guest().digest() == self.to.digest()) {
                let (id, key, session) = (row.session.id(), row.key, row.session);
                let had = done.sessions.get(&id).map(|(_, from)| from.clone());
                let to = had.unwrap_or_else(|| fleet.guests.of(&key.server));
                if to.digest() == self.to.digest() {
                    continue;
                }
                let places = places.clone();
                under_way.spawn(async move {
                    // Never closed.
                    let _place = places.acquire().await;
                    (id, key, Replacing::go_back(&session, &to).await, to)
                });
            }
        }
        while let Some(ended) = under_way.join_next().await {
            let Ok((id, key, went_back, to)) = ended else { continue };
            let (session, _) = done.sessions.entry(id).or_insert_with(|| {
                // It was made with the new guest.
                let session = SessionKey::new(id, &key);
                (SessionUpgrade { session, outcome: UpgradeOutcome::Unconnected, went_back: None }, to)
            });
            session.went_back = Some(went_back);
        }
    }

    fn tell(&self, phase: UpgradePhase, done: usize) {
        let sessions = self.progress.borrow().sessions.max(done);
        self.tell_of(phase, done, sessions);
    }

    fn tell_of(&self, phase: UpgradePhase, done: usize, sessions: usize) {
        self.progress.send_replace(UpgradeProgress { phase, done, sessions });
    }
}

/// How many go first.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of some thousands"
)]
fn first_of(sessions: usize, share: f64) -> usize {
    ((sessions as f64 * share).ceil() as usize).clamp(1, sessions.max(1))
}
