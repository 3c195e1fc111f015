//! Servers under a real supervisor: what a connection is made of, and what is left of it.

use std::{
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    sync::Arc,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use tokio::time::timeout;

use super::{
    harness::{BOUND, SESSION, connect, line, outcome, quick_close, shell},
    *,
};
use crate::{
    Isolation, ProcessLimits,
    isolation::Confinement,
    transport::{Command, ConnectError, Connection, ExitStatus},
};

/// A runtime's part of it.
struct House {
    supervisors: Arc<Supervisors>,
    folders: Arc<PrivateFolders>,
}

/// What differs between servers.
#[derive(Clone, Copy)]
struct Terms {
    confinement: Confinement,
    private: bool,
}

const GUARDED: Terms = Terms {
    confinement: Confinement {
        isolation: Isolation::Guarded,
        allow_privileges: false,
        limits: ProcessLimits { address_space: None, open_files: None, cpu_seconds: None, core_files: false },
    },
    private: false,
};

impl House {
    fn new() -> Self {
        Self { supervisors: Supervisors::new(None), folders: Arc::default() }
    }

    async fn start(&self, command: Command, terms: &Terms) -> Result<Connection, ConnectError> {
        let folders = terms.private.then(|| self.folders.clone());
        let connector =
            ProcessConnector::new(command, self.supervisors.clone(), folders, terms.confinement, &quick_close());
        connect(&connector).await
    }

    async fn shell(&self, script: &str, terms: &Terms) -> Connection {
        self.start(shell(script), terms).await.expect("a shell starts")
    }

    async fn refusal(&self, command: Command) -> String {
        self.start(command, &GUARDED).await.expect_err("it cannot be started").to_string()
    }
}

/// A process that is waited for by others.
fn watch(pid: &str) -> OwnedFd {
    let pid = Pid::from_raw(pid.parse().expect("an id")).expect("an id");
    pidfd_open(pid, PidfdFlags::empty()).expect("it is there")
}

fn assert_ends(process: &OwnedFd) {
    let bound = Timespec { tv_sec: 10, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&bound)), Ok(1), "it is still there");
}

#[tokio::test]
async fn a_server_has_its_streams_its_arguments_and_its_status() {
    let house = House::new();
    let script = "echo \"$0 $1\"; echo problem >&2; exit 7";

    let connection = house.start(Command::new("/bin/sh").args(["-c", script, "zero", "one"]), &GUARDED).await;

    let (output, status) = outcome(connection.expect("it starts")).await;
    assert_eq!(output, "zero one");
    assert_eq!(status, ExitStatus { code: Some(7), signal: None });
}

#[tokio::test]
async fn why_a_server_cannot_be_started_is_said() {
    let house = House::new();

    assert_eq!(
        house.refusal(Command::new("no-such-program")).await,
        "there is no command `no-such-program` on PATH; install it, or give its full path"
    );
    assert_eq!(house.refusal(Command::new("/none/such")).await, "there is no file `/none/such`");
    assert_eq!(house.refusal(Command::new("/etc/passwd")).await, "`/etc/passwd` is not executable for this user");
    assert_eq!(house.refusal(Command::new("/bin/sh").current_dir("/none")).await, "its folder `/none` does not exist");
}

/// A file that may be executed, as long as it is wanted.
struct Script(std::path::PathBuf);

impl Script {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("innkeeper-test-{}-{name}", std::process::id()));
        std::fs::write(&path, text).expect("a file is written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("it is ours");
        Self(path)
    }

    fn command(&self) -> Command {
        Command::new(self.0.to_str().expect("text"))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn what_only_exec_finds_out_is_said_too() {
    let house = House::new();
    let script = Script::new("orphan", "#!/none/such\n");
    let mut terms = GUARDED;
    terms.confinement.limits.open_files = Some(1 << 40);

    let refusal = house.refusal(script.command()).await;
    let limit = house.start(shell("true"), &terms).await.expect_err("no system has so many").to_string();

    assert_eq!(refusal, format!("the interpreter or loader that `{}` names does not exist", script.0.display()));
    assert!(limit.starts_with("its limits cannot be set: "), "{limit}");
}

#[tokio::test]
async fn a_script_without_an_interpreter_is_one_of_the_shell() {
    let house = House::new();
    let script = Script::new("shell", "echo \"$1 of $0\"\n");

    let connection = house.start(script.command().args(["one"]), &GUARDED).await.expect("it starts");

    assert_eq!(outcome(connection).await.0, format!("one of {}", script.0.display()));
}

#[tokio::test]
async fn limits_hold_and_core_files_are_off() {
    let house = House::new();
    let mut terms = GUARDED;
    terms.confinement.limits.open_files = Some(64);
    terms.confinement.limits.address_space = Some(1 << 30);

    let (output, _) = outcome(house.shell("ulimit -n; ulimit -v; ulimit -c", &terms).await).await;

    assert_eq!(output, "64\n1048576\n0");
}

#[tokio::test]
async fn processor_time_is_a_limit_that_the_exit_names() {
    let house = House::new();
    let mut terms = GUARDED;
    terms.confinement.limits.cpu_seconds = Some(1);

    let (_, status) = outcome(house.shell("while :; do :; done", &terms).await).await;

    // SIGXCPU.
    assert_eq!(status, ExitStatus { code: None, signal: Some(24) });
}

#[tokio::test]
async fn a_guarded_server_cannot_signal_its_supervisor_and_a_basic_one_can() {
    let house = House::new();
    let script = "kill -0 $PPID 2>/dev/null && echo yes || echo no";
    let mut basic = GUARDED;
    basic.confinement.isolation = Isolation::Basic;

    let (guarded, _) = outcome(house.shell(script, &GUARDED).await).await;
    let (basic, _) = outcome(house.shell(script, &basic).await).await;

    assert_eq!((guarded.as_str(), basic.as_str()), ("no", "yes"));
}

#[tokio::test]
async fn no_server_gains_privileges_unless_it_is_allowed_to() {
    let house = House::new();
    let script = "grep NoNewPrivs /proc/self/status";
    let mut basic = GUARDED;
    basic.confinement.isolation = Isolation::Basic;
    let mut allowed = basic;
    allowed.confinement.allow_privileges = true;

    let mut found = Vec::new();
    for terms in [GUARDED, basic, allowed] {
        found.push(outcome(house.shell(script, &terms).await).await.0);
    }

    assert_eq!(found, ["NoNewPrivs:\t1", "NoNewPrivs:\t1", "NoNewPrivs:\t0"]);
}

#[tokio::test]
async fn dropping_a_connection_ends_what_left_the_group() {
    let house = House::new();
    let mut connection = house.shell("setsid sleep 600 & echo $!; trap '' TERM; sleep 600; sleep 600", &GUARDED).await;
    let escaped = watch(&line(&mut connection).await);

    drop(connection);

    assert_ends(&escaped);
}

#[tokio::test]
async fn what_a_server_leaves_behind_has_ended_when_it_has() {
    let house = House::new();
    let mut connection = house.shell("setsid sleep 600 >/dev/null 2>&1 & echo $!", &GUARDED).await;
    let left = watch(&line(&mut connection).await);

    let (_, status) = outcome(connection).await;

    assert_eq!(status, ExitStatus { code: Some(0), signal: None });
    assert_eq!(poll(&mut [PollFd::new(&left, PollFlags::IN)], Some(&Timespec::default())), Ok(1));
}

#[tokio::test]
async fn a_session_has_the_processes_that_it_started_and_no_supervisor() {
    let house = House::new();
    let mut connection = house.shell("sleep 600 & echo $!; wait", &GUARDED).await;
    let child: u32 = line(&mut connection).await.parse().expect("an id");
    let server = connection.peer.process().expect("a process");

    let census = house.supervisors.census();

    let session = &census.sessions[&SESSION];
    let mut expected = [server, child];
    expected.sort_unstable();
    assert_eq!(session.processes, expected);
    assert_eq!(session.isolation, Some(Isolation::Guarded));
    assert_eq!(census.alive, 2);
}

#[tokio::test]
async fn private_folders_take_the_place_of_the_users_and_go_with_the_server() {
    let house = House::new();
    let terms = Terms { private: true, ..GUARDED };
    let script = "echo $HOME; echo ${XDG_CONFIG_HOME-none}; touch $HOME/a $TMPDIR/b $XDG_RUNTIME_DIR/c && echo made";

    let mut connection = house.shell(&format!("{script}; read x"), &terms).await;
    let home = line(&mut connection).await;
    assert_ne!(Some(home.as_str()), std::env::var("HOME").ok().as_deref());
    assert_eq!(line(&mut connection).await, "none");
    assert_eq!(line(&mut connection).await, "made");
    assert!(std::path::Path::new(&home).join("a").is_file());

    drop(std::mem::replace(&mut connection.writer, Box::new(tokio::io::sink())));
    outcome(connection).await;
    // It is removed beside what goes on.
    timeout(BOUND, async {
        while std::path::Path::new(&home).exists() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it is removed");
}

#[tokio::test]
async fn a_supervisor_that_was_configured_is_not_replaced_by_another() {
    let house = House { supervisors: Supervisors::new(Some("/none/supervisor".into())), folders: Arc::default() };

    let refusal = house.refusal(shell("true")).await;

    assert!(refusal.contains("`/none/supervisor` cannot be executed"), "{refusal}");
}

#[tokio::test]
async fn what_is_no_supervisor_is_not_taken_for_one() {
    let house = House { supervisors: Supervisors::new(Some("/bin/true".into())), folders: Arc::default() };

    let refusal = house.refusal(shell("true")).await;

    assert!(refusal.contains("the supervisor cannot be started"), "{refusal}");
}

#[tokio::test]
async fn the_sessions_of_a_supervisor_that_dies_are_lost_and_the_next_has_another() {
    let house = House::new();
    let mut connection = house.shell("echo $$; sleep 600; true", &GUARDED).await;
    let server = watch(&line(&mut connection).await);
    let ended = connection.peer.ended().expect("a process ends");
    let root = house.supervisors.running().expect("it runs");

    kill_process(Pid::from_raw(root.cast_signed()).expect("an id"), Signal::KILL).expect("it is ours");
    timeout(BOUND, ended).await.expect("in time");

    assert_ends(&server);
    assert!(connection.peer.lost().expect("nobody meant it").contains("supervisor"));
    let (output, _) = outcome(house.shell("echo again", &GUARDED).await).await;
    assert_eq!(output, "again");
    assert_ne!(house.supervisors.running(), Some(root));
}

#[tokio::test]
async fn a_supervisor_ends_with_its_runtime() {
    let house = House::new();
    let (_, _) = outcome(house.shell("true", &GUARDED).await).await;
    let root = watch(&house.supervisors.running().expect("it runs").to_string());

    drop(house);

    assert_ends(&root);
}
