//! The example of an agent platform, run as people run it: with real servers, until somebody presses Ctrl-C.

use std::{process::Stdio, time::Duration};

use innkeeper_tests::{artifacts, hosting::signal_to, processes::children};
use rustix::process::Signal;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{ChildStdout, Command},
    time::timeout,
};

/// For a whole run: interpreters start slowly beside other tests.
const PATIENCE: Duration = Duration::from_secs(180);

/// A shell that says how the program ended.
const SAY_EXIT: &str = r#""$@"; echo "exit $?""#;

async fn line(output: &mut Lines<BufReader<ChildStdout>>) -> Option<String> {
    timeout(PATIENCE, output.next_line()).await.expect("it goes on, or ends").unwrap()
}

/// Waits for a line that is as it is to be.
async fn until(
    output: &mut Lines<BufReader<ChildStdout>>,
    said: &mut String,
    what: &str,
    is_it: impl Fn(&str) -> bool,
) {
    while let Some(line) = line(output).await {
        said.push_str(&line);
        said.push('\n');
        if is_it(&line) {
            return;
        }
    }
    panic!("{what:?} is never said:\n{said}");
}

/// The number before a word.
fn count(line: &str, word: &str) -> usize {
    let before = line.split(word).next().unwrap().trim_end();
    before.rsplit(' ').next().unwrap().parse().unwrap_or_else(|error| panic!("{word:?} in {line:?}: {error}"))
}

#[tokio::test]
async fn a_platform_of_real_servers_survives_a_kill_and_reaps_and_leaves_nothing_when_it_is_interrupted() {
    artifacts::everything_server();
    artifacts::time_server();
    // Adopts whatever gets away, and counts it.
    let mut witness = Command::new(artifacts::program("witness"))
        .args(["-", "sh", "-c", SAY_EXIT, "sh"])
        .arg(artifacts::program("innkeeper-agent-platform"))
        .args(["--seconds", "600"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Not killed: where this test fails, the end of its input has it end everything.
        .spawn()
        .unwrap();
    let mut output = BufReader::new(witness.stdout.take().unwrap()).lines();
    let shell: u32 = line(&mut output).await.unwrap().parse().unwrap();
    let mut said = String::new();

    for what in [
        "tenant `globex` is denied",
        "killed process",
        "acme/alice with everything is back, with connection 2",
        "acme/carol with everything is closed",
    ] {
        if !said.contains(what) {
            until(&mut output, &mut said, what, |line| line.contains(what)).await;
        }
    }
    until(&mut output, &mut said, "a row of the table", |line| {
        line.split_whitespace().take(6).eq(["acme", "(all)", "time", "ready", "1", "0"])
    })
    .await;
    signal_to(children(shell)[0], Signal::INT);
    until(&mut output, &mut said, "the end", |line| line == "the end").await;
    let mut end = Vec::new();
    while let Some(line) = line(&mut output).await {
        end.push(line.trim().to_owned());
    }

    let [calls, sessions, drain, left, verdict, exit, .., witnessed] = end.as_slice() else {
        panic!("{end:?}");
    };
    let failures: Vec<_> = calls.split("failed: ").nth(1).unwrap().split(", ").collect();
    // A call that was under way when its server was killed is made again, unless the list of tools was just being had anew.
    let meant = |failure: &&str| failure.ends_with(" denied") || *failure == "1 server_exited";
    assert!(failures.iter().all(meant) && failures[0].ends_with(" denied"), "{calls}");
    // On a machine that is busy with others, more of them may have been idle for too long.
    assert!(count(sessions, "reaped") >= 1 && sessions.contains("1 connected anew after 1 killed"), "{sessions}");
    assert!(count(drain, "sessions") >= 1, "{drain}");
    assert_eq!(left, "left      0 sessions, 0 processes");
    assert_eq!((verdict.as_str(), exit.as_str(), witnessed.as_str()), ("all as it should be", "exit 0", "left 0"));
    assert!(said.contains("secret `everything/token` of acme/alice"));
    for secret in ["alice-3f9c2a7e", "bob-81d04b6c", "carol-e57a9d12"] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[tokio::test]
async fn a_platform_whose_time_is_over_before_its_servers_are_open_ends_as_well() {
    let mut run = Command::new(artifacts::program("innkeeper-agent-platform"));
    run.args(["--seconds", "1"]).kill_on_drop(true);

    let output = timeout(PATIENCE, run.output()).await.expect("it ends").unwrap();

    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("left      0 sessions, 0 processes\n  all as it should be\n"), "{said}");
}
