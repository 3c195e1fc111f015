//! What others hold of a session: the way in, and the state that they can watch.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use bytes::Bytes;
use tokio::{
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{self, UnboundedSender},
        watch,
    },
    time::Instant,
};

use super::{
    CallId, SessionInfo,
    calls::CallRequest,
    owner::{self, Inbox},
    reply::{Abandoned, Reply, ReplySender, reply},
    server_requests::Asker,
    turn::Share,
    watched::Watched,
};
use crate::{
    Error, Limits, MayHaveRun,
    guest::{Component, Standing, boundary::Answer},
    names::{ServerName, SessionId, TenantName, UserName},
    transport::Connector,
};

/// Everything that a session is made of.
pub(crate) struct SessionSpec {
    pub(crate) id: SessionId,
    pub(crate) tenant: TenantName,
    pub(crate) user: UserName,
    pub(crate) server: ServerName,
    pub(crate) connector: Arc<dyn Connector>,
    /// Where it takes a place before its first connection.
    pub(crate) places: super::Places,
    pub(crate) component: Component,
    pub(crate) standing: Standing,
    pub(crate) share: Share,
    /// The revision to speak, where the catalog fixes it.
    pub(crate) revision: Option<String>,
    pub(crate) client_info: Bytes,
    pub(crate) limits: Arc<Limits>,
    pub(crate) asker: Arc<dyn Asker>,
    pub(crate) observer: Arc<dyn Observer>,
}

/// Who hears of a session.
pub(crate) trait Observer: Send + Sync + 'static {
    fn opened(&self, info: &Arc<SessionInfo>);
    fn notified(&self, method: String, params: Bytes);
    /// The session takes no calls any more, and why. Called once, before its processes have ended.
    fn closing(&self, error: &Error);
    /// Nothing of the session is left. Called once.
    fn closed(&self, error: &Error);
}

/// How far a session is.
#[derive(Clone, Debug)]
pub(crate) enum State {
    Opening,
    Ready(Arc<SessionInfo>),
    /// It takes no calls any more, for this reason.
    Closing(Error),
    /// Nothing of it is left.
    Closed(Error),
}

/// The way into a session. Dropping the last handle closes it.
pub(crate) struct Session {
    id: SessionId,
    server: ServerName,
    limits: Arc<Limits>,
    calls: UnboundedSender<Incoming>,
    /// How many more calls may wait.
    places: Arc<Semaphore>,
    control: UnboundedSender<Control>,
    closing: watch::Sender<Option<Instant>>,
    watched: Watched,
    next_call: AtomicU64,
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
/// was taken, and an answer for each open request of the server.
pub(super) enum Control {
    Cancel(u64),
    Answer { id: u64, answer: Answer },
}

/// A call that was taken.
pub(crate) struct OpenCall {
    pub(crate) id: CallId,
    pub(crate) reply: Reply,
    pub(crate) cancel: Cancel,
}

/// Cancels one call.
pub(crate) struct Cancel {
    id: u64,
    control: UnboundedSender<Control>,
}

impl Cancel {
    pub(crate) fn cancel(&self, _: Abandoned) {
        // A session that is gone has no call to cancel.
        let _ = self.control.send(Control::Cancel(self.id));
    }
}

impl Session {
    /// Begins to open a session, on the given tokio runtime.
    pub(crate) fn open(spec: SessionSpec, runtime: &tokio::runtime::Handle) -> Arc<Self> {
        let (calls, incoming) = mpsc::unbounded_channel();
        let places = Arc::new(Semaphore::new(spec.limits.mailbox.max(1)));
        let (control, orders) = mpsc::unbounded_channel();
        let (closing, close) = watch::channel(None);
        let (state_sender, state) = watch::channel(State::Opening);
        let session = Arc::new(Self {
            id: spec.id,
            server: spec.server.clone(),
            limits: spec.limits.clone(),
            calls,
            places,
            control: control.clone(),
            closing,
            watched: Watched::new(spec.id, state),
            next_call: AtomicU64::new(1),
        });
        runtime.spawn(owner::run(spec, Inbox { calls: incoming, orders, close, control }, state_sender));
        session
    }

    pub(crate) fn id(&self) -> SessionId {
        self.id
    }

    pub(crate) fn watched(&self) -> &Watched {
        &self.watched
    }

    /// Takes a call. What is wrong with it is in the reply.
    pub(crate) fn call(&self, request: CallRequest) -> OpenCall {
        let id = self.next_call.fetch_add(1, Relaxed);
        let cancel = Cancel { id, control: self.control.clone() };
        let backlog = if request.progress { self.limits.progress_backlog } else { 0 };
        let size = request.params.as_ref().map_or(0, Bytes::len);
        let reply = if size > self.limits.frame {
            Reply::ready(Err(self.too_large(&request.method)))
        } else {
            let (sender, reply) = reply(backlog);
            match self.send(Said::Call { id, request, reply: sender }) {
                Ok(()) => reply,
                Err(error) => Reply::ready(Err(error)),
            }
        };
        OpenCall { id: CallId(id), reply, cancel }
    }

    /// Takes a notice. It waits in the mailbox like a call, and in order with them.
    pub(crate) fn notify(&self, method: String, params: Option<Bytes>) -> Result<(), Error> {
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

    /// Closes the session: politely, and by force at `kill_at`. The earliest time counts.
    pub(crate) fn close(&self, kill_at: Instant) {
        self.closing.send_if_modified(|closing| {
            let earlier = closing.is_none_or(|at| kill_at < at);
            if earlier {
                *closing = Some(kill_at);
            }
            earlier
        });
    }
}
