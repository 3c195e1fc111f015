//! Closing, whatever a session is doing, and whatever its end does: bounded by the deadline that was given, and the end of it.
//!
//! With processes: `processes::closing`.

use std::{
    future::{Future, pending, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use innkeeper::{
    Error, Lease, Limits, Runtime, Server, Tenant,
    transport::{
        BoxFuture, ConnectContext, ConnectError, Connection, Connector, ExitStatus, Framing, Peer, connector_fn,
    },
};
use innkeeper_tests::in_process::{Pipes, limits_for_paused_clock};
use tokio::{
    io::{AsyncRead, ReadBuf},
    sync::{Notify, mpsc},
    task::{self, JoinHandle},
    time::{Instant, sleep},
};

use super::{House, Manner, Scripted, at_once, mannered, tenant_of};

const DEADLINE: Duration = Duration::from_secs(1);

/// Timers count milliseconds.
const TICK: Duration = Duration::from_millis(2);

/// What a session can be doing when it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// The breaker is open.
    Refusing,
    /// Somebody waits for the next try.
    BackingOff,
    /// The connection is lost, and nobody has asked for the next.
    Lost,
    /// The old connection is gone, and the new one is being made.
    Restarting,
    Connecting,
    Greeting,
    Idle,
    Calling,
}

impl Doing {
    /// In an order in which they are begun one after the other: those first whose beginning takes time.
    const ALL: [Self; 8] = [
        Self::Refusing,
        Self::BackingOff,
        Self::Lost,
        Self::Restarting,
        Self::Connecting,
        Self::Greeting,
        Self::Idle,
        Self::Calling,
    ];

    /// What the server is at a connection, by number from 1.
    fn manner(self, number: usize) -> Manner {
        match self {
            Self::Connecting => Manner::NeverConnects,
            Self::Greeting => Manner::NeverGreets,
            Self::Idle => Manner::Obeys,
            Self::Calling => Manner::NeverAnswers,
            Self::Lost | Self::BackingOff | Self::Refusing => Manner::Ends,
            Self::Restarting if number == 1 => Manner::Obeys,
            Self::Restarting => Manner::NeverConnects,
        }
    }

    /// Has the session of a tenant do it. Returns who waits for something meanwhile.
    async fn begin(self, tenant: &Tenant, limits: &Limits) -> Option<JoinHandle<Result<(), Error>>> {
        let failures = match self {
            Self::Lost => 1,
            Self::BackingOff => limits.breaker_failures - 1,
            Self::Refusing => limits.breaker_failures,
            _ => 0,
        };
        for _ in 0..failures {
            lease(tenant.clone()).await.unwrap_err();
        }
        let tenant = tenant.clone();
        let waits = match self {
            Self::Lost | Self::Refusing => None,
            Self::Idle => {
                lease(tenant).await.unwrap();
                None
            }
            Self::Connecting | Self::Greeting | Self::BackingOff => {
                Some(tokio::spawn(async move { lease(tenant).await.map(drop) }))
            }
            Self::Calling => {
                let call = lease(tenant).await.unwrap().call("ponder").start();
                Some(tokio::spawn(async move { call.await.map(drop) }))
            }
            Self::Restarting => {
                let lease = lease(tenant).await.unwrap();
                Some(tokio::spawn(async move { lease.restart().await.map(drop) }))
            }
        };
        // Less than any wait that a session has, and more than any step that it takes.
        sleep(Duration::from_millis(100)).await;
        waits
    }
}

async fn lease(tenant: Tenant) -> Result<Lease, Error> {
    tenant.lease("alice", "scripted").await
}

/// A session of a tenant of its own that does something.
struct Busy {
    doing: Doing,
    tenant: Tenant,
    waits: Option<JoinHandle<Result<(), Error>>>,
    connections: Arc<AtomicUsize>,
    /// Connections before it was closed.
    before: usize,
}

impl Busy {
    async fn begin(house: &House, name: &str, doing: Doing) -> Self {
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        let connector = mannered(move |_| doing.manner(count.fetch_add(1, SeqCst) + 1));
        let tenant = house.tenant(&format!("{name}: {doing:?}"), Server::connector(connector)).await;
        let waits = doing.begin(&tenant, house.runtime.limits()).await;
        assert!(waits.as_ref().is_none_or(|waits| !waits.is_finished()), "{doing:?}");
        Self { doing, tenant, waits, before: connections.load(SeqCst), connections }
    }

    /// It is closed: whoever waited has heard of it, and nothing begins anew.
    async fn assert_over(self, house: &House) {
        let doing = self.doing;
        if let Some(waits) = self.waits {
            let error = at_once(waits).await.unwrap().unwrap_err();
            assert_eq!(error.code(), "closing", "{doing:?}");
        }
        sleep(Duration::from_secs(120)).await;
        let status = house.runtime.status();
        assert!(status.sessions.is_empty(), "{doing:?}: {status:?}");
        assert_eq!(self.connections.load(SeqCst), self.before, "{doing:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_is_closed_by_the_deadline_whatever_it_is_doing() {
    let house = House::with(limits_for_paused_clock()).await;

    for doing in Doing::ALL {
        let busy = Busy::begin(&house, "one", doing).await;
        let began = Instant::now();
        let report = busy.tenant.close(DEADLINE).await;

        assert!(began.elapsed() <= DEADLINE + TICK, "{doing:?}: {:?}", began.elapsed());
        assert_eq!((report.closed.len(), report.closed[0].gone), (1, true), "{doing:?}");
        busy.assert_over(&house).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_that_its_caller_gives_up_at_once_takes_no_longer() {
    let house = House::with(limits_for_paused_clock()).await;

    for doing in Doing::ALL {
        let busy = Busy::begin(&house, "one", doing).await;
        {
            let mut close = pin!(busy.tenant.close(DEADLINE));
            assert!(poll_fn(|context| Poll::Ready(close.as_mut().poll(context).is_pending())).await, "{doing:?}");
        }
        sleep(DEADLINE + TICK).await;

        let status = house.runtime.status();
        assert!(status.sessions.is_empty(), "{doing:?}: {status:?}");
        busy.assert_over(&house).await;
    }
}

#[tokio::test(start_paused = true)]
async fn many_sessions_are_drained_by_the_deadline_of_one() {
    let house = House::with(limits_for_paused_clock()).await;
    let mut all = Vec::new();
    for doing in Doing::ALL {
        all.push(Busy::begin(&house, "all", doing).await);
    }
    let began = Instant::now();

    let report = house.runtime.drain(DEADLINE).await;

    assert!(began.elapsed() <= DEADLINE + TICK, "{:?}", began.elapsed());
    assert_eq!(report.closed.len(), all.len());
    assert!(report.closed.iter().all(|session| session.gone), "{report:?}");
    for busy in all {
        busy.assert_over(&house).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dies_while_its_session_is_closed_is_not_connected_to_again() {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    let connector = mannered(move |_| if count.fetch_add(1, SeqCst) == 0 { Manner::Obeys } else { Manner::Ends });
    let (runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let lease = lease(tenant.clone()).await.unwrap();

    let (_, late) = tokio::join!(tenant.close(DEADLINE), async { lease.call("hello").start().await });
    let later = [lease.call("hello").start().await.unwrap_err(), lease.restart().await.unwrap_err()];

    assert!(late.is_err(), "{late:?}");
    assert_eq!(later.map(|error| error.code()), ["closing"; 2]);
    assert_eq!((connections.load(SeqCst), runtime.status().sessions.len()), (1, 0));
}

/// Where the end of a peer panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    AtClose,
    AtKill,
    Waiting,
}

/// A peer whose end goes wrong when it begins.
struct Failing {
    ending: Ending,
    begun: Arc<Notify>,
}

impl Peer for Failing {
    fn ended(&self) -> Option<BoxFuture<'static, ExitStatus>> {
        let (ending, begun) = (self.ending, self.begun.clone());
        Some(Box::pin(async move {
            begun.notified().await;
            assert!(ending != Ending::Waiting, "waiting for the end failed");
            pending().await
        }))
    }

    fn close(&self) {
        self.begun.notify_one();
        assert!(self.ending != Ending::AtClose, "closing failed");
    }

    fn kill(&self) {
        assert!(self.ending != Ending::AtKill, "killing failed");
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_fails_leaves_no_session_and_fails_nobody_who_waits_for_it() {
    let house = House::with(limits_for_paused_clock()).await;
    for ending in [Ending::AtClose, Ending::AtKill, Ending::Waiting] {
        let connector = connector_fn("one whose end fails", move |_| async move {
            let (ours, pipes) = Pipes::pair();
            tokio::spawn(Scripted { pipes }.obey());
            let (reader, writer) = tokio::io::split(ours);
            Ok(Connection::with_peer(reader, writer, Framing::Lines, Failing { ending, begun: Arc::default() }))
        });
        let tenant = house.tenant(&format!("{ending:?}"), Server::connector(connector)).await;
        let held = lease(tenant.clone()).await.unwrap();

        let report = tenant.close(DEADLINE).await;
        let error = held.call("hello").start().await.unwrap_err();

        assert_eq!(report.closed.len(), 1, "{ending:?}");
        assert_eq!(error.code(), "closing", "{ending:?}");
        let status = house.runtime.status();
        assert!(status.sessions.is_empty(), "{ending:?}: {status:?}");
        // And the next one of the same user opens as ever.
        assert!(lease(tenant.clone()).await.is_ok(), "{ending:?}");
        tenant.close(DEADLINE).await;
    }
}

/// Tasks in which something happened; none for what did in no task.
type Tasks = Arc<Mutex<Vec<Option<task::Id>>>>;

/// Says at its end in which task that is.
struct Reader<R>(R, mpsc::UnboundedSender<Option<task::Id>>);

impl<R: AsyncRead + Unpin> AsyncRead for Reader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<R> Drop for Reader<R> {
    fn drop(&mut self) {
        let _ = self.1.send(task::try_id());
    }
}

/// A server that obeys, the tasks that its connections were made in, and those that they ended in.
fn followed() -> (Arc<dyn Connector>, Tasks, mpsc::UnboundedReceiver<Option<task::Id>>) {
    struct Followed(Tasks, mpsc::UnboundedSender<Option<task::Id>>);

    impl Connector for Followed {
        fn describe(&self) -> String {
            "one that is followed".to_owned()
        }

        fn connect(&self, _: ConnectContext) -> BoxFuture<'static, Result<Connection, ConnectError>> {
            let (made, ended) = (self.0.clone(), self.1.clone());
            Box::pin(async move {
                made.lock().unwrap().push(task::try_id());
                let (ours, pipes) = Pipes::pair();
                tokio::spawn(Scripted { pipes }.obey());
                let (reader, writer) = tokio::io::split(ours);
                Ok(Connection::new(Reader(reader, ended), writer, Framing::Lines))
            })
        }
    }

    let (sender, ended) = mpsc::unbounded_channel();
    let made = Tasks::default();
    (Arc::new(Followed(made.clone(), sender)), made, ended)
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_once_and_in_the_task_that_made_it_whoever_asks_for_it() {
    let limits = limits_for_paused_clock();
    let (connector, made, mut ended) = followed();
    let (runtime, tenant) = tenant_of(Runtime::builder().limits(limits.clone()), connector).await;
    let held = Arc::new(lease(tenant.clone()).await.unwrap());

    let restarting = held.clone();
    tokio::spawn(async move { restarting.restart().await.map(drop) }).await.unwrap().unwrap();
    drop(held);
    // The second ends for being idle, the third because its tenant is closed, by a task of its own.
    sleep(limits.idle + DEADLINE).await;
    drop(lease(tenant.clone()).await.unwrap());
    tokio::spawn(async move { tenant.close(DEADLINE).await }).await.unwrap();
    drop(runtime);

    let made = std::mem::take(&mut *made.lock().unwrap());
    assert_eq!(made.len(), 3);
    for task in made {
        assert_eq!((task.is_some(), ended.recv().await.unwrap()), (true, task));
    }
    assert!(ended.try_recv().is_err());
}

/// What ends for nobody, as a process does in a system call that hangs.
struct Undying;

impl Peer for Undying {
    fn ended(&self) -> Option<BoxFuture<'static, ExitStatus>> {
        Some(Box::pin(pending()))
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_even_end_by_force_is_waited_for_no_longer_and_said_to_be_left() {
    let connector = connector_fn("one that does not end", move |_| async move {
        let (ours, pipes) = Pipes::pair();
        tokio::spawn(Scripted { pipes }.obey());
        let (reader, writer) = tokio::io::split(ours);
        Ok(Connection::with_peer(reader, writer, Framing::Lines, Undying))
    });
    let (runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    lease(tenant.clone()).await.unwrap();
    let began = Instant::now();

    let report = tenant.close(DEADLINE).await;

    assert!(began.elapsed() < DEADLINE + Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!((report.closed[0].in_time, report.closed[0].gone), (false, false));
    assert!(runtime.status().sessions.is_empty());
}
