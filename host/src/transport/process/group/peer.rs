//! A server's process as the peer of a connection: its watcher's socket, and its group.

use std::{
    io,
    os::fd::AsFd,
    sync::{Arc, OnceLock},
};

use rustix::net::{RecvFlags, Shutdown, recv, shutdown};
use tokio::{net::UnixStream, sync::watch};

use super::watcher::Group;
use crate::{
    Isolation,
    transport::{BoxFuture, ExitStatus, Peer, process::stderr::StderrTail},
};

/// Dropping it closes the watcher's socket, which begins the ladder there: no task is needed.
pub(super) struct ServerProcess {
    pub(super) server: u32,
    pub(super) group: Arc<Group>,
    pub(super) socket: Arc<UnixStream>,
    pub(super) stderr: StderrTail,
    /// Has the status when the group has ended.
    pub(super) status: watch::Receiver<Option<ExitStatus>>,
    /// Why the end was nobody's intention, once that is known.
    pub(super) lost: Arc<OnceLock<&'static str>>,
}

impl ServerProcess {
    /// Closes the socket for the watcher, or does its part where it is gone.
    fn begin_end(&self) {
        self.group.ending();
        // Others may hold the socket: whoever waits for the end, and a process that an embedder forked.
        let _ = shutdown(self.socket.as_fd(), Shutdown::Write);
        // Its first word was read, and it has no other. Nothing to be read yet is another error.
        if matches!(recv(self.socket.as_fd(), &mut [0], RecvFlags::DONTWAIT), Ok((0, _))) {
            self.group.kill();
        }
    }
}

impl Peer for ServerProcess {
    fn process(&self) -> Option<u32> {
        Some(self.server)
    }

    fn isolation(&self) -> Option<Isolation> {
        Some(Isolation::Basic)
    }

    fn ended(&self) -> Option<BoxFuture<'static, ExitStatus>> {
        let (socket, group, mut status, lost) =
            (self.socket.clone(), self.group.clone(), self.status.clone(), self.lost.clone());
        let last_words = self.stderr.last_words();
        Some(Box::pin(async move {
            tokio::select! {
                biased;
                _ = status.wait_for(Option::is_some) => {}
                () = gone(&socket) => {
                    // Whatever is left of the group has nobody who would end it after us.
                    if group.kill() {
                        let _ = lost.set("the watcher of its processes ended, and they with it");
                    }
                }
            }
            let status = status.wait_for(Option::is_some).await.ok().and_then(|status| *status).unwrap_or_default();
            last_words.await;
            status
        }))
    }

    fn lost(&self) -> Option<String> {
        self.lost.get().map(ToString::to_string)
    }

    fn last_lines(&self) -> Vec<String> {
        self.stderr.lines()
    }

    fn close(&self) {
        self.begin_end();
    }

    fn kill(&self) {
        self.group.kill();
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.begin_end();
    }
}

/// Resolves when the watcher has ended.
async fn gone(socket: &UnixStream) {
    loop {
        let ready = socket.readable().await;
        match ready.and_then(|()| socket.try_read(&mut [0])) {
            Ok(1..) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => return,
        }
    }
}
