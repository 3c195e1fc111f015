//! The owner: the one task that touches a client's guest and connection, from opening to its end.
//!
//! Its loop has two halves that alternate: `gather` waits and makes events, `effects` gives them to the guest and applies
//! what it returns. Whatever ends the client is the error that leaves the loop; every call that is open then gets it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use tokio::{
    sync::{
        OwnedSemaphorePermit,
        mpsc::{UnboundedReceiver, UnboundedSender},
        watch,
    },
    time::{Instant, sleep_until},
};
use tracing::Instrument;

use super::{
    calls::Calls,
    client::{Birth, ClientObserver, Control, Incoming, Said, SessionSpec, State},
    deadlines::{Deadlines, Due},
    effects::of_call,
    exchanges::Exchanges,
    gather::told_to_close,
    handover::{Handover, Renewal},
    link::{Closing, Link},
    places::Place,
    server_requests::ServerRequests,
    turn::Turn,
};
use crate::{
    Error, MayHaveRun,
    error::ServerExit,
    guest::{
        Component, GuestFault, Runner,
        boundary::{Event, Settings, TransportKind},
    },
    names::{ServerName, SessionId, UserName},
    transport::{
        BoxFuture, ConnectContext, ConnectError, Connection, Transport,
        exchange::{Exchanger, Request},
    },
};

/// The owner's ends of its channels.
pub(super) struct Inbox {
    pub(super) calls: UnboundedReceiver<Incoming>,
    pub(super) orders: UnboundedReceiver<Control>,
    /// When the session is to be ended by force; set once it is to be closed.
    pub(super) close: watch::Receiver<Option<Instant>>,
    pub(super) control: UnboundedSender<Control>,
}

/// A connection that is being made.
pub(super) struct Connecting {
    pub(super) connection: BoxFuture<'static, Result<Connected, ConnectError>>,
    /// Whether the connector was asked: before that nothing was started.
    pub(super) begun: Arc<AtomicBool>,
}

/// A connection that was made, with the place of the session where it is the first.
pub(super) type Connected = (Reached, Option<Place>);

/// What a server is spoken to over.
pub(super) enum Reached {
    Stream(Connection),
    Http(Arc<dyn Exchanger>),
}

/// Something that the platform said, and that the guest has not been told yet.
pub(super) struct Waiting {
    pub(super) event: Event,
    pub(super) _place: OwnedSemaphorePermit,
}

pub(super) struct Owner {
    pub(super) spec: Arc<SessionSpec>,
    pub(super) birth: Birth,
    pub(super) state: watch::Sender<State>,
    pub(super) calls_in: UnboundedReceiver<Incoming>,
    /// What was taken from the mailbox and waits for room; deadlines of calls run.
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) orders: UnboundedReceiver<Control>,
    pub(super) close: watch::Receiver<Option<Instant>>,
    pub(super) runner: Runner,
    /// What the runner runs.
    pub(super) component: Component,
    /// Guests that are to take its place, one after another.
    pub(super) handovers: VecDeque<Handover>,
    pub(super) renewal: Renewal,
    /// The connection, where the transport is a stream.
    pub(super) link: Option<Link>,
    /// Where it is HTTP.
    pub(super) exchanges: Option<Exchanges>,
    /// What is sent at the end, whoever is there by then.
    pub(super) on_close: Option<Request>,
    /// Why the last exchange of a call, or of the session itself, came to nothing, where a caller can do something about it.
    /// With that exchange.
    pub(super) refusals: HashMap<Option<u64>, (u64, Error)>,
    /// Whether the guest has been told that the session begins.
    pub(super) is_opened: bool,
    pub(super) connecting: Option<Connecting>,
    /// From the first connection until nothing is left of the session.
    pub(super) place: Option<Place>,
    /// Number of the present connection in its session, from 1.
    pub(super) incarnation: u32,
    /// Connections of this client.
    pub(super) connections: u32,
    /// How the last connection ended, once it has.
    pub(super) exit: Option<ServerExit>,
    /// Why the guest gave the connection up, while the calls that it completes for that are settled.
    pub(super) disconnected: Option<Error>,
    /// Connections that were given up and whose peers have not ended yet.
    pub(super) ending: Vec<Closing>,
    pub(super) calls: Calls,
    /// Calls that the guest was told of and has not completed.
    pub(super) in_flight: usize,
    pub(super) requests: ServerRequests,
    pub(super) timers: HashMap<u64, Instant>,
    pub(super) deadlines: Deadlines,
    /// Events that the guest has not seen yet, and how many bytes they carry.
    pub(super) pending: VecDeque<Event>,
    pub(super) pending_bytes: usize,
    /// When the session began: zero of the guest's clock.
    pub(super) began: Instant,
    /// When the present connection must be ready.
    pub(super) open_by: Instant,
    /// When there was something to speak over, once there is.
    pub(super) connected_at: Instant,
    pub(super) is_ready: bool,
    /// Bytes that were copied for the payloads of the present batch.
    pub(super) copied: usize,
    pub(super) turn: Turn,
}

/// The life of a client.
pub(super) fn run(
    spec: Arc<SessionSpec>,
    birth: Birth,
    inbox: Inbox,
    state: watch::Sender<State>,
) -> impl Future<Output = ()> + Send {
    // Made before the task, because one that is never run, or ends by a panic of an embedder's code, says it too.
    let last_word = LastWord { observer: birth.observer.clone(), state: state.clone(), id: spec.id };
    async move {
        // Here and not before: whoever makes a client may hold a lock, and a span is a call into the embedder's code.
        let span = tracing::info_span!(
            "session",
            id = %spec.id,
            tenant = %spec.tenant,
            user = spec.user.as_ref().map(UserName::as_str),
            server = %spec.server,
            guest = tracing::field::Empty,
            incarnation = tracing::field::Empty,
        );
        live(spec, birth, inbox, state).instrument(span).await;
        drop(last_word);
    }
}

async fn live(spec: Arc<SessionSpec>, birth: Birth, mut inbox: Inbox, state: watch::Sender<State>) {
    let mut turn = Turn::of(spec.share.clone());
    let component = spec.guest.get();
    tracing::Span::current().record("guest", tracing::field::display(&component));
    let runner = async {
        turn.take().await;
        turn.wait_for(Runner::new(&component, spec.standing.clone())).await
    };
    let runner = tokio::select! {
        biased;
        runner = runner => runner.map_err(|fault| guest_fault(&spec, &component, &fault)),
        () = told_to_close(&mut inbox.close) => Err(spec.closing()),
    };
    match runner {
        Ok(runner) => Owner::new(spec, birth, inbox, state, (component, runner), turn).live().await,
        Err(error) => {
            birth.observer.closing(0, &error);
            state.send_replace(State::Closing(error.clone()));
            refuse_calls(&mut inbox.calls, &error, &spec.server).await;
            state.send_replace(State::Closed(error));
            birth.observer.closed(true);
        }
    }
}

/// Takes no calls any more, and answers those that the guest was not told of.
pub(super) async fn refuse_calls(calls: &mut UnboundedReceiver<Incoming>, error: &Error, server: &ServerName) {
    calls.close();
    // `recv` and not `try_recv`: whoever is just handing a call over is waited for, which takes no time.
    while let Some(incoming) = calls.recv().await {
        if let Said::Call { reply, .. } = incoming.said {
            reply.complete(Err(of_call(error, server, MayHaveRun::No)));
        }
    }
}

/// Says that the client is gone, if nobody else has.
struct LastWord {
    observer: Arc<dyn ClientObserver>,
    state: watch::Sender<State>,
    id: SessionId,
}

impl Drop for LastWord {
    fn drop(&mut self) {
        if !matches!(*self.state.borrow(), State::Closed(_)) {
            let error = Error::Closing { what: format!("session {}", self.id), may_have_run: MayHaveRun::No };
            self.observer.closing(0, &error);
            self.state.send_replace(State::Closed(error));
            // Its end has begun, because everything of it was dropped; nobody has waited for it.
            self.observer.closed(false);
        }
    }
}

impl Owner {
    fn new(
        spec: Arc<SessionSpec>,
        birth: Birth,
        inbox: Inbox,
        state: watch::Sender<State>,
        (component, runner): (Component, Runner),
        turn: Turn,
    ) -> Self {
        let requests = ServerRequests::new(spec.asker.clone(), inbox.control);
        Self {
            spec,
            birth,
            state,
            calls_in: inbox.calls,
            waiting: VecDeque::new(),
            orders: inbox.orders,
            close: inbox.close,
            runner,
            component,
            handovers: VecDeque::new(),
            renewal: Renewal::default(),
            link: None,
            exchanges: None,
            on_close: None,
            refusals: HashMap::new(),
            is_opened: false,
            connecting: None,
            place: None,
            incarnation: 0,
            connections: 0,
            exit: None,
            disconnected: None,
            ending: Vec::new(),
            calls: Calls::default(),
            in_flight: 0,
            requests,
            timers: HashMap::new(),
            deadlines: Deadlines::new(),
            pending: VecDeque::new(),
            pending_bytes: 0,
            began: Instant::now(),
            open_by: Instant::now(),
            connected_at: Instant::now(),
            is_ready: false,
            copied: 0,
            turn,
        }
    }

    async fn live(mut self) {
        let Err(error) = self.serve().await;
        tracing::debug!(error = %error, code = error.code(), "the client ends");
        self.end(error).await;
    }

    /// Tells the guest that the session begins.
    pub(super) fn open(&mut self, transport: TransportKind) {
        let limits = self.spec.limits.clone();
        let settings = Settings {
            transport,
            revision: self.spec.revision.clone(),
            client_info: self.spec.client_info.clone(),
            capabilities: self.spec.asker.capabilities(),
            shared: self.spec.user.is_none(),
            max_frame: limits.frame as u64,
            max_result: limits.gathered_result as u64,
            max_pages: limits.pages,
            max_server_requests: limits.server_requests,
        };
        self.push(Event::Open(settings));
        self.is_opened = true;
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, Error> {
        // A stream is not there yet when the guest hears of its session; HTTP is.
        if !self.is_http() {
            self.open(TransportKind::Stream);
        }
        self.connect();
        loop {
            while !self.pending.is_empty() {
                self.run_guest().await?;
            }
            if let Some(exit) = self.exit.clone().filter(|_| self.link.is_none() && self.connecting.is_none()) {
                return Err(self.exited(exit));
            }
            // Here the guest has been told all that there is to tell.
            while let Some(handover) = self.handovers.pop_front() {
                self.hand_over(handover).await?;
            }
            self.gather().await?;
        }
    }

    /// Begins to make the next connection, which has the whole time for opening.
    pub(super) fn connect(&mut self) {
        self.connections += 1;
        self.incarnation = self.birth.connections.fetch_add(1, Relaxed) + 1;
        tracing::Span::current().record("incarnation", self.incarnation);
        self.exit = None;
        self.is_ready = false;
        self.deadlines.clear(self.open_by, Due::Open);
        let begin_at = self.birth.begin_at;
        self.open_by = begin_at.max(Instant::now()) + self.spec.limits.open;
        self.deadlines.set(self.open_by, Due::Open);
        let spec = &self.spec;
        let context = ConnectContext {
            tenant: spec.tenant.clone(),
            user: spec.user.clone(),
            server: spec.server.clone(),
            session: spec.id,
            incarnation: self.incarnation,
        };
        let (transport, places) = (spec.transport.clone(), self.place.is_none().then(|| spec.places.clone()));
        let begun = Arc::new(AtomicBool::new(false));
        let beginning = begun.clone();
        let connection = async move {
            sleep_until(begin_at).await;
            let place = match places {
                Some(places) => {
                    Some(places.take().await.ok_or_else(|| ConnectError::unavailable("the runtime is gone"))?)
                }
                None => None,
            };
            beginning.store(true, Relaxed);
            let reached = match transport {
                Transport::Stream(connector) => Reached::Stream(connector.connect(context).await?),
                Transport::Http(connector) => Reached::Http(connector.connect(context).await?),
            };
            Ok((reached, place))
        };
        self.connecting = Some(Connecting { connection: Box::pin(connection), begun });
    }

    pub(super) fn push(&mut self, event: Event) {
        self.pending_bytes += event.size();
        self.pending.push_back(event);
    }

    pub(super) fn recount_pending(&mut self) {
        self.pending_bytes = self.pending.iter().map(Event::size).sum();
    }

    /// What of the queue has not left never will: the calls that it is for may say so.
    pub(super) fn cut_queue(&mut self, link: &mut Link) {
        link.cut_queue().into_iter().for_each(|call| self.calls.cut(call));
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
}

/// The guest's clock.
pub(super) fn nanoseconds(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn guest_fault(spec: &SessionSpec, component: &Component, fault: &GuestFault) -> Error {
    // What the server said may stand in what the guest says of it.
    let detail = spec.mask.text(&fault.to_string()).into_owned();
    tracing::warn!(guest = %component, fault = detail, "the guest failed");
    Error::GuestFault { guest: component.to_string(), detail, may_have_run: MayHaveRun::No }
}
