//! What the guest returned, checked and applied.
//!
//! A guest is not trusted: every id must be open, every range must lie within its bytes, and each effect must fit the
//! session's transport and state. What does not is a guest fault, which ends the session and nothing else.

use std::{borrow::Cow, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::{
    SessionInfo,
    client::State,
    deadlines::Due,
    gather::told_to_close,
    link::Link,
    owner::{Owner, guest_fault, nanoseconds},
    payloads::{parts, range, total},
    server_requests::Asked,
};
use crate::{
    Error, MayHaveRun, ServerError,
    guest::{
        GuestFault,
        boundary::{DisconnectCause, Effect, Event, Fault, FaultKind, LogLevel, Outcome, Payload, Segment},
    },
    names::ServerName,
};

/// Processes that a guest may ask for beyond the first. Finding out what a server speaks takes one; a second is for a server
/// that lost its first by chance.
const FRESH_PROCESSES: u32 = 2;

/// The least time until a timer fires.
const SOON: Duration = Duration::from_millis(1);

/// Timers of a guest.
const MOST_TIMERS: usize = 1024;

/// Log lines of one batch, and characters of each, that are passed on.
const LOG_LINES: usize = 16;
const LOG_LINE: usize = 1024;

/// What a frame may have beyond the largest input of a call: method, ids, and what the guest adds.
const ENVELOPE: usize = 64 * 1024;

impl Owner {
    /// Gives the pending events to the guest and applies what it returns.
    pub(super) async fn run_guest(&mut self) -> Result<(), Error> {
        self.take_turn().await?;
        let events = self.take_batch();
        let now = nanoseconds(self.began);
        let Self { runner, close, turn, .. } = self;
        let handled = async {
            tokio::select! {
                biased;
                result = runner.handle(now, events) => Some(result),
                // A slow guest does not hold up the end of its session. Its computation is dropped, and it with it.
                () = told_to_close(close) => None,
            }
        };
        let Some(result) = turn.wait_for(handled).await else { return Err(self.closing()) };
        let batch = result.map_err(|fault| guest_fault(&self.spec, &self.component, &fault))?;
        // A burst that had to go on elsewhere has ended it. What the guest has said counts, even if that was the last of it.
        let goes_on = self.take_turn().await;
        // Calls that the guest completes because the connection is of no use fail for the reason that it gives.
        if let Some(Effect::Disconnected(cause)) = batch.effects.last() {
            self.disconnected = Some(self.cause_of(cause.clone(), &batch.events)?);
        }
        self.apply_all(batch.effects, &batch.events)?;
        self.note_memory();
        if let Some(link) = &mut self.link {
            link.write_now().await;
        }
        goes_on
    }

    /// As many pending events as carry no more bytes than one largest frame; at least one.
    fn take_batch(&mut self) -> Vec<Event> {
        let mut bytes = 0;
        let mut count = 0;
        for event in &self.pending {
            bytes += event.size();
            if count > 0 && bytes > self.spec.limits.frame {
                break;
            }
            count += 1;
        }
        let batch: Vec<Event> = self.pending.drain(..count).collect();
        self.recount_pending();
        batch
    }

    /// Applies effects in order. What they name of `events` is of the batch that led to them.
    pub(super) fn apply_all(&mut self, effects: Vec<Effect>, events: &[Event]) -> Result<(), Error> {
        self.copied = 0;
        let mut log_lines = 0;
        for effect in effects {
            if let Effect::Log { level, message } = &effect {
                log_lines += 1;
                if log_lines <= LOG_LINES {
                    log(*level, &self.plain(message));
                }
                continue;
            }
            self.apply(effect, events)?;
        }
        Ok(())
    }

    fn apply(&mut self, effect: Effect, events: &[Event]) -> Result<(), Error> {
        match effect {
            Effect::Write { frame, call } => self.write(&frame, call, events),
            Effect::Complete { call, outcome } => self.complete(call, outcome, events),
            Effect::Progress { call, report } => {
                let report = self.resolve(&report, events)?;
                self.check_call(call)?;
                self.calls.progress(call, report, &mut self.deadlines);
                Ok(())
            }
            Effect::Notification { method, params } => {
                let params = self.resolve(&params, events)?;
                let limit = self.spec.limits.notification;
                if params.len() > limit {
                    tracing::warn!(
                        bytes = params.len(),
                        limit,
                        "a notification of the server is too large to be passed on"
                    );
                } else {
                    self.birth.observer.notified(method, params);
                }
                Ok(())
            }
            Effect::ServerRequest { id, call, method, params } => {
                let params = self.resolve(&params, events)?;
                let user = self.spec.user.as_ref().or_else(|| self.calls.user(call?)).cloned();
                self.ask(id, Asked { call, user, method, params })
            }
            Effect::WithdrawServerRequest(id) => match self.requests.remove(id) {
                Some(paused) => {
                    self.calls.resume(&paused, &mut self.deadlines);
                    Ok(())
                }
                // Answered already; the answer is on its way to the guest.
                None if self.requests.was_asked(id) => Ok(()),
                None => Err(self.fault(&format!("it withdrew request {id} of the server, which never was"))),
            },
            Effect::Ready { revision, peer } => self.ready(revision, &peer, events),
            Effect::Disconnected(cause) => Err(self.cause_of(cause, events)?),
            Effect::SetTimer { id, at } => self.set_timer(id, at),
            Effect::CancelTimer(id) => {
                if let Some(at) = self.timers.remove(&id) {
                    self.deadlines.clear(at, Due::Timer(id));
                }
                Ok(())
            }
            Effect::FreshProcess => self.fresh_process(),
            Effect::Request(request) => self.request(request, events),
            Effect::Abort(exchange) => self.abort(exchange, events),
            Effect::OnCloseRequest(request) => self.set_on_close(request, events),
            Effect::Log { .. } | Effect::Extension(_) => Ok(()),
        }
    }

    fn write(&mut self, frame: &Payload, call: Option<u64>, events: &[Event]) -> Result<(), Error> {
        if self.is_http() {
            return Err(self.fault("it wrote a frame, but its session has HTTP"));
        }
        if let Some(call) = call {
            self.check_call(call)?;
            if self.calls.must_stay_unsent(call) {
                return Err(self.fault(&format!("it wrote call {call} after its caller was told that it was not sent")));
            }
        }
        let parts = parts(frame, events, &self.calls).map_err(|detail| self.fault(detail))?;
        let length = total(&parts);
        if length > self.most_written() {
            return Err(self.fault(&format!("it wrote a frame of {length} bytes")));
        }
        // The connection may have ended in the same batch; whoever waits for an answer hears of that.
        let most = self.most_queued();
        let Some(link) = &mut self.link else { return Ok(()) };
        // New calls are not taken while the queue is full, so only replies of the guest can fill it further; a call of the
        // largest size that was taken just before is no fault.
        let queued = link.queued();
        if queued > most {
            return Err(Error::Unavailable {
                server: self.spec.server.clone(),
                reason: format!("it does not read its input: {queued} bytes wait for it"),
                retry_after: None,
                may_have_run: MayHaveRun::No,
            });
        }
        if !link.queue(parts.iter().copied(), call) {
            return Err(self.fault("it wrote a frame that contains the delimiter of frames"));
        }
        if let Some(call) = call {
            self.calls.queued(call);
        }
        Ok(())
    }

    /// Bytes of one frame, or of the body of one request.
    pub(super) fn most_written(&self) -> usize {
        self.spec.limits.frame.saturating_add(ENVELOPE)
    }

    /// Bytes that may wait for the server before another is too much.
    pub(super) fn most_queued(&self) -> usize {
        self.spec.limits.write_queue.saturating_add(self.most_written())
    }

    fn complete(&mut self, call: u64, outcome: Outcome, events: &[Event]) -> Result<(), Error> {
        self.check_call(call)?;
        let mut of_session = false;
        let outcome = match outcome {
            Outcome::Result(payload) => Ok(self.resolve(&payload, events)?),
            Outcome::Error(payload) => Err(Error::Server(self.server_error(&payload, events)?)),
            Outcome::Fault(fault) if fault.kind == FaultKind::Disconnected && self.disconnected.is_some() => {
                of_session = true;
                Err(self.disconnected.clone().unwrap_or_else(|| self.error_of(fault)))
            }
            Outcome::Fault(fault) => {
                Err(self.refusal(Some(call), fault.kind, events).unwrap_or_else(|| self.error_of(fault)))
            }
        };
        let server = &self.spec.server;
        self.calls.settle(call, &mut self.deadlines, |may_have_run| {
            outcome.map_err(|error| match error {
                // The answer to this very call.
                Error::Server(_) if !of_session => error,
                error => of_call(&error, server, may_have_run),
            })
        });
        self.call_closed(call);
        Ok(())
    }

    fn ask(&mut self, id: u64, asked: Asked) -> Result<(), Error> {
        if let Some(call) = asked.call {
            self.check_call(call)?;
        }
        if self.requests.was_asked(id) {
            return Err(self
                .fault(&format!("it used the id {id} of a request of the server again, or a lower one: ids ascend")));
        }
        if self.requests.len() >= self.spec.limits.server_requests as usize {
            return Err(self.fault("it passed on more requests of the server than may be open"));
        }
        let paused = self.calls.pause(asked.call, &mut self.deadlines);
        self.requests.ask(id, asked, paused, &self.spec.limits);
        Ok(())
    }

    fn ready(&mut self, revision: String, peer: &Payload, events: &[Event]) -> Result<(), Error> {
        if self.is_ready {
            return Err(self.fault("it said twice that it is ready"));
        }
        if self.link.is_none() && self.exchanges.is_none() {
            if self.exit.is_some() {
                // Its server ended just now, and the guest hears of that in the same batch.
                return Ok(());
            }
            return Err(self.fault("it said that it is ready without a connection"));
        }
        self.is_ready = true;
        self.deadlines.clear(self.open_by, Due::Open);
        let info = Arc::new(SessionInfo {
            revision: self.plain(&revision),
            peer: self.resolve(peer, events)?,
            process: self.link.as_ref().and_then(Link::process),
            isolation: self.link.as_ref().and_then(Link::isolation),
            incarnation: self.incarnation,
            guest: self.component.to_string(),
            connect: self.connected_at.saturating_duration_since(self.open_by - self.spec.limits.open),
            handshake: self.connected_at.elapsed(),
        });
        tracing::debug!(revision = %info.revision, process = info.process, "the session is open");
        // In this order, so that whoever subscribes with a lease in hand hears of nothing that was before it.
        self.birth.observer.opened(&info);
        self.state.send_replace(State::Ready(info));
        Ok(())
    }

    fn cause_of(&mut self, cause: DisconnectCause, events: &[Event]) -> Result<Error, Error> {
        Ok(match cause {
            DisconnectCause::Refused(payload) => Error::Server(self.server_error(&payload, events)?),
            DisconnectCause::Fault(fault) => {
                self.refusal(None, fault.kind, events).unwrap_or_else(|| self.error_of(fault))
            }
        })
    }

    fn set_timer(&mut self, id: u64, at: u64) -> Result<(), Error> {
        if let Some(at) = self.timers.remove(&id) {
            self.deadlines.clear(at, Due::Timer(id));
        }
        if self.timers.len() >= MOST_TIMERS {
            return Err(self.fault(&format!("it set more than {MOST_TIMERS} timers")));
        }
        // A time too far away to be said is never. One that has passed is soon: a guest that sets a timer whenever one fires
        // must not keep its thread for itself.
        if let Some(at) = self.began.checked_add(Duration::from_nanos(at)) {
            let at = at.max(Instant::now() + SOON);
            self.timers.insert(id, at);
            self.deadlines.set(at, Due::Timer(id));
        }
        Ok(())
    }

    fn fresh_process(&mut self) -> Result<(), Error> {
        if self.is_http() {
            return Err(self.fault("it asked for a fresh process, but its session has HTTP"));
        }
        if self.connections > FRESH_PROCESSES {
            return Err(self.fault(&format!("it asked for more than {FRESH_PROCESSES} fresh processes")));
        }
        // The old one ends beside the new one; what it said last is nobody's business any more.
        if let Some(mut link) = self.link.take() {
            self.cut_queue(&mut link);
            self.ending.push(link.close());
        }
        self.pending.retain(|event| !matches!(event, Event::Frame(_) | Event::Exited(_)));
        self.recount_pending();
        self.connect();
        Ok(())
    }

    pub(super) fn check_call(&self, call: u64) -> Result<(), Error> {
        if self.calls.is_told(call) {
            return Ok(());
        }
        Err(self.fault(&format!("it named call {call}, which is not open")))
    }

    fn resolve(&mut self, payload: &Payload, events: &[Event]) -> Result<Bytes, Error> {
        // One range of one event is shared, not copied, unless most of what it would keep alive is something else.
        if let [Segment::Event { index, offset, length }] = payload.as_slice()
            && let Some(shared) = events.get(*index as usize).and_then(Event::shared)
            && let Some(bytes) = range(shared, *offset, *length)
            && bytes.len() >= shared.len() / 4
        {
            return Ok(shared.slice_ref(bytes));
        }
        let parts = parts(payload, events, &self.calls).map_err(|detail| self.fault(detail))?;
        let length = total(&parts);
        // Ranges cost the guest nothing, so a payload could name the same bytes over and over, and a batch have many of them.
        self.copied = self.copied.saturating_add(length);
        if self.copied > self.most_copied() {
            return Err(self.fault("its payloads are larger than a frame and a gathered result"));
        }
        let mut bytes = BytesMut::with_capacity(length);
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        Ok(bytes.freeze())
    }

    /// What an honest guest needs: each byte of the batch once, and a result that it has gathered.
    fn most_copied(&self) -> usize {
        self.spec.limits.frame.saturating_add(self.spec.limits.gathered_result).saturating_add(ENVELOPE)
    }

    /// A server's own error. It is shown, so nothing is in it that is hidden.
    fn server_error(&mut self, payload: &Payload, events: &[Event]) -> Result<ServerError, Error> {
        let error = self.resolve(payload, events)?;
        Ok(ServerError::new(match self.spec.mask.json(&error) {
            Cow::Borrowed(_) => error,
            Cow::Owned(masked) => masked.into(),
        }))
    }

    /// A text of a guest for people: short, without secrets, and doing nothing to a terminal.
    pub(super) fn plain(&self, text: &str) -> String {
        // What is cut first may be a secret cut in two, the beginning of which is hidden too.
        let shorter = |text: &str, bytes| text.get(..text.floor_char_boundary(bytes)).unwrap_or(text).to_owned();
        let text = shorter(&self.spec.mask.text(&shorter(text, 2 * LOG_LINE)), LOG_LINE);
        text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
    }

    fn error_of(&self, fault: Fault) -> Error {
        let server = self.spec.server.clone();
        let may_have_run = MayHaveRun::No;
        let message = self.plain(&fault.message);
        match fault.kind {
            FaultKind::Cancelled => Error::Cancelled { may_have_run },
            // Over HTTP what ended is an exchange, or a session that the server kept. Only the guest can say which, and how.
            FaultKind::Disconnected if !self.is_http() => self.exited(self.exit.clone().unwrap_or_default()),
            FaultKind::Invalid => Error::InvalidInput { what: "the call", reason: message },
            FaultKind::ProtocolViolation => Error::Protocol { server, detail: message, may_have_run },
            FaultKind::TooLarge => Error::BeyondLimit { server, detail: message, may_have_run },
            FaultKind::Unsupported => Error::Unsupported { detail: message },
            FaultKind::Disconnected | FaultKind::Other => {
                Error::Unavailable { server, reason: message, retry_after: None, may_have_run }
            }
        }
    }

    pub(super) fn fault(&self, detail: &str) -> Error {
        guest_fault(&self.spec, &self.component, &GuestFault::Boundary(detail.to_owned()))
    }
}

/// An error of a session, or of the guest, as one of its calls hears it: true to whether bytes of that call may have left.
pub(super) fn of_call(error: &Error, server: &ServerName, may_have_run: MayHaveRun) -> Error {
    let unavailable = |reason| Error::Unavailable { server: server.clone(), reason, retry_after: None, may_have_run };
    match error {
        // The server has refused the session, not the call.
        Error::Server(refusal) => unavailable(format!("it refused the session: {refusal}")),
        // These say that nothing was sent.
        Error::InvalidInput { reason, .. } | Error::Unsupported { detail: reason } | Error::Start { reason, .. }
            if may_have_run != MayHaveRun::No =>
        {
            unavailable(reason.clone())
        }
        error => error.clone().with_may_have_run(may_have_run),
    }
}

fn log(level: LogLevel, message: &str) {
    match level {
        LogLevel::Trace => tracing::trace!(target: "innkeeper::guest", "{message}"),
        LogLevel::Debug => tracing::debug!(target: "innkeeper::guest", "{message}"),
        LogLevel::Info => tracing::info!(target: "innkeeper::guest", "{message}"),
        LogLevel::Warn => tracing::warn!(target: "innkeeper::guest", "{message}"),
        LogLevel::Error => tracing::error!(target: "innkeeper::guest", "{message}"),
    }
}
