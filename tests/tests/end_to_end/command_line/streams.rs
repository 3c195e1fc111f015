//! What goes to which stream, and what does not belong into a pipe.

use std::{io, process::Stdio};

use innkeeper_tests::awkward::Scenario;

use super::{Desk, assert_says};

#[tokio::test]
async fn a_pipe_gets_neither_colour_nor_a_spinner() {
    let desk = Desk::with(&[Scenario::ExitOnStart]);
    // The last one takes longer than it takes a spinner to appear.
    let commands: [&[&str]; 5] = [
        &["list"],
        &["tools", "-v"],
        &["nonsense"],
        &["help"],
        &["call", "demo.countdown", "steps:=15", "delay_ms:=100"],
    ];

    for arguments in commands {
        let run = desk.run(arguments).await;

        assert!(!run.stdout.contains(['\u{1b}', '\r']), "{run:?}");
        assert!(!run.stderr.contains(['\u{1b}', '\r']), "{run:?}");
    }
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_failure() {
    let desk = Desk::with(&[]);
    for arguments in [&["list"][..], &["tools"], &["tools", "--json"], &["help"], &["config", "check"]] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);

        let child = desk.command(arguments).stdout(writer).stdin(Stdio::null()).spawn().unwrap();
        let run = desk.end_of(child, arguments).await;

        assert_eq!((run.exit(), run.stderr.as_str()), (0, ""), "{arguments:?}");
    }
}

#[tokio::test]
async fn the_log_stays_out_of_standard_output() {
    let desk = Desk::with(&[]);

    let run = desk.run(&["call", "demo.echo", "text=hi", "-vvv", "--json"]).await;

    assert_eq!(run.json()["result"]["content"][0]["text"], "hi");
    assert_says(&run.stderr, &["opened the server"]);
}

#[tokio::test]
async fn the_log_at_its_fullest_can_be_read() {
    let desk = Desk::with(&[]);

    let run = desk.run(&["call", "demo.echo", "text=hi", "-vvv"]).await;

    // A compiler of WebAssembly that was built for debugging has millions of lines to say.
    assert!(!run.stderr.contains("cranelift"), "{} bytes", run.stderr.len());
    assert_says(&run.stderr, &["DEBUG", "innkeeper"]);
}

#[tokio::test]
async fn what_a_server_writes_to_standard_error_is_shown_on_request() {
    let desk = Desk::with(&[Scenario::ExitOnStart]);
    let line = "cannot open the database";

    let quiet = desk.run(&["ping", "exit-on-start"]).await;
    let verbose = desk.run(&["ping", "exit-on-start", "-v"]).await;

    // Once as the reason of the failure; and once when it was written.
    assert_eq!(quiet.stderr.matches(line).count(), 1, "{quiet:?}");
    assert_eq!(verbose.stderr.matches(line).count(), 2, "{verbose:?}");
}
