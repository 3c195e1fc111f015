//! The server over streams: one for each direction, so that either can end without the other, and a life of its own behind them.

use std::{
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering::SeqCst},
    task::{Context, Poll},
};

use innkeeper::transport::{BoxFuture, Connection, Connector, ExitStatus, Framing, Peer, connector_fn};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadBuf, duplex},
    sync::{oneshot, watch},
};

use super::{Act, Break, Script};

/// Bytes that a pipe holds, as one of the system does.
const PIPE: usize = 64 * 1024;

pub(super) fn connector(script: Arc<Script>) -> Arc<dyn Connector> {
    connector_fn(script.name, move |_| {
        let session = script.begin();
        script.log(session, "connect");
        let script = script.clone();
        async move {
            if script.refuses.load(SeqCst) {
                return Err("it does not want to".to_owned());
            }
            let (reader, says) = duplex(PIPE);
            let (hears, writer) = duplex(PIPE);
            let (reset, resets) = oneshot::channel();
            let (stage, staged) = watch::channel(Stage::Lives);
            let (running, runs) = watch::channel(());
            let server = Server {
                session,
                hears: Some(BufReader::new(hears).lines()),
                says: Some(says),
                reset: Some(reset),
                script: script.clone(),
            };
            tokio::spawn(server.live(staged, running));
            let reader = Reader { stream: reader, resets: Some(resets) };
            Ok(Connection::with_peer(reader, writer, Framing::Lines, Process { session, script, stage, runs }))
        }
    })
}

/// What the client's side has told the server's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Lives,
    IsToEnd,
    Killed,
}

/// What is to the client the process behind the streams.
struct Process {
    session: usize,
    script: Arc<Script>,
    stage: watch::Sender<Stage>,
    /// Closed when it has ended.
    runs: watch::Receiver<()>,
}

impl Peer for Process {
    fn ended(&self) -> Option<BoxFuture<'static, ExitStatus>> {
        let mut runs = self.runs.clone();
        Some(Box::pin(async move {
            while runs.changed().await.is_ok() {}
            ExitStatus::default()
        }))
    }

    fn close(&self) {
        self.stage.send_modify(|stage| *stage = Stage::IsToEnd.max(*stage));
    }

    fn kill(&self) {
        self.script.log(self.session, "kill");
        self.stage.send_replace(Stage::Killed);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stage.send_replace(Stage::Killed);
    }
}

/// The end that the client reads, which can fail as a socket does.
struct Reader {
    stream: DuplexStream,
    resets: Option<oneshot::Receiver<()>>,
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(resets) = &mut self.resets
            && let Poll::Ready(reset) = Pin::new(resets).poll(context)
        {
            self.resets = None;
            if reset.is_ok() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

struct Server {
    session: usize,
    hears: Option<Lines<BufReader<DuplexStream>>>,
    says: Option<DuplexStream>,
    reset: Option<oneshot::Sender<()>>,
    script: Arc<Script>,
}

impl Server {
    async fn live(mut self, mut staged: watch::Receiver<Stage>, running: watch::Sender<()>) {
        let script = self.script.clone();
        let mut killed = staged.clone();
        let natural = async {
            self.converse(&mut staged).await;
            script.log(self.session, "leave");
            script.ends.passed().await;
        };
        tokio::select! {
            () = natural => {}
            // Where the client's side is gone, so is this.
            _ = killed.wait_for(|stage| *stage == Stage::Killed) => {}
        }
        script.log(self.session, "end");
        drop(running);
    }

    async fn converse(&mut self, staged: &mut watch::Receiver<Stage>) {
        let script = self.script.clone();
        let mut is_to_break = false;
        while let Some(hears) = &mut self.hears {
            let line = tokio::select! {
                line = hears.next_line() => line,
                () = script.breaks.passed(), if is_to_break => {
                    is_to_break = false;
                    self.break_by(script.how(), staged).await;
                    continue;
                }
            };
            let Ok(Some(line)) = line else { return };
            let message: Value = serde_json::from_str(&line).unwrap();
            match script.hear(self.session, &message) {
                Act::Greet(reply) => {
                    script.greets.passed().await;
                    script.log(self.session, "open");
                    self.say(&reply).await;
                }
                Act::Reply(reply) => self.say(&reply).await,
                Act::Break(_) => is_to_break = true,
                Act::Nothing => {}
            }
        }
    }

    /// Breaks the connection. What stays of it is read on from, or held until the client's side is done with it.
    async fn break_by(&mut self, how: Break, staged: &mut watch::Receiver<Stage>) {
        match how {
            Break::Ends => (self.hears, self.says) = (None, None),
            Break::Resets => drop(self.reset.take().map(|reset| reset.send(()))),
            Break::StopsSaying => self.says = None,
            Break::StopsHearing | Break::Hangs => {
                if how == Break::StopsHearing {
                    self.hears = None;
                }
                self.script.log(self.session, "broken");
                let _ = staged.wait_for(|stage| *stage >= Stage::IsToEnd).await;
                self.hears = None;
            }
            Break::Fails | Break::Truncates | Break::Forgets => panic!("streams do not break like this: {how:?}"),
        }
    }

    async fn say(&mut self, message: &Value) {
        if let Some(says) = &mut self.says {
            // What the client does not read any more is lost.
            let _ = says.write_all(format!("{message}\n").as_bytes()).await;
        }
    }
}
