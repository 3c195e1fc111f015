//! What the owner waits for, made into events.
//!
//! Everything that is there is gathered before the guest is called, up to the size of one largest frame: one call into the
//! guest costs more than one event.

use std::time::Duration;

use bytes::Bytes;
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

use super::{
    client::{Control, Incoming, Said, SessionSpec},
    deadlines::Due,
    exchanges::Exchanges,
    link::{Link, News},
    owner::{Connected, Connecting, Owner, Reached, Waiting},
};
use crate::{
    Error, MayHaveRun, Phase,
    error::ServerExit,
    guest::boundary::{Answer, Call, Event, ExitStatus, TransportKind},
    transport::{ConnectError, exchange},
};

/// Events of a batch. Bounds the time between two looks at the outside, and how late a turn ends: an event takes some microseconds.
/// The call into the guest that they share takes one.
const MOST_EVENTS: usize = 64;

/// How long a connection that is over may take to give the rest of its output, and after that its process to end by itself.
const EXIT_AFTER_OUTPUT: Duration = Duration::from_millis(250);

/// Something that the owner waited for.
enum Heard {
    Close,
    Order(Control),
    News(News),
    Exchange(u64, exchange::News),
    Connected(Result<Connected, ConnectError>),
    Call(Option<Incoming>),
    Due,
}

impl Owner {
    /// Waits until there is at least one event, and gathers what else is there.
    ///
    /// What must not wait is looked at each time: a server that always has something to say must not switch off deadlines.
    pub(super) async fn gather(&mut self) -> Result<(), Error> {
        loop {
            // Nor must its session keep the thread for itself, or its tenant all of them.
            self.take_turn().await?;
            if self.close.borrow().is_some() {
                return Err(self.closing());
            }
            // Calls first, because one without time is due when it comes. Not all there are: who gives up calls as fast as they are
            // taken would have it go on for good.
            for _ in 0..MOST_EVENTS {
                let Ok(incoming) = self.calls_in.try_recv() else { break };
                self.take_incoming(incoming);
            }
            self.take_due()?;
            self.gather_orders();
            self.gather_calls();
            self.gather_frames()?;
            self.gather_news();
            if !self.pending.is_empty() || !self.handovers.is_empty() {
                return Ok(());
            }
            self.hear().await?;
        }
    }

    /// Goes on with its turn, or waits for the next, but no longer than it lives.
    pub(super) async fn take_turn(&mut self) -> Result<(), Error> {
        let Self { turn, close, .. } = self;
        let is_taken = tokio::select! {
            biased;
            () = turn.take() => true,
            () = told_to_close(close) => false,
        };
        if is_taken { Ok(()) } else { Err(self.closing()) }
    }

    async fn hear(&mut self) -> Result<(), Error> {
        let Self { close, orders, link, exchanges, connecting, calls_in, deadlines, turn, .. } = self;
        let heard = async {
            tokio::select! {
                biased;
                () = told_to_close(close) => Heard::Close,
                () = deadlines.wait() => Heard::Due,
                Some(order) = orders.recv() => Heard::Order(order),
                news = news(link) => Heard::News(news),
                (id, news) = exchange_news(exchanges) => Heard::Exchange(id, news),
                connection = connected(connecting) => Heard::Connected(connection),
                call = calls_in.recv() => Heard::Call(call),
            }
        };
        let heard = turn.wait_for(heard).await;
        if let Heard::Connected(_) = heard {
            self.connecting = None;
        }
        match heard {
            Heard::Close => return Err(self.closing()),
            Heard::Order(order) => self.take_order(order),
            Heard::Call(Some(incoming)) => self.take_incoming(incoming),
            // The last handle is gone.
            Heard::Call(None) => return Err(self.closing()),
            Heard::Connected(Ok((reached, place))) => {
                self.place = self.place.take().or(place);
                self.connected_at = Instant::now();
                match reached {
                    Reached::Stream(connection) => {
                        self.link = Some(Link::new(connection, self.spec.limits.frame));
                        self.push(Event::Started(self.incarnation));
                    }
                    Reached::Http(exchanger) => {
                        self.exchanges = Some(Exchanges::new(exchanger));
                        self.open(TransportKind::Http);
                    }
                }
            }
            Heard::Connected(Err(error)) => return Err(error.of(self.spec.server.clone())),
            Heard::Exchange(id, news) => self.take_news(id, news),
            Heard::News(News::Read | News::Wrote) => {}
            Heard::News(News::End) => self.connection_ended(None).await?,
            Heard::News(News::Ended(status)) => self.connection_ended(Some(status)).await?,
            Heard::Due => {}
        }
        Ok(())
    }

    pub(super) fn has_room(&self) -> bool {
        self.pending.len() < MOST_EVENTS && self.pending_bytes < self.spec.limits.frame
    }

    fn accepts_calls(&self) -> bool {
        self.is_opened
            && self.in_flight < self.spec.limits.calls_in_flight
            && self.link.as_ref().is_none_or(|link| link.queued() < self.spec.limits.write_queue)
            && self.exchanges.as_ref().is_none_or(|exchanges| exchanges.queued() < self.spec.limits.write_queue)
    }

    fn gather_frames(&mut self) -> Result<(), Error> {
        while self.has_room() {
            let Some(link) = &mut self.link else { break };
            let Some(frame) = next_frame(link, &self.spec)? else { break };
            self.push(Event::Frame(frame));
        }
        Ok(())
    }

    /// The frames that were read from a connection that is over: as many as there are, up to the bytes of one largest.
    fn take_frames(&mut self, link: &mut Link) -> Result<(), Error> {
        while self.pending_bytes < self.spec.limits.frame {
            let Some(frame) = next_frame(link, &self.spec)? else { break };
            self.push(Event::Frame(frame));
        }
        Ok(())
    }

    fn gather_orders(&mut self) {
        while self.has_room() {
            let Ok(order) = self.orders.try_recv() else { break };
            self.take_order(order);
        }
    }

    fn gather_calls(&mut self) {
        while self.has_room() && self.accepts_calls() {
            let Some(waiting) = self.waiting.pop_front() else { break };
            if let Event::Call(call) = &waiting.event {
                self.calls.tell(call.id);
                self.in_flight += 1;
            }
            self.push(waiting.event);
        }
    }

    fn take_incoming(&mut self, Incoming { said, place }: Incoming) {
        let event = match said {
            // Cancelled on its way: nobody needs to hear of it.
            Said::Call { reply, .. } if reply.is_abandoned() => return,
            Said::Call { id, request, reply } => {
                self.calls.add(id, &request, reply, &self.spec.limits, &mut self.deadlines);
                Event::Call(Call {
                    id,
                    method: request.method,
                    params: request.params,
                    progress: request.progress,
                    all_pages: request.all_pages,
                })
            }
            Said::Notify { method, params } => Event::Notify { method, params },
        };
        self.waiting.push_back(Waiting { event, _place: place });
    }

    fn take_order(&mut self, order: Control) {
        match order {
            Control::Cancel(id) => {
                self.cancel(id, |may_have_run| Error::Cancelled { may_have_run });
            }
            Control::Answer { id, answer } => {
                // It may have been withdrawn meanwhile.
                if let Some(paused) = self.requests.remove(id) {
                    self.calls.resume(&paused, &mut self.deadlines);
                    self.push(self.bounded(id, answer));
                }
            }
            Control::HandOver(handover) => self.handovers.push_back(handover),
        }
    }

    /// An answer of the platform that no frame could hold is none.
    fn bounded(&self, id: u64, answer: Answer) -> Event {
        let limit = self.spec.limits.frame;
        match &answer {
            Answer::Result(bytes) | Answer::Error(bytes) if bytes.len() > limit => {
                tracing::warn!(bytes = bytes.len(), limit, "an answer to the server is larger than a frame; refusing");
                Event::ServerResponse { id, answer: Answer::Refused }
            }
            _ => Event::ServerResponse { id, answer },
        }
    }

    /// Settles a call with an error, and has the guest cancel it, if it was told of it.
    fn cancel(&mut self, id: u64, error: impl FnOnce(MayHaveRun) -> Error) {
        if !self.calls.settle(id, &mut self.deadlines, |may_have_run| Err(error(may_have_run))) {
            return;
        }
        let is_it = |event: &Event| matches!(event, Event::Call(call) if call.id == id);
        if let Some(place) = self.waiting.iter().position(|waiting| is_it(&waiting.event)) {
            self.waiting.remove(place);
            self.calls.remove(id, &mut self.deadlines);
        } else {
            self.push(Event::CancelCall(id));
        }
    }

    /// A call that the guest was told of, or nearly, is closed.
    pub(super) fn call_closed(&mut self, id: u64) {
        self.calls.remove(id, &mut self.deadlines);
        self.bound_exchanges_of(id);
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    fn take_due(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        while let Some(due) = self.deadlines.take_due(now) {
            match due {
                Due::Open => return Err(self.timed_out_opening()),
                Due::Completion(id) => {
                    return Err(self.fault(&format!("it did not complete call {id} after its end")));
                }
                Due::Call(id) => {
                    let (server, after) = (self.spec.server.clone(), self.calls.allowed(id));
                    self.cancel(id, |may_have_run| Error::Timeout { phase: Phase::Call, server, after, may_have_run });
                }
                Due::Timer(id) => {
                    self.timers.remove(&id);
                    self.push(Event::Timer(id));
                }
                Due::Exchange(id) => self.exchange_is_due(id),
                Due::Renewal => self.renewal_is_due(),
            }
        }
        Ok(())
    }

    /// The connection is over: reads what is left of it, and tells the guest.
    async fn connection_ended(&mut self, status: Option<ExitStatus>) -> Result<(), Error> {
        let Some(mut link) = self.link.take() else { return Ok(()) };
        // This may take a while, in which others of the tenant have things to do.
        self.turn.end();
        // What it said last may be an answer, and may be in the pipe still: that the pipe was empty a moment ago says nothing.
        let until = Instant::now() + EXIT_AFTER_OUTPUT;
        loop {
            if let Err(error) = self.take_frames(&mut link) {
                // What is behind it lives on for a while, and is waited for like any other.
                self.cut_queue(&mut link);
                self.ending.push(link.close());
                return Err(error);
            }
            if self.pending_bytes >= self.spec.limits.frame {
                break;
            }
            if !timeout_at(until, link.read_rest()).await.unwrap_or(false) {
                break;
            }
        }
        self.cut_queue(&mut link);
        let mut closing = link.close();
        let status = match status {
            Some(status) => status,
            // The end of its output usually comes a moment before the end of the process. One that lives on is ended, and its
            // status is not waited for.
            None => timeout(EXIT_AFTER_OUTPUT, closing.ended()).await.unwrap_or_default(),
        };
        if let Some(reason) = closing.lost() {
            self.ending.push(closing);
            return Err(ConnectError::unavailable(reason).of(self.spec.server.clone()));
        }
        self.exit = Some(ServerExit { code: status.code, signal: status.signal, stderr: closing.last_lines() });
        self.ending.push(closing);
        self.push(Event::Exited(status));
        Ok(())
    }

    pub(super) fn closing(&self) -> Error {
        self.spec.closing()
    }
}

pub(super) async fn told_to_close(close: &mut watch::Receiver<Option<Instant>>) {
    // The handle being gone is seen at the channel of calls.
    if close.wait_for(Option::is_some).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn next_frame(link: &mut Link, spec: &SessionSpec) -> Result<Option<Bytes>, Error> {
    link.next_frame().map_err(|_| Error::TooLarge {
        what: format!("a message of server `{}`", spec.server),
        limit: spec.limits.frame,
        setting: "frame",
        may_have_run: MayHaveRun::No,
    })
}

async fn news(link: &mut Option<Link>) -> News {
    match link {
        Some(link) => link.news().await,
        None => std::future::pending().await,
    }
}

async fn exchange_news(exchanges: &mut Option<Exchanges>) -> (u64, exchange::News) {
    match exchanges {
        Some(exchanges) => exchanges.news().await,
        None => std::future::pending().await,
    }
}

async fn connected(connecting: &mut Option<Connecting>) -> Result<Connected, ConnectError> {
    match connecting {
        Some(connecting) => (&mut connecting.connection).await,
        None => std::future::pending().await,
    }
}
