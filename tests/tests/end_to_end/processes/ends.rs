//! Servers that end while nobody asks them for anything: it is noticed by their end, and not by the next call.

use innkeeper::{Command, Error, Event, Events, Lease, MayHaveRun, Server, ServerExit};
use innkeeper_tests::{
    artifacts,
    awkward::Scenario,
    hosting::signal_to,
    processes::{Marker, zombies},
};
use rustix::process::Signal;
use serde_json::json;

use super::{builder, close, command, in_time, lease, tenant};

/// Waits for the end of a session. Nothing is sent to it meanwhile.
async fn end_of(lease: &Lease, events: &mut Events) -> (&'static str, String) {
    in_time(async {
        loop {
            match events.next().await.unwrap().unwrap() {
                Event::SessionClosing { session, code, reason } if session == lease.session() => break (code, reason),
                _ => {}
            }
        }
    })
    .await
}

/// What the next call is told.
async fn next_call(lease: &Lease) -> ServerExit {
    let call = lease.call_tool("echo", &json!({ "text": "hello" })).unwrap().start();
    match in_time(call).await.unwrap_err() {
        Error::ServerExited { exit, may_have_run: MayHaveRun::No, .. } => exit,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_is_killed_while_idle_is_noticed_at_once() {
    // One whose child holds its output: the end of the output would not tell.
    for scenario in [Scenario::Plain, Scenario::Grandchild] {
        let marker = Marker::new();
        let runtime = builder().start().await.unwrap();
        let mut events = runtime.events();
        let acme = tenant(&runtime, "acme", Server::command(command(scenario, &marker))).await;
        let idle = lease(&acme, "alice").await.unwrap();
        let process = idle.info().process.unwrap();

        signal_to(process, Signal::KILL);
        let (code, reason) = end_of(&idle, &mut events).await;

        assert_eq!(code, "server_exited", "{scenario:?}: {reason}");
        assert!(reason.contains("was ended by signal 9"), "{scenario:?}: {reason}");
        assert_eq!(next_call(&idle).await.signal, Some(9), "{scenario:?}");
        assert_eq!(idle.check().unwrap_err().code(), "server_exited");
        // Whoever comes next has another, and nothing is left of this one.
        let next = lease(&acme, "alice").await.unwrap();
        assert!(!marker.processes().contains(&process) && !zombies().contains(&process));
        assert_ne!(next.info().process, Some(process));
        close(&runtime).await;
        assert_eq!(marker.processes(), [0; 0]);
    }
}

#[tokio::test]
async fn a_server_that_exits_while_idle_is_noticed_at_once_with_its_status_and_last_words() {
    let marker = Marker::new();
    let found = artifacts::awkward_server(Scenario::Plain);
    // A launcher that goes when what it launched does.
    let script = r#""$0" "$1"; echo "the licence has expired" >&2; exit 5"#;
    let program = found.program.to_str().unwrap();
    let launcher = Command::new("sh").args(["-c", script, program, Scenario::Plain.name()]);
    let runtime = builder().start().await.unwrap();
    let mut events = runtime.events();
    let server = Server::command(launcher.env(Marker::VARIABLE, marker.value()));
    let acme = tenant(&runtime, "acme", server).await;
    let idle = lease(&acme, "alice").await.unwrap();

    let launched = marker.processes().into_iter().find(|process| Some(*process) != idle.info().process);
    signal_to(launched.unwrap(), Signal::TERM);
    let (code, reason) = end_of(&idle, &mut events).await;
    let exit = next_call(&idle).await;

    assert_eq!(code, "server_exited", "{reason}");
    assert!(reason.contains("exited with status 5") && reason.contains("the licence has expired"), "{reason}");
    assert_eq!((exit.code, exit.signal), (Some(5), None));
    assert_eq!(exit.stderr.last().map(String::as_str), Some("the licence has expired"));
    close(&runtime).await;
    assert_eq!(marker.processes(), [0; 0]);
}
