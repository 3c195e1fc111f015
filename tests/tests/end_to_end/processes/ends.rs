//! Servers that end while nobody asks them for anything: it is noticed by their end, and not by the next call.

use innkeeper::{Command, Event, Events, Lease, Server};
use innkeeper_tests::{
    artifacts,
    awkward::Scenario,
    hosting::signal_to,
    processes::{Marker, zombies},
};
use rustix::process::Signal;
use serde_json::json;

use super::{builder, close, command, in_time, lease, tenant};

/// Waits until a session has lost its connection. Nothing is sent to it meanwhile.
async fn loss_of(lease: &Lease, events: &mut Events) -> (&'static str, String) {
    in_time(async {
        loop {
            match events.next().await.unwrap().unwrap() {
                Event::SessionDisconnected { session, code, reason, .. } if session == lease.session() => {
                    break (code, reason);
                }
                _ => {}
            }
        }
    })
    .await
}

/// Calls a tool, which there must be a server for.
async fn echo(lease: &Lease) {
    let call = lease.call_tool("echo", &json!({ "text": "hello" })).unwrap().start();
    in_time(call).await.unwrap();
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
        let (code, reason) = loss_of(&idle, &mut events).await;

        assert_eq!(code, "server_exited", "{scenario:?}: {reason}");
        assert!(reason.contains("was ended by signal 9"), "{scenario:?}: {reason}");
        assert!(runtime.status().sessions[0].error.as_ref().unwrap().contains("signal 9"), "{scenario:?}");
        // The next call has another, and nothing is left of this one.
        echo(&idle).await;
        assert!(!marker.processes().contains(&process) && !zombies().contains(&process));
        assert_ne!(idle.info().process, Some(process));
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
    let (code, reason) = loss_of(&idle, &mut events).await;

    assert_eq!(code, "server_exited", "{reason}");
    assert!(reason.contains("exited with status 5") && reason.contains("the licence has expired"), "{reason}");
    close(&runtime).await;
    assert_eq!(marker.processes(), [0; 0]);
}
