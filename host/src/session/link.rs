//! The connection of a session: frames in, a bounded queue of bytes out.
//!
//! Reading never waits for writing: a server that does not read its input may be blocked on its output. What cannot be
//! written at once waits here, and the owner sees how much it is.

use std::{
    collections::VecDeque,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::Isolation;
use crate::transport::{BoxFuture, Connection, ExitStatus, FrameReader, FrameTooLarge, Framing, Peer};

/// Capacity of an empty queue that is kept for the next frames: one pipe. An idle session must not keep its largest.
const KEPT_CAPACITY: usize = 64 * 1024;

pub(super) struct Link {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    frames: FrameReader,
    framing: Framing,
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    queue: BytesMut,
    /// Bytes that were ever written.
    written: u64,
    /// Where each frame of the queue begins, as a number of bytes ever queued, and the call that it is for.
    frames_out: VecDeque<(u64, Option<u64>)>,
    /// Whether there are bytes to be written, or that the writer has not passed on yet; never after an error.
    unflushed: bool,
    ended: Option<BoxFuture<'static, ExitStatus>>,
    peer: Box<dyn Peer>,
}

/// What a link has to tell.
pub(super) enum News {
    /// More was read.
    Read,
    /// The server closed its output or its input, or reading or writing failed.
    End,
    /// The peer ended.
    Ended(ExitStatus),
    /// Everything was written.
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
            frames_out: VecDeque::new(),
            unflushed: false,
            ended,
            peer: connection.peer,
        }
    }

    pub(super) fn process(&self) -> Option<u32> {
        self.peer.process()
    }

    pub(super) fn isolation(&self) -> Option<Isolation> {
        self.peer.isolation()
    }

    /// Bytes that were read of frames that were not taken yet: the beginning of one, as a rule.
    pub(super) fn unread(&self) -> usize {
        self.frames.partial()
    }

    pub(super) fn next_frame(&mut self) -> Result<Option<Bytes>, FrameTooLarge> {
        self.frames.next()
    }

    /// Bytes that wait to be written, and what it takes to remember where frames begin: frames may be tiny.
    pub(super) fn queued(&self) -> usize {
        self.queue.len() + self.frames_out.len() * size_of::<(u64, Option<u64>)>()
    }

    /// Queues a frame. False: it contains the delimiter.
    pub(super) fn queue<'a>(&mut self, parts: impl Iterator<Item = &'a [u8]> + Clone, call: Option<u64>) -> bool {
        let start = self.written + self.queue.len() as u64;
        let queued = self.framing.append(parts, &mut self.queue);
        self.unflushed |= queued;
        if queued {
            self.forget_begun();
            self.frames_out.push_back((start, call));
        }
        queued
    }

    /// Drops the frames of which no byte has left, and returns the calls that they were for.
    pub(super) fn cut_queue(&mut self) -> Vec<u64> {
        self.forget_begun();
        if let Some((start, _)) = self.frames_out.front() {
            self.queue.truncate(usize::try_from(start - self.written).unwrap_or(usize::MAX));
        }
        self.frames_out.drain(..).filter_map(|(_, call)| call).collect()
    }

    fn forget_begun(&mut self) {
        while self.frames_out.pop_front_if(|(start, _)| *start < self.written).is_some() {}
    }

    /// Writes what can be written at once.
    pub(super) async fn write_now(&mut self) {
        std::future::poll_fn(|context| {
            // An error is met again when news are waited for.
            let _ = self.poll_write(context);
            Poll::Ready(())
        })
        .await;
    }

    /// Writes all of it, or as much as the server takes.
    pub(super) async fn write_all(&mut self) {
        let _ = std::future::poll_fn(|context| self.poll_write(context)).await;
    }

    /// Waits for news. Cancellation safe.
    pub(super) async fn news(&mut self) -> News {
        std::future::poll_fn(|context| self.poll_news(context)).await
    }

    fn poll_news(&mut self, context: &mut Context<'_>) -> Poll<News> {
        // First, because a server that always has something to say must not keep what is for it from being written.
        if self.unflushed {
            match self.poll_write(context) {
                Poll::Ready(Ok(())) => return Poll::Ready(News::Wrote),
                Poll::Ready(Err(_)) => return Poll::Ready(News::End),
                Poll::Pending => {}
            }
        }
        {
            let mut read = pin!(self.reader.read_buf(self.frames.buffer()));
            match read.as_mut().poll(context) {
                Poll::Ready(Ok(1..)) => return Poll::Ready(News::Read),
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(News::End),
                Poll::Pending => {}
            }
        }
        if let Some(ended) = &mut self.ended
            && let Poll::Ready(status) = ended.as_mut().poll(context)
        {
            self.ended = None;
            return Poll::Ready(News::Ended(status));
        }
        Poll::Pending
    }

    /// Ready when everything was written and passed on.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.queue.is_empty() {
            match ready!(Pin::new(&mut self.writer).poll_write(context, &self.queue)) {
                Ok(count @ 1..) => {
                    self.queue.advance(count);
                    self.written += count as u64;
                }
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        if self.queue.capacity() > KEPT_CAPACITY {
            self.queue = BytesMut::new();
        }
        ready!(Pin::new(&mut self.writer).poll_flush(context))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    /// Reads on, once the connection is over. False: that was all. Cancellation safe.
    pub(super) async fn read_rest(&mut self) -> bool {
        matches!(self.reader.read_buf(self.frames.buffer()).await, Ok(1..))
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
    ended: Option<BoxFuture<'static, ExitStatus>>,
    peer: Box<dyn Peer>,
}

impl Closing {
    /// Waits for its end; not at all for a peer that has no life of its own, or has ended. Cancellation safe.
    pub(super) async fn ended(&mut self) -> ExitStatus {
        match &mut self.ended {
            Some(ended) => {
                let status = ended.await;
                self.ended = None;
                status
            }
            None => ExitStatus::default(),
        }
    }

    pub(super) fn kill(&self) {
        self.peer.kill();
    }

    pub(super) fn process(&self) -> Option<u32> {
        self.peer.process()
    }

    pub(super) fn lost(&self) -> Option<String> {
        self.peer.lost()
    }

    pub(super) fn last_lines(&self) -> Vec<String> {
        self.peer.last_lines()
    }
}
