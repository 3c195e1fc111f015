//! What is said when a server, a limit or a guest is in the way, and the status that tells a script which.

use innkeeper_tests::{
    artifacts::{self, ServerCommand},
    awkward::Scenario,
};
use serde_json::Value;

use super::{Desk, assert_says};

/// A command, its status, its code, and words of what is said.
type Case<'a> = (&'a [&'a str], i32, &'a str, &'a [&'a str]);

/// Asserts that a failure is told to people, scripts and programs alike.
async fn assert_fails(desk: &Desk, (arguments, status, code, said): Case<'_>) -> Value {
    let text = desk.run(arguments).await.failure(status);
    assert!(text.starts_with("error: "), "{arguments:?}: {text}");
    assert_says(&text, said);

    let run = desk.run(&[arguments, &["--json"]].concat()).await;
    let document = run.json();
    assert_eq!((run.exit(), run.stderr.as_str()), (status, ""), "{arguments:?}");
    assert_eq!(document["error"]["code"], code, "{arguments:?}: {document}");
    document
}

#[tokio::test]
async fn a_server_that_fails_is_status_3() {
    let desk = Desk::with(&[
        Scenario::ExitOnStart,
        Scenario::ExitMidFrame,
        Scenario::AnswersInitializeWithError,
        Scenario::WrongVersion,
        Scenario::RepeatedCursor,
    ]);
    let cases: [Case<'_>; 5] = [
        (&["ping", "exit-on-start"], 3, "server_exited", &["exited with status 7", "| cannot open the database"]),
        (&["call", "exit-mid-frame.echo", "text=a"], 3, "server_exited", &["exited with status 3"]),
        (&["ping", "answers-initialize-with-error"], 3, "server_error", &["the licence has expired"]),
        (&["ping", "wrong-version"], 3, "unsupported", &["1999-12-31", "2025-11-25"]),
        (&["tools", "repeated-cursor"], 3, "protocol_violation", &["same cursor again", "-v"]),
    ];

    for case in cases {
        assert_fails(&desk, case).await;
    }
}

#[tokio::test]
async fn a_command_that_starts_no_server_is_status_3() {
    let desk = Desk::new();
    let server = |program: &str, args: &[&str]| ServerCommand {
        program: program.into(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
    };
    let servers = [
        ("absent", server("no-such-command", &[])),
        ("silent", server("true", &[])),
        ("talks", server("echo", &["hello"])),
    ];
    desk.write("mcp.json", desk.mcp_json(servers));
    let cases: [Case<'_>; 3] = [
        (&["ping", "absent"], 3, "start_failed", &["no command `no-such-command` on PATH", "install it"]),
        (&["ping", "silent"], 3, "server_exited", &["exited with status 0", "MCP server over stdio?"]),
        (&["ping", "talks"], 3, "server_exited", &["exited with status 0", "MCP server over stdio?"]),
    ];

    for case in cases {
        assert_fails(&desk, case).await;
    }
}

#[tokio::test]
async fn a_server_that_is_too_slow_is_status_3_after_the_time_that_was_given() {
    let desk = Desk::with(&[Scenario::NeverAnswersInitialize, Scenario::Plain]);
    let said: &[&str] = &["took longer than 300ms", "--timeout"];
    let cases: [Case<'_>; 2] = [
        (&["ping", "never-answers-initialize", "--timeout", "300ms"], 3, "timeout", said),
        (&["--timeout", "300ms", "call", "plain.sleep", "ms:=300000"], 3, "timeout", said),
    ];

    for case in cases {
        assert_fails(&desk, case).await;
    }
}

#[tokio::test]
async fn what_is_larger_than_a_message_may_be_is_status_4() {
    const FRAME: usize = 16 << 20;
    let desk = Desk::with(&[Scenario::Plain, Scenario::EndlessPages]);
    let object = |length: usize| format!(r#"{{"text":"{}"}}"#, "x".repeat(length - r#"{"text":""}"#.len()));
    // The one fits by itself, but not with what the message has around it.
    desk.write("largest.json", object(FRAME));
    desk.write("larger.json", object(FRAME + 1));
    let said: &[&str] = &["is larger than 16 MiB", "pass a file instead, or ask for less"];
    let cases: [Case<'_>; 4] = [
        (&["call", "plain.echo", "--args", "@largest.json"], 4, "too_large", said),
        (&["call", "plain.echo", "--args", "@larger.json"], 4, "too_large", said),
        (&["call", "plain.fill", "bytes:=17000000"], 4, "too_large", said),
        (&["tools", "endless-pages"], 4, "too_large", &["more than 1000 pages"]),
    ];

    for case in cases {
        let document = assert_fails(&desk, case).await;
        // Settings of the library are of no use here.
        assert!(!document.to_string().contains("Limits::"), "{document}");
    }
    assert_eq!(desk.run(&["call", "plain.fill", "bytes:=1000000"]).await.text().len(), 1_000_001);
}

#[tokio::test]
async fn a_file_that_is_no_guest_is_status_2_and_named() {
    let desk = Desk::with(&[]);
    desk.write("text.wasm", "hello");
    desk.write("module.wasm", b"\0asm\x01\0\0\0");
    let importing = artifacts::guest("innkeeper-importing-guest");
    let cases: [Case<'_>; 4] = [
        (&["ping", "--guest", "none.wasm"], 2, "bad_component", &["none.wasm"]),
        (&["ping", "--guest", "text.wasm"], 2, "bad_component", &["is not WebAssembly", "text.wasm"]),
        (&["ping", "--guest", "module.wasm"], 2, "bad_component", &["core wasm module", "module.wasm"]),
        (
            &["--guest", importing.to_str().unwrap(), "ping"],
            2,
            "bad_component",
            &["imports `wasi:clocks/monotonic-clock", "a guest imports nothing"],
        ),
    ];

    for case in cases {
        assert_fails(&desk, case).await;
    }
}

#[tokio::test]
async fn a_guest_for_another_protocol_is_named_as_the_likely_cause() {
    let desk = Desk::with(&[]);
    let telegraph = artifacts::guest("innkeeper-telegraph-guest");
    let telegraph = telegraph.to_str().unwrap();

    let said = ["took longer than 300ms", "does the guest", telegraph, "speak the server's protocol?"];
    assert_fails(&desk, (&["ping", "demo", "--timeout", "300ms", "--guest", telegraph], 3, "timeout", &said)).await;
}
