//! Servers that do what they should not: each costs its own session at most, with an error that says what happened, and leaves
//! no process behind.

use std::time::{Duration, Instant};

use innkeeper::{Catalog, Command, Error, Event, Lease, Limits, MayHaveRun, Runtime, Server};
use innkeeper_tests::{
    artifacts,
    awkward::{Scenario, tool},
    processes::{Marker, zombies},
};
use serde_json::json;

/// A runtime with one awkward server, and a look at what is left of it.
struct House {
    runtime: Runtime,
    tenant: innkeeper::Tenant,
    marker: Marker,
}

/// Bounds small enough for a test to reach, and large enough for a busy machine.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.frame = 1024 * 1024;
    limits.pages = 20;
    limits.close_input = Duration::from_millis(300);
    limits.close_terminate = Duration::from_millis(300);
    limits
}

impl House {
    async fn with(scenario: Scenario) -> Self {
        Self::with_server(scenario, |server| server).await
    }

    async fn with_server(scenario: Scenario, change: impl FnOnce(Server) -> Server) -> Self {
        let mut limits = limits();
        // Small where the server never reads. One that only reads slowly, on a busy machine, must not come to it.
        if scenario == Scenario::PingFlood {
            limits.write_queue = 256 * 1024;
        }
        let runtime = Runtime::builder().limits(limits).start().await.unwrap();
        let marker = Marker::new();
        let found = artifacts::awkward_server(scenario);
        let command =
            Command::new(found.program.to_str().unwrap()).args(found.args).env(Marker::VARIABLE, marker.value());
        let catalog = Catalog::new().server("awkward", change(Server::command(command)));
        let tenant = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();
        Self { runtime, tenant, marker }
    }

    async fn lease(&self) -> Result<Lease, Error> {
        self.tenant.lease("alice", "awkward").await
    }

    /// Closes everything and looks for what is left.
    async fn leaves_nothing(self) {
        let started = self.marker.processes();
        let report = self.runtime.drain(Duration::from_secs(10)).await;

        assert!(report.closed.iter().all(|session| session.gone), "{report:?}");
        assert_eq!(self.marker.processes(), [0; 0]);
        // Only ours: other tests of this program have children too.
        assert!(zombies().iter().all(|zombie| !started.contains(zombie)), "{started:?}");
    }
}

async fn echo(lease: &Lease) -> Result<String, Error> {
    let result = lease.call_tool(tool::ECHO, &json!({ "text": "hello" }))?.start().await?;
    Ok(String::from_utf8_lossy(&result.raw).into_owned())
}

async fn serves_as_usual(scenario: Scenario) {
    let house = House::with(scenario).await;
    let lease = house.lease().await.unwrap();

    for _ in 0..10 {
        let result = echo(&lease).await.unwrap();
        assert!(result.contains("hello"), "{scenario:?}: {result}");
    }

    drop(lease);
    house.leaves_nothing().await;
}

#[tokio::test]
async fn a_plain_server_serves() {
    serves_as_usual(Scenario::Plain).await;
}

#[tokio::test]
async fn garbage_between_frames_is_passed_over() {
    serves_as_usual(Scenario::GarbageBetweenFrames).await;
}

#[tokio::test]
async fn a_flood_on_standard_error_holds_nothing_up() {
    serves_as_usual(Scenario::StderrFlood).await;
}

#[tokio::test]
async fn answers_to_questions_that_nobody_asked_are_passed_over() {
    serves_as_usual(Scenario::UnknownIds).await;
}

#[tokio::test]
async fn a_second_answer_is_passed_over() {
    serves_as_usual(Scenario::DuplicateIds).await;
}

#[tokio::test]
async fn a_server_that_writes_single_bytes_is_understood() {
    serves_as_usual(Scenario::HalfFrames).await;
}

#[tokio::test]
async fn a_flood_of_requests_of_the_server_holds_no_call_up() {
    serves_as_usual(Scenario::ServerRequestFlood).await;
}

#[tokio::test]
async fn a_flood_of_notifications_holds_no_call_up_and_a_slow_subscriber_is_told_what_it_missed() {
    let house = House::with(Scenario::NotificationsFlood).await;
    let mut events = house.runtime.events();
    let lease = house.lease().await.unwrap();

    let result = echo(&lease).await.unwrap();
    let lagged = loop {
        match events.next().await.unwrap() {
            Ok(Event::Notification { .. } | Event::SessionOpened { .. }) => {}
            Ok(other) => panic!("{other:?}"),
            Err(lagged) => break lagged,
        }
        // Slower than the server.
        echo(&lease).await.unwrap();
    };

    assert!(result.contains("hello"));
    assert!(lagged.0 > 0);
    drop(lease);
    house.leaves_nothing().await;
}

#[tokio::test]
async fn a_line_larger_than_the_limit_ends_the_session_and_says_so() {
    for scenario in [Scenario::Line100Mib, Scenario::NoNewlineEver] {
        let house = House::with(scenario).await;
        let lease = house.lease().await.unwrap();

        let error = echo(&lease).await.unwrap_err();

        assert_eq!((error.code(), error.may_have_run()), ("too_large", MayHaveRun::Unknown), "{scenario:?}: {error}");
        assert!(error.to_string().contains("1048576"), "{error}");
        drop(lease);
        house.leaves_nothing().await;
    }
}

#[tokio::test]
async fn a_server_that_exits_in_mid_frame_fails_its_calls_at_once_and_the_next_lease_starts_another() {
    let house = House::with(Scenario::ExitMidFrame).await;
    let lease = house.lease().await.unwrap();
    let first = lease.info().process;

    let error = echo(&lease).await.unwrap_err();
    let again = house.lease().await.unwrap();

    assert_eq!((error.code(), error.may_have_run()), ("server_exited", MayHaveRun::Unknown));
    assert!(matches!(&error, Error::ServerExited { exit, .. } if exit.code == Some(3)), "{error:?}");
    assert_ne!(again.info().process, first);
    drop((lease, again));
    house.leaves_nothing().await;
}

#[tokio::test]
async fn the_last_lines_of_a_server_that_does_not_start_are_in_the_error() {
    let house = House::with(Scenario::ExitOnStart).await;

    let error = house.lease().await.unwrap_err();

    assert!(matches!(&error, Error::ServerExited { exit, .. } if exit.code == Some(7)), "{error:?}");
    assert!(error.to_string().contains("cannot open the database"), "{error}");
    house.leaves_nothing().await;
}

#[tokio::test]
async fn a_server_that_never_answers_the_handshake_is_given_up_and_gone() {
    for scenario in [Scenario::NeverAnswersInitialize, Scenario::StringIds] {
        let timeout = Duration::from_millis(700);
        let house = House::with_server(scenario, |server| server.open_timeout(timeout)).await;

        let error = house.lease().await.unwrap_err();

        assert!(matches!(error, Error::Timeout { phase: innkeeper::Phase::Open, .. }), "{scenario:?}: {error}");
        house.leaves_nothing().await;
    }
}

/// A process that only ever writes must not switch off the deadlines of its session.
#[tokio::test]
async fn a_server_that_writes_without_end_is_given_up_in_time() {
    let runtime = Runtime::builder().limits(limits()).start().await.unwrap();
    let marker = Marker::new();
    let command = Command::new("yes").env(Marker::VARIABLE, marker.value());
    let server = Server::command(command).open_timeout(Duration::from_millis(700));
    let tenant = runtime.tenant("acme").catalog(Catalog::new().server("yes", server)).apply().await.unwrap();

    let error = tenant.lease("alice", "yes").await.unwrap_err();

    assert!(matches!(error, Error::Timeout { phase: innkeeper::Phase::Open, .. }), "{error}");
    House { runtime, tenant, marker }.leaves_nothing().await;
}

#[tokio::test]
async fn what_a_server_says_when_it_refuses_the_handshake_is_the_error_verbatim() {
    let house = House::with(Scenario::AnswersInitializeWithError).await;

    let error = house.lease().await.unwrap_err();

    let Error::Server(error) = error else { panic!("{error}") };
    assert!(error.code().is_some() && error.message().is_some(), "{error:?}");
    house.leaves_nothing().await;
}

#[tokio::test]
async fn a_revision_that_nobody_knows_is_not_spoken() {
    let house = House::with(Scenario::WrongVersion).await;

    let error = house.lease().await.unwrap_err();

    assert!(matches!(error.code(), "unsupported" | "protocol_violation"), "{error:?}");
    house.leaves_nothing().await;
}

#[tokio::test]
async fn a_list_without_a_last_page_is_an_error() {
    for (scenario, code) in [(Scenario::EndlessPages, "too_large"), (Scenario::RepeatedCursor, "protocol_violation")] {
        let house = House::with(scenario).await;
        let lease = house.lease().await.unwrap();

        let error = lease.tools().await.unwrap_err();

        assert_eq!(error.code(), code, "{scenario:?}: {error}");
        assert!(echo(&lease).await.is_ok(), "the session goes on");
        drop(lease);
        house.leaves_nothing().await;
    }
}

#[tokio::test]
async fn a_server_that_asks_without_end_and_reads_nothing_ends_its_session() {
    let house = House::with(Scenario::PingFlood).await;
    let lease = house.lease().await.unwrap();

    let error = echo(&lease).await.unwrap_err();

    assert_eq!(error.code(), "unavailable", "{error}");
    assert!(error.to_string().contains("does not read its input"), "{error}");
    drop(lease);
    house.leaves_nothing().await;
}

#[tokio::test]
async fn a_server_that_reads_too_slowly_runs_into_the_deadline_of_the_call() {
    let house = House::with(Scenario::SlowReader).await;
    let lease = house.lease().await.unwrap();

    let large = json!({ "text": "x".repeat(900 * 1024) });
    let call = lease.call_tool(tool::ECHO, &large).unwrap().deadline(Duration::from_millis(300));
    let error = call.start().await.unwrap_err();

    assert_eq!((error.code(), error.may_have_run()), ("timeout", MayHaveRun::Unknown), "{error}");
    drop(lease);
    house.leaves_nothing().await;
}

#[tokio::test]
async fn a_server_that_closes_its_output_is_gone_even_if_it_would_live_on() {
    let house = House::with(Scenario::ClosesStdoutButLives).await;
    let lease = house.lease().await.unwrap();

    let error = echo(&lease).await.unwrap_err();

    assert_eq!(error.code(), "server_exited", "{error}");
    drop(lease);
    house.leaves_nothing().await;
}

#[tokio::test]
async fn a_server_that_ignores_the_end_of_its_input_is_ended_by_signals() {
    for scenario in [Scenario::IgnoresEof, Scenario::IgnoresEofAndTerm] {
        let house = House::with(scenario).await;
        let lease = house.lease().await.unwrap();
        assert!(echo(&lease).await.is_ok());

        drop(lease);
        house.leaves_nothing().await;
    }
}

#[tokio::test]
async fn a_child_that_a_server_leaves_in_its_group_is_ended_after_a_polite_exit_too() {
    let house = House::with(Scenario::Grandchild).await;
    let lease = house.lease().await.unwrap();
    assert!(echo(&lease).await.is_ok());
    assert_eq!(house.marker.processes().len(), 2);

    drop(lease);
    house.leaves_nothing().await;
}

#[tokio::test]
async fn a_drain_whose_deadline_has_passed_ends_everything_by_force() {
    let house = House::with(Scenario::IgnoresEofAndTerm).await;
    let _lease = house.lease().await.unwrap();

    let report = house.runtime.drain(Duration::ZERO).await;

    assert!(report.closed.iter().all(|session| session.gone && !session.in_time), "{report:?}");
    assert_eq!(house.marker.processes(), [0; 0]);
}

/// No task is needed for the end of a process: the tokio runtime is gone before it.
#[test]
fn processes_end_with_a_tokio_runtime_that_is_dropped() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (marker, runtime) = tokio.block_on(async {
        let house = House::with(Scenario::IgnoresEofAndTerm).await;
        let lease = house.lease().await.unwrap();
        assert_eq!(house.marker.processes().len(), 1);
        std::mem::forget(lease);
        (house.marker.clone(), house.runtime.clone())
    });

    drop(tokio);
    drop(runtime);

    let give_up = Instant::now() + Duration::from_secs(20);
    while !marker.processes().is_empty() {
        assert!(Instant::now() < give_up, "a process outlived its runtime");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_server_sees_only_the_allowed_part_of_the_environment() {
    let house = House::with(Scenario::Plain).await;
    let lease = house.lease().await.unwrap();

    let call = lease.call_tool(tool::ENVIRONMENT, &json!({})).unwrap();
    let environment = String::from_utf8(call.start().await.unwrap().raw.to_vec()).unwrap();

    // Cargo sets dozens of these for a test.
    assert!(std::env::vars().any(|(name, _)| name.starts_with("CARGO")), "the test cannot tell");
    assert!(!environment.contains("CARGO"), "{environment}");
    assert!(environment.contains("PATH=") && environment.contains(Marker::VARIABLE), "{environment}");
    drop(lease);
    house.leaves_nothing().await;
}

#[tokio::test]
async fn a_command_that_does_not_exist_says_what_to_do() {
    let runtime = Runtime::builder().start().await.unwrap();
    let catalog = Catalog::new()
        .server("name", Server::command("no-such-command-anywhere"))
        .server("path", Server::command("/no/such/file"))
        .server("folder", Server::command(Command::new("cat").current_dir("/no/such/folder")));
    let tenant = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();

    for (server, said) in
        [("name", "on PATH; install it"), ("path", "no file `/no/such/file`"), ("folder", "/no/such/folder")]
    {
        let error = tenant.lease("alice", server).await.unwrap_err();
        assert_eq!(error.code(), "start_failed");
        assert!(error.to_string().contains(said), "{error}");
    }
    assert_eq!(
        tenant.lease("alice", "other").await.unwrap_err().to_string(),
        "there is no server `other`; there are: folder, name, path"
    );
}
