//! The last lines of a server's standard error: for errors, and for the log.
//!
//! It is always read, because a server that nobody reads from stops at a full pipe; and it is never kept whole, because some
//! servers write without end.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{io::AsyncReadExt, net::unix::pipe, sync::watch, task::AbortHandle, time::timeout};

use crate::names::ServerName;

/// Bytes of a line that are kept. A stack trace has longer ones, but its first words name the cause.
const LINE: usize = 1024;

/// Bytes that are read at a time.
const CHUNK: usize = 4096;

/// How long to wait for the rest when the processes are gone: it is there, and takes a moment to be read.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// The last lines so far. Dropping it ends the reading.
pub(super) struct StderrTail {
    lines: Arc<Mutex<Lines>>,
    reading: AbortHandle,
    drained: watch::Receiver<()>,
}

impl StderrTail {
    /// Begins to read, on the present tokio runtime.
    pub(super) fn read(mut pipe: pipe::Receiver, server: ServerName, keep: usize) -> Self {
        let lines = Arc::new(Mutex::new(Lines { keep, ..Lines::default() }));
        let tail = lines.clone();
        let (open, drained) = watch::channel(());
        let reading = tokio::spawn(async move {
            let _open = open;
            let mut chunk = [0; CHUNK];
            while let Ok(read @ 1..) = pipe.read(&mut chunk).await {
                let read = chunk.get(..read).unwrap_or_default();
                let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
                tail.push(read, |line| tracing::debug!(target: "innkeeper::stderr", %server, "{line}"));
            }
        });
        Self { lines, reading: reading.abort_handle(), drained }
    }

    /// Resolves when everything has been read, or nobody reads any more; soon in any case. For after the end of a server,
    /// which its last words explain.
    pub(super) fn last_words(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut drained = self.drained.clone();
        async move {
            let all_read = async { while drained.changed().await.is_ok() {} };
            let _ = timeout(LAST_WORDS, all_read).await;
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).all()
    }
}

impl Drop for StderrTail {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

#[derive(Default)]
struct Lines {
    keep: usize,
    whole: VecDeque<String>,
    partial: Vec<u8>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            let room = LINE.saturating_sub(self.partial.len());
            self.partial.extend_from_slice(text.get(..room).unwrap_or(text));
            if ended {
                let line = text_of(&self.partial);
                self.partial.clear();
                if !line.is_empty() {
                    each(&line);
                    self.keep_line(line);
                }
            }
        }
    }

    fn keep_line(&mut self, line: String) {
        if self.whole.len() >= self.keep {
            self.whole.pop_front();
        }
        if self.keep > 0 {
            self.whole.push_back(line);
        }
    }

    fn all(&self) -> Vec<String> {
        let partial = Some(text_of(&self.partial)).filter(|line| !line.is_empty());
        self.whole.iter().cloned().chain(partial).collect()
    }
}

/// A line as text that cannot do anything to a terminal.
fn text_of(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    text.trim_end().chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(keep: usize, chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines { keep, ..Lines::default() };
        for chunk in chunks {
            lines.push(chunk, |_| {});
        }
        lines.all()
    }

    #[test]
    fn the_last_lines_are_kept_with_the_unfinished_one() {
        assert_eq!(tail(2, &[b"one\ntwo\nth", b"ree\n\nfo", b"ur"]), ["two", "three", "four"]);
    }

    #[test]
    fn a_line_without_end_is_kept_up_to_a_kibibyte() {
        let endless = vec![b'x'; 100_000];

        assert_eq!(tail(2, &[&endless, &endless])[0].len(), LINE);
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(tail(1, &[b"\x1b[31mred\xff\n"]), ["\u{fffd}[31mred\u{fffd}"]);
    }
}
