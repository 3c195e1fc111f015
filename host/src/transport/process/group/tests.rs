//! Servers in process groups: what a connection is made of, and what ends with it.
//!
//! Whatever a server starts has its standard output, so that the end of what can be read from there is the end of all of them.
//! That holds on every system, without asking for processes by their ids.

use std::{
    fs::File,
    future::{pending, poll_fn},
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};

use super::*;
use crate::{
    Isolation, Limits, ProcessLimits,
    isolation::Confinement,
    transport::{
        Command, ConnectError, Connection, ExitStatus,
        process::{
            PrivateFolders,
            folders::PrivateFolder,
            harness::{BOUND, SESSION, connect, line, outcome, quick_close, shell},
        },
    },
};

const KILLED: ExitStatus = ExitStatus { code: None, signal: Some(9) };

async fn start_with(command: Command, isolation: Isolation, limits: ProcessLimits) -> Result<Connection, ConnectError> {
    let confinement = Confinement { isolation, allow_privileges: false, limits };
    connect(&ProcessConnector::new(command, Arc::default(), None, confinement, &quick_close())).await
}

async fn start(script: &str) -> Connection {
    start_with(shell(script), Isolation::Basic, ProcessLimits::default()).await.expect("a shell starts")
}

async fn refusal(command: Command) -> String {
    let refused = start_with(command, Isolation::Basic, ProcessLimits::default()).await;
    refused.expect_err("it cannot be started").to_string()
}

/// Closes a connection, as a session does, and waits: for what all of its processes write until the last has ended, and for
/// the status.
async fn rest(mut connection: Connection) -> (String, ExitStatus) {
    let ended = connection.peer.ended().expect("a process ends");
    drop(connection.writer);
    connection.peer.close();
    let mut output = String::new();
    let both = async { tokio::join!(connection.reader.read_to_string(&mut output), ended) };
    let (read, status) = timeout(BOUND, both).await.expect("in time");
    read.expect("text");
    (output, status)
}

fn process(id: &str) -> Pid {
    Pid::from_raw(id.parse().expect("an id")).expect("an id")
}

#[tokio::test]
async fn a_server_has_its_streams_its_arguments_and_its_status() {
    let script = "read line; echo \"$0 $1 $line\"; echo problem >&2; exit 7";
    let command = Command::new("/bin/sh").args(["-c", script, "zero", "one two"]);

    let mut connection = start_with(command, Isolation::Basic, ProcessLimits::default()).await.expect("it starts");
    connection.writer.write_all(b"said\n").await.expect("it reads");
    let ended = connection.peer.ended().expect("a process ends");

    assert_eq!(line(&mut connection).await, "zero one two said");
    assert_eq!(timeout(BOUND, ended).await.expect("in time"), ExitStatus { code: Some(7), signal: None });
    assert_eq!(connection.peer.last_lines(), ["problem"]);
    assert_eq!(connection.peer.lost(), None);
}

#[tokio::test]
async fn a_server_that_a_signal_ends_says_which() {
    let (_, status) = outcome(start("kill -s SEGV $$").await).await;

    assert_eq!(status, ExitStatus { code: None, signal: Some(11) });
}

#[tokio::test]
async fn why_a_server_cannot_be_started_is_said() {
    assert_eq!(
        refusal(Command::new("no-such-program")).await,
        "there is no command `no-such-program` on PATH; install it, or give its full path"
    );
    assert_eq!(refusal(Command::new("/none/such")).await, "there is no file `/none/such`");
    assert_eq!(refusal(Command::new("/etc/passwd")).await, "`/etc/passwd` is not executable for this user");
    assert_eq!(refusal(Command::new("/bin/sh").current_dir("/none")).await, "its folder `/none` does not exist");
}

#[tokio::test]
async fn a_server_that_is_to_be_guarded_is_refused_and_what_to_write_is_said() {
    let refused = start_with(shell("true"), Isolation::Guarded, ProcessLimits::default()).await;

    let error = refused.expect_err("it is not started").of("time".into());

    assert_eq!(error.code(), "isolation");
    assert!(error.to_string().contains("`\"isolation\": \"basic\"`"), "{error}");
}

#[tokio::test]
async fn a_polite_server_ends_with_its_input() {
    let mut connection = start("echo ready; cat; exit 3").await;
    line(&mut connection).await;

    let (_, status) = rest(connection).await;

    assert_eq!(status, ExitStatus { code: Some(3), signal: None });
}

#[tokio::test]
async fn one_that_ignores_the_end_of_its_input_is_terminated() {
    let mut connection = start("trap 'echo told; exit 4' TERM; echo ready; while :; do sleep 0.01; done").await;
    line(&mut connection).await;

    let (output, status) = rest(connection).await;

    assert_eq!((output.as_str(), status), ("told\n", ExitStatus { code: Some(4), signal: None }));
}

#[tokio::test]
async fn one_that_ignores_everything_is_killed_with_what_it_started() {
    let mut connection = start("trap '' TERM HUP; sleep 600 & echo ready; sleep 600; sleep 600").await;
    line(&mut connection).await;

    let (_, status) = rest(connection).await;

    assert_eq!(status, KILLED);
}

#[tokio::test]
async fn one_that_stops_itself_is_killed() {
    let mut connection = start("echo ready; kill -s STOP $$").await;
    line(&mut connection).await;

    let (_, status) = rest(connection).await;

    assert_eq!(status, KILLED);
}

#[tokio::test]
async fn the_end_of_the_socket_is_enough() {
    let mut connection = start("trap '' TERM HUP; sleep 600 & echo ready; sleep 600; sleep 600").await;
    line(&mut connection).await;
    let Connection { mut reader, writer, peer, .. } = connection;

    // Nothing of the host waits for it, as after a kill of the host.
    drop((writer, peer));

    timeout(BOUND, reader.read_to_end(&mut Vec::new())).await.expect("in time").expect("an end");
}

#[tokio::test]
async fn a_kill_does_not_wait_for_the_ladder() {
    let limits = Limits { close_input: Duration::from_secs(600), ..quick_close() };
    let basic = Confinement { isolation: Isolation::Basic, ..Confinement::default() };
    let connector = ProcessConnector::new(shell("sleep 600 & sleep 600"), Arc::default(), None, basic, &limits);
    let connection = connect(&connector).await.expect("it starts");
    connection.peer.close();

    connection.peer.kill();

    let (_, status) = outcome(connection).await;
    assert_eq!(status, KILLED);
}

#[tokio::test]
async fn what_a_server_leaves_behind_ends_when_it_has_and_so_does_the_watcher() {
    let mut connection = start("ps -o pgid= -p $$ | tr -d ' '; sleep 600 & exit 0").await;
    let group = process(&line(&mut connection).await);

    let (_, status) = outcome(connection).await;

    // The output has ended, and so has whatever had it; the watcher, which leads the group, was waited for.
    assert_eq!(status, ExitStatus { code: Some(0), signal: None });
    assert!(test_kill_process(group).is_err());
}

#[tokio::test]
async fn a_server_that_signals_its_group_does_not_lose_its_watcher() {
    let mut connection = start("trap '' TERM; kill -s TERM 0; echo ready; trap '' HUP; sleep 600; true").await;
    line(&mut connection).await;

    let (_, status) = rest(connection).await;

    assert_eq!(status, KILLED);
}

#[tokio::test]
async fn a_watcher_that_is_killed_takes_its_session_along_and_that_is_said() {
    let mut connection = start("ps -o pgid= -p $$ | tr -d ' '; sleep 600; true").await;
    let watcher = process(&line(&mut connection).await);
    let ended = connection.peer.ended().expect("a process ends");

    kill_process(watcher, Signal::KILL).expect("it is ours");

    assert_eq!(timeout(BOUND, ended).await.expect("in time"), KILLED);
    assert!(connection.peer.lost().expect("nobody meant it").contains("watcher"));
}

#[tokio::test]
async fn a_server_that_leaves_its_group_is_still_ended_by_its_host() {
    let leave = "import os, time; os.setsid(); print('left', flush=True); time.sleep(600)";
    let command = Command::new("python3").args(["-c", leave]);
    let mut connection = start_with(command, Isolation::Basic, ProcessLimits::default()).await.expect("it starts");
    assert_eq!(line(&mut connection).await, "left");

    let (_, status) = rest(connection).await;

    assert_eq!(status, KILLED);
}

/// A file that a server holds open, in a folder that goes with it.
struct Held {
    file: PathBuf,
    _folder: PrivateFolder,
}

impl Held {
    fn new() -> Self {
        let folder = PrivateFolders::default().make(SESSION).expect("a folder");
        let [(_, home), ..] = folder.variables();
        let file = Path::new(&home).join("held");
        assert!(std::process::Command::new("mkfifo").arg(&file).status().expect("mkfifo").success());
        Self { file, _folder: folder }
    }

    /// Says when somebody holds it, and when nobody does any more.
    fn watch(&self) -> UnboundedReceiver<&'static str> {
        let (sender, news) = unbounded_channel();
        let file = self.file.clone();
        // A thread that a failing test does not wait for.
        std::thread::spawn(move || {
            let mut file = File::open(file);
            let _ = sender.send("held");
            let end = file.as_mut().map(|file| file.read(&mut [0]));
            let _ = sender.send(if matches!(end, Ok(Ok(0))) { "let go" } else { "not a pipe" });
        });
        news
    }
}

/// A server that ends for `SIGKILL` only, and holds a file.
fn stubborn_holder_of(file: &str) -> ProcessConnector {
    let command = shell(&format!("exec 3>'{file}'; trap '' TERM HUP; sleep 600 & sleep 600; sleep 600"));
    let basic = Confinement { isolation: Isolation::Basic, ..Confinement::default() };
    ProcessConnector::new(command, Arc::default(), None, basic, &quick_close())
}

#[tokio::test]
async fn a_start_that_nobody_waits_for_leaves_nothing() {
    let held = Held::new();
    let connector = stubborn_holder_of(held.file.to_str().expect("text"));
    let mut connecting = Box::pin(connect(&connector));
    // Polled once, it has begun.
    assert!(poll_fn(|context| Poll::Ready(connecting.as_mut().poll(context))).await.is_pending());
    let mut news = held.watch();
    assert_eq!(timeout(BOUND, news.recv()).await.expect("in time"), Some("held"));

    drop(connecting);

    assert_eq!(timeout(BOUND, news.recv()).await.expect("in time"), Some("let go"));
}

#[tokio::test]
async fn a_host_that_is_killed_leaves_nothing() {
    const HELD: &str = "INNKEEPER_TEST_HELD";
    const NAME: &str = "transport::process::group::tests::a_host_that_is_killed_leaves_nothing";
    // This test is also the host, in a process of its own.
    if let Ok(file) = std::env::var(HELD) {
        let _connection = connect(&stubborn_holder_of(&file)).await;
        return pending().await;
    }
    let held = Held::new();
    let mut news = held.watch();
    let program = std::env::current_exe().expect("this program");
    let mut host = std::process::Command::new(program);
    let mut host = host.args(["--exact", NAME]).env(HELD, &held.file).spawn().expect("it starts");
    assert_eq!(timeout(BOUND, news.recv()).await.expect("in time"), Some("held"));

    host.kill().expect("it is ours");
    host.wait().expect("it ends");

    assert_eq!(timeout(BOUND, news.recv()).await.expect("in time"), Some("let go"));
}

#[tokio::test]
async fn limits_hold_and_what_cannot_be_limited_is_an_error() {
    let wanted = ProcessLimits { open_files: Some(64), cpu_seconds: Some(5), ..ProcessLimits::default() };
    let space = ProcessLimits { address_space: Some(1 << 30), ..ProcessLimits::default() };

    let limited = start_with(shell("ulimit -n; ulimit -t; ulimit -c"), Isolation::Basic, wanted).await;
    let refused = start_with(shell("true"), Isolation::Basic, space).await;

    assert_eq!(outcome(limited.expect("it starts")).await.0, "64\n5\n0");
    assert!(refused.expect_err("it is not started").to_string().contains("address space"));
}

#[tokio::test]
async fn a_server_has_no_other_descriptor_than_its_streams() {
    // One that an exec does not close, as some library in the host may have it.
    let leaked = rustix::io::dup(std::io::stderr()).expect("a descriptor");
    let number = std::os::fd::AsRawFd::as_raw_fd(&leaked);

    let (output, _) = outcome(start(&format!("(: >&{number}) 2>/dev/null && echo open || echo closed")).await).await;

    assert_eq!(output, "closed");
}

#[tokio::test]
async fn a_runtime_knows_the_servers_that_have_not_ended() {
    let supervisors = Arc::<Supervisors>::default();
    let basic = Confinement { isolation: Isolation::Basic, ..Confinement::default() };
    let connector = ProcessConnector::new(shell("cat"), supervisors.clone(), None, basic, &quick_close());
    let connection = connect(&connector).await.expect("it starts");

    let census = supervisors.census();

    assert_eq!(census.sessions[&SESSION].processes, [connection.peer.process().expect("a process")]);
    assert_eq!((census.sessions[&SESSION].isolation, census.alive), (Some(Isolation::Basic), 1));
    rest(connection).await;
    assert_eq!(supervisors.census().alive, 0);
}

#[tokio::test]
async fn private_folders_take_the_place_of_the_users_and_go_with_the_server() {
    let basic = Confinement { isolation: Isolation::Basic, ..Confinement::default() };
    let script = shell("echo $HOME; touch $HOME/a && cat");
    let connector = ProcessConnector::new(script, Arc::default(), Some(Arc::default()), basic, &quick_close());
    let mut connection = connect(&connector).await.expect("it starts");
    let home = line(&mut connection).await;

    assert_ne!(Some(home.as_str()), std::env::var("HOME").ok().as_deref());
    assert!(Path::new(&home).is_dir());
    rest(connection).await;
    assert!(!Path::new(&home).exists());
}
