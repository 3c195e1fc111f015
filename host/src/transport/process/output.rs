//! A server's standard output: a pipe that becomes larger for a server that fills it.
//!
//! A server that writes a large frame stops whenever the pipe is full, and goes on when its host has read: for 1 MiB
//! sixteen times, each a switch between two processes. Beside the same server on a native client, results of 1 MiB were read at
//! 0.9 times its rate, and at 1.15 times with the larger pipe. Not larger from the beginning: the system counts the room of
//! all pipes of a user, whether it is used or not.

use std::{
    io,
    os::fd::OwnedFd,
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustix::pipe::fcntl_setpipe_size;
use tokio::{
    io::{AsyncRead, ReadBuf},
    net::unix::pipe,
};

/// What a new pipe holds (pipe(7)). A read of as much found it full.
const CAPACITY: usize = 64 * 1024;

/// What it holds after that. More was not faster.
const LARGER_CAPACITY: usize = 256 * 1024;

/// The host's end.
pub(super) struct Output {
    pipe: pipe::Receiver,
    /// Whether it was made larger, or could not be.
    settled: bool,
}

impl Output {
    pub(super) fn new(pipe: OwnedFd) -> io::Result<Self> {
        Ok(Self { pipe: pipe::Receiver::from_owned_fd(pipe)?, settled: false })
    }
}

impl AsyncRead for Output {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.pipe).poll_read(context, buffer))?;
        if !self.settled && buffer.filled().len() - before >= CAPACITY {
            self.settled = true;
            // Refused where the pipes of this user have as much room as they may; then it stays as it is.
            let _ = fcntl_setpipe_size(&self.pipe, LARGER_CAPACITY);
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write};

    use rustix::pipe::{PipeFlags, fcntl_getpipe_size, pipe_with};
    use tokio::io::AsyncReadExt;

    use super::*;

    /// What a pipe holds after a read of so many bytes that it held.
    async fn capacity_after(bytes: usize) -> usize {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        File::from(writer).write_all(&vec![0; bytes]).unwrap();
        let mut output = Output::new(reader).unwrap();
        let mut read = vec![0; CAPACITY];
        assert_eq!(output.read(&mut read).await.unwrap(), bytes);
        fcntl_getpipe_size(&output.pipe).unwrap()
    }

    #[tokio::test]
    async fn a_pipe_that_was_full_is_made_larger() {
        assert_eq!(capacity_after(CAPACITY).await, LARGER_CAPACITY);
        assert_eq!(capacity_after(CAPACITY - 1).await, CAPACITY);
    }
}
