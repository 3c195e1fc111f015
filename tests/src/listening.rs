//! Servers that nobody here wrote, over HTTP: a process that listens on a port of this machine.
//!
//! They take a port by a setting, and all interfaces. So the runtime that they are written for is told to give them a free port
//! of this machine alone, by the script `servers/on-loopback.mjs`, which says which one it is.

use std::{path::Path, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::{artifacts::ServerCommand, http::BOUND};

/// A server that listens. Its process ends when it is dropped.
pub struct Listening {
    port: u16,
    _process: Child,
}

impl Listening {
    /// Starts a server of node, and waits until it listens.
    pub async fn node(command: ServerCommand) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("servers/on-loopback.mjs");
        let mut process = Command::new("node")
            .arg("--import")
            .arg(script)
            .arg(command.program)
            .args(command.args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node can be started");
        let mut lines = BufReader::new(process.stderr.take().expect("it is a pipe")).lines();
        let said = async {
            while let Some(line) = lines.next_line().await.expect("it can be read") {
                if let Some(port) = line.strip_prefix("port ") {
                    return port.parse().expect("a number of a port");
                }
            }
            panic!("the server ended before it listened")
        };
        let port = timeout(BOUND, said).await.expect("it listens soon");
        // What it says later is of no interest, but it is not to wait for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { port, _process: process }
    }

    /// A URL of it.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}
