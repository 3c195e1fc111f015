//! What happens where there is no room for one session more, and what closes idle ones before their time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use innkeeper::{
    Catalog, Limits, Runtime, Server, SessionKey, SessionState, Status,
    transport::{BoxFuture, ConnectContext, ConnectError, Connection, Connector, ExitStatus, Framing, Peer},
};
use innkeeper_tests::in_process::{Pipes, limits_for_paused_clock};
use tokio::{sync::Notify, time::sleep};

use super::{Scripted, obedient, tenant_of};

const SECOND: Duration = Duration::from_secs(1);

fn at_most(sessions: usize) -> Limits {
    let mut limits = limits_for_paused_clock();
    limits.sessions_per_tenant = sessions;
    limits
}

/// The users of sessions that are ready.
fn ready(status: &Status) -> Vec<String> {
    let ready = status.sessions.iter().filter(|session| session.state == SessionState::Ready);
    ready.map(|session| session.session.user.clone().unwrap().to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn where_a_tenant_has_as_many_as_it_may_its_longest_idle_session_is_closed_for_the_next() {
    let (runtime, tenant, connections) = obedient(Runtime::builder().limits(at_most(3))).await;
    let leased = tenant.lease("alice", "scripted").await.unwrap();
    for user in ["bob", "carol"] {
        drop(tenant.lease(user, "scripted").await.unwrap());
        sleep(SECOND).await;
    }
    // Used again, so it is carol's that is idle for longer.
    drop(tenant.lease("bob", "scripted").await.unwrap());

    let new = tenant.lease("dave", "scripted").await.unwrap();

    assert_eq!(ready(&runtime.status()), ["alice", "bob", "dave"]);
    assert_eq!(connections.load(SeqCst), 4);
    assert!(leased.check().is_ok() && new.check().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_somebody_waits_for_is_not_idle() {
    let (connector, mut servers) = super::scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(at_most(1)), connector).await;
    let waiting = tokio::spawn({
        let tenant = tenant.clone();
        async move { tenant.lease("alice", "scripted").await }
    });
    let slow = servers.recv().await.unwrap();

    let refused = tenant.lease("bob", "scripted").await.unwrap_err();
    tokio::spawn(slow.obey());

    assert_eq!(refused.code(), "at_capacity");
    assert!(waiting.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn no_tenant_loses_a_session_for_another() {
    let mut limits = limits_for_paused_clock();
    limits.sessions_per_runtime = 1;
    let (runtime, acme, _) = obedient(Runtime::builder().limits(limits)).await;
    let other = runtime.tenant("other").catalog(acme.catalog()).apply().await.unwrap();
    drop(acme.lease("alice", "scripted").await.unwrap());

    let refused = other.lease("bob", "scripted").await.unwrap_err();
    let own = acme.lease("carol", "scripted").await;

    assert_eq!(refused.code(), "at_capacity");
    assert!(refused.to_string().starts_with("the runtime has 1 sessions"), "{refused}");
    assert!(own.is_ok());
}

/// How long the servers of [`Slow`] take to end.
pub(super) const ENDING: Duration = Duration::from_secs(3);

/// Makes connections to servers that are slow to end, and counts them.
#[derive(Clone, Default)]
pub(super) struct Slow {
    alive: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Connector for Slow {
    fn describe(&self) -> String {
        "one that is slow to end".to_owned()
    }

    fn connect(&self, _: ConnectContext) -> BoxFuture<'static, Result<Connection, ConnectError>> {
        let server = self.clone();
        Box::pin(async move {
            let alive = server.alive.fetch_add(1, SeqCst) + 1;
            server.most.fetch_max(alive, SeqCst);
            let (ours, pipes) = Pipes::pair();
            tokio::spawn(Scripted { pipes }.obey());
            let (reader, writer) = tokio::io::split(ours);
            let peer = SlowToEnd { alive: server.alive, closed: Arc::default() };
            Ok(Connection::with_peer(reader, writer, Framing::Lines, peer))
        })
    }
}

struct SlowToEnd {
    alive: Arc<AtomicUsize>,
    closed: Arc<Notify>,
}

impl Peer for SlowToEnd {
    fn ended(&self) -> Option<BoxFuture<'static, ExitStatus>> {
        let (alive, closed) = (self.alive.clone(), self.closed.clone());
        Some(Box::pin(async move {
            closed.notified().await;
            sleep(ENDING).await;
            alive.fetch_sub(1, SeqCst);
            ExitStatus::default()
        }))
    }

    fn close(&self) {
        self.closed.notify_one();
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_opens_sessions_without_end_has_no_more_processes_than_sessions() {
    let slow = Slow::default();
    let runtime = Runtime::builder().limits(at_most(2)).start().await.unwrap();
    let catalog = Catalog::new().server("slow", Server::connector(Arc::new(slow.clone())));
    let tenant = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();

    for user in 0..10 {
        let lease = tenant.lease(user.to_string(), "slow").await.unwrap();
        assert!(lease.check().is_ok());
    }

    assert_eq!(slow.most.load(SeqCst), 2);
    runtime.drain(10 * ENDING).await;
    assert_eq!(slow.alive.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_given_up_while_it_waits_for_a_place_starts_no_server() {
    let slow = Slow::default();
    let runtime = Runtime::builder().limits(at_most(1)).start().await.unwrap();
    let catalog = Catalog::new().server("slow", Server::connector(Arc::new(slow.clone())));
    let tenant = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();
    drop(tenant.lease("alice", "slow").await.unwrap());

    let waiting = tokio::time::timeout(SECOND, tenant.lease("bob", "slow")).await;
    let report = tenant.close(SECOND).await;

    assert!(waiting.is_err());
    assert!(report.closed.iter().all(|session| session.gone), "{report:?}");
    assert_eq!((slow.most.load(SeqCst), slow.alive.load(SeqCst)), (1, 0));
}

fn users(sessions: impl IntoIterator<Item = SessionKey>) -> Vec<String> {
    sessions.into_iter().map(|session| session.user.unwrap().to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn reaping_closes_what_is_idle_for_so_long_and_says_what_it_was() {
    let (runtime, tenant, _) = obedient(Runtime::builder().limits(limits_for_paused_clock())).await;
    let leased = tenant.lease("alice", "scripted").await.unwrap();
    for user in ["bob", "carol"] {
        drop(tenant.lease(user, "scripted").await.unwrap());
        sleep(10 * SECOND).await;
    }

    let nothing = tenant.reap(60 * SECOND).await;
    let old = tenant.reap(15 * SECOND).await;
    let all = runtime.reap(Duration::ZERO).await;

    assert!(nothing.closed.is_empty(), "{nothing:?}");
    assert_eq!(users(old.closed.into_iter().map(|closed| closed.session)), ["bob"]);
    assert_eq!(users(all.closed.into_iter().map(|closed| closed.session)), ["carol"]);
    assert_eq!(ready(&runtime.status()), ["alice"]);
    assert!(leased.check().is_ok());
}
