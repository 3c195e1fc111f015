//! What is told of a session that is closed, and in which order.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{sync::OnceLock, thread};

use super::*;
use crate::{
    Limits,
    guest::{Component, ComponentSource, GuestEngine, boundary::Answer},
    policy::Mask,
    session::{Asked, Asker, AssignedGuest, Places, Threads, turn::Turn},
    transport::{BoxFuture, ConnectContext, ConnectError, Connection, Connector, Transport},
};

/// Nothing here takes longer, unless it never comes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that never answers.
struct Silent;

impl Connector for Silent {
    fn describe(&self) -> String {
        "a server that never answers".to_owned()
    }

    fn connect(&self, _: ConnectContext) -> BoxFuture<'static, Result<Connection, ConnectError>> {
        Box::pin(std::future::pending())
    }
}

impl Asker for Silent {
    fn capabilities(&self) -> Bytes {
        Bytes::from_static(b"{}")
    }

    fn ask(&self, _: Asked) -> BoxFuture<'static, Answer> {
        Box::pin(std::future::pending())
    }
}

async fn spec() -> SessionSpec {
    let limits = Arc::new(Limits::default());
    let engine = GuestEngine::new(limits.clone()).unwrap();
    SessionSpec {
        id: SessionId(1),
        tenant: "acme".into(),
        user: None,
        server: "silent".into(),
        transport: Transport::Stream(Arc::new(Silent)),
        mask: Arc::new(Mask::default()),
        places: Places::of_tenant(1, &Places::of_runtime(1)),
        guest: AssignedGuest::new(Component::load(&engine, ComponentSource::Embedded).await.unwrap()),
        standing: crate::guest::Standing::default(),
        share: Threads::of(&tokio::runtime::Handle::current()).share(),
        revision: None,
        client_info: Bytes::from_static(b"{}"),
        limits,
        asker: Arc::new(Silent),
        inspector: None,
    }
}

/// Writes down what it is told. While it is told of the closing, it waits until the last client has ended.
#[derive(Default)]
struct Slow {
    session: OnceLock<Weak<Session>>,
    told: Mutex<Vec<&'static str>>,
}

impl Slow {
    fn told(&self) -> MutexGuard<'_, Vec<&'static str>> {
        self.told.lock().unwrap()
    }
}

impl Observer for Arc<Slow> {
    fn opened(&self, _: &Arc<SessionInfo>) {
        self.told().push("opened");
    }

    fn handed_over(&self, _: &Component) {}

    fn notified(&self, _: String, _: Bytes) {}

    fn ended(&self, _: &SessionInfo, _: Duration, _: &Error) {}

    fn disconnected(&self, _: u32, _: &Error) {
        self.told().push("disconnected");
    }

    fn closing(&self, _: &Error) {
        let session = self.session.get().unwrap().upgrade().unwrap();
        let until = std::time::Instant::now() + PATIENCE;
        while session.clients().remaining().next().is_some() {
            assert!(std::time::Instant::now() < until, "the client of a session that is closed has not ended");
            thread::yield_now();
        }
        self.told().push("closing");
    }

    fn closed(&self) {
        self.told().push("closed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_ends_while_its_session_is_announced_as_closing_ends_the_session_after_that() {
    let observer = Arc::new(Slow::default());
    let session = Session::new(spec().await, observer.clone(), &tokio::runtime::Handle::current());
    session.client().unwrap();
    observer.session.set(Arc::downgrade(&session)).unwrap();

    session.close(Instant::now());

    tokio::time::timeout(PATIENCE, session.watched().closed()).await.expect("whoever waits for the end hears of it");
    assert_eq!(*observer.told(), ["closing", "closed"]);
}

#[tokio::test]
async fn a_call_that_waits_for_a_guest_has_not_run_where_the_session_is_closed_before_there_is_one() {
    let threads = Threads::of(&tokio::runtime::Handle::current());
    let (share, _of_another_tenant) = (threads.share(), threads.share());
    // Another session of the tenant has the only turn.
    let mut other = Turn::of(share.clone());
    other.take().await;
    let spec = SessionSpec { share, ..spec().await };
    let observer = Arc::new(Slow::default());
    let session = Session::new(spec, observer.clone(), &tokio::runtime::Handle::current());
    observer.session.set(Arc::downgrade(&session)).unwrap();
    let request = CallRequest {
        user: None,
        method: "pay".to_owned(),
        params: None,
        progress: false,
        all_pages: false,
        deadline: None,
        spent: Duration::ZERO,
    };

    let mut call = session.call(request);
    tokio::task::yield_now().await;
    let closing = tokio::task::spawn_blocking({
        let session = session.clone();
        move || session.close(Instant::now())
    });
    let outcome = std::future::poll_fn(|context| call.reply.poll_outcome(context));
    let error = tokio::time::timeout(PATIENCE, outcome).await.expect("it is answered").unwrap_err();
    closing.await.unwrap();

    assert_eq!((error.code(), error.may_have_run()), ("closing", MayHaveRun::No));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_closed_twice_is_announced_once() {
    let observer = Arc::new(Slow::default());
    let session = Session::new(spec().await, observer.clone(), &tokio::runtime::Handle::current());
    session.client().unwrap();
    observer.session.set(Arc::downgrade(&session)).unwrap();

    session.close(Instant::now());
    session.close(Instant::now());

    tokio::time::timeout(PATIENCE, session.watched().closed()).await.expect("whoever waits for the end hears of it");
    assert_eq!(*observer.told(), ["closing", "closed"]);
}
