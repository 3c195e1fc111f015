//! HTTP exchanges, as a session sees them: what it asks for, and what it is told.
//!
//! Beside streams of frames this is the second kind of transport. A stream is one connection that the session's task reads and
//! writes by itself. Exchanges are many at a time, each with a response of its own, so each is made by a task of its own, which
//! tells the session's task over a bounded channel what comes. Nobody but that task knows what an exchange is for.
//!
//! Memory is bounded whatever a server sends: a task holds one event or one body at a time and reads on when that was taken, and
//! only a few of a session may be large at once ([`MOST_LARGE`]).
//!
//! Who makes exchanges is behind a trait, so that the session needs neither TLS nor sockets, and a build without `http` lacks
//! nothing but the implementation.

mod rules;

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{ConnectContext, ConnectError};
use crate::future::BoxFuture;

pub(crate) use rules::check;

/// Bytes up to which a body or an event is small: a session holds as many of these as it has exchanges.
pub(crate) const SMALL: usize = 64 * 1024;

/// Larger ones that a session receives at a time. Others wait, and are not read meanwhile.
const MOST_LARGE: usize = 4;

/// What was received and not taken yet. Small: who has more to tell waits, and does not read on.
const MOST_UNTAKEN: usize = 16;

/// A header field. Names are compared without case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The configured URL.
    Server,
    /// A path and query at its origin.
    Origin(String),
}

/// Why an exchange ended without a complete response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeFailure {
    /// Denied by policy.
    Denied,
    /// No connection.
    Connect,
    /// The connection broke.
    Reset,
    /// A deadline passed.
    Timeout,
    /// A bound was reached.
    TooLarge,
    /// Not valid HTTP.
    Malformed,
}

/// One block of an event stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerSentEvent {
    pub(crate) event_type: Option<String>,
    pub(crate) data: Bytes,
    pub(crate) id: Option<String>,
    /// Milliseconds.
    pub(crate) retry: Option<u64>,
}

/// A request, without what is the host's: credentials, the host name, whatever belongs to one connection.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: Target,
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Option<Bytes>,
}

/// What is told of an exchange, in this order: a head, then a body or any number of events, then the end; or a failure at any
/// time, after which nothing comes.
#[derive(Debug)]
pub(crate) enum News {
    Head(Head),
    Body(Bytes),
    Event(ServerSentEvent),
    End,
    Failed(Failed),
}

/// The beginning of a response.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Without those that carry credentials.
    pub(crate) headers: Vec<Header>,
    /// Whether events follow, for as long as the server likes.
    pub(crate) is_stream: bool,
    /// How the server wants its client to authenticate, where it does: RFC 9110, section 11.6.1. For people.
    pub(crate) challenge: Option<String>,
}

/// Why there is no complete response.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) failure: ExchangeFailure,
    /// For people, without secrets.
    pub(crate) message: String,
    /// What a caller can do about it, where that is known.
    pub(crate) error: Option<ConnectError>,
}

/// Makes what makes exchanges with one server.
pub(crate) trait ExchangeConnector: Send + Sync + 'static {
    /// Prepares it for one client of a session. Nothing is sent yet.
    fn connect(&self, context: ConnectContext) -> BoxFuture<'static, Result<Arc<dyn Exchanger>, ConnectError>>;
}

/// Makes exchanges with one server.
pub(crate) trait Exchanger: Send + Sync + 'static {
    /// Makes one exchange, and resolves when it is over and all of it was told. Dropping the future ends the exchange.
    fn exchange(&self, request: Request, teller: Teller) -> BoxFuture<'static, ()>;
}

/// Whether the body of a request was handed to a connection, or never will be: who asks and who sends agree on one of the two.
#[derive(Debug, Default)]
pub(crate) struct Departure(AtomicU8);

impl Departure {
    const WAITING: u8 = 0;
    const LEFT: u8 = 1;
    const WITHDRAWN: u8 = 2;

    /// Says that it leaves now. False: it must not.
    pub(crate) fn leave(&self) -> bool {
        self.become_one(Self::LEFT)
    }

    /// Keeps it from leaving. False: it may have left.
    pub(crate) fn withdraw(&self) -> bool {
        self.become_one(Self::WITHDRAWN)
    }

    fn become_one(&self, state: u8) -> bool {
        match self.0.compare_exchange(Self::WAITING, state, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(present) => present == state,
        }
    }
}

/// Something that was told of an exchange, by its number.
pub(crate) struct Told {
    pub(crate) number: u64,
    pub(crate) news: News,
    /// Given back when this is taken.
    _room: Option<OwnedSemaphorePermit>,
}

/// What the exchanges of one session share: the way to its task, and the room for what is large.
pub(crate) struct Hub {
    told: mpsc::Sender<Told>,
    large: Arc<Semaphore>,
}

impl Hub {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Told>) {
        let (told, receiver) = mpsc::channel(MOST_UNTAKEN);
        (Self { told, large: Arc::new(Semaphore::new(MOST_LARGE)) }, receiver)
    }

    /// The way in for one exchange.
    pub(crate) fn teller(&self, number: u64) -> Teller {
        let (told, large) = (self.told.clone(), self.large.clone());
        Teller { number, told, large, room: None, departure: Arc::default() }
    }
}

/// What an exchange tells the session's task, and what it asks before it sends.
pub(crate) struct Teller {
    number: u64,
    told: mpsc::Sender<Told>,
    large: Arc<Semaphore>,
    room: Option<OwnedSemaphorePermit>,
    departure: Arc<Departure>,
}

impl Teller {
    pub(crate) fn departure(&self) -> &Arc<Departure> {
        &self.departure
    }

    /// Tells something, when there is room for it. False: nobody listens any more.
    pub(crate) async fn tell(&mut self, news: News) -> bool {
        let told = Told { number: self.number, news, _room: self.room.take() };
        self.told.send(told).await.is_ok()
    }

    /// Waits for the room to receive more than [`SMALL`], which is kept until the next news.
    pub(crate) async fn make_room(&mut self) {
        if self.room.is_none() {
            // It is never closed.
            self.room = self.large.clone().acquire_owned().await.ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_left_cannot_be_withdrawn_and_the_other_way_round() {
        let (sent, withdrawn) = (Departure::default(), Departure::default());

        assert!(sent.leave() && sent.leave() && !sent.withdraw());
        assert!(withdrawn.withdraw() && withdrawn.withdraw() && !withdrawn.leave());
    }

    #[tokio::test]
    async fn who_has_more_to_tell_than_is_taken_waits() {
        let (hub, mut receiver) = Hub::new();
        let mut teller = hub.teller(0);
        for _ in 0..MOST_UNTAKEN {
            assert!(teller.tell(News::End).await);
        }

        let mut more = std::pin::pin!(teller.tell(News::End));
        assert!(polled(more.as_mut()).is_none());
        receiver.recv().await;
        assert_eq!(polled(more.as_mut()), Some(true));
    }

    /// What a future has come to.
    fn polled<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.poll(&mut context) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn room_for_what_is_large_is_given_back_when_it_is_taken() {
        let (hub, mut receiver) = Hub::new();
        let mut tellers: Vec<Teller> = (0..=MOST_LARGE as u64).map(|number| hub.teller(number)).collect();
        let mut last = tellers.pop().unwrap();
        for teller in &mut tellers {
            teller.make_room().await;
        }
        assert_eq!(hub.large.available_permits(), 0);

        tellers[0].tell(News::Body(Bytes::new())).await;
        drop(receiver.recv().await);

        last.make_room().await;
        assert!(last.room.is_some());
    }
}
