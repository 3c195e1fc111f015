//! A double of a host, which holds a guest to its duties.
//!
//! It keeps the tables that a host keeps (open calls with their parameters,
//! requests of the server, exchanges, timers) and checks every effect against what the
//! package `innkeeper:guest` says of it. It knows no protocol: what is in the
//! payloads is for others to judge. Tests get the effects back with their
//! payloads put together, as [`Observed`].

mod exchanges;
mod observed;
mod payloads;

pub use observed::{Ended, Observed, Requested};

use crate::boundary::{
    CallId, DisconnectCause, Effect, Event, ExchangeId, Fault, Outcome, Outstanding, OutstandingCall, ServerRequestId,
    Settings, Timer, TimerId, TransportKind,
};
use exchanges::Exchanges;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A duty of a guest that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

/// The tables of a host, for one session.
#[derive(Debug, Default)]
pub struct Checker {
    settings: Option<Settings>,
    connected: bool,
    ready: bool,
    over: bool,
    fresh_processes: u32,
    calls: BTreeMap<CallId, HeldCall>,
    server_requests: BTreeSet<ServerRequestId>,
    last_server_request: Option<ServerRequestId>,
    timers: BTreeMap<TimerId, Timer>,
    exchanges: Exchanges,
}

/// What a host allows.
const MAX_TIMERS: usize = 1024;

#[derive(Debug)]
struct HeldCall {
    method: String,
    params: Vec<u8>,
    wants_progress: bool,
    sent: bool,
}

/// What is true of the present batch only.
struct Batch<'a> {
    events: &'a [Event],
    /// A connection was there at some time.
    connected: bool,
    /// Requests that the platform answered: the guest may have withdrawn them
    /// before it read that.
    answered: BTreeSet<ServerRequestId>,
    /// Exchanges that ended: the guest may have aborted them before it read that.
    ended: BTreeSet<ExchangeId>,
}

type Checked<T> = Result<T, Violation>;

fn violated<T>(what: impl Into<String>) -> Checked<T> {
    Err(Violation(what.into()))
}

impl Checker {
    /// A host that has not told its guest anything yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What this host holds, for a guest that is to take the session over.
    #[must_use]
    pub fn outstanding(&self) -> Outstanding {
        Outstanding {
            calls: self
                .calls
                .iter()
                .map(|(id, call)| OutstandingCall { id: *id, method: call.method.clone(), sent: call.sent })
                .collect(),
            server_requests: self.server_requests.iter().copied().collect(),
            exchanges: self.exchanges.open().collect(),
            timers: self.timers.values().copied().collect(),
        }
    }

    /// Takes over a call that this host's guest was never told of.
    pub fn adopt_call(&mut self, call: CallId) {
        let call_of_another =
            HeldCall { method: "unknown".to_owned(), params: Vec::new(), wants_progress: false, sent: false };
        self.calls.insert(call, call_of_another);
    }

    /// Completes a call without asking the guest, as for a deadline.
    pub fn drop_call(&mut self, call: CallId) {
        self.calls.remove(&call);
    }

    /// Loses an exchange without telling anybody.
    pub fn lose_exchange(&mut self, exchange: ExchangeId) {
        self.exchanges.lose(exchange);
    }

    /// Takes over an exchange that this host's guest never started.
    pub fn adopt_exchange(&mut self, exchange: ExchangeId) {
        self.exchanges.adopt(exchange);
    }

    /// What the host sends when the session is closed.
    #[must_use]
    pub fn on_close(&self) -> Option<&Requested> {
        self.exchanges.on_close()
    }

    /// The timers that are set.
    pub fn timers(&self) -> impl Iterator<Item = &Timer> {
        self.timers.values()
    }

    /// Takes a batch of events and what the guest made of it.
    ///
    /// # Errors
    ///
    /// The first duty that the effects violate.
    pub fn apply(&mut self, events: &[Event], effects: &[Effect]) -> Checked<Vec<Observed>> {
        let mut batch = Batch { events, connected: self.connected, answered: BTreeSet::new(), ended: BTreeSet::new() };
        for event in events {
            self.take(event, &mut batch)?;
        }
        let mut observed = Vec::with_capacity(effects.len());
        for effect in effects {
            observed.push(self.check(effect, &mut batch)?);
        }
        if self.over && !self.calls.is_empty() {
            return violated(format!("calls left open at the end: {:?}", self.calls.keys()));
        }
        Ok(observed)
    }

    /// Takes what a guest did on `restore`.
    ///
    /// # Errors
    ///
    /// The first duty that the effects violate.
    pub fn apply_restored(&mut self, effects: &[Effect]) -> Checked<Vec<Observed>> {
        self.apply(&[], effects)
    }

    /// Enters an event into the tables.
    fn take(&mut self, event: &Event, batch: &mut Batch<'_>) -> Checked<()> {
        match event {
            Event::Open(settings) if self.settings.is_none() => {
                self.settings = Some(settings.clone());
                self.connected |= settings.transport == TransportKind::Http;
                batch.connected |= self.connected;
            }
            Event::Started(_) | Event::Exited(_) if self.transport() == Some(TransportKind::Http) => {}
            Event::Started(_) => {
                self.connected = true;
                self.ready = false;
                batch.connected = true;
            }
            Event::Exited(_) => self.connected = false,
            Event::Close => {
                self.over = true;
                self.connected = false;
            }
            Event::Call(call) => {
                let held = HeldCall {
                    method: call.method.clone(),
                    params: call.params.clone().unwrap_or_default(),
                    wants_progress: call.progress,
                    sent: false,
                };
                if self.calls.insert(call.id, held).is_some() {
                    return violated(format!("the host gave the call id {} twice", call.id));
                }
            }
            Event::ServerResponse(response) => {
                batch.answered.extend(self.server_requests.take(&response.id));
            }
            Event::Timer(timer) => drop(self.timers.remove(timer)),
            event => self.exchanges.take(event, batch),
        }
        Ok(())
    }

    fn check(&mut self, effect: &Effect, batch: &mut Batch<'_>) -> Checked<Observed> {
        Ok(match effect {
            Effect::Write(write) => {
                let frame = self.put_together(&write.frame, batch)?;
                self.check_frame(&frame, batch)?;
                if let Some(call) = write.call {
                    self.open_call(call, "write")?.sent = true;
                }
                Observed::Write { frame, call: write.call }
            }
            Effect::FreshProcess => {
                self.fresh_processes += 1;
                if self.fresh_processes > 2 {
                    return violated("a third fresh process");
                }
                Observed::FreshProcess
            }
            Effect::Complete(completion) => {
                let outcome = match &completion.outcome {
                    Outcome::Result(payload) => Ended::Result(self.put_together(payload, batch)?),
                    Outcome::Error(payload) => Ended::Error(self.put_together(payload, batch)?),
                    Outcome::Fault(fault) => Ended::Fault(checked_fault(fault)?),
                };
                self.open_call(completion.call, "complete")?;
                self.calls.remove(&completion.call);
                Observed::Complete { call: completion.call, outcome }
            }
            Effect::Progress(progress) => {
                let report = self.put_together(&progress.report, batch)?;
                if !self.open_call(progress.call, "progress")?.wants_progress {
                    return violated(format!("progress of {}, which wants none", progress.call));
                }
                Observed::Progress { call: progress.call, report }
            }
            Effect::Notification(notification) => Observed::Notification {
                method: notification.method.clone(),
                params: self.put_together(&notification.params, batch)?,
            },
            Effect::ServerRequest(request) => {
                if let Some(call) = request.call {
                    self.open_call(call, "server-request")?;
                }
                self.open_server_request(request.id, batch)?;
                Observed::ServerRequest {
                    id: request.id,
                    call: request.call,
                    method: request.method.clone(),
                    params: self.put_together(&request.params, batch)?,
                }
            }
            Effect::WithdrawServerRequest(id) => {
                if !self.server_requests.remove(id) && !batch.answered.remove(id) {
                    return violated(format!("withdrew the server request {id}, which is not open"));
                }
                Observed::Withdraw(*id)
            }
            Effect::Ready(info) => {
                if !batch.connected || std::mem::replace(&mut self.ready, true) {
                    return violated("ready without a connection, or twice on one");
                }
                let peer = self.put_together(&info.peer, batch)?;
                Observed::Ready { revision: info.revision.clone(), peer }
            }
            Effect::Disconnected(cause) => {
                self.connected = false;
                self.ready = false;
                self.exchanges.end();
                self.timers.clear();
                let cause = match cause {
                    DisconnectCause::Refused(error) => Ended::Error(self.put_together(error, batch)?),
                    DisconnectCause::Fault(fault) => Ended::Fault(checked_fault(fault)?),
                };
                let left_open = std::mem::take(&mut self.calls).into_keys().collect();
                Observed::Disconnected { cause, left_open }
            }
            Effect::SetTimer(timer) => {
                self.timers.insert(timer.id, *timer);
                if self.timers.len() > MAX_TIMERS {
                    return violated(format!("more than {MAX_TIMERS} timers"));
                }
                Observed::SetTimer(*timer)
            }
            Effect::CancelTimer(timer) => {
                self.timers.remove(timer);
                Observed::CancelTimer(*timer)
            }
            Effect::Log(line) => {
                check_line(&line.message)?;
                Observed::Log(line.level, line.message.clone())
            }
            Effect::Request(request) => Observed::Request(self.start(request, batch)?),
            Effect::Abort(_) if self.transport() != Some(TransportKind::Http) => {
                return violated("an HTTP exchange on a transport of frames");
            }
            Effect::Abort(exchange) => {
                self.exchanges.abort(*exchange, batch)?;
                Observed::Abort(*exchange)
            }
            Effect::OnCloseRequest(request) => Observed::OnClose(self.arrange(request.as_ref(), batch)?),
            Effect::Extension(extension) => {
                return violated(format!("an extension that nobody knows: {}", extension.name));
            }
        })
    }

    fn transport(&self) -> Option<TransportKind> {
        self.settings.as_ref().map(|settings| settings.transport)
    }

    fn check_frame(&self, frame: &[u8], batch: &Batch<'_>) -> Checked<()> {
        if self.transport() == Some(TransportKind::Http) {
            return violated("a frame on a transport of exchanges");
        }
        if !batch.connected {
            return violated("wrote while there was no connection");
        }
        if frame.contains(&b'\n') || frame.contains(&b'\r') {
            return violated("a frame with a line break");
        }
        let max_frame = self.settings.as_ref().map_or(0, |settings| settings.limits.max_frame);
        if frame.len() as u64 > max_frame {
            return violated(format!("a frame of {} bytes; {max_frame} are allowed", frame.len()));
        }
        Ok(())
    }

    fn open_call(&mut self, call: CallId, effect: &str) -> Checked<&mut HeldCall> {
        match self.calls.get_mut(&call) {
            Some(held) => Ok(held),
            None => violated(format!("{effect} names call {call}, which is not open")),
        }
    }

    fn open_server_request(&mut self, id: ServerRequestId, batch: &Batch<'_>) -> Checked<()> {
        // Ids that ascend are never reused, which is all that is asked of them.
        if self.last_server_request.is_some_and(|last| id <= last) {
            return violated(format!("the server request id {id} may have been used before"));
        }
        self.last_server_request = Some(id);
        self.server_requests.insert(id);
        let limits = self.settings.as_ref().map(|settings| &settings.limits);
        let allowed = limits.map_or(0, |limits| u64::from(limits.max_server_requests));
        // The answers of this batch may have come after the request.
        if (self.server_requests.len() - 1) as u64 >= allowed + batch.answered.len() as u64 {
            return violated(format!("more than {allowed} open requests of the server"));
        }
        Ok(())
    }
}

fn checked_fault(fault: &Fault) -> Checked<Fault> {
    check_line(&fault.message)?;
    if fault.message.starts_with(char::is_uppercase) {
        return violated(format!("a message that is not lower case: {}", fault.message));
    }
    Ok(fault.clone())
}

fn check_line(message: &str) -> Checked<()> {
    if message.is_empty() || message.len() > 1024 || message.contains(char::is_control) {
        return violated(format!("a message that is no short line: {message:?}"));
    }
    Ok(())
}
