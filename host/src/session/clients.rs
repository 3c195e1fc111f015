//! A session: the clients of one server for one user, one after another.
//!
//! A session is what a lease is for, and lives as long as the registry has it. A client is one guest with its connection, and
//! ends with either: a server that dies, a guest that traps. Then its calls fail, and nothing else happens until somebody needs
//! the session again: the next call, the next lease. That begins a new client, after the wait that the [`Breaker`] asks
//! for, and all who come meanwhile find it there. So however many calls failed together, there is one new connection; a server
//! that nobody calls is not started over and over; and an error belongs to one client and cannot harm the next.
//!
//! What remains of clients that have ended is waited for here too: a session is gone when nothing is left of any of them.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::watch, time::Instant};

use super::{
    CallId, OpenCall, SessionInfo, SessionSpec, State,
    breaker::{Admission, Breaker, BreakerState},
    calls::CallRequest,
    client::{Birth, Client, ClientObserver},
    reply::Reply,
    watched::{Life, Watched},
};
use crate::{Error, MayHaveRun, names::SessionId};

/// Who hears of a session.
pub(crate) trait Observer: Send + Sync + 'static {
    /// A client is ready.
    fn opened(&self, info: &Arc<SessionInfo>);
    fn notified(&self, method: String, params: Bytes);
    /// A client that was ready has ended, for whatever reason, after so long.
    fn ended(&self, info: &SessionInfo, lived: Duration, error: &Error);
    /// A client has ended, and not because the session was closed.
    fn disconnected(&self, error: &Error);
    /// The session takes no calls any more, and why. Called once, before its processes have ended.
    fn closing(&self, error: &Error);
    /// Nothing of the session is left. Called once.
    fn closed(&self);
}

/// A session. Dropping the last handle closes it.
pub(crate) struct Session {
    spec: Arc<SessionSpec>,
    observer: Box<dyn Observer>,
    runtime: tokio::runtime::Handle,
    clients: Mutex<Clients>,
    connections: Arc<AtomicU32>,
    next_call: AtomicU64,
    life: watch::Sender<Life>,
    this: Weak<Self>,
}

struct Clients {
    /// The last that was begun, and its number. None only while the first is being made.
    present: Option<Arc<Client>>,
    number: u64,
    /// Since when it is ready.
    ready_since: Option<Instant>,
    /// Why it has ended, if it has.
    lost: Option<Error>,
    /// Whether one of them was given up before it had ended.
    left_behind: bool,
    /// All of which something is left.
    remaining: Vec<(u64, Arc<Client>)>,
    breaker: Breaker,
    /// What is known of the last that was ready.
    info: Option<Arc<SessionInfo>>,
    /// Why the last one ended that did so by itself.
    last_error: Option<Error>,
    /// Set once the session is to be closed.
    closing: Option<Error>,
    /// Whether everybody was told so. Nobody is told of its end before.
    is_announced: bool,
}

/// A session, right now.
pub(crate) struct SessionNow {
    pub(crate) state: &'static str,
    /// What is known of its connection, while it has one.
    pub(crate) info: Option<Arc<SessionInfo>>,
    pub(crate) incarnation: u32,
    pub(crate) error: Option<Error>,
    pub(crate) breaker: BreakerState,
}

impl Session {
    /// Makes a session and begins to open its first client, on the given tokio runtime.
    pub(crate) fn open(spec: SessionSpec, observer: impl Observer, runtime: &tokio::runtime::Handle) -> Arc<Self> {
        let session = Arc::new_cyclic(|this| Self {
            spec: Arc::new(spec),
            observer: Box::new(observer),
            runtime: runtime.clone(),
            clients: Mutex::new(Clients {
                present: None,
                number: 0,
                ready_since: None,
                lost: None,
                left_behind: false,
                remaining: Vec::new(),
                breaker: Breaker::default(),
                info: None,
                last_error: None,
                closing: None,
                is_announced: false,
            }),
            connections: Arc::default(),
            next_call: AtomicU64::new(1),
            life: watch::Sender::new(Life::Open),
            this: this.clone(),
        });
        session.begin(session.clients(), Instant::now());
        session
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        // Nothing under this lock can panic half-way.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn id(&self) -> SessionId {
        self.spec.id
    }

    pub(crate) fn watched(&self) -> Watched {
        Watched::new(self.spec.id, self.life.subscribe())
    }

    /// Whether one of its clients had not ended when it was waited for no longer.
    pub(crate) fn has_left_something(&self) -> bool {
        self.clients().left_behind
    }

    /// What is known of the last client that was ready.
    pub(crate) fn info(&self) -> Option<Arc<SessionInfo>> {
        self.clients().info.clone()
    }

    /// Begins a client, which starts nothing before `begin_at`.
    fn begin(&self, mut clients: MutexGuard<'_, Clients>, begin_at: Instant) -> Arc<Client> {
        clients.number += 1;
        let number = clients.number;
        let birth = Birth {
            observer: Arc::new(OfClient { session: self.this.clone(), number, ready: OnceLock::new() }),
            connections: self.connections.clone(),
            begin_at,
        };
        let (client, life) = Client::new(self.spec.clone(), birth);
        clients.present = Some(client.clone());
        clients.remaining.push((number, client.clone()));
        clients.ready_since = None;
        clients.lost = None;
        drop(clients);
        // Without the lock: a tokio runtime that is shut down drops it at once, and that is its end.
        self.runtime.spawn(life);
        client
    }

    /// The present client, or a new one where that has ended.
    fn client(&self) -> Result<Arc<Client>, Error> {
        let clients = self.clients();
        if let Some(error) = &clients.closing {
            return Err(error.clone());
        }
        if let (Some(present), None) = (&clients.present, &clients.lost) {
            return Ok(present.clone());
        }
        match clients.breaker.admit(Instant::now(), &self.spec.limits) {
            Admission::At(begin_at) => Ok(self.begin(clients, begin_at)),
            Admission::Refused(retry_after) => {
                let failures = clients.breaker.failures();
                let last = clients.last_error.as_ref().map(|error| format!("; the last time: {error}"));
                Err(Error::Unavailable {
                    server: self.spec.server.clone(),
                    reason: format!("it failed {failures} times in a row{}", last.unwrap_or_default()),
                    retry_after: Some(retry_after),
                    may_have_run: MayHaveRun::No,
                })
            }
        }
    }

    /// Waits until a client is ready, which is begun where there is none.
    ///
    /// Cancellation safe: the client goes on opening.
    pub(crate) async fn ready(&self) -> Result<Arc<SessionInfo>, Error> {
        let client = self.client()?;
        client.ready().await
    }

    /// Replaces the client, and waits until the new one is ready. One that is being opened already is waited for.
    ///
    /// Cancellation safe: the client goes on opening.
    pub(crate) async fn restart(&self) -> Result<Arc<SessionInfo>, Error> {
        self.replace()?.ready().await
    }

    fn replace(&self) -> Result<Arc<Client>, Error> {
        let mut clients = self.clients();
        if let Some(error) = &clients.closing {
            return Err(error.clone());
        }
        if let (Some(present), None) = (&clients.present, &clients.lost) {
            if clients.ready_since.is_none() {
                return Ok(present.clone());
            }
            present.close(Instant::now() + self.spec.limits.close_input + self.spec.limits.close_terminate);
        }
        clients.breaker.reset();
        Ok(self.begin(clients, Instant::now()))
    }

    /// Takes a call. What is wrong with it is in the reply.
    pub(crate) fn call(&self, request: CallRequest) -> OpenCall {
        let id = CallId(self.next_call.fetch_add(1, Relaxed));
        match self.client() {
            Ok(client) => client.call(id, request),
            Err(error) => OpenCall { id, reply: Reply::ready(Err(error)), cancel: None },
        }
    }

    /// Takes a notice. It waits in the mailbox like a call, and in order with them.
    pub(crate) fn notify(&self, method: String, params: Option<Bytes>) -> Result<(), Error> {
        self.client()?.notify(method, params)
    }

    /// Closes the session: politely, and by force at `kill_at`. The earliest time counts.
    pub(crate) fn close(&self, kill_at: Instant) {
        let mut clients = self.clients();
        let is_first = clients.closing.is_none();
        let error = clients.closing.get_or_insert_with(|| self.spec.closing()).clone();
        clients.remaining.iter().for_each(|(_, client)| client.close(kill_at));
        drop(clients);
        if is_first {
            self.observer.closing(&error);
            self.life.send_replace(Life::Closing(error));
            // Its last client may have ended meanwhile.
            let mut clients = self.clients();
            clients.is_announced = true;
            self.end(clients);
        }
    }

    /// Ends the session if it is to be closed and nothing of its clients is left. That is so once.
    fn end(&self, clients: MutexGuard<'_, Clients>) {
        let is_over = clients.is_announced && clients.remaining.is_empty();
        let error = clients.closing.clone().filter(|_| is_over);
        drop(clients);
        if let Some(error) = error {
            // In this order, so that whoever waits for the end finds nothing of the session in the registry.
            self.observer.closed();
            self.life.send_replace(Life::Closed(error));
        }
    }

    /// The session, right now.
    pub(crate) fn now(&self) -> SessionNow {
        let clients = self.clients();
        let client = clients.present.as_ref().map(|client| client.now());
        let (state, info) = match (&clients.closing, &clients.lost, client) {
            (Some(_), _, _) => ("closing", None),
            (None, None, Some(State::Ready(info))) => ("ready", Some(info)),
            (None, None, _) => ("opening", None),
            (None, Some(_), _) => ("disconnected", None),
        };
        SessionNow {
            state,
            info,
            incarnation: self.connections.load(Relaxed),
            error: clients.closing.as_ref().or(clients.last_error.as_ref()).cloned(),
            breaker: clients.breaker.state(Instant::now(), &self.spec.limits),
        }
    }
}

/// Hears of one client for its session, and keeps neither.
struct OfClient {
    session: Weak<Session>,
    number: u64,
    /// Since when it is ready.
    ready: OnceLock<(Instant, Arc<SessionInfo>)>,
}

impl ClientObserver for OfClient {
    fn opened(&self, info: &Arc<SessionInfo>) {
        let _ = self.ready.set((Instant::now(), info.clone()));
        let Some(session) = self.session.upgrade() else { return };
        let mut clients = session.clients();
        if clients.number != self.number {
            return;
        }
        clients.ready_since = Some(Instant::now());
        clients.info = Some(info.clone());
        drop(clients);
        session.observer.opened(info);
    }

    fn notified(&self, method: String, params: Bytes) {
        if let Some(session) = self.session.upgrade() {
            session.observer.notified(method, params);
        }
    }

    fn closing(&self, error: &Error) {
        let Some(session) = self.session.upgrade() else { return };
        if let Some((since, info)) = self.ready.get() {
            session.observer.ended(info, since.elapsed(), error);
        }
        let mut clients = session.clients();
        if clients.closing.is_some() {
            return;
        }
        // One that was replaced has nothing to say about the one that came after it.
        if clients.number == self.number {
            let (now, limits) = (Instant::now(), &session.spec.limits);
            let has_lived = clients.ready_since.take().is_some_and(|since| now - since >= limits.stable);
            if has_lived {
                clients.breaker.reset();
            } else {
                clients.breaker.failed(now, limits, fastrand::f64());
            }
            clients.lost = Some(error.clone());
            clients.last_error = Some(error.clone());
        }
        drop(clients);
        session.observer.disconnected(error);
    }

    fn closed(&self, is_gone: bool) {
        let Some(session) = self.session.upgrade() else { return };
        let mut clients = session.clients();
        clients.left_behind |= !is_gone;
        clients.remaining.retain(|(number, _)| *number != self.number);
        session.end(clients);
    }
}

#[cfg(test)]
mod tests;
