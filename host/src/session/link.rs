//! The connection of a session: frames in, a bounded queue of bytes out.
//!
//! Reading never waits for writing: a server that does not read its input may be blocked on its output. What cannot be
//! written at once waits here, and the owner sees how much it is.

use std::{collections::VecDeque, io, task::Poll};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::transport::{BoxFuture, Connection, ExitStatus, FrameReader, FrameTooLarge, Framing, Peer};

pub(super) struct Link {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    frames: FrameReader,
    framing: Framing,
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    queue: BytesMut,
    /// Bytes that were ever written.
    written: u64,
    /// Where the first frame of each call begins, as a number of bytes ever queued.
    unsent: VecDeque<(u64, u64)>,
    ended: BoxFuture<'static, ExitStatus>,
    peer: Box<dyn Peer>,
}

/// What a link has to tell.
pub(super) enum News {
    /// More was read.
    Read,
    /// The server closed its output, or reading failed.
    End,
    /// The peer ended.
    Ended(ExitStatus),
    /// Something was written, or writing failed for good.
    Wrote,
}

impl Link {
    pub(super) fn new(connection: Connection, largest_frame: usize) -> Self {
        let ended = connection.peer.ended();
        Self {
            reader: connection.reader,
            frames: FrameReader::new(connection.framing, largest_frame),
            framing: connection.framing,
            writer: connection.writer,
            queue: BytesMut::new(),
            written: 0,
            unsent: VecDeque::new(),
            ended,
            peer: connection.peer,
        }
    }

    pub(super) fn process(&self) -> Option<u32> {
        self.peer.process()
    }

    pub(super) fn last_lines(&self) -> Vec<String> {
        self.peer.last_lines()
    }

    pub(super) fn next_frame(&mut self) -> Result<Option<Bytes>, FrameTooLarge> {
        self.frames.next()
    }

    /// Bytes that wait to be written.
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Queues a frame. False: it contains the delimiter.
    pub(super) fn queue<'a>(&mut self, parts: impl Iterator<Item = &'a [u8]> + Clone, call: Option<u64>) -> bool {
        let start = self.written + self.queue.len() as u64;
        let queued = self.framing.append(parts, &mut self.queue);
        if let Some(call) = call.filter(|_| queued) {
            self.unsent.push_back((start, call));
        }
        queued
    }

    /// Calls of which bytes have left since the last time.
    pub(super) fn take_sent(&mut self) -> Option<u64> {
        let (_, call) = self.unsent.pop_front_if(|(start, _)| *start < self.written)?;
        Some(call)
    }

    /// Writes what can be written at once. What fails is dropped: the end of the connection is seen by reading.
    pub(super) async fn write_now(&mut self) {
        std::future::poll_fn(|context| {
            let _ = poll_write(&mut *self.writer, &mut self.queue, &mut self.written, context);
            Poll::Ready(())
        })
        .await;
    }

    /// Writes all of it.
    pub(super) async fn write_all(&mut self) {
        std::future::poll_fn(|context| poll_write(&mut *self.writer, &mut self.queue, &mut self.written, context))
            .await;
    }

    /// Waits for news. Cancellation safe.
    pub(super) async fn news(&mut self) -> News {
        let Self { reader, frames, writer, queue, written, ended, .. } = self;
        let writing = !queue.is_empty();
        tokio::select! {
            biased;
            read = reader.read_buf(frames.buffer()) => match read {
                Ok(1..) => News::Read,
                Ok(0) | Err(_) => News::End,
            },
            status = ended => News::Ended(status),
            () = std::future::poll_fn(|context| poll_write(&mut **writer, queue, written, context)), if writing => News::Wrote,
        }
    }

    /// Reads what is left once the peer has ended, without waiting for more. False: that was all.
    pub(super) async fn read_rest(&mut self) -> bool {
        let reader = &mut self.reader;
        let buffer = self.frames.buffer();
        std::future::poll_fn(|context| {
            let mut read = std::pin::pin!(reader.read_buf(buffer));
            Poll::Ready(matches!(read.as_mut().poll(context), Poll::Ready(Ok(1..))))
        })
        .await
    }

    /// Drops both streams, which asks the server to end, and returns what is left of it.
    pub(super) fn close(self) -> Closing {
        drop((self.reader, self.writer));
        self.peer.close();
        Closing { ended: self.ended, peer: self.peer }
    }
}

/// A peer that was asked to end.
pub(super) struct Closing {
    pub(super) ended: BoxFuture<'static, ExitStatus>,
    pub(super) peer: Box<dyn Peer>,
}

/// Ready when the queue is empty. A failed write empties it.
fn poll_write(
    writer: &mut (dyn AsyncWrite + Send + Unpin),
    queue: &mut BytesMut,
    written: &mut u64,
    context: &mut std::task::Context<'_>,
) -> Poll<()> {
    while !queue.is_empty() {
        match std::pin::Pin::new(&mut *writer).poll_write(context, queue) {
            Poll::Ready(Ok(count @ 1..)) => {
                queue.advance(count);
                *written += count as u64;
            }
            Poll::Ready(Ok(0)) => queue.clear(),
            Poll::Ready(Err(error)) => {
                if error.kind() != io::ErrorKind::BrokenPipe {
                    tracing::debug!(%error, "writing to the server failed");
                }
                queue.clear();
            }
            Poll::Pending => return Poll::Pending,
        }
    }
    // A buffered writer keeps what it was given until it is flushed.
    match std::pin::Pin::new(writer).poll_flush(context) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending => Poll::Pending,
    }
}
