//! Which client of a session is the present one, and when there is another: all that is decided about it under one lock.
//!
//! A client that is lost is replaced when somebody needs the session, and by whoever comes first: so however many calls failed
//! together, there is one new connection. What a client says after another has taken its place changes nothing. A session ends
//! once it is to be closed, everybody was told so, and nothing is left of any of its clients.
//!
//! Plain data: no lock, no clock, no task. The clients may be any, so that the models can put their own here and try every
//! order in which threads may come.

use std::{fmt, sync::Arc, time::Duration};

use serde::Serialize;
use tokio::time::Instant;

use super::{
    SessionInfo,
    breaker::{Admission, Breaker, BreakerState},
};
use crate::{Error, Limits};

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SessionState {
    /// Its connection is being made, for the first time or anew.
    Opening,
    /// It takes calls.
    Ready,
    /// Its connection was lost, and nobody has needed it since.
    Disconnected,
    /// It takes no more calls, and is over when nothing is left of it.
    Closing,
}

impl fmt::Display for SessionState {
    /// In a word, as it is serialised.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Opening => "opening",
            Self::Ready => "ready",
            Self::Disconnected => "disconnected",
            Self::Closing => "closing",
        })
    }
}

/// The clients of a session.
pub(super) struct Succession<C> {
    /// The last that was begun. None before the first.
    present: Option<Present<C>>,
    /// How many were begun, which is the number of the last.
    begun: u64,
    /// All of which something is left.
    remaining: Vec<(u64, C)>,
    /// Whether one of them was given up before it had ended.
    left_behind: bool,
    breaker: Breaker,
    /// What is known of the last that was ready.
    info: Option<Arc<SessionInfo>>,
    /// Why the last one ended that did so by itself.
    last_error: Option<Error>,
    end: End,
}

struct Present<C> {
    client: C,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opening,
    /// Since then.
    Ready(Instant),
    /// It has ended, or does.
    Lost,
}

/// How far the end of a session is.
enum End {
    Open,
    /// It is to be closed.
    Due(Error),
    /// Everybody was told so.
    Announced(Error),
}

/// A client that is to be begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) number: u64,
    /// Nothing is started before.
    pub(super) begin_at: Instant,
}

/// Why there is no client.
pub(super) enum NoClient {
    Closing(Error),
    /// The breaker is open.
    Tripped {
        retry_after: Duration,
        failures: u32,
        last_error: Option<Error>,
    },
}

impl<C: Clone> Succession<C> {
    pub(super) fn new() -> Self {
        Self {
            present: None,
            begun: 0,
            remaining: Vec::new(),
            left_behind: false,
            breaker: Breaker::default(),
            info: None,
            last_error: None,
            end: End::Open,
        }
    }

    /// The present client, or a new one where there is none.
    pub(super) fn client(
        &mut self,
        now: Instant,
        limits: &Limits,
        begin: impl FnOnce(Turn) -> C,
    ) -> Result<C, NoClient> {
        if let Some(error) = self.closing() {
            return Err(NoClient::Closing(error.clone()));
        }
        match &self.present {
            Some(Present { client, phase: Phase::Opening | Phase::Ready(_) }) => return Ok(client.clone()),
            Some(Present { phase: Phase::Lost, .. }) | None => {}
        }
        match self.breaker.admit(now, limits) {
            Admission::At(begin_at) => Ok(self.begin(begin_at, begin)),
            Admission::Refused(retry_after) => Err(NoClient::Tripped {
                retry_after,
                failures: self.breaker.failures(),
                last_error: self.last_error.clone(),
            }),
        }
    }

    /// A new client in the place of the present one, unless that is only being opened, or waits for its time. It is begun at once,
    /// whatever the breaker says. Returns with it the one that is to be closed.
    pub(super) fn replace(&mut self, now: Instant, begin: impl FnOnce(Turn) -> C) -> Result<(C, Option<C>), Error> {
        if let Some(error) = self.closing() {
            return Err(error.clone());
        }
        match &self.present {
            Some(Present { client, phase: Phase::Opening }) => Ok((client.clone(), None)),
            _ => self.replace_any(now, begin),
        }
    }

    /// The same, also where the present one is only being opened.
    pub(super) fn replace_any(&mut self, now: Instant, begin: impl FnOnce(Turn) -> C) -> Result<(C, Option<C>), Error> {
        if let Some(error) = self.closing() {
            return Err(error.clone());
        }
        let old = self.living().cloned();
        self.breaker.reset();
        Ok((self.begin(now, begin), old))
    }

    /// The present client, if it has not ended.
    pub(super) fn living(&self) -> Option<&C> {
        self.present.as_ref().filter(|present| present.phase != Phase::Lost).map(|present| &present.client)
    }

    fn begin(&mut self, begin_at: Instant, begin: impl FnOnce(Turn) -> C) -> C {
        self.begun += 1;
        let client = begin(Turn { number: self.begun, begin_at });
        self.remaining.push((self.begun, client.clone()));
        self.present = Some(Present { client: client.clone(), phase: Phase::Opening });
        client
    }

    /// A client is ready. False: another has taken its place, it has ended, or its session is being closed.
    pub(super) fn opened(&mut self, number: u64, info: &Arc<SessionInfo>, now: Instant) -> bool {
        if self.closing().is_some() {
            return false;
        }
        // One that asked for another process is so again.
        let present = self.present_if(number).filter(|present| present.phase != Phase::Lost);
        let Some(present) = present else { return false };
        present.phase = Phase::Ready(now);
        self.info = Some(info.clone());
        true
    }

    /// A client goes on with another guest. `info` is what is known of it since, where it is ready. False: another has taken its place,
    /// it has ended, or its session is being closed.
    pub(super) fn handed_over(&mut self, number: u64, info: Option<&Arc<SessionInfo>>) -> bool {
        if self.closing().is_some() {
            return false;
        }
        let present = self.present_if(number).filter(|present| present.phase != Phase::Lost);
        let is_present = present.is_some();
        if let (true, Some(info)) = (is_present, info) {
            self.info = Some(info.clone());
        }
        is_present
    }

    /// A client takes no calls any more. Whoever hears of that from the client must come after this, or it would get the same
    /// client again. False: it was replaced, or the session is being closed, and that is why.
    pub(super) fn lost(&mut self, number: u64, error: &Error, now: Instant, limits: &Limits, dice: f64) -> bool {
        if self.closing().is_some() {
            return false;
        }
        // One that was replaced has nothing to say about the one that came after it.
        let Some(present) = self.present_if(number) else { return false };
        let phase = std::mem::replace(&mut present.phase, Phase::Lost);
        if matches!(phase, Phase::Ready(since) if now - since >= limits.stable) {
            self.breaker.reset();
        } else {
            self.breaker.failed(now, limits, dice);
        }
        self.last_error = Some(error.clone());
        true
    }

    /// Nothing is left of a client, as far as anybody knows. `is_gone` is false where it is only waited for no longer.
    pub(super) fn forget(&mut self, number: u64, is_gone: bool) {
        self.left_behind |= !is_gone;
        self.remaining.retain(|(remaining, _)| *remaining != number);
    }

    /// The session is to be closed. True: it was not, until now.
    pub(super) fn close(&mut self, error: Error) -> bool {
        let is_open = matches!(self.end, End::Open);
        if is_open {
            self.end = End::Due(error);
        }
        is_open
    }

    /// Everybody knows that the session is to be closed.
    pub(super) fn announced(&mut self) {
        self.end = match std::mem::replace(&mut self.end, End::Open) {
            End::Due(error) => End::Announced(error),
            end => end,
        };
    }

    /// Why the session takes no calls any more.
    pub(super) fn closing(&self) -> Option<&Error> {
        match &self.end {
            End::Open => None,
            End::Due(error) | End::Announced(error) => Some(error),
        }
    }

    /// Why the session has ended, if it has. Of all changes one makes it so.
    pub(super) fn over(&self) -> Option<&Error> {
        match &self.end {
            End::Announced(error) if self.remaining.is_empty() => Some(error),
            _ => None,
        }
    }

    pub(super) fn remaining(&self) -> impl Iterator<Item = &C> {
        self.remaining.iter().map(|(_, client)| client)
    }

    /// Whether a client had not ended when it was waited for no longer.
    pub(super) fn has_left_something(&self) -> bool {
        self.left_behind
    }

    pub(super) fn info(&self) -> Option<&Arc<SessionInfo>> {
        self.info.as_ref()
    }

    pub(super) fn state(&self) -> SessionState {
        match (self.closing(), self.present.as_ref().map(|present| present.phase)) {
            (Some(_), _) => SessionState::Closing,
            (None, None | Some(Phase::Opening)) => SessionState::Opening,
            (None, Some(Phase::Ready(_))) => SessionState::Ready,
            (None, Some(Phase::Lost)) => SessionState::Disconnected,
        }
    }

    pub(super) fn last_error(&self) -> Option<&Error> {
        self.closing().or(self.last_error.as_ref())
    }

    /// What the next client would meet. One that is ready has decided what is tried; the count goes on if it does not live.
    pub(super) fn breaker(&self, now: Instant, limits: &Limits) -> BreakerState {
        match self.present.as_ref().map(|present| present.phase) {
            Some(Phase::Ready(_)) => BreakerState::Closed,
            _ => self.breaker.state(now, limits),
        }
    }

    /// The present client, if it is that one.
    fn present_if(&mut self, number: u64) -> Option<&mut Present<C>> {
        self.present.as_mut().filter(|_| self.begun == number)
    }
}
