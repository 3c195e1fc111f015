//! The owner: the one task that touches a session's guest and connection, from opening to its end.
//!
//! Its loop has two halves that alternate: `gather` waits and makes events, `effects` gives them to the guest and applies
//! what it returns. Whatever ends the session is the error that leaves the loop; every call that is open then gets it.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::{
    sync::{
        mpsc::{Receiver, UnboundedReceiver, UnboundedSender},
        watch,
    },
    time::{Instant, timeout, timeout_at},
};
use tracing::Instrument;

use super::{
    calls::Calls,
    deadlines::{Deadlines, Due},
    handle::{Control, Incoming, SessionSpec, State},
    link::Link,
    server_requests::ServerRequests,
};
use crate::{
    Error, MayHaveRun,
    error::ServerExit,
    guest::{
        GuestFault, Runner,
        boundary::{Event, Settings, TransportKind},
    },
    transport::{BoxFuture, ConnectContext, Connection},
};

/// How long the last words of a guest may take to be written.
const LAST_FRAMES: Duration = Duration::from_millis(100);

/// The owner's ends of its channels.
pub(super) struct Inbox {
    pub(super) calls: Receiver<Incoming>,
    pub(super) orders: UnboundedReceiver<Control>,
    /// When the session is to be ended by force; set once it is to be closed.
    pub(super) close: watch::Receiver<Option<Instant>>,
    pub(super) control: UnboundedSender<Control>,
}

pub(super) struct Owner {
    pub(super) spec: SessionSpec,
    pub(super) state: watch::Sender<State>,
    pub(super) calls_in: Receiver<Incoming>,
    pub(super) orders: UnboundedReceiver<Control>,
    pub(super) close: watch::Receiver<Option<Instant>>,
    pub(super) runner: Runner,
    pub(super) link: Option<Link>,
    pub(super) connecting: Option<BoxFuture<'static, Result<Connection, String>>>,
    /// Number of the present connection, from 1.
    pub(super) incarnation: u32,
    /// How the last connection ended, once it has.
    pub(super) exit: Option<ServerExit>,
    pub(super) calls: Calls,
    pub(super) requests: ServerRequests,
    pub(super) timers: HashMap<u64, Instant>,
    pub(super) deadlines: Deadlines,
    /// Events that the guest has not seen yet, and how many bytes they carry.
    pub(super) pending: VecDeque<Event>,
    pub(super) pending_bytes: usize,
    /// When the session began: zero of the guest's clock, and the start of the time to open.
    pub(super) began: Instant,
    pub(super) is_ready: bool,
}

/// The life of a session.
pub(super) async fn run(spec: SessionSpec, inbox: Inbox, state: watch::Sender<State>) {
    let span = tracing::info_span!(
        "session",
        id = %spec.id,
        tenant = %spec.tenant,
        user = %spec.user,
        server = %spec.server,
        guest = %spec.component,
    );
    async move {
        match Runner::new(&spec.component, spec.strikes.clone()).await {
            Ok(runner) => Owner::new(spec, inbox, state, runner).live().await,
            Err(fault) => {
                let error = guest_fault(&spec, &fault);
                spec.observer.closing(&error);
                state.send_replace(State::Closed(error.clone()));
                spec.observer.closed(&error);
            }
        }
    }
    .instrument(span)
    .await;
}

impl Owner {
    fn new(spec: SessionSpec, inbox: Inbox, state: watch::Sender<State>, runner: Runner) -> Self {
        let requests = ServerRequests::new(spec.asker.clone(), inbox.control);
        Self {
            spec,
            state,
            calls_in: inbox.calls,
            orders: inbox.orders,
            close: inbox.close,
            runner,
            link: None,
            connecting: None,
            incarnation: 0,
            exit: None,
            calls: Calls::default(),
            requests,
            timers: HashMap::new(),
            deadlines: Deadlines::new(),
            pending: VecDeque::new(),
            pending_bytes: 0,
            began: Instant::now(),
            is_ready: false,
        }
    }

    async fn live(mut self) {
        let Err(error) = self.serve().await;
        tracing::debug!(error = %error, code = error.code(), "the session ends");
        self.end(error).await;
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, Error> {
        let limits = &self.spec.limits;
        let settings = Settings {
            transport: TransportKind::Stream,
            revision: self.spec.revision.clone(),
            client_info: self.spec.client_info.clone(),
            capabilities: self.spec.asker.capabilities(),
            max_frame: limits.frame as u64,
            max_result: limits.gathered_result as u64,
            max_pages: limits.pages,
            max_server_requests: limits.server_requests,
        };
        self.deadlines.set(self.began + limits.open, Due::Open);
        self.push(Event::Open(settings));
        self.connect();
        loop {
            while !self.pending.is_empty() {
                self.run_guest().await?;
            }
            if let Some(exit) = self.exit.clone().filter(|_| self.link.is_none() && self.connecting.is_none()) {
                return Err(self.exited(exit));
            }
            self.gather().await?;
        }
    }

    /// Begins to make the next connection.
    pub(super) fn connect(&mut self) {
        self.incarnation += 1;
        self.exit = None;
        let spec = &self.spec;
        let context =
            ConnectContext::new(spec.tenant.clone(), spec.user.clone(), spec.server.clone(), self.incarnation);
        self.connecting = Some(spec.connector.connect(context));
    }

    pub(super) fn push(&mut self, event: Event) {
        self.pending_bytes += event.bytes().len();
        self.pending.push_back(event);
    }

    pub(super) fn exited(&self, exit: ServerExit) -> Error {
        Error::ServerExited { server: self.spec.server.clone(), exit, may_have_run: MayHaveRun::No }
    }

    pub(super) fn timed_out_opening(&self) -> Error {
        Error::Timeout {
            phase: crate::Phase::Open,
            server: self.spec.server.clone(),
            after: self.spec.limits.open,
            may_have_run: MayHaveRun::No,
        }
    }

    /// Ends the session: no new calls, a last word of the guest, every open call settled, the process gone.
    async fn end(mut self, error: Error) {
        self.state.send_replace(State::Closing(error.clone()));
        self.spec.observer.closing(&error);
        self.calls_in.close();
        while let Ok(incoming) = self.calls_in.try_recv() {
            if let Incoming::Call { reply, .. } = incoming {
                reply.complete(Err(error.clone().with_may_have_run(MayHaveRun::No)));
            }
        }
        // Before the guest is asked, so that callers need not wait for it.
        self.calls.settle_all(&mut self.deadlines, |may_have_run| Err(error.clone().with_may_have_run(may_have_run)));

        if let Some(mut link) = self.link.take() {
            if self.runner.is_alive() {
                let now = nanoseconds(self.began);
                if let Ok(batch) = self.runner.handle(now, vec![Event::Close]).await {
                    super::effects::queue_writes(&batch, &mut link);
                }
                let _ = timeout(LAST_FRAMES, link.write_all()).await;
            }
            self.close_link(link).await;
        }
        self.state.send_replace(State::Closed(error.clone()));
        self.spec.observer.closed(&error);
    }

    async fn close_link(&mut self, link: Link) {
        let limits = &self.spec.limits;
        let by_itself = Instant::now() + limits.close_input + limits.close_terminate;
        let without_process = link.process().is_none();
        let mut closing = link.close();
        if without_process {
            return;
        }
        // Somebody may become less patient while we wait.
        let kill_at = async {
            let mut close = self.close.clone();
            loop {
                let at = close.borrow_and_update().unwrap_or(by_itself).min(by_itself);
                if timeout_at(at, close.changed()).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            _ = &mut closing.ended => return,
            () = kill_at => closing.peer.kill(),
        }
        // SIGKILL cannot be refused; a process in an uninterruptible system call takes it when that ends.
        if timeout(Duration::from_secs(5), &mut closing.ended).await.is_err() {
            tracing::warn!(process = ?closing.peer.process(), "the server's process does not end");
        }
    }
}

/// The guest's clock.
pub(super) fn nanoseconds(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn guest_fault(spec: &SessionSpec, fault: &GuestFault) -> Error {
    tracing::warn!(guest = %spec.component, %fault, "the guest failed");
    Error::GuestFault { guest: spec.component.to_string(), detail: fault.to_string(), may_have_run: MayHaveRun::No }
}
