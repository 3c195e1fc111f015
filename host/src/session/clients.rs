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
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::watch, time::Instant};

use super::{
    CallId, OpenCall, SessionInfo, SessionSpec,
    breaker::BreakerState,
    calls::CallRequest,
    client::{Birth, Client, ClientObserver},
    handover::{Carried, NotHandedOver},
    reply::Reply,
    succession::{NoClient, SessionState, Succession, Turn},
    watched::{Life, Watched},
};
use crate::{Error, MayHaveRun, future::BoxFuture, guest::Component, names::SessionId};

/// Who hears of a session.
pub(crate) trait Observer: Send + Sync + 'static {
    /// A client is ready.
    fn opened(&self, info: &Arc<SessionInfo>);
    fn notified(&self, method: String, params: Bytes);
    /// The present client goes on with another guest.
    fn handed_over(&self, guest: &Component);
    /// A client that was ready has ended, for whatever reason, after so long.
    fn ended(&self, info: &SessionInfo, lived: Duration, error: &Error);
    /// The present client has ended, by itself. `incarnation` is the number of its connection, 0 where it never had
    /// one.
    fn disconnected(&self, incarnation: u32, error: &Error);
    /// The session takes no calls any more, and why. Called once, before its processes have ended.
    fn closing(&self, error: &Error);
    /// Nothing of the session is left. Called once.
    fn closed(&self);
}

/// A session. Dropping the last handle has its clients close.
pub(crate) struct Session {
    spec: Arc<SessionSpec>,
    observer: Box<dyn Observer>,
    runtime: tokio::runtime::Handle,
    clients: Mutex<Succession<Arc<Client>>>,
    connections: Arc<AtomicU32>,
    next_call: AtomicU64,
    life: watch::Sender<Life>,
    this: Weak<Self>,
    /// Itself, from when it is closed until nothing is left of it: its end is told also where nobody has it any more.
    until_closed: Mutex<Option<Arc<Self>>>,
}

/// A session, right now.
pub(crate) struct SessionNow {
    pub(crate) state: SessionState,
    /// What is known of its connection, while it has one.
    pub(crate) info: Option<Arc<SessionInfo>>,
    pub(crate) incarnation: u32,
    pub(crate) error: Option<Error>,
    pub(crate) breaker: BreakerState,
}

impl Session {
    /// Makes a session. Its first client is begun, on the given tokio runtime, by whoever needs it first.
    pub(crate) fn new(spec: SessionSpec, observer: impl Observer, runtime: &tokio::runtime::Handle) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            spec: Arc::new(spec),
            observer: Box::new(observer),
            runtime: runtime.clone(),
            clients: Mutex::new(Succession::new()),
            connections: Arc::default(),
            next_call: AtomicU64::new(1),
            life: watch::Sender::new(Life::Open),
            this: this.clone(),
            until_closed: Mutex::new(None),
        })
    }

    fn clients(&self) -> MutexGuard<'_, Succession<Arc<Client>>> {
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
        self.clients().has_left_something()
    }

    /// What is known of the last client that was ready.
    pub(crate) fn info(&self) -> Option<Arc<SessionInfo>> {
        self.clients().info().cloned()
    }

    /// The present client, or a new one where that has ended.
    fn client(&self) -> Result<Arc<Client>, Error> {
        let mut begun = None;
        let client = self.clients().client(Instant::now(), &self.spec.limits, |turn| self.begin(turn, &mut begun));
        self.run(begun);
        client.map_err(|reason| match reason {
            NoClient::Closing(error) => error,
            NoClient::Tripped { retry_after, failures, last_error } => {
                let last = last_error.map(|error| format!("; the last time: {error}")).unwrap_or_default();
                Error::Unavailable {
                    server: self.spec.server.clone(),
                    reason: format!("it failed {failures} times in a row{last}"),
                    retry_after: Some(retry_after),
                    may_have_run: MayHaveRun::No,
                }
            }
        })
    }

    fn is_replaced(&self, client: &Arc<Client>) -> bool {
        self.clients().living().is_some_and(|living| !Arc::ptr_eq(living, client))
    }

    fn replace(&self) -> Result<Arc<Client>, Error> {
        let mut begun = None;
        let replaced = self.clients().replace(Instant::now(), |turn| self.begin(turn, &mut begun));
        self.run(begun);
        let (client, old) = replaced?;
        if let Some(old) = old {
            old.close(Instant::now() + self.spec.limits.close_input + self.spec.limits.close_terminate);
        }
        Ok(client)
    }

    /// Makes a client, whose life is to be run.
    fn begin(&self, turn: Turn, life: &mut Option<BoxFuture<'static, ()>>) -> Arc<Client> {
        let Turn { number, begin_at } = turn;
        let observer = Arc::new(OfClient { session: self.this.clone(), number, ready: Mutex::default() });
        let birth = Birth { observer, connections: self.connections.clone(), begin_at };
        let (client, begun) = Client::new(self.spec.clone(), birth);
        *life = Some(Box::pin(begun));
        client
    }

    /// Without the lock: a tokio runtime that is shut down drops the life of a client at once, and that is its end.
    fn run(&self, life: Option<BoxFuture<'static, ()>>) {
        if let Some(life) = life {
            self.runtime.spawn(life);
        }
    }

    /// Waits until a client is ready, which is begun where there is none.
    ///
    /// Cancellation safe: the client goes on opening.
    pub(crate) async fn ready(&self) -> Result<Arc<SessionInfo>, Error> {
        loop {
            let client = self.client()?;
            match client.ready().await {
                // Another was put in its place on purpose, which is as good.
                Err(Error::Closing { .. }) if self.is_replaced(&client) => {}
                opened => return opened,
            }
        }
    }

    /// Replaces the client, and waits until the new one is ready. One that is being opened already is waited for.
    ///
    /// Cancellation safe: the client goes on opening.
    pub(crate) async fn restart(&self) -> Result<Arc<SessionInfo>, Error> {
        self.replace()?.ready().await
    }

    /// The guest that it has, or that its next client gets.
    pub(crate) fn guest(&self) -> Component {
        self.spec.guest.get()
    }

    /// Has it go on with another guest, from where the present one is: nothing is connected anew, and no call ends. None: it has no
    /// client; the next gets that guest.
    ///
    /// # Errors
    ///
    /// Why it goes on with the guest that it has.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the future leaves what has begun: it goes on with the one guest or with the other.
    pub(crate) async fn hand_over(&self, component: &Component) -> Result<Option<Carried>, NotHandedOver> {
        loop {
            let outcome = {
                let clients = self.clients();
                if let Some(error) = clients.closing() {
                    return Err(NotHandedOver::Ended(error.clone()));
                }
                match clients.living() {
                    Some(client) => client.hand_over(component.clone()),
                    None => {
                        // Under the lock, so that whoever begins the next client finds it.
                        self.spec.guest.set(component.clone());
                        return Ok(None);
                    }
                }
            };
            // One that ends says so to its session before it drops what was asked of it: so there is another to ask, or none.
            if let Ok(outcome) = outcome.await {
                return outcome.map(Some);
            }
        }
    }

    /// Replaces the client by one with another guest, and waits until it is ready. False: there is none, and the next gets that guest.
    ///
    /// # Errors
    ///
    /// Why the new one could not be opened.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the future leaves what has begun: the client is replaced.
    pub(crate) async fn restart_with(&self, component: &Component) -> Result<bool, Error> {
        let mut begun = None;
        let replaced = {
            let mut clients = self.clients();
            self.spec.guest.set(component.clone());
            match clients.living() {
                Some(_) => clients.replace_any(Instant::now(), |turn| self.begin(turn, &mut begun)).map(Some),
                None => Ok(None),
            }
        };
        self.run(begun);
        let Some((client, old)) = replaced? else { return Ok(false) };
        if let Some(old) = old {
            old.close(Instant::now() + self.spec.limits.close_input + self.spec.limits.close_terminate);
        }
        client.ready().await.map(|_| true)
    }

    /// How long a call may take in all, where its caller says nothing.
    pub(crate) fn call_total(&self) -> Duration {
        self.spec.limits.call_total.max(self.spec.limits.call)
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
        let error = self.spec.closing();
        let mut clients = self.clients();
        let is_first = clients.close(error.clone());
        clients.remaining().for_each(|client| client.close(kill_at));
        drop(clients);
        if is_first {
            self.keep(self.this.upgrade());
            self.observer.closing(&error);
            self.life.send_replace(Life::Closing(error));
            // Its last client may have ended meanwhile.
            let mut clients = self.clients();
            clients.announced();
            self.end(clients);
        }
    }

    /// Ends the session if the change that was made last is the one that makes it so.
    fn end(&self, clients: MutexGuard<'_, Succession<Arc<Client>>>) {
        let over = clients.over().cloned();
        drop(clients);
        if let Some(error) = over {
            // In this order, so that whoever waits for the end finds nothing of the session in the registry.
            self.observer.closed();
            self.life.send_replace(Life::Closed(error));
            self.keep(None);
        }
    }

    fn keep(&self, this: Option<Arc<Self>>) {
        let before = mem::replace(&mut *self.until_closed.lock().unwrap_or_else(PoisonError::into_inner), this);
        // Without the lock: whoever calls this has it too, so it is never the last.
        drop(before);
    }

    /// The session, right now.
    pub(crate) fn now(&self) -> SessionNow {
        let clients = self.clients();
        let state = clients.state();
        SessionNow {
            state,
            info: clients.info().filter(|_| state == SessionState::Ready).cloned(),
            incarnation: self.connections.load(Relaxed),
            error: clients.last_error().cloned(),
            breaker: clients.breaker(Instant::now(), &self.spec.limits),
        }
    }
}

/// Hears of one client for its session, and keeps neither.
struct OfClient {
    session: Weak<Session>,
    number: u64,
    /// Since when it is ready.
    ready: Mutex<Option<(Instant, Arc<SessionInfo>)>>,
}

impl OfClient {
    fn ready(&self) -> MutexGuard<'_, Option<(Instant, Arc<SessionInfo>)>> {
        // Every change is a single assignment.
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientObserver for OfClient {
    fn opened(&self, info: &Arc<SessionInfo>) {
        self.ready().get_or_insert_with(|| (Instant::now(), info.clone()));
        let Some(session) = self.session.upgrade() else { return };
        let is_present = session.clients().opened(self.number, info, Instant::now());
        if is_present {
            session.observer.opened(info);
        }
    }

    fn handed_over(&self, guest: &Component, info: Option<&Arc<SessionInfo>>) {
        if let (Some(info), Some((_, known))) = (info, &mut *self.ready()) {
            *known = info.clone();
        }
        let Some(session) = self.session.upgrade() else { return };
        let is_present = {
            let mut clients = session.clients();
            let is_present = clients.handed_over(self.number, info);
            if is_present {
                // Under the lock: a client that takes its place is made either before this or with the new guest.
                session.spec.guest.set(guest.clone());
            }
            is_present
        };
        if is_present {
            session.observer.handed_over(guest);
        }
    }

    fn has_guest(&self, guest: &Component) -> bool {
        let Some(session) = self.session.upgrade() else { return true };
        let mut clients = session.clients();
        let is_present = clients.handed_over(self.number, None);
        if is_present {
            session.spec.guest.set(guest.clone());
        }
        is_present || clients.closing().is_some()
    }

    fn notified(&self, method: String, params: Bytes) {
        if let Some(session) = self.session.upgrade() {
            session.observer.notified(method, params);
        }
    }

    fn closing(&self, incarnation: u32, error: &Error) {
        let Some(session) = self.session.upgrade() else { return };
        let ready = self.ready().clone();
        if let Some((since, info)) = ready {
            session.observer.ended(&info, since.elapsed(), error);
        }
        let (now, limits) = (Instant::now(), &session.spec.limits);
        let is_by_itself = session.clients().lost(self.number, error, now, limits, fastrand::f64());
        if is_by_itself {
            session.observer.disconnected(incarnation, error);
        }
    }

    fn closed(&self, is_gone: bool) {
        let Some(session) = self.session.upgrade() else { return };
        let mut clients = session.clients();
        clients.forget(self.number, is_gone);
        session.end(clients);
    }
}

#[cfg(test)]
mod tests;
