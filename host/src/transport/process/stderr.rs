//! The last lines of a server's standard error: for errors, and for the log.
//!
//! It is always read, because a server that nobody reads from stops at a full pipe; and it is never kept whole, because some
//! servers write without end. What the server was given as secrets is hidden in it, before it is cut into lines.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{io::AsyncReadExt, net::unix::pipe, sync::watch, task::AbortHandle, time::timeout};

use crate::{
    names::ServerName,
    policy::{Masker, Patterns},
};

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
    pub(super) fn read(mut pipe: pipe::Receiver, server: ServerName, keep: usize, secrets: Arc<Patterns>) -> Self {
        let lines = Arc::new(Mutex::new(Lines::new(keep, secrets)));
        let tail = lines.clone();
        let (open, drained) = watch::channel(());
        let reading = tokio::spawn(async move {
            let _open = open;
            let each = |line: &str| tracing::debug!(target: "innkeeper::stderr", %server, "{line}");
            let mut chunk = [0; CHUNK];
            while let Ok(read @ 1..) = pipe.read(&mut chunk).await {
                let read = chunk.get(..read).unwrap_or_default();
                tail.lock().unwrap_or_else(PoisonError::into_inner).push(read, each);
            }
            tail.lock().unwrap_or_else(PoisonError::into_inner).end(each);
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

#[derive(Clone)]
struct Lines {
    keep: usize,
    whole: VecDeque<String>,
    partial: Vec<u8>,
    masker: Masker,
}

impl Lines {
    fn new(keep: usize, secrets: Arc<Patterns>) -> Self {
        Self { keep, whole: VecDeque::new(), partial: Vec::new(), masker: Masker::new(secrets) }
    }

    fn push(&mut self, bytes: &[u8], each: impl FnMut(&str)) {
        let shown = self.masker.push(bytes);
        self.cut(&shown, each);
    }

    /// Nothing follows.
    fn end(&mut self, each: impl FnMut(&str)) {
        let rest = self.masker.take_rest();
        self.cut(&rest, each);
    }

    fn cut(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
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
        let mut all = self.clone();
        all.end(|_| {});
        all.whole_and_partial()
    }

    fn whole_and_partial(&self) -> Vec<String> {
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
        hidden(keep, &[], chunks)
    }

    fn hidden(keep: usize, secrets: &[&str], chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::new(keep, Arc::new(Patterns::of(secrets.iter().copied())));
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
    fn a_secret_is_hidden_also_where_a_line_or_a_piece_ends_in_it() {
        let secret = "hunter2-hunter3\nsecond-line";
        let before_the_bound = vec![b'x'; LINE - 5];

        assert_eq!(hidden(2, &[secret], &[b"a hunter2-hun", b"ter3\nseco", b"nd-line\nb\n"]), ["a ***", "b"]);
        assert_eq!(hidden(2, &[secret], &[b"b second-line\r\nc"]), ["b ***", "c"]);
        assert_eq!(hidden(1, &[secret], &[b"it ends with hunter2-h"]), ["it ends with ***"]);
        let cut = hidden(1, &[secret], &[&before_the_bound, secret.as_bytes(), b"\n"]);
        assert_eq!(cut[0].trim_start_matches('x'), "***");
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(tail(1, &[b"\x1b[31mred\xff\n"]), ["\u{fffd}[31mred\u{fffd}"]);
    }
}
