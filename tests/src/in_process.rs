//! Servers that live in the test's own process, behind a pair of pipes.
//!
//! They are for tests in which the process does not matter: of guests, of the registry, of time. Tests with a paused clock can
//! only use these, because the time of a real process does not stand still.

use std::{future::Future, sync::Arc, time::Duration};

use innkeeper::{
    Limits,
    transport::{Connection, Connector, Framing, connector_fn},
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf};

/// Bytes that a pipe holds, as one of the system does.
const PIPE: usize = 64 * 1024;

/// Limits for a paused clock, which runs while another thread works: no guest moves to one.
pub fn limits_for_paused_clock() -> Limits {
    let mut limits = Limits::default();
    limits.guest_slice = Duration::from_secs(3600);
    limits
}

/// The server's ends of its pipes.
pub struct Pipes {
    reader: BufReader<ReadHalf<DuplexStream>>,
    writer: WriteHalf<DuplexStream>,
}

impl Pipes {
    /// Both ends: the client's, and the server's.
    pub fn pair() -> (DuplexStream, Self) {
        let (client, server) = tokio::io::duplex(PIPE);
        let (reader, writer) = tokio::io::split(server);
        (client, Self { reader: BufReader::new(reader), writer })
    }

    /// The next line, without its end; none when the client is gone.
    pub async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.reader.read_line(&mut line).await {
            Ok(1..) => Some(line.trim_end().to_owned()),
            _ => None,
        }
    }

    /// Writes bytes that are no whole line. What the client does not read any more is lost.
    pub async fn write(&mut self, bytes: &[u8]) {
        let _ = self.writer.write_all(bytes).await;
    }

    /// Writes a line. What the client does not read any more is lost.
    pub async fn write_line(&mut self, line: &str) {
        let _ = self.writer.write_all(line.as_bytes()).await;
        let _ = self.writer.write_all(b"\n").await;
    }

    /// The next frame after its length of four bytes, big endian; none when the client is gone.
    pub async fn frame(&mut self) -> Option<Vec<u8>> {
        let length = self.reader.read_u32().await.ok()?;
        let mut frame = vec![0; length as usize];
        self.reader.read_exact(&mut frame).await.ok()?;
        Some(frame)
    }

    /// Writes a frame after its length.
    pub async fn write_frame(&mut self, frame: &[u8]) {
        let length = u32::try_from(frame.len()).expect("tests write frames of less than 4 GiB");
        let _ = self.writer.write_u32(length).await;
        let _ = self.writer.write_all(frame).await;
    }

    /// Reads until the client is gone.
    pub async fn drain(&mut self) {
        let mut nowhere = Vec::new();
        while let Ok(1..) = self.reader.read_until(b'\n', &mut nowhere).await {
            nowhere.clear();
        }
    }
}

/// A connector that runs `serve` for each connection.
pub fn server<F, Fut>(framing: Framing, serve: F) -> Arc<dyn Connector>
where
    F: Fn(Pipes) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    connector_fn("a server of this test", move |_| {
        let (ours, theirs) = Pipes::pair();
        tokio::spawn(serve(theirs));
        async move {
            let (reader, writer) = tokio::io::split(ours);
            Ok(Connection::new(reader, writer, framing))
        }
    })
}

/// A server that reads and never says anything.
pub fn silent() -> Arc<dyn Connector> {
    server(Framing::Lines, |mut pipes| async move { pipes.drain().await })
}
