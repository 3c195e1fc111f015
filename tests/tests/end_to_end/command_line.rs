//! The program `innkeeper`, as a person or a script uses it.
//!
//! Each test has a desk: a folder with nothing in it but what the test puts there, and an environment with nothing in
//! it but `PATH`, `HOME` and a terminal type that has colours. What a test says of a message is what its reader needs
//! to go on; the rest of the wording is free to change.
//!
//! Parsing has unit tests beside the code. Here is what needs the whole program: files, processes, pipes, signals, and
//! that text, JSON and exit status say the same.

mod configuration;
mod doctor;
mod environment;
mod failures;
mod interrupts;
mod offers;
mod package_runners;
mod remote;
mod secrets;
mod streams;
mod verbs;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use innkeeper_tests::{
    artifacts::{self, ServerCommand},
    awkward::Scenario,
    processes::Marker,
};
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
    time::timeout,
};

/// No run takes a tenth of this on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder to work in, and a mark on all servers that are started from it.
struct Desk {
    folder: PathBuf,
    marker: Marker,
}

impl Desk {
    fn new() -> Self {
        let marker = Marker::new();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("command-line-{}", marker.value()));
        fs::create_dir_all(&folder).unwrap();
        Self { folder, marker }
    }

    /// A desk with an `mcp.json` that lists the demo server as `demo`, and awkward servers by the names of their
    /// scenarios.
    fn with(scenarios: &[Scenario]) -> Self {
        let desk = Self::new();
        let awkward = scenarios.iter().map(|scenario| (scenario.name(), artifacts::awkward_server(*scenario)));
        let servers = awkward.chain([("demo", artifacts::demo_server())]);
        desk.write("mcp.json", desk.mcp_json(servers));
        desk
    }

    /// A configuration in which each server carries the mark of the desk.
    fn mcp_json<'a>(&self, servers: impl IntoIterator<Item = (&'a str, ServerCommand)>) -> String {
        let entry = |(name, ServerCommand { program, args }): (&str, _)| {
            let env = json!({ Marker::VARIABLE: self.marker.value() });
            (name.to_owned(), json!({ "command": program, "args": args, "env": env }))
        };
        let servers: serde_json::Map<_, _> = servers.into_iter().map(entry).collect();
        json!({ "mcpServers": servers }).to_string()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The program with these arguments, and all its streams piped.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(artifacts::innkeeper());
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap())
            .env("HOME", &self.folder)
            .env("TERM", "xterm-256color")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs the program to its end, and looks for servers that are left.
    async fn run(&self, arguments: &[&str]) -> Run {
        self.run_with_input(arguments, b"").await
    }

    async fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Run {
        let mut child = self.command(arguments).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input).await.unwrap();
        drop(stdin);
        self.end_of(child, arguments).await
    }

    /// Waits for the end of the program.
    async fn end_of(&self, child: Child, arguments: &[&str]) -> Run {
        let output = timeout(PATIENCE, child.wait_with_output()).await;
        let output = output.unwrap_or_else(|_| panic!("{arguments:?} does not end")).unwrap();
        assert_eq!(self.marker.processes(), [0; 0], "{arguments:?} left servers");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // What is left lies in the target folder, and harms no other test.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What came of a run of the program.
#[derive(Debug)]
struct Run {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl Run {
    /// The exit status. The program is never ended by a signal.
    #[track_caller]
    fn exit(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("{self:?}"))
    }

    /// Standard output, of a run that went well.
    #[track_caller]
    fn text(self) -> String {
        assert_eq!(self.exit(), 0, "{self:?}");
        self.stdout
    }

    /// Standard error, of a run that failed with this status and wrote nothing else.
    #[track_caller]
    fn failure(self, status: i32) -> String {
        assert_eq!((self.exit(), self.stdout.as_str()), (status, ""), "{self:?}");
        self.stderr
    }

    /// Standard output as the one JSON document that it must be.
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Asserts that a text contains all of these.
#[track_caller]
fn assert_says(text: &str, said: &[&str]) {
    for part in said {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}
