//! Lost connections: who hears of them, who makes the next one, when, and how often.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::future::join_all;
use innkeeper::{
    BreakerState, Error, Event, Lease, Limits, MayHaveRun, Runtime, SessionState, Tenant, transport::Framing,
};
use innkeeper_tests::in_process::{self, limits_for_paused_clock};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{Scripted, at_once, open, scripted, tenant_of};

/// What a server is at each of its connections, by number from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    /// It does what it is told.
    Obeys,
    /// It takes a call and ends.
    DiesAtCalls,
    /// It ends once it is open.
    DiesWhenOpen,
    /// It ends before it is open.
    NeverOpens,
}

/// When a server was connected to, and how often it was told each method.
#[derive(Clone, Default)]
struct Record {
    connected: Arc<Mutex<Vec<Instant>>>,
    told: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Record {
    fn connections(&self) -> usize {
        self.connected.lock().unwrap().len()
    }

    fn told(&self, method: &str) -> usize {
        self.told.lock().unwrap().get(method).copied().unwrap_or_default()
    }

    /// Seconds between connections.
    fn waits(&self) -> Vec<f64> {
        let connected = self.connected.lock().unwrap();
        connected.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect()
    }
}

async fn moody(mood: impl Fn(usize) -> Mood + Send + Sync + 'static, limits: Limits) -> (Runtime, Tenant, Record) {
    let record = Record::default();
    let seen = record.clone();
    let connector = in_process::server(Framing::Lines, move |pipes| {
        seen.connected.lock().unwrap().push(Instant::now());
        let (mood, seen) = (mood(seen.connections()), seen.clone());
        live(Scripted { pipes }, mood, seen)
    });
    let (runtime, tenant) = tenant_of(Runtime::builder().limits(limits), connector).await;
    (runtime, tenant, record)
}

async fn live(mut server: Scripted, mood: Mood, seen: Record) {
    if mood == Mood::NeverOpens {
        return;
    }
    if mood == Mood::DiesWhenOpen {
        // The answer to the handshake, and no more.
        let _ = tokio::time::timeout(Duration::from_millis(1), server.message()).await;
        return;
    }
    while let Some(message) = server.message().await {
        let Some(method) = message["method"].as_str() else { continue };
        *seen.told.lock().unwrap().entry(method.to_owned()).or_default() += 1;
        if mood == Mood::DiesAtCalls {
            return;
        }
        server.answer(&message, json!(method)).await;
    }
}

/// The first so many are of one mood, all others obey.
fn first(count: usize, mood: Mood) -> impl Fn(usize) -> Mood + Send + Sync + 'static {
    move |number| if number <= count { mood } else { Mood::Obeys }
}

async fn call(lease: &Lease, method: &str) -> Result<String, Error> {
    lease.call(method).start().await.map(|result| String::from_utf8_lossy(&result).into_owned())
}

#[tokio::test(start_paused = true)]
async fn calls_under_way_fail_at_once_and_all_that_follow_share_one_new_connection() {
    let (connector, mut servers) = scripted();
    let (runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;
    let session = lease.session();
    let mut events = runtime.events();

    let under_way: Vec<_> = (0..5).map(|number| lease.call(format!("call {number}")).start()).collect();
    server.message().await.unwrap();
    drop(server);
    let failed = join_all(under_way).await;
    let serving = tokio::spawn(async move {
        let mut count = 0;
        while let Some(server) = servers.recv().await {
            count += 1;
            tokio::spawn(server.obey());
        }
        count
    });
    let next = join_all((0..5).map(|_| call(&lease, "again"))).await;

    for error in failed.into_iter().map(Result::unwrap_err) {
        assert_eq!((error.code(), error.may_have_run()), ("server_exited", MayHaveRun::Unknown), "{error}");
    }
    assert!(next.into_iter().all(|result| result.unwrap() == "\"again\""));
    assert_eq!((lease.session(), lease.info().incarnation), (session, 2));
    let lost = events.next().await.unwrap().unwrap();
    assert!(matches!(lost, Event::SessionDisconnected { code: "server_exited", incarnation: 1, .. }), "{lost:?}");
    let opened = events.next().await.unwrap().unwrap();
    assert!(matches!(opened, Event::SessionOpened { incarnation: 2, .. }), "{opened:?}");
    drop((lease, tenant, runtime));
    assert_eq!(serving.await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_sent_is_made_once() {
    let (_runtime, tenant, record) = moody(first(1, Mood::DiesAtCalls), limits_for_paused_clock()).await;
    let lease = tenant.lease("alice", "scripted").await.unwrap();

    let error = call(&lease, "pay").await.unwrap_err();
    let next = call(&lease, "look").await;

    assert_eq!((error.code(), error.may_have_run()), ("server_exited", MayHaveRun::Unknown));
    assert_eq!(next.unwrap(), "\"look\"");
    assert_eq!((record.told("pay"), record.connections()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn one_that_its_caller_calls_idempotent_is_made_again_once_and_no_more() {
    for (deaths, succeeds) in [(1, true), (2, false)] {
        let (_runtime, tenant, record) = moody(first(deaths, Mood::DiesAtCalls), limits_for_paused_clock()).await;
        let lease = tenant.lease("alice", "scripted").await.unwrap();

        let outcome = lease.call("read").idempotent(true).start().await;

        assert_eq!(outcome.is_ok(), succeeds, "{outcome:?}");
        assert_eq!(record.told("read"), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_made_again_has_no_more_time_than_it_was_given() {
    let (_runtime, tenant, record) = moody(first(1, Mood::DiesAtCalls), limits_for_paused_clock()).await;
    let lease = tenant.lease("alice", "scripted").await.unwrap();
    let began = Instant::now();

    let outcome = lease.call("read").idempotent(true).deadline(Duration::from_millis(100)).start().await;

    // The wait before the next connection is longer than that.
    let error = outcome.unwrap_err();
    assert_eq!((error.code(), error.may_have_run()), ("timeout", MayHaveRun::Unknown));
    assert_eq!((began.elapsed().as_millis(), record.told("read")), (100, 1));
}

#[tokio::test(start_paused = true)]
async fn reports_of_a_call_that_is_made_again_go_on_and_its_time_in_all_does_not_begin_anew() {
    let mut limits = limits_for_paused_clock();
    (limits.call, limits.call_total) = (Duration::from_secs(10), Duration::from_secs(15));
    let (connector, mut servers) = scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits), connector).await;
    let (lease, mut first) = open(&tenant, &mut servers).await;
    let began = Instant::now();
    let mut call = lease.call("read").idempotent(true).start();

    let serving = async move {
        let call = first.message().await.unwrap();
        first.progress(&call, 1).await;
        sleep(Duration::from_secs(9)).await;
        drop(first);
        let mut second = servers.recv().await.unwrap();
        let call = second.message().await.unwrap();
        second.progress(&call, 2).await;
        // It never answers.
        while second.message().await.is_some() {}
    };
    let serving = tokio::spawn(serving);
    let mut reports = Vec::new();
    while let Some(report) = call.progress().await {
        reports.push(serde_json::from_slice::<serde_json::Value>(&report).unwrap()["progress"].clone());
    }
    let error = call.await.unwrap_err();

    assert_eq!(reports, [1, 2]);
    assert_eq!((error.code(), error.may_have_run()), ("timeout", MayHaveRun::Unknown));
    assert_eq!(began.elapsed().as_secs(), 15);
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn one_that_was_sent_and_then_not_sent_again_may_have_run() {
    let mood = |number| if number == 1 { Mood::DiesAtCalls } else { Mood::NeverOpens };
    let (_runtime, tenant, record) = moody(mood, limits_for_paused_clock()).await;
    let lease = tenant.lease("alice", "scripted").await.unwrap();

    let error = lease.call("read").idempotent(true).start().await.unwrap_err();

    assert_eq!((error.code(), error.may_have_run()), ("server_exited", MayHaveRun::Unknown));
    assert_eq!((record.told("read"), record.connections()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dies_when_it_is_open_is_started_less_and_less_often_and_then_not_at_all() {
    let (runtime, tenant, record) = moody(|_| Mood::DiesWhenOpen, limits_for_paused_clock()).await;
    let lease = tenant.lease("alice", "scripted").await.unwrap();

    let mut last = None;
    for _ in 0..100 {
        match call(&lease, "hello").await {
            Err(Error::Unavailable { retry_after: Some(after), .. }) => {
                last = Some(after);
                break;
            }
            Err(_) => {}
            Ok(result) => panic!("a dead server said {result}"),
        }
    }

    let waits = record.waits();
    assert_eq!(record.connections(), 5, "{waits:?}");
    for (wait, longest) in waits.into_iter().zip([0.5, 1.0, 2.0, 4.0]) {
        assert!((longest / 2.0..longest + 0.01).contains(&wait), "{wait} of {longest}");
    }
    assert!(last.unwrap() <= Duration::from_secs(60) && last.unwrap() > Duration::from_secs(59), "{last:?}");
    let status = runtime.status().sessions.remove(0);
    assert_eq!(
        (status.state, status.breaker, status.incarnation, status.leases),
        (SessionState::Disconnected, BreakerState::Open, 5, 1)
    );
    assert!(status.error.unwrap().contains("closed the connection"));
}

#[tokio::test(start_paused = true)]
async fn while_the_breaker_is_open_nobody_waits_and_after_its_pause_one_try_decides() {
    for (deaths, then) in [(5, BreakerState::Closed), (6, BreakerState::Open)] {
        let (runtime, tenant, record) = moody(first(deaths, Mood::NeverOpens), limits_for_paused_clock()).await;
        for _ in 0..5 {
            tenant.lease("alice", "scripted").await.unwrap_err();
        }

        let refused = at_once(tenant.lease("alice", "scripted")).await.unwrap_err();
        let text = refused.to_string();
        assert_eq!(refused.code(), "unavailable");
        assert!(text.contains("5 times in a row") && text.contains("closed the connection"), "{text}");
        sleep(refused.retry_after().unwrap()).await;
        assert_eq!(runtime.status().sessions[0].breaker, BreakerState::HalfOpen);
        let tries = join_all((0..3).map(|_| tenant.lease("alice", "scripted"))).await;

        assert!(tries.iter().all(|lease| lease.is_ok() == (then == BreakerState::Closed)), "{tries:?}");
        assert_eq!(runtime.status().sessions[0].breaker, then);
        assert_eq!(record.connections(), 6);
        if then == BreakerState::Open {
            assert_eq!(runtime.status().sessions[0].breaker, then);
            assert_eq!(at_once(tenant.lease("alice", "scripted")).await.unwrap_err().code(), "unavailable");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_failures_of_one_user_are_not_those_of_another() {
    let (_runtime, tenant, record) = moody(first(5, Mood::NeverOpens), limits_for_paused_clock()).await;
    for _ in 0..5 {
        tenant.lease("alice", "scripted").await.unwrap_err();
    }

    let bob = at_once(tenant.lease("bob", "scripted")).await;

    assert!(bob.is_ok());
    assert_eq!(record.connections(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_has_lived_is_made_again_without_a_wait() {
    let (connector, mut servers) = scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;

    for incarnation in 2..12 {
        sleep(Limits::default().stable).await;
        drop(server);
        sleep(Duration::from_millis(1)).await;
        let began = Instant::now();
        let (outcome, next) = tokio::join!(call(&lease, "still there?"), async {
            let mut next = servers.recv().await.unwrap();
            let request = next.message().await.unwrap();
            next.answer(&request, json!("yes")).await;
            next
        });
        server = next;

        assert_eq!(outcome.unwrap(), "\"yes\"");
        assert_eq!((began.elapsed(), lease.info().incarnation), (Duration::ZERO, incarnation));
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_returns_when_the_new_connection_is_ready_and_many_at_once_are_one() {
    let (connector, mut servers) = scripted();
    let (runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut old) = open(&tenant, &mut servers).await;
    let sent = lease.call("ponder").start();
    old.message().await.unwrap();
    let connections = Arc::new(AtomicUsize::new(1));
    let count = connections.clone();
    tokio::spawn(async move {
        while let Some(server) = servers.recv().await {
            count.fetch_add(1, SeqCst);
            tokio::spawn(server.obey());
        }
    });

    let mut events = runtime.events();
    let restarted = join_all((0..4).map(|_| lease.restart())).await;

    assert!(restarted.into_iter().all(|info| info.unwrap().incarnation == 2));
    assert_eq!(connections.load(SeqCst), 2);
    let error = sent.await.unwrap_err();
    assert_eq!((error.code(), error.may_have_run()), ("closing", MayHaveRun::Unknown));
    assert_eq!(call(&lease, "hello").await.unwrap(), "\"hello\"");
    // The old one got its goodbye.
    assert_eq!(old.message().await, None);
    // Nothing was lost that somebody would have to be told of.
    let told = events.next().await.unwrap().unwrap();
    assert!(matches!(told, Event::SessionOpened { incarnation: 2, .. }), "{told:?}");
    assert!(tokio::time::timeout(Duration::from_secs(60), events.next()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_an_old_connection_says_after_its_end_is_no_matter_of_the_new_one() {
    let (connector, mut servers) = scripted();
    let (runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut old) = open(&tenant, &mut servers).await;
    let obeying = async {
        tokio::spawn(servers.recv().await.unwrap().obey());
    };

    tokio::join!(async { lease.restart().await.unwrap() }, obeying);
    old.pipes.write_line(&"x".repeat(100)).await;
    drop(old);
    sleep(Duration::from_secs(30)).await;

    let status = runtime.status().sessions.remove(0);
    assert_eq!(
        (status.state, status.incarnation, status.breaker, status.error),
        (SessionState::Ready, 2, BreakerState::Closed, None)
    );
    assert_eq!(call(&lease, "hello").await.unwrap(), "\"hello\"");
}

#[tokio::test(start_paused = true)]
async fn a_restart_tries_at_once_what_failed_too_often() {
    let (_runtime, tenant, record) = moody(first(5, Mood::DiesWhenOpen), limits_for_paused_clock()).await;
    let lease = tenant.lease("alice", "scripted").await.unwrap();
    while !matches!(call(&lease, "hello").await, Err(Error::Unavailable { retry_after: Some(_), .. })) {}

    let info = lease.restart().await.unwrap();

    assert_eq!((info.incarnation, record.connections()), (6, 6));
    assert_eq!(call(&lease, "hello").await.unwrap(), "\"hello\"");
}

#[tokio::test(start_paused = true)]
async fn a_close_does_not_wait_for_the_next_try() {
    let (runtime, tenant, record) = moody(|_| Mood::NeverOpens, limits_for_paused_clock()).await;
    for _ in 0..4 {
        tenant.lease("alice", "scripted").await.unwrap_err();
    }
    let waiting = tokio::spawn({
        let tenant = tenant.clone();
        async move { tenant.lease("alice", "scripted").await.map(drop) }
    });
    tokio::task::yield_now().await;

    let report = at_once(runtime.drain(Duration::from_secs(5))).await;

    assert_eq!((report.closed.len(), report.closed[0].in_time), (1, true));
    assert_eq!(waiting.await.unwrap().unwrap_err().code(), "closing");
    assert_eq!(record.connections(), 4);
    assert!(runtime.status().sessions.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_session_without_a_connection_is_idle_like_any_other() {
    let (runtime, tenant, _) = moody(first(1, Mood::NeverOpens), limits_for_paused_clock()).await;
    let error = tenant.lease("alice", "scripted").await.unwrap_err();

    let before = runtime.status();
    sleep(Limits::default().idle + Duration::from_secs(1)).await;
    let after = runtime.status();

    assert_eq!(error.code(), "server_exited");
    assert_eq!((before.sessions.len(), before.sessions[0].state), (1, SessionState::Disconnected));
    assert!(after.sessions.is_empty(), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_connection_is_bounded_by_its_own_deadline() {
    let (_runtime, tenant, _) = moody(first(4, Mood::DiesWhenOpen), limits_for_paused_clock()).await;
    let lease = tenant.lease("alice", "scripted").await.unwrap();
    for _ in 0..3 {
        call(&lease, "hello").await.unwrap_err();
    }
    let began = Instant::now();

    let error = lease.call("hello").deadline(Duration::from_millis(300)).start().await.unwrap_err();

    assert_eq!((error.code(), error.may_have_run()), ("timeout", MayHaveRun::No));
    assert_eq!(began.elapsed(), Duration::from_millis(300));
}
