//! A server's process as the peer of a connection: its supervisor's socket.

use std::{
    cell::Cell,
    io,
    os::fd::AsFd,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use rustix::net::{SendFlags, Shutdown, send, shutdown};
use tokio::net::UnixStream;

use super::{
    folders::PrivateFolder,
    protocol::{CLOSE, Cause, Ended, KILL, Report},
    stderr::StderrTail,
    trees::Listed,
};
use crate::{
    Isolation,
    transport::{BoxFuture, ExitStatus, Peer},
};

/// What is said of a server that was ended for it, as its last line.
const RUNAWAY: &str = "(ended by its supervisor: it made processes faster than those that ended could be waited for)";

/// Reads the next report. None: the supervisor is gone, or was never there.
pub(super) async fn report(socket: &UnixStream) -> Option<Report> {
    let mut bytes = [0; Report::SIZE];
    let mut rest = bytes.as_mut_slice();
    while !rest.is_empty() {
        socket.readable().await.ok()?;
        match socket.try_read(rest) {
            Ok(length @ 1..) => rest = rest.get_mut(length..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(_) | Err(_) => return None,
        }
    }
    Report::from_bytes(&bytes)
}

/// Dropping it closes the session's socket, which begins the ladder in the supervisor: no task is needed.
pub(super) struct ServerProcess {
    pub(super) server: u32,
    pub(super) isolation: Isolation,
    pub(super) socket: Arc<UnixStream>,
    pub(super) stderr: StderrTail,
    /// Given up by the end.
    pub(super) until_ended: Cell<Option<UntilEnded>>,
    /// Why the end was nobody's intention, once that is known.
    pub(super) lost: Arc<OnceLock<&'static str>>,
    /// Whether its supervisor ended it for what it did.
    pub(super) runaway: Arc<AtomicBool>,
}

/// What there is as long as a process of the session may be.
pub(super) struct UntilEnded {
    pub(super) _tree: Listed,
    pub(super) _folder: Option<PrivateFolder>,
}

impl ServerProcess {
    fn order(&self, order: u8) {
        // It fails where the supervisor is gone. The socket's buffer has room for every order that is ever given.
        let _ = send(self.socket.as_fd(), &[order], SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    }
}

impl Peer for ServerProcess {
    fn process(&self) -> Option<u32> {
        Some(self.server)
    }

    fn isolation(&self) -> Option<Isolation> {
        Some(self.isolation)
    }

    fn ended(&self) -> Option<BoxFuture<'static, ExitStatus>> {
        let (socket, last_words) = (self.socket.clone(), self.stderr.last_words());
        let (lost, runaway) = (self.lost.clone(), self.runaway.clone());
        let until_ended = self.until_ended.take();
        Some(Box::pin(async move {
            let status = match report(&socket).await {
                Some(Report::Ended(ended)) => {
                    match ended.cause {
                        Cause::Root => _ = lost.set("the supervisor of the runtime ended, and its sessions with it"),
                        Cause::Runaway => runaway.store(true, Relaxed),
                        Cause::Server | Cause::Host => {}
                    }
                    status_of(ended)
                }
                _ => {
                    let _ = lost.set("its supervisor ended, and its processes with it");
                    ExitStatus::default()
                }
            };
            drop(until_ended);
            last_words.await;
            status
        }))
    }

    fn lost(&self) -> Option<String> {
        self.lost.get().map(ToString::to_string)
    }

    fn last_lines(&self) -> Vec<String> {
        let runaway = self.runaway.load(Relaxed).then(|| RUNAWAY.to_owned());
        self.stderr.lines().into_iter().chain(runaway).collect()
    }

    fn close(&self) {
        self.order(CLOSE);
    }

    fn kill(&self) {
        self.order(KILL);
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Others may hold the socket: whoever waits for the end, and a process that an embedder forked without exec.
        let _ = shutdown(self.socket.as_fd(), Shutdown::Write);
    }
}

/// An exit status as wait(2) gives it.
fn status_of(ended: Ended) -> ExitStatus {
    let Ended { status, swept, rounds, microseconds, .. } = ended;
    tracing::debug!(status, swept, rounds, microseconds, "no process of the session is left");
    let signal = status & 0x7F;
    if signal == 0 {
        ExitStatus { code: Some((status >> 8) & 0xFF), signal: None }
    } else {
        ExitStatus { code: None, signal: Some(signal) }
    }
}
