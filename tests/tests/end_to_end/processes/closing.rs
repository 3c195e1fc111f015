//! Closing, whatever a session is doing: it takes the time that it is given, and no more.
//!
//! Without processes, in virtual time: `sessions::end`. Hosts that are gone: the program `supervisor`.

use std::{
    fs,
    future::{Future, pending, poll_fn},
    path::{Path, PathBuf},
    pin::pin,
    process,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use innkeeper::{
    Catalog, DrainReport, Error, Lease, Runtime, Server, SessionState, Tenant,
    transport::{BoxFuture, ConnectContext, ConnectError, Connection, Connector},
};
use innkeeper_tests::{
    awkward::{Scenario, tool},
    hosting::wait_for_end,
    in_process::limits_for_paused_clock,
    processes::Marker,
};
use serde_json::json;
use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
    time::Instant,
};

use super::{BOUND, SERVER, builder, command, in_time, lease, tenant, until};

/// Begins to open a session.
fn open(tenant: &Tenant) -> JoinHandle<Result<Lease, Error>> {
    let tenant = tenant.clone();
    tokio::spawn(async move { tenant.lease("alice", SERVER).await })
}

fn assert_gone(report: &DrainReport, sessions: usize) {
    assert_eq!(report.closed.len(), sessions, "{report:?}");
    assert!(report.closed.iter().all(|session| session.gone), "{report:?}");
}

/// Tells that it was asked to connect, and never does.
struct NeverConnects(mpsc::UnboundedSender<()>);

impl Connector for NeverConnects {
    fn describe(&self) -> String {
        "one that never connects".to_owned()
    }

    fn connect(&self, _: ConnectContext) -> BoxFuture<'static, Result<Connection, ConnectError>> {
        let asked = self.0.clone();
        Box::pin(async move {
            let _ = asked.send(());
            pending().await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_being_connected_is_closed_by_the_deadline() {
    const DEADLINE: Duration = Duration::from_secs(1);
    let (sender, mut asked) = mpsc::unbounded_channel();
    let runtime = Runtime::builder().limits(limits_for_paused_clock()).start().await.unwrap();
    let servers = Catalog::new().server(SERVER, Server::connector(Arc::new(NeverConnects(sender))));
    let acme = runtime.tenant("acme").catalog(servers).apply().await.unwrap();
    let opening = open(&acme);
    asked.recv().await.unwrap();
    let began = Instant::now();

    let report = runtime.drain(DEADLINE).await;

    assert!(began.elapsed() <= DEADLINE + Duration::from_millis(1), "{:?}", began.elapsed());
    assert_gone(&report, 1);
    assert_eq!(opening.await.unwrap().unwrap_err().code(), "closing");
}

/// A program that takes every order and follows none: a supervisor that hangs. It ends with its runtime.
struct Hangs {
    path: PathBuf,
    /// Made by the program once it runs.
    trace: PathBuf,
}

impl Hangs {
    fn new() -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hangs-{}", Marker::new().value()));
        // Written by another process. A process of ours that is forked meanwhile would hold the file open for writing, and
        // what is open for writing is not executed (execve(2), ETXTBSY).
        let script = r#"printf '#!/bin/sh\n: >"$0-trace"\nexec cat >/dev/null\n' >"$0" && chmod +x "$0""#;
        assert!(process::Command::new("sh").args(["-c", script]).arg(&path).status().unwrap().success());
        Self { trace: format!("{}-trace", path.display()).into(), path }
    }
}

impl Drop for Hangs {
    fn drop(&mut self) {
        for file in [&self.path, &self.trace] {
            let _ = fs::remove_file(file);
        }
    }
}

#[tokio::test]
async fn a_session_whose_process_is_being_started_is_closed_by_the_deadline() {
    let (marker, hangs) = (Marker::new(), Hangs::new());
    let runtime = builder().supervisor(&hangs.path).start().await.unwrap();
    let acme = tenant(&runtime, "acme", Server::command(command(Scenario::Plain, &marker))).await;
    let opening = open(&acme);
    until(|| hangs.trace.exists()).await;
    let status = runtime.status();

    let report = in_time(runtime.drain(Duration::ZERO)).await;

    assert_eq!((status.sessions[0].state, status.sessions[0].processes.len()), (SessionState::Opening, 0));
    assert_gone(&report, 1);
    assert_eq!(in_time(opening).await.unwrap().unwrap_err().code(), "closing");
    assert_eq!(marker.processes(), [0; 0]);
}

#[tokio::test]
async fn a_session_whose_handshake_hangs_is_closed_before_its_time_for_opening() {
    let marker = Marker::new();
    let runtime = builder().start().await.unwrap();
    let server = Server::command(command(Scenario::NeverAnswersInitialize, &marker));
    let acme = tenant(&runtime, "acme", server.open_timeout(Duration::from_secs(3_600))).await;
    let opening = open(&acme);
    until(|| !marker.processes().is_empty()).await;

    let report = in_time(runtime.drain(Duration::from_secs(5))).await;

    assert_gone(&report, 1);
    assert_eq!(in_time(opening).await.unwrap().unwrap_err().code(), "closing");
    assert_eq!(marker.processes(), [0; 0]);
}

#[tokio::test]
async fn a_session_with_calls_in_flight_is_closed_and_each_call_hears_of_it() {
    // One that goes when it is asked to, and one that has to be made to.
    for scenario in [Scenario::Plain, Scenario::IgnoresEofAndTerm] {
        let marker = Marker::new();
        let runtime = builder().start().await.unwrap();
        let acme = tenant(&runtime, "acme", Server::command(command(scenario, &marker))).await;
        let lease = lease(&acme, "alice").await.unwrap();
        let hour = json!({ "ms": 3_600_000 });
        let calls: Vec<_> = (0..8).map(|_| lease.call_tool(tool::SLEEP, &hour).unwrap().start()).collect();
        // It answers in turn, so it has them all.
        super::said(&lease, tool::RECEIVED).await;

        let report = in_time(runtime.drain(Duration::from_secs(5))).await;

        assert_gone(&report, 1);
        for call in calls {
            assert_eq!(in_time(call).await.unwrap_err().code(), "closing", "{scenario:?}");
        }
        assert_eq!(marker.processes(), [0; 0]);
    }
}

#[tokio::test]
async fn a_caller_that_gives_up_waiting_for_the_close_changes_nothing() {
    let marker = Marker::new();
    let runtime = builder().start().await.unwrap();
    let acme = tenant(&runtime, "acme", Server::command(command(Scenario::IgnoresEofAndTerm, &marker))).await;
    let lease = lease(&acme, "alice").await.unwrap();
    let process = lease.info().process.unwrap();

    let has_begun = {
        let mut close = pin!(acme.close(BOUND));
        poll_fn(|context| Poll::Ready(close.as_mut().poll(context).is_pending())).await
    };

    assert!(has_begun);
    // Nobody waits for it any more, and nobody asks again.
    let gone = spawn_blocking(move || wait_for_end(process, BOUND));
    assert!(gone.await.unwrap());
    until(|| runtime.status().sessions.is_empty()).await;
    assert_eq!((runtime.status().children_alive, marker.processes()), (0, vec![]));
}

#[tokio::test]
async fn closing_a_tenant_ends_all_its_processes_and_none_of_another() {
    let (ours, theirs) = (Marker::new(), Marker::new());
    let runtime = builder().start().await.unwrap();
    let acme = tenant(&runtime, "acme", Server::command(command(Scenario::GrandchildInOwnSession, &ours))).await;
    let other = tenant(&runtime, "other", Server::command(command(Scenario::GrandchildInOwnSession, &theirs))).await;
    let mut leases = Vec::new();
    for user in ["alice", "bob"] {
        leases.push(lease(&acme, user).await.unwrap());
        leases.push(lease(&other, user).await.unwrap());
    }
    assert_eq!((ours.processes().len(), theirs.processes().len()), (4, 4));

    let report = in_time(acme.close(BOUND)).await;
    let (of_ours, of_theirs) = (ours.processes(), theirs.processes());
    // Their sessions are nobody's any more.
    drop((leases, other));
    until(|| theirs.processes().is_empty()).await;

    assert_gone(&report, 2);
    assert_eq!((of_ours.len(), of_theirs.len()), (0, 4));
    until(|| runtime.status().children_alive == 0).await;
    super::close(&runtime).await;
}
