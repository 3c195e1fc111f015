//! Signals that ask the program to end: it closes what it opened, and says by its status which signal it was.

use std::process::Stdio;

use innkeeper_tests::awkward::Scenario;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use super::{Desk, PATIENCE, Run};

/// Waits until a line of the program's log contains a word.
async fn wait_for(child: &mut Child, word: &str) {
    let mut lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    let found = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains(word) {
                return true;
            }
        }
        false
    };
    assert!(timeout(PATIENCE, found).await.unwrap_or(false), "the log says nothing of {word:?}");
}

async fn send(signal: &str, child: &Child) {
    let pid = child.id().expect("the program runs").to_string();
    let status = Command::new("sh")
        .args(["-c", "kill -s \"$1\" \"$2\"", "sh", signal, &pid])
        .stdin(Stdio::null())
        .status()
        .await;
    assert!(status.unwrap().success());
}

/// Starts a command, waits until its log contains a word, sends a signal, and waits for the end.
async fn interrupted(desk: &Desk, arguments: &[&str], word: &str, signal: &str) -> Run {
    let mut child = desk.command(arguments).spawn().unwrap();
    wait_for(&mut child, word).await;
    send(signal, &child).await;
    desk.end_of(child, arguments).await
}

#[tokio::test]
async fn an_interrupted_call_leaves_no_server_even_of_those_that_ignore_their_end() {
    for scenario in [Scenario::Plain, Scenario::IgnoresEof, Scenario::IgnoresEofAndTerm, Scenario::Grandchild] {
        let desk = Desk::with(&[scenario]);
        let call = ["call", &format!("{}.sleep", scenario.name()), "ms:=300000", "-v"];

        let run = interrupted(&desk, &call, "opened the server", "INT").await;

        // That nothing is left is checked by the desk.
        assert_eq!((run.exit(), run.stdout.as_str()), (130, ""), "{scenario:?}: {run:?}");
    }
}

#[tokio::test]
async fn the_status_names_the_signal_and_programs_get_their_document() {
    for (signal, status) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let desk = Desk::with(&[]);
        let call = ["call", "demo.countdown", "steps:=6000", "delay_ms:=50", "-v", "--json"];

        // Progress: the call is under way.
        let run = interrupted(&desk, &call, "to go", signal).await;

        assert_eq!(run.exit(), status);
        assert_eq!(run.json()["error"]["code"], "interrupted");
    }
}

#[tokio::test]
async fn a_server_that_is_still_opening_is_closed_too() {
    let desk = Desk::with(&[Scenario::NeverAnswersInitialize]);
    let mut child = desk.command(&["ping", "never-answers-initialize", "-v"]).spawn().unwrap();

    wait_for(&mut child, "loaded the guest").await;
    let started = async {
        while desk.marker.processes().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, started).await.expect("the server starts");
    send("INT", &child).await;

    assert_eq!(desk.end_of(child, &["ping"]).await.exit(), 130);
}

#[tokio::test]
async fn a_second_interrupt_is_no_crash() {
    let desk = Desk::with(&[Scenario::IgnoresEofAndTerm]);
    let call = ["call", "ignores-eof-and-term.sleep", "ms:=300000", "-v"];
    let mut child = desk.command(&call).spawn().unwrap();
    wait_for(&mut child, "opened the server").await;

    send("INT", &child).await;
    wait_for(&mut child, "interrupted").await;
    send("INT", &child).await;

    // That nothing is left is checked by the desk.
    assert_eq!(desk.end_of(child, &call).await.exit(), 130);
}
