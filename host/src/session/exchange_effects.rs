//! What a guest wants of HTTP, checked and done; and what comes of it, made into events.
//!
//! The guest names its exchanges by ids of its own. One is open for the guest until it has been told of its end, so an id may be
//! aborted that the host has closed already, where the guest could not know; any other id is a fault.

use std::time::Duration;

use tokio::{
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

use super::{
    deadlines::Due,
    ending::LAST_BURST,
    exchanges::Exchanges,
    owner::{Owner, nanoseconds},
    payloads::bytes_of,
};
use crate::{
    Error, MayHaveRun,
    guest::boundary::{Effect, Event, ExchangeFailure, FaultKind, HttpRequest},
    transport::{
        Transport,
        exchange::{Failed, Head, News, Request, ServerSentEvent, check},
    },
};

/// Exchanges beyond one for each call in flight: streams, cancellations, answers, notices.
const MOST_OTHERS: usize = 256;

/// Requests of the last words of a guest, and how long they may take. They go before the last one of all, which may make them
/// impossible.
const LAST_REQUESTS: usize = 16;
const LAST_REQUESTS_TIME: Duration = Duration::from_millis(500);

/// Final statuses by which a server wants to know who is asking, or does not let them (RFC 9110, sections 15.5.2 and 15.5.4).
const UNAUTHORIZED: u16 = 401;
const FORBIDDEN: u16 = 403;

impl Owner {
    pub(super) fn is_http(&self) -> bool {
        matches!(self.spec.transport, Transport::Http(_))
    }

    pub(super) fn request(&mut self, request: HttpRequest, events: &[Event]) -> Result<(), Error> {
        let (id, call) = (request.exchange, request.call);
        if let Some(call) = call {
            self.check_call(call)?;
            if self.calls.must_stay_unsent(call) {
                return Err(self.fault(&format!("it sent call {call} after its caller was told that it was not sent")));
            }
        }
        let request = self.checked(request, events)?;
        let Some(exchanges) = &self.exchanges else { return Err(self.no_http("made an HTTP request")) };
        if exchanges.is_open(id) || self.ends_later(id) {
            return Err(self.fault(&format!("it used the id {id} of an exchange that is open")));
        }
        // As with the queue of a stream: new calls are not taken while it is full.
        let queued = exchanges.queued();
        if queued > self.most_queued() {
            return Err(Error::Unavailable {
                server: self.spec.server.clone(),
                reason: format!("it does not answer: {queued} bytes of requests wait for it"),
                retry_after: None,
                may_have_run: MayHaveRun::No,
            });
        }
        let is_full = exchanges.len() >= self.spec.limits.calls_in_flight.saturating_add(MOST_OTHERS);
        let due = call.is_none().then(|| Instant::now() + self.spec.limits.http_response);
        let Some(exchanges) = &mut self.exchanges else { return Ok(()) };
        if is_full {
            let message = "the session has as many exchanges as it may have".to_owned();
            exchanges.refuse(id, News::Failed(Failed { failure: ExchangeFailure::TooLarge, message, error: None }));
            return Ok(());
        }
        exchanges.begin(id, call, due, request);
        if let Some(due) = due {
            self.deadlines.set(due, Due::Exchange(id));
        }
        if let Some(call) = call {
            self.calls.queued(call);
        }
        Ok(())
    }

    pub(super) fn abort(&mut self, id: u64, events: &[Event]) -> Result<(), Error> {
        let Some(exchanges) = &mut self.exchanges else { return Err(self.no_http("aborted an HTTP exchange")) };
        let was_open = exchanges.is_open(id);
        // It may have ended in the very batch that the guest was about to abort it in.
        if !was_open && !self.ends_later(id) && !events.iter().any(|event| ends(event, id)) {
            return Err(self.fault(&format!("it aborted exchange {id}, which is not open")));
        }
        self.end_exchange(id);
        self.pending.retain(|event| exchange_of(event) != Some(id));
        self.recount_pending();
        Ok(())
    }

    pub(super) fn set_on_close(&mut self, request: Option<HttpRequest>, events: &[Event]) -> Result<(), Error> {
        if self.exchanges.is_none() {
            return Err(self.no_http("named an HTTP request for the end"));
        }
        self.on_close = request.map(|request| self.checked(request, events)).transpose()?;
        Ok(())
    }

    /// A request that a guest may ask for, with its body.
    fn checked(&mut self, request: HttpRequest, events: &[Event]) -> Result<Request, Error> {
        if !self.is_http() {
            return Err(self.no_http("made an HTTP request"));
        }
        let body = match &request.body {
            Some(body) => {
                Some(bytes_of(body, events, &self.calls, self.most_written()).map_err(|why| self.fault(&why))?)
            }
            None => None,
        };
        let HttpRequest { method, target, headers, call, .. } = request;
        if let Some(body) = &body {
            self.inspect(body, call)?;
        }
        let request = Request { method, target, headers, body };
        match check(&request, &self.component.info().headers) {
            Ok(()) => Ok(request),
            Err(broken) => Err(self.fault(&broken.to_string())),
        }
    }

    fn no_http(&self, what: &str) -> Error {
        self.fault(&format!("it {what}, but its session has a stream"))
    }

    /// Whether the guest has still to hear of the end of an exchange.
    fn ends_later(&self, id: u64) -> bool {
        self.pending.iter().any(|event| ends(event, id))
    }

    /// Ends an exchange, if it is open: its call may say so if nothing of it has left.
    fn end_exchange(&mut self, id: u64) {
        let Some(exchange) = self.exchanges.as_mut().and_then(|exchanges| exchanges.remove(id)) else { return };
        if let Some(due) = exchange.due {
            self.deadlines.clear(due, Due::Exchange(id));
        }
        if let Some(call) = exchange.unsent() {
            self.calls.cut(call);
        }
    }

    /// Ends all of them.
    pub(super) fn end_exchanges(&mut self) {
        let Some(exchanges) = &mut self.exchanges else { return };
        for exchange in exchanges.take_all() {
            if let Some(call) = exchange.unsent() {
                self.calls.cut(call);
            }
        }
    }

    /// From here on nothing bounds the exchanges of a call but the call's end.
    pub(super) fn bound_exchanges_of(&mut self, call: u64) {
        self.refusals.remove(&Some(call));
        let Some(exchanges) = &mut self.exchanges else { return };
        let due = Instant::now() + self.spec.limits.http_response;
        for (id, exchange) in exchanges.of_call(call) {
            if exchange.due.is_none() && !exchange.is_stream {
                exchange.due = Some(due);
                self.deadlines.set(due, Due::Exchange(id));
            }
        }
    }

    pub(super) fn exchange_is_due(&mut self, id: u64) {
        let after = self.spec.limits.http_response;
        self.end_exchange(id);
        let message = format!("its response was not there after {after:?}");
        self.push(Event::ExchangeFailed { exchange: id, failure: ExchangeFailure::Timeout, message });
    }

    pub(super) fn gather_news(&mut self) {
        while self.has_room() {
            let Some((id, news)) = self.exchanges.as_mut().and_then(Exchanges::next_news) else { break };
            self.take_news(id, news);
        }
    }

    /// Something was told of an exchange.
    pub(super) fn take_news(&mut self, id: u64, news: News) {
        match news {
            News::Head(head) => self.take_head(id, head),
            News::Body(bytes) => self.push(Event::ResponseBody { exchange: id, bytes }),
            News::Event(ServerSentEvent { event_type, data, id: event_id, retry }) => {
                self.push(Event::ServerSentEvent { exchange: id, event_type, data, id: event_id, retry });
            }
            News::End => {
                self.end_exchange(id);
                self.push(Event::ResponseEnd(id));
            }
            News::Failed(Failed { failure, message, error }) => {
                let call =
                    self.exchanges.as_mut().and_then(|exchanges| exchanges.get_mut(id)).and_then(|open| open.call);
                self.end_exchange(id);
                let error = error.map(|error| error.of(self.spec.server.clone()));
                self.remember(id, call, error);
                self.push(Event::ExchangeFailed { exchange: id, failure, message });
            }
        }
    }

    fn take_head(&mut self, id: u64, head: Head) {
        let Head { status, headers, is_stream, challenge } = head;
        let Some(exchange) = self.exchanges.as_mut().and_then(|exchanges| exchanges.get_mut(id)) else { return };
        let call = exchange.call;
        exchange.is_stream = is_stream;
        if let (true, Some(due)) = (is_stream, exchange.due.take()) {
            self.deadlines.clear(due, Due::Exchange(id));
        }
        let was_sent = exchange.counts;
        if let (400.., true, Some(call)) = (status, was_sent, call) {
            self.calls.refused(call);
        }
        if let (UNAUTHORIZED, true, Some(call)) = (status, exchange.counts, call) {
            // "The request has not been applied" (RFC 9110, section 15.5.2).
            exchange.counts = false;
            self.calls.cut(call);
        }
        let refusal = matches!(status, UNAUTHORIZED | FORBIDDEN).then(|| Error::AuthorizationRequired {
            server: self.spec.server.clone(),
            status,
            challenge,
            may_have_run: MayHaveRun::No,
        });
        self.remember(id, call, refusal);
        self.push(Event::ResponseHead { exchange: id, status, headers });
    }

    /// What the last exchange of a call, or of the session itself, says of why it came to nothing. Nothing, if it came to something.
    fn remember(&mut self, exchange: u64, call: Option<u64>, refusal: Option<Error>) {
        match refusal {
            Some(refusal) => _ = self.refusals.insert(call, (exchange, refusal)),
            None => _ = self.refusals.remove(&call),
        }
    }

    /// Why a call, or the session itself, came to nothing, where the guest has no better word for it than its last exchange.
    pub(super) fn refusal(&self, call: Option<u64>, kind: FaultKind, events: &[Event]) -> Option<Error> {
        if matches!(kind, FaultKind::Cancelled | FaultKind::Invalid | FaultKind::TooLarge) {
            return None;
        }
        let (exchange, error) = self.refusals.get(&call)?;
        // Once it is open, a session has exchanges that may fail without being its end.
        let is_cause =
            call.is_some() || !self.is_ready || events.iter().any(|event| exchange_of(event) == Some(*exchange));
        is_cause.then(|| error.clone())
    }

    /// The end of HTTP: the guest's last words, and then what it wants sent at the end.
    pub(super) async fn last_requests(&mut self, exchanges: &Exchanges, by_itself: Instant) {
        if self.runner.is_alive() {
            let kill_at = self.close.borrow().unwrap_or(by_itself).min(Instant::now() + LAST_BURST);
            let goodbye = self.runner.handle(nanoseconds(self.began), vec![Event::Close]);
            if let Ok(Ok(batch)) = timeout_at(kill_at, goodbye).await {
                self.say_last_words(exchanges, batch.effects, &batch.events).await;
            }
        }
        if let Some(request) = self.on_close.take() {
            let last = exchanges.last(request);
            tokio::select! {
                () = last => {}
                () = self.until_killed(by_itself) => {}
            }
        }
    }

    async fn say_last_words(&mut self, exchanges: &Exchanges, effects: Vec<Effect>, events: &[Event]) {
        let mut last = JoinSet::new();
        for effect in effects {
            let (request, is_for_close) = match effect {
                Effect::Request(request) => (Some(request), false),
                Effect::OnCloseRequest(request) => (request, true),
                _ => continue,
            };
            // What breaks a rule is left out: nobody is there to hear of the fault.
            let request = request.and_then(|request| self.checked(request, events).ok());
            if is_for_close {
                self.on_close = request;
            } else if let Some(request) = request.filter(|_| last.len() < LAST_REQUESTS) {
                last.spawn(exchanges.last(request));
            }
        }
        let _ = timeout(LAST_REQUESTS_TIME, async { while last.join_next().await.is_some() {} }).await;
    }
}

/// Whether an event is the end of an exchange.
fn ends(event: &Event, id: u64) -> bool {
    match event {
        Event::ResponseEnd(exchange) | Event::ExchangeFailed { exchange, .. } => *exchange == id,
        _ => false,
    }
}

/// The exchange that an event is about.
fn exchange_of(event: &Event) -> Option<u64> {
    match event {
        Event::ResponseHead { exchange, .. }
        | Event::ResponseBody { exchange, .. }
        | Event::ServerSentEvent { exchange, .. }
        | Event::ResponseEnd(exchange)
        | Event::ExchangeFailed { exchange, .. } => Some(*exchange),
        _ => None,
    }
}
