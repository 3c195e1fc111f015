//! Running other programs.
//!
//! A task is mostly calls of other programs, and what makes it pleasant or not
//! is what it says when one of them fails. So a [`Tool`] is run with the purpose
//! of the run, and its failure names purpose, program and status. What the
//! program itself printed stands above that already, as output is inherited.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

/// How often a program that runs against a limit is looked at: far below what a person notices.
const POLL: Duration = Duration::from_millis(50);

/// A program about to be run, without standard input: nothing here may stop to ask.
pub(crate) struct Tool {
    command: Command,
}

impl Tool {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self { command }
    }

    pub(crate) fn args(&mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn env(&mut self, name: &str, value: impl AsRef<OsStr>) -> &mut Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn env_remove(&mut self, name: &str) -> &mut Self {
        self.command.env_remove(name);
        self
    }

    pub(crate) fn current_dir(&mut self, folder: &Path) -> &mut Self {
        self.command.current_dir(folder);
        self
    }

    /// Runs to the end; anything but success is an error.
    pub(crate) fn run(&mut self, purpose: &str) -> Result<()> {
        let status = self.command.status().with_context(|| self.not_started(purpose))?;
        self.check(purpose, status)
    }

    /// Replaces this process by the program, where the system can do that, and runs it to the end elsewhere.
    #[cfg(unix)]
    pub(crate) fn become_it(&mut self, purpose: &str) -> Result<()> {
        use std::os::unix::process::CommandExt;

        Err(self.command.exec()).with_context(|| self.not_started(purpose))
    }

    #[cfg(not(unix))]
    pub(crate) fn become_it(&mut self, purpose: &str) -> Result<()> {
        self.run(purpose)
    }

    /// As [`run`](Self::run), for programs that wait for a network by themselves:
    /// past `limit` the program is killed, and that is an error.
    pub(crate) fn run_within(&mut self, purpose: &str, limit: Duration) -> Result<()> {
        let mut child = self.command.spawn().with_context(|| self.not_started(purpose))?;
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait().with_context(|| self.not_waited_for(purpose))? {
                return self.check(purpose, status);
            }
            if started.elapsed() >= limit {
                // It may end by itself in between; either way it is gone after the wait.
                let _ = child.kill();
                child.wait().with_context(|| self.not_waited_for(purpose))?;
                bail!("cannot {purpose}: {} did not end within {} s and was killed", self.program(), limit.as_secs());
            }
            thread::sleep(POLL);
        }
    }

    /// Runs to the end and gives what it wrote to standard output.
    pub(crate) fn output(&mut self, purpose: &str) -> Result<String> {
        let output = self.command.stderr(Stdio::inherit()).output().with_context(|| self.not_started(purpose))?;
        self.check(purpose, output.status)?;
        String::from_utf8(output.stdout)
            .map_err(|_| anyhow!("cannot {purpose}: {} printed what is not UTF-8", self.program()))
    }

    /// Whether it starts and succeeds; what it prints is dropped.
    pub(crate) fn succeeds(&mut self) -> Result<bool> {
        match self.command.stdout(Stdio::null()).stderr(Stdio::null()).status() {
            Ok(status) => Ok(status.success()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_context(|| format!("cannot start {}", self.program())),
        }
    }

    fn check(&self, purpose: &str, status: ExitStatus) -> Result<()> {
        if status.success() {
            return Ok(());
        }
        bail!("cannot {purpose}: {} ended with {status}; see its output above", self.program())
    }

    fn not_started(&self, purpose: &str) -> String {
        format!("cannot {purpose}: cannot start {}", self.program())
    }

    fn not_waited_for(&self, purpose: &str) -> String {
        format!("cannot {purpose}: cannot wait for {}", self.program())
    }

    fn program(&self) -> String {
        Path::new(self.command.get_program()).display().to_string()
    }
}

/// Whether a program of this name can be started at all.
pub(crate) fn exists(program: &str) -> Result<bool> {
    Tool::new(program).args(["--version"]).succeeds()
}
