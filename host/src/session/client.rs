//! A client: one guest with its connection, from opening to its end.
//!
//! Here is what others hold of it: the way in, and the state that they can watch. Its inside is the owner's alone. A client that
//! has ended is not mended: the session gets another.

use std::sync::{Arc, atomic::AtomicU32};

use bytes::Bytes;
use tokio::{
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{self, UnboundedSender},
        oneshot, watch,
    },
    time::Instant,
};

use super::{
    CallId, SessionInfo,
    calls::CallRequest,
    handover::{AssignedGuest, Carried, Handover, NotHandedOver},
    inspection::Inspector,
    owner::{self, Inbox},
    reply::{Abandoned, Reply, ReplySender, reply},
    server_requests::Asker,
    turn::Share,
    watched::ClientWatched,
};
use crate::{
    Error, Limits, MayHaveRun,
    guest::{Component, Standing, boundary::Answer},
    names::{ServerName, SessionId, TenantName, UserName},
    policy::Mask,
    transport::Transport,
};

/// Everything that the clients of a session are made of.
pub(crate) struct SessionSpec {
    pub(crate) id: SessionId,
    pub(crate) tenant: TenantName,
    /// None: the users of the tenant share it.
    pub(crate) user: Option<UserName>,
    pub(crate) server: ServerName,
    pub(crate) transport: Transport,
    /// What is hidden in everything that people see of it.
    pub(crate) mask: Arc<Mask>,
    /// Where each client takes a place before its first connection.
    pub(crate) places: super::Places,
    /// Which guest the next client gets.
    pub(crate) guest: AssignedGuest,
    pub(crate) standing: Standing,
    pub(crate) share: Share,
    /// The revision to speak, where the catalog fixes it.
    pub(crate) revision: Option<String>,
    pub(crate) client_info: Bytes,
    pub(crate) limits: Arc<Limits>,
    pub(crate) asker: Arc<dyn Asker>,
    /// Who looks at what the guest says, where that is not the platform's.
    pub(crate) inspector: Option<Arc<dyn Inspector>>,
}

/// What is particular to one client of a session.
pub(super) struct Birth {
    pub(super) observer: Arc<dyn ClientObserver>,
    /// Connections that the session has had.
    pub(super) connections: Arc<AtomicU32>,
    /// Nothing is started before.
    pub(super) begin_at: Instant,
}

/// Who hears of a client.
pub(super) trait ClientObserver: Send + Sync + 'static {
    fn opened(&self, info: &Arc<SessionInfo>);
    fn notified(&self, method: String, params: Bytes);
    /// It goes on with another guest. `info` is what is known of it since, if it is ready.
    fn handed_over(&self, guest: &Component, info: Option<&Arc<SessionInfo>>);
    /// It has this guest, and so does the client that its session begins next. False: another has taken its place.
    fn has_guest(&self, guest: &Component) -> bool;
    /// It takes no calls any more, and why. `incarnation` is the number of its connection, 0 where it never had one. Called once,
    /// before its processes have ended.
    fn closing(&self, incarnation: u32, error: &Error);
    /// It is waited for no longer. `is_gone`: nothing of it is left, as far as anybody knows. Called once.
    fn closed(&self, is_gone: bool);
}

/// How far a client is.
#[derive(Clone, Debug)]
pub(crate) enum State {
    Opening,
    Ready(Arc<SessionInfo>),
    /// It takes no calls any more, for this reason.
    Closing(Error),
    /// Nothing of it is left.
    Closed(Error),
}

/// The way into a client. Dropping the last handle closes it.
pub(crate) struct Client {
    server: ServerName,
    limits: Arc<Limits>,
    calls: UnboundedSender<Incoming>,
    /// How many more calls may wait.
    places: Arc<Semaphore>,
    control: UnboundedSender<Control>,
    closing: watch::Sender<Option<Instant>>,
    watched: ClientWatched,
}

/// What the platform says to the server, on its way to the owner, in order.
pub(super) struct Incoming {
    pub(super) said: Said,
    /// Its place in the mailbox, which bounds the channel and what the owner has taken from it and not given to the guest.
    pub(super) place: OwnedSemaphorePermit,
}

pub(super) enum Said {
    Call { id: u64, request: CallRequest, reply: ReplySender },
    Notify { method: String, params: Option<Bytes> },
}

/// What may not wait behind calls. The channel has no bound of its own; each kind has one: a cancellation for each call that
/// was taken, an answer for each open request of the server, a handover for each upgrade, of which a tenant has one at a time.
pub(super) enum Control {
    Cancel(u64),
    Answer {
        id: u64,
        answer: Answer,
    },
    /// Whoever asks for it waits for the outcome.
    HandOver(Handover),
}

/// A call that was taken.
pub(crate) struct OpenCall {
    pub(crate) id: CallId,
    pub(crate) reply: Reply,
    /// None: it has its outcome already.
    pub(crate) cancel: Option<Cancel>,
}

/// Cancels one call.
pub(crate) struct Cancel {
    id: u64,
    control: UnboundedSender<Control>,
}

impl SessionSpec {
    /// Why a session takes no calls that is closed on purpose.
    pub(super) fn closing(&self) -> Error {
        Error::Closing { what: format!("the session with server `{}`", self.server), may_have_run: MayHaveRun::No }
    }
}

impl Cancel {
    pub(crate) fn cancel(&self, _: Abandoned) {
        // A session that is gone has no call to cancel.
        let _ = self.control.send(Control::Cancel(self.id));
    }
}

impl Client {
    /// A client, and its life, which begins when somebody runs it.
    pub(super) fn new(spec: Arc<SessionSpec>, birth: Birth) -> (Arc<Self>, impl Future<Output = ()> + Send + 'static) {
        let (calls, incoming) = mpsc::unbounded_channel();
        let places = Arc::new(Semaphore::new(spec.limits.mailbox.max(1)));
        let (control, orders) = mpsc::unbounded_channel();
        let (closing, close) = watch::channel(None);
        let (state_sender, state) = watch::channel(State::Opening);
        let client = Arc::new(Self {
            server: spec.server.clone(),
            limits: spec.limits.clone(),
            calls,
            places,
            control: control.clone(),
            closing,
            watched: ClientWatched::new(spec.id, state),
        });
        (client, owner::run(spec, birth, Inbox { calls: incoming, orders, close, control }, state_sender))
    }

    /// Waits until it is ready.
    ///
    /// Cancellation safe: it goes on opening.
    pub(super) async fn ready(&self) -> Result<Arc<SessionInfo>, Error> {
        self.watched.clone().ready().await
    }

    /// Takes a call. What is wrong with it is in the reply.
    pub(super) fn call(&self, id: CallId, request: CallRequest) -> OpenCall {
        let cancel = Cancel { id: id.0, control: self.control.clone() };
        let backlog = if request.progress { self.limits.progress_backlog } else { 0 };
        let size = request.params.as_ref().map_or(0, Bytes::len);
        let reply = if size > self.limits.frame {
            Reply::ready(Err(self.too_large(&request.method)))
        } else {
            let (sender, reply) = reply(backlog);
            match self.send(Said::Call { id: id.0, request, reply: sender }) {
                Ok(()) => reply,
                Err(error) => Reply::ready(Err(error)),
            }
        };
        OpenCall { id, reply, cancel: Some(cancel) }
    }

    /// Takes a notice. It waits in the mailbox like a call, and in order with them.
    pub(super) fn notify(&self, method: String, params: Option<Bytes>) -> Result<(), Error> {
        if params.as_ref().map_or(0, Bytes::len) > self.limits.frame {
            return Err(self.too_large(&method));
        }
        self.send(Said::Notify { method, params })
    }

    fn send(&self, said: Said) -> Result<(), Error> {
        let place = self
            .places
            .clone()
            .try_acquire_owned()
            .map_err(|_| Error::Busy { server: self.server.clone(), limit: self.limits.mailbox })?;
        self.calls.send(Incoming { said, place }).map_err(|_| self.watched.gone())
    }

    fn too_large(&self, method: &str) -> Error {
        Error::TooLarge {
            what: format!("the input of `{method}`"),
            limit: self.limits.frame,
            setting: "frame",
            may_have_run: MayHaveRun::No,
        }
    }

    /// Asks for another guest in the place of its own. What comes of it is received, and nothing where the client ends first.
    pub(super) fn hand_over(&self, component: Component) -> oneshot::Receiver<Result<Carried, NotHandedOver>> {
        let (handover, outcome) = Handover::to(component);
        // A client that is gone drops it.
        let _ = self.control.send(Control::HandOver(handover));
        outcome
    }

    /// Closes it: politely, and by force at `kill_at`. The earliest time counts.
    pub(super) fn close(&self, kill_at: Instant) {
        self.closing.send_if_modified(|closing| {
            let earlier = closing.is_none_or(|at| kill_at < at);
            if earlier {
                *closing = Some(kill_at);
            }
            earlier
        });
    }
}
