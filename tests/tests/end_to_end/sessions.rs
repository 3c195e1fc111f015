//! Calls, leases and sessions, in virtual time: what is promised about deadlines, cancellation, idleness and closing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use innkeeper::{
    Answer, Catalog, Error, Limits, MayHaveRun, Phase, Runtime, RuntimeBuilder, Server, ServerRequest,
    ServerRequestHandler, Tenant,
    transport::{BoxFuture, Connector, Framing},
};
use innkeeper_tests::in_process::{self, Pipes, limits_for_paused_clock};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::Instant};

/// A server that answers the handshake by itself and leaves the rest to a test.
struct Scripted {
    pipes: Pipes,
}

impl Scripted {
    /// The next message that is not part of the handshake; none when the client is gone.
    async fn message(&mut self) -> Option<Value> {
        loop {
            let message: Value = serde_json::from_str(&self.pipes.line().await?).unwrap();
            match message["method"].as_str() {
                Some("initialize") => {
                    let info = json!({ "name": "scripted", "version": "1" });
                    let result = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": info });
                    self.answer(&message, result).await;
                }
                Some("notifications/initialized") => {}
                _ => return Some(message),
            }
        }
    }

    async fn answer(&mut self, request: &Value, result: Value) {
        self.say(json!({ "jsonrpc": "2.0", "id": request["id"], "result": result })).await;
    }

    async fn say(&mut self, message: Value) {
        self.pipes.write_line(&message.to_string()).await;
    }

    /// Answers every call with its own method.
    async fn obey(mut self) {
        while let Some(message) = self.message().await {
            if !message["id"].is_null() {
                self.answer(&message, message["method"].clone()).await;
            }
        }
    }
}

/// A connector, and the server's end of each connection that it makes.
fn scripted() -> (Arc<dyn Connector>, mpsc::UnboundedReceiver<Scripted>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let connector = in_process::server(Framing::Lines, move |pipes| {
        let _ = sender.send(Scripted { pipes });
        async {}
    });
    (connector, receiver)
}

async fn tenant_of(builder: RuntimeBuilder, connector: Arc<dyn Connector>) -> (Runtime, Tenant) {
    let runtime = builder.start().await.unwrap();
    let catalog = Catalog::new().server("scripted", Server::connector(connector));
    let tenant = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();
    (runtime, tenant)
}

/// A tenant whose server obeys, and how often it was connected to.
async fn obedient(builder: RuntimeBuilder) -> (Runtime, Tenant, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    let connector = in_process::server(Framing::Lines, move |pipes| {
        count.fetch_add(1, SeqCst);
        Scripted { pipes }.obey()
    });
    let (runtime, tenant) = tenant_of(builder, connector).await;
    (runtime, tenant, connections)
}

/// Leases the session and takes the server's end of it.
async fn open(tenant: &Tenant, servers: &mut mpsc::UnboundedReceiver<Scripted>) -> (innkeeper::Lease, Scripted) {
    let (sender, first) = tokio::sync::oneshot::channel();
    let mut server = None;
    let lease = tokio::join!(tenant.lease("alice", "scripted"), async {
        let mut opened = servers.recv().await.unwrap();
        // Nothing but the handshake comes before the lease is there.
        let _ = tokio::time::timeout(Duration::from_millis(1), opened.message()).await;
        let _ = sender.send(opened);
    })
    .0
    .unwrap();
    if let Ok(opened) = first.await {
        server = Some(opened);
    }
    (lease, server.unwrap())
}

// ---------------------------------------------------------------------------------------------------- deadlines

#[tokio::test(start_paused = true)]
async fn a_deadline_cancels_the_call_at_the_server_and_says_that_it_may_have_run() {
    let (connector, mut servers) = scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;
    let began = Instant::now();

    let call = lease.call("ponder").deadline(Duration::from_secs(7)).start();
    let request = server.message().await.unwrap();
    let error = call.await.unwrap_err();
    let cancelled = server.message().await.unwrap();

    assert!(matches!(error, Error::Timeout { phase: Phase::Call, after, .. } if after == Duration::from_secs(7)));
    assert_eq!(error.may_have_run(), MayHaveRun::Unknown);
    assert_eq!(began.elapsed().as_secs(), 7);
    assert_eq!(cancelled["method"], "notifications/cancelled");
    assert_eq!(cancelled["params"]["requestId"], request["id"]);
}

#[tokio::test(start_paused = true)]
async fn progress_starts_the_default_deadline_anew_up_to_its_total() {
    let mut limits = limits_for_paused_clock();
    limits.call = Duration::from_secs(10);
    limits.call_total = Duration::from_secs(25);
    let (connector, mut servers) = scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;
    let began = Instant::now();

    let call = lease.call("ponder").start();
    let token = server.message().await.unwrap()["params"]["_meta"]["progressToken"].clone();
    let reporting = tokio::spawn(async move {
        for step in 1.. {
            tokio::time::sleep(Duration::from_secs(8)).await;
            let params = json!({ "progressToken": token, "progress": step });
            server.say(json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })).await;
        }
    });
    let error = call.await.unwrap_err();
    reporting.abort();

    assert_eq!(error.code(), "timeout");
    assert_eq!(began.elapsed().as_secs(), 25);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_of_the_callers_own_is_not_extended_by_progress() {
    let (connector, mut servers) = scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;
    let began = Instant::now();

    let mut call = lease.call("ponder").deadline(Duration::from_secs(10)).start();
    let token = server.message().await.unwrap()["params"]["_meta"]["progressToken"].clone();
    tokio::time::sleep(Duration::from_secs(8)).await;
    let params = json!({ "progressToken": token, "progress": 1 });
    server.say(json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })).await;
    let report = call.progress().await.unwrap();
    let error = call.await.unwrap_err();

    assert_eq!(serde_json::from_slice::<Value>(&report).unwrap()["progress"], 1);
    assert_eq!((error.code(), began.elapsed().as_secs()), ("timeout", 10));
}

// ---------------------------------------------------------------------------------------------------- cancellation

#[tokio::test(start_paused = true)]
async fn dropping_a_call_cancels_it_at_the_server() {
    let (connector, mut servers) = scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;

    let call = lease.call("ponder").start();
    let request = server.message().await.unwrap();
    drop(call);
    let cancelled = server.message().await.unwrap();

    assert_eq!(cancelled["method"], "notifications/cancelled");
    assert_eq!(cancelled["params"]["requestId"], request["id"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_before_it_is_taken_is_never_sent() {
    let (connector, mut servers) = scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;

    drop(lease.call("first").start());
    let second = tokio::spawn(lease.call("second").start());

    assert_eq!(server.message().await.unwrap()["method"], "second");
    second.abort();
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_to_a_cancelled_call_disturbs_nobody() {
    let (connector, mut servers) = scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;

    let call = lease.call("ponder").start();
    let request = server.message().await.unwrap();
    drop(call);
    server.message().await.unwrap();
    server.answer(&request, json!("too late")).await;
    let call = lease.call("next").start();
    let next = server.message().await.unwrap();
    server.answer(&next, json!("in time")).await;

    assert_eq!(&call.await.unwrap()[..], b"\"in time\"");
}

// ---------------------------------------------------------------------------------------------------- bounds

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_mailbox_are_busy_and_nothing_of_them_is_sent() {
    let mut limits = limits_for_paused_clock();
    limits.calls_in_flight = 2;
    limits.mailbox = 3;
    let (connector, mut servers) = scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;

    let mut calls: Vec<_> = (0..2).map(|_| lease.call("ponder").start()).collect();
    for _ in 0..2 {
        server.message().await.unwrap();
    }
    calls.extend((0..3).map(|_| lease.call("wait").start()));
    let busy = lease.call("too many").start().await.unwrap_err();
    calls.truncate(1);
    let cancelled = server.message().await.unwrap();
    let next = lease.call("after").start();

    assert_eq!((busy.code(), busy.may_have_run()), ("busy", MayHaveRun::No));
    assert!(busy.retry_after().is_some());
    assert_eq!(cancelled["method"], "notifications/cancelled");
    assert_eq!(server.message().await.unwrap()["method"], "after");
    drop(next);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_has_no_more_sessions_than_its_limit() {
    let mut limits = limits_for_paused_clock();
    limits.sessions_per_tenant = 2;
    let (runtime, tenant, _) = obedient(Runtime::builder().limits(limits)).await;
    let leases = [tenant.lease("alice", "scripted").await.unwrap(), tenant.lease("bob", "scripted").await.unwrap()];

    let error = tenant.lease("carol", "scripted").await.unwrap_err();
    tenant.lease("alice", "scripted").await.unwrap();

    assert_eq!(error.code(), "at_capacity");
    assert_eq!(
        error.to_string(),
        "tenant `acme` has 2 sessions, which is its limit; close some, or raise `Limits::sessions_per_tenant`"
    );
    drop(leases);
    runtime.drain(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_room_has_its_deadline_all_the_same() {
    let mut limits = limits_for_paused_clock();
    limits.calls_in_flight = 1;
    let (connector, mut servers) = scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;
    let began = Instant::now();

    let _first = lease.call("ponder").start();
    server.message().await.unwrap();
    let error = lease.call("wait").deadline(Duration::from_secs(2)).start().await.unwrap_err();

    assert_eq!((error.code(), error.may_have_run()), ("timeout", MayHaveRun::No));
    assert_eq!(began.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_or_limit_for_ever_is_a_long_one() {
    let mut limits = limits_for_paused_clock();
    for limit in [&mut limits.idle, &mut limits.call, &mut limits.open, &mut limits.close_input] {
        *limit = Duration::MAX;
    }
    limits.mailbox = usize::MAX;
    limits.event_backlog = usize::MAX;
    let (runtime, tenant, _) = obedient(Runtime::builder().limits(limits)).await;
    let lease = tenant.lease("alice", "scripted").await.unwrap();

    let result = lease.call("for ever").deadline(Duration::MAX).start().await.unwrap();
    drop(lease);
    let report = runtime.drain(Duration::MAX).await;

    assert_eq!(&result[..], b"\"for ever\"");
    assert!(report.closed.iter().all(|session| session.gone));
}

// ---------------------------------------------------------------------------------------------------- leases

#[tokio::test(start_paused = true)]
async fn a_call_under_way_holds_its_session_like_a_lease() {
    let (connector, mut servers) = scripted();
    let (runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;

    let call = lease.call("ponder").deadline(Duration::from_secs(7200)).start();
    drop(lease);
    let request = server.message().await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    server.answer(&request, json!("at last")).await;

    assert_eq!(&call.await.unwrap()[..], b"\"at last\"");
    assert_eq!(runtime.status().sessions.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_is_made_anew_does_not_get_the_sessions_of_the_old() {
    let (runtime, old, connections) = obedient(Runtime::builder().limits(limits_for_paused_clock())).await;
    let catalog = old.catalog().clone();
    let first = old.lease("alice", "scripted").await.unwrap().session().id;

    drop(old);
    let new = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();
    let second = new.lease("alice", "scripted").await.unwrap().session().id;

    assert_ne!(first, second);
    assert_eq!(connections.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn however_many_wait_for_a_session_it_is_opened_once() {
    let (_runtime, tenant, connections) = obedient(Runtime::builder().limits(limits_for_paused_clock())).await;

    let leases = futures_util::future::join_all((0..20).map(|_| tenant.lease("alice", "scripted"))).await;

    let ids: Vec<_> = leases.into_iter().map(|lease| lease.unwrap().session().id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(connections.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn two_users_never_share_a_session() {
    let (_runtime, tenant, connections) = obedient(Runtime::builder().limits(limits_for_paused_clock())).await;

    let alice = tenant.lease("alice", "scripted").await.unwrap();
    let bob = tenant.lease("bob", "scripted").await.unwrap();

    assert_ne!(alice.session().id, bob.session().id);
    assert_eq!(connections.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_leased_session_is_never_reaped_and_an_idle_one_is_without_any_traffic() {
    let (runtime, tenant, connections) = obedient(Runtime::builder().limits(limits_for_paused_clock())).await;
    let lease = tenant.lease("alice", "scripted").await.unwrap();

    tokio::time::sleep(Duration::from_secs(3600)).await;
    let leased = runtime.status();
    drop(lease);
    tokio::time::sleep(Duration::from_secs(14 * 60)).await;
    let idle = runtime.status();
    tokio::time::sleep(Duration::from_secs(70)).await;
    let reaped = runtime.status();

    assert_eq!((leased.sessions.len(), leased.sessions[0].leases), (1, 1));
    assert_eq!((idle.sessions.len(), idle.sessions[0].leases), (1, 0));
    assert!(reaped.sessions.is_empty(), "{reaped:?}");
    assert_eq!(connections.load(SeqCst), 1);
}

#[test]
fn a_lease_may_be_dropped_outside_of_a_runtime_and_after_its_end() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (runtime, lease, call) = tokio.block_on(async {
        let (runtime, tenant, _) = obedient(Runtime::builder().limits(limits_for_paused_clock())).await;
        let lease = tenant.lease("alice", "scripted").await.unwrap();
        let call = lease.call("ponder").start();
        (runtime, lease, call)
    });

    drop(tokio);
    drop(call);
    drop(lease);

    assert!(runtime.status().sessions.iter().all(|session| session.leases == 0));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_session_can_be_given_up_and_leaves_it_idle() {
    let (connector, mut servers) = scripted();
    let (runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;

    let waiting = tokio::time::timeout(Duration::from_secs(1), tenant.lease("alice", "scripted")).await;

    assert!(waiting.is_err());
    let status = runtime.status();
    assert_eq!((status.sessions[0].state, status.sessions[0].leases), ("opening", 0));
    drop(servers.recv().await);
}

// ---------------------------------------------------------------------------------------------------- the end

#[tokio::test(start_paused = true)]
async fn a_drain_settles_every_call_and_takes_no_more_leases() {
    let (connector, mut servers) = scripted();
    let (runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;
    let sent = lease.call("sent").start();
    server.message().await.unwrap();

    let report = runtime.drain(Duration::from_secs(1)).await;
    let again = runtime.drain(Duration::from_secs(1)).await;

    let error = sent.await.unwrap_err();
    assert_eq!((error.code(), error.may_have_run()), ("closing", MayHaveRun::Unknown));
    assert_eq!((report.closed.len(), again.closed.len()), (1, 0));
    assert!(report.closed[0].in_time && report.closed[0].gone);
    assert_eq!(lease.call("late").start().await.unwrap_err().code(), "closing");
    assert_eq!(tenant.lease("alice", "scripted").await.unwrap_err().code(), "closing");
}

#[tokio::test(start_paused = true)]
async fn dropping_everything_closes_the_session() {
    let (connector, mut servers) = scripted();
    let (runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;

    drop((lease, tenant, runtime));

    assert_eq!(server.message().await, None);
}

#[tokio::test(start_paused = true)]
async fn closing_a_tenant_leaves_the_others() {
    let (runtime, acme, _) = obedient(Runtime::builder().limits(limits_for_paused_clock())).await;
    let catalog = acme.catalog().clone();
    let other = runtime.tenant("other").catalog(catalog).apply().await.unwrap();
    let lease = other.lease("alice", "scripted").await.unwrap();
    acme.lease("alice", "scripted").await.unwrap();

    let report = acme.close(Duration::from_secs(1)).await;

    assert_eq!(report.closed.len(), 1);
    assert_eq!(&lease.call("still here").start().await.unwrap()[..], b"\"still here\"");
}

// ---------------------------------------------------------------------------------------------------- server requests

/// Answers what it knows, after a while; keeps what it was asked.
struct Person {
    asked: mpsc::UnboundedSender<ServerRequest>,
    ponders: Duration,
}

impl ServerRequestHandler for Person {
    fn capabilities(&self) -> Value {
        json!({ "elicitation": {} })
    }

    fn handle(&self, request: ServerRequest) -> BoxFuture<'static, Answer> {
        let ponders = self.ponders;
        let _ = self.asked.send(request);
        Box::pin(async move {
            tokio::time::sleep(ponders).await;
            Answer::Result(json!({ "action": "accept", "content": { "name": "Alice" } }))
        })
    }
}

fn question(id: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "elicitation/create", "params": { "message": "your name?" } })
}

#[tokio::test(start_paused = true)]
async fn a_question_to_a_person_is_answered_with_its_context_and_stops_the_time_of_the_call() {
    let (asked, mut questions) = mpsc::unbounded_channel();
    let (connector, mut servers) = scripted();
    let builder = Runtime::builder()
        .limits(limits_for_paused_clock())
        .server_requests(Person { asked, ponders: Duration::from_secs(300) });
    let (_runtime, tenant) = tenant_of(builder, connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;

    let call = lease.call("greet").deadline(Duration::from_secs(10)).start();
    let id = call.id();
    let request = server.message().await.unwrap();
    server.say(question("q1")).await;
    let answer = server.message().await.unwrap();
    server.answer(&request, json!("hello Alice")).await;

    assert_eq!(&call.await.unwrap()[..], b"\"hello Alice\"");
    assert_eq!((&answer["id"], &answer["result"]["content"]["name"]), (&json!("q1"), &json!("Alice")));
    let asked = questions.recv().await.unwrap();
    assert_eq!((asked.tenant.as_str(), asked.user.as_str(), asked.server.as_str()), ("acme", "alice", "scripted"));
    assert_eq!((asked.call, asked.method.as_str()), (id, "elicitation/create"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_without_end_does_not_hold_a_call_for_ever() {
    let (asked, _questions) = mpsc::unbounded_channel();
    let (connector, mut servers) = scripted();
    let builder = Runtime::builder()
        .limits(limits_for_paused_clock())
        .server_requests(Person { asked, ponders: Duration::from_secs(60) });
    let (_runtime, tenant) = tenant_of(builder, connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;
    let began = Instant::now();

    let call = lease.call("greet").deadline(Duration::from_secs(10)).start();
    server.message().await.unwrap();
    let asking = tokio::spawn(async move {
        for number in 0.. {
            server.say(question(&format!("q{number}"))).await;
            server.message().await;
        }
    });
    let error = call.await.unwrap_err();
    asking.abort();

    assert_eq!(error.code(), "timeout");
    assert_eq!(began.elapsed(), Limits::default().server_request + Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_the_server_withdraws_is_not_answered() {
    let (asked, mut questions) = mpsc::unbounded_channel();
    let (connector, mut servers) = scripted();
    let builder = Runtime::builder()
        .limits(limits_for_paused_clock())
        .server_requests(Person { asked, ponders: Duration::from_secs(5) });
    let (_runtime, tenant) = tenant_of(builder, connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;

    server.say(question("q1")).await;
    questions.recv().await.unwrap();
    let params = json!({ "requestId": "q1" });
    server.say(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params })).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let call = lease.call("next").start();

    assert_eq!(server.message().await.unwrap()["method"], "next");
    drop(call);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_answers_is_refused_and_a_ping_is_answered() {
    let (connector, mut servers) = scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (_lease, mut server) = open(&tenant, &mut servers).await;

    server.say(json!({ "jsonrpc": "2.0", "id": 1, "method": "roots/list" })).await;
    let refused = server.message().await.unwrap();
    server.say(json!({ "jsonrpc": "2.0", "id": 2, "method": "ping" })).await;
    let pong = server.message().await.unwrap();

    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(1), &json!(-32601)));
    assert_eq!((&pong["id"], &pong["result"]), (&json!(2), &json!({})));
}
