//! What the owner waits for, made into events.
//!
//! Everything that is there is gathered before the guest is called, up to the size of one largest frame: one call into the
//! guest costs more than one event.

use tokio::{sync::watch, time::Instant};

use super::{
    deadlines::Due,
    handle::{Control, Incoming},
    link::{Link, News},
    owner::Owner,
};
use crate::{
    Error, MayHaveRun, Phase,
    error::ServerExit,
    guest::boundary::{Call, Event, ExitStatus},
    transport::{BoxFuture, Connection},
};

/// Events of a batch. Bounds the time between two looks at the outside.
const MOST_EVENTS: usize = 256;

/// Something that the owner waited for.
enum Heard {
    Close,
    Order(Control),
    News(News),
    Connected(Result<Connection, String>),
    Call(Option<Incoming>),
    Due,
}

impl Owner {
    /// Waits until there is at least one event, and gathers what else is there.
    pub(super) async fn gather(&mut self) -> Result<(), Error> {
        // A session whose server always has something to say must not keep its thread for itself.
        tokio::task::consume_budget().await;
        loop {
            self.gather_frames()?;
            self.gather_orders();
            self.gather_calls();
            if !self.pending.is_empty() {
                return Ok(());
            }
            self.hear().await?;
        }
    }

    async fn hear(&mut self) -> Result<(), Error> {
        let accepting = self.accepts_calls();
        let Self { close, orders, link, connecting, calls_in, deadlines, .. } = self;
        let heard = tokio::select! {
            biased;
            () = told_to_close(close) => Heard::Close,
            Some(order) = orders.recv() => Heard::Order(order),
            news = news(link) => Heard::News(news),
            connection = connected(connecting) => Heard::Connected(connection),
            call = calls_in.recv(), if accepting => Heard::Call(call),
            () = deadlines.wait() => Heard::Due,
        };
        match heard {
            Heard::Close => return Err(self.closing()),
            Heard::Order(order) => self.take_order(order),
            Heard::Call(Some(incoming)) => self.take_incoming(incoming),
            // The last handle is gone.
            Heard::Call(None) => return Err(self.closing()),
            Heard::Connected(Ok(connection)) => {
                self.connecting = None;
                self.link = Some(Link::new(connection, self.spec.limits.frame));
                self.push(Event::Started(self.incarnation));
            }
            Heard::Connected(Err(reason)) => {
                return Err(Error::Start { server: self.spec.server.clone(), reason });
            }
            Heard::News(News::Read | News::Wrote) => self.note_sent(),
            Heard::News(News::End) => self.connection_ended(None).await?,
            Heard::News(News::Ended(status)) => self.connection_ended(Some(status)).await?,
            Heard::Due => self.take_due()?,
        }
        Ok(())
    }

    /// Notes of which calls bytes have left.
    pub(super) fn note_sent(&mut self) {
        if let Some(link) = &mut self.link {
            while let Some(call) = link.take_sent() {
                self.calls.mark_sent(call);
            }
        }
    }

    fn has_room(&self) -> bool {
        self.pending.len() < MOST_EVENTS && self.pending_bytes < self.spec.limits.frame
    }

    fn accepts_calls(&self) -> bool {
        self.calls.len() < self.spec.limits.calls_in_flight
            && self.link.as_ref().is_none_or(|link| link.queued() < self.spec.limits.write_queue)
    }

    fn gather_frames(&mut self) -> Result<(), Error> {
        while self.has_room() {
            let Some(link) = &mut self.link else { break };
            match link.next_frame() {
                Ok(Some(frame)) => self.push(Event::Frame(frame)),
                Ok(None) => break,
                Err(_) => {
                    return Err(Error::TooLarge {
                        what: format!("a message of server `{}`", self.spec.server),
                        limit: self.spec.limits.frame,
                        setting: "frame",
                        may_have_run: MayHaveRun::No,
                    });
                }
            }
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
            let Ok(incoming) = self.calls_in.try_recv() else { break };
            self.take_incoming(incoming);
        }
    }

    fn take_incoming(&mut self, incoming: Incoming) {
        let (id, request, reply) = match incoming {
            Incoming::Call { id, request, reply } => (id, request, reply),
            Incoming::Notify { method, params } => return self.push(Event::Notify { method, params }),
        };
        // Cancelled while it waited: nobody needs to hear of it.
        if reply.is_abandoned() {
            return;
        }
        self.calls.add(id, &request, reply, &self.spec.limits, &mut self.deadlines);
        self.push(Event::Call(Call {
            id,
            method: request.method,
            params: request.params,
            progress: request.progress,
            all_pages: request.all_pages,
        }));
    }

    fn take_order(&mut self, order: Control) {
        match order {
            Control::Cancel(id) => {
                self.cancel(id, |may_have_run| Error::Cancelled { may_have_run });
            }
            Control::Answer { id, answer } => {
                // It may have been withdrawn meanwhile.
                if let Some(call) = self.requests.remove(id) {
                    self.calls.resume(call, &mut self.deadlines);
                    self.push(Event::ServerResponse { id, answer });
                }
            }
        }
    }

    /// Settles a call with an error and has the guest cancel it.
    fn cancel(&mut self, id: u64, error: impl FnOnce(MayHaveRun) -> Error) {
        if self.calls.settle(id, &mut self.deadlines, |may_have_run| Err(error(may_have_run))) {
            self.push(Event::CancelCall(id));
        }
    }

    fn take_due(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        while let Some(due) = self.deadlines.take_due(now) {
            match due {
                Due::Open if self.is_ready => {}
                Due::Open => return Err(self.timed_out_opening()),
                Due::Call(id) => {
                    let (server, after) = (self.spec.server.clone(), self.calls.allowed(id));
                    self.cancel(id, |may_have_run| Error::Timeout { phase: Phase::Call, server, after, may_have_run });
                }
                Due::Timer(id) => {
                    self.timers.remove(&id);
                    self.push(Event::Timer(id));
                }
            }
        }
        Ok(())
    }

    /// The connection is over: reads what is left of it, and tells the guest.
    async fn connection_ended(&mut self, status: Option<ExitStatus>) -> Result<(), Error> {
        let Some(mut link) = self.link.take() else { return Ok(()) };
        while status.is_some() && link.read_rest().await {
            // What is left of a process's output is at most what a pipe holds; more than a frame of it is not kept.
            if !self.has_room() {
                break;
            }
            self.link = Some(link);
            self.gather_frames()?;
            let Some(again) = self.link.take() else { return Ok(()) };
            link = again;
        }
        let lines = link.last_lines();
        let process = link.process();
        let mut closing = link.close();
        let status = match status {
            Some(status) => status,
            // The end of its output usually comes a moment before the end of the process. One that lives on is ended.
            None if process.is_some() => {
                let limits = &self.spec.limits;
                let patience = limits.close_input + limits.close_terminate + limits.close_terminate;
                tokio::time::timeout(patience, &mut closing.ended).await.unwrap_or_default()
            }
            None => ExitStatus::default(),
        };
        let stderr = if closing.peer.last_lines().is_empty() { lines } else { closing.peer.last_lines() };
        self.exit = Some(ServerExit { code: status.code, signal: status.signal, stderr });
        self.push(Event::Exited(status));
        Ok(())
    }

    pub(super) fn closing(&self) -> Error {
        Error::Closing { what: format!("the session with server `{}`", self.spec.server), may_have_run: MayHaveRun::No }
    }
}

pub(super) async fn told_to_close(close: &mut watch::Receiver<Option<Instant>>) {
    // The handle being gone is seen at the channel of calls.
    if close.wait_for(Option::is_some).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn news(link: &mut Option<Link>) -> News {
    match link {
        Some(link) => link.news().await,
        None => std::future::pending().await,
    }
}

async fn connected(
    connecting: &mut Option<BoxFuture<'static, Result<Connection, String>>>,
) -> Result<Connection, String> {
    match connecting {
        Some(connecting) => connecting.await,
        None => std::future::pending().await,
    }
}
