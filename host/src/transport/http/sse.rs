//! Event streams, from bytes to blocks: "Server-sent events" of the HTML standard (WHATWG, section 9.2.6).
//!
//! Two things differ from what a browser does, because what reads this is a program that takes part in a protocol. Blocks that
//! carry only an id or a retry time are delivered too. And a stream that is not UTF-8 is an error: what would be replaced by
//! U+FFFD is somebody's data.
//!
//! Written here rather than taken from a crate because of memory: a line and the block that it belongs to are bounded together,
//! and what is not delivered is not read on.

use bytes::{Buf, Bytes, BytesMut};

use crate::transport::exchange::ServerSentEvent;

/// What makes a stream end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A block is larger than allowed.
    TooLarge,
    /// It is not UTF-8.
    NotUtf8,
}

/// Cuts a stream into blocks.
pub(super) struct Parser {
    limit: usize,
    /// A line whose end has not come.
    line: BytesMut,
    /// Whether the last line ended with a carriage return, so that a line feed would belong to that.
    after_return: bool,
    /// Whether no line has come.
    at_start: bool,
    block: ServerSentEvent,
    data: BytesMut,
    has_data: bool,
}

impl Parser {
    /// One whose lines and blocks have no more than so many bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            line: BytesMut::new(),
            after_return: false,
            at_start: true,
            block: ServerSentEvent::default(),
            data: BytesMut::new(),
            has_data: false,
        }
    }

    /// Takes from the input up to the end of a block. None: all of it was taken, and no block is complete.
    pub(super) fn next(&mut self, input: &mut Bytes) -> Result<Option<ServerSentEvent>, Fault> {
        while !input.is_empty() {
            if std::mem::take(&mut self.after_return) && input.first() == Some(&b'\n') {
                input.advance(1);
                continue;
            }
            let end = memchr::memchr2(b'\r', b'\n', input);
            let length = end.unwrap_or(input.len());
            if self.buffered() + length > self.limit {
                return Err(Fault::TooLarge);
            }
            let Some(end) = end else {
                self.line.extend_from_slice(input);
                input.clear();
                break;
            };
            self.after_return = input.get(end) == Some(&b'\r');
            let rest = input.split_to(end);
            input.advance(1);
            let block = if self.line.is_empty() {
                self.take_line(&rest)?
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&rest);
                self.take_line(&line)?
            };
            if block.is_some() {
                return Ok(block);
            }
        }
        Ok(None)
    }

    /// Bytes that are kept.
    pub(super) fn buffered(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.line.len() + self.data.len() + text(&self.block.id) + text(&self.block.event_type)
    }

    fn take_line(&mut self, line: &[u8]) -> Result<Option<ServerSentEvent>, Fault> {
        let line = str::from_utf8(line).map_err(|_| Fault::NotUtf8)?;
        // One byte order mark at the beginning is none of the content.
        let line =
            if std::mem::take(&mut self.at_start) { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
        if line.is_empty() {
            return Ok(self.end_block());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.extend_from_slice(b"\n");
                }
                self.data.extend_from_slice(value.as_bytes());
            }
            "event" => self.block.event_type = Some(value).filter(|value| !value.is_empty()).map(str::to_owned),
            "id" if !value.contains('\0') => self.block.id = Some(value.to_owned()),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                // Nothing, and what is beyond all times, is no time.
                self.block.retry = value.parse().ok().or(self.block.retry);
            }
            // Comments have an empty name. What is not known is ignored.
            _ => {}
        }
        Ok(None)
    }

    fn end_block(&mut self) -> Option<ServerSentEvent> {
        let block = std::mem::take(&mut self.block);
        let has_data = std::mem::take(&mut self.has_data);
        let data = std::mem::take(&mut self.data).freeze();
        // A block without anything, or with nothing but a type, says nothing.
        (has_data || block.id.is_some() || block.retry.is_some()).then_some(ServerSentEvent { data, ..block })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(limit: usize, chunks: &[&[u8]]) -> Result<Vec<ServerSentEvent>, Fault> {
        let mut parser = Parser::new(limit);
        let mut blocks = Vec::new();
        for chunk in chunks {
            let mut input = Bytes::copy_from_slice(chunk);
            while let Some(block) = parser.next(&mut input)? {
                blocks.push(block);
            }
            assert!(input.is_empty(), "what is not taken would be lost");
        }
        Ok(blocks)
    }

    fn blocks(text: &str) -> Vec<ServerSentEvent> {
        parse(1 << 20, &[text.as_bytes()]).unwrap()
    }

    fn data(data: &str) -> ServerSentEvent {
        ServerSentEvent { data: Bytes::copy_from_slice(data.as_bytes()), ..ServerSentEvent::default() }
    }

    /// The standard, as directly as it can be written: the whole text at once.
    fn reference(text: &str) -> Vec<ServerSentEvent> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
        let mut lines: Vec<&str> = text.split('\n').collect();
        // What follows the last end of a line is no line.
        lines.pop();
        let mut blocks = Vec::new();
        let mut fields: Vec<(&str, &str)> = Vec::new();
        for line in lines {
            if !line.is_empty() {
                let (field, value) = line.split_once(':').unwrap_or((line, ""));
                fields.push((field, value.strip_prefix(' ').unwrap_or(value)));
                continue;
            }
            let of = |name: &str| -> Vec<&str> {
                fields.iter().filter(|(field, _)| *field == name).map(|(_, value)| *value).collect()
            };
            let block = ServerSentEvent {
                event_type: of("event").last().filter(|value| !value.is_empty()).map(|value| (*value).to_owned()),
                data: of("data").join("\n").into(),
                id: of("id").iter().rfind(|value| !value.contains('\0')).map(|value| (*value).to_owned()),
                retry: of("retry")
                    .iter()
                    .rev()
                    .filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()))
                    .find_map(|value| value.parse().ok()),
            };
            if !of("data").is_empty() || block.id.is_some() || block.retry.is_some() {
                blocks.push(block);
            }
            fields.clear();
        }
        blocks
    }

    #[test]
    fn a_block_is_what_stands_before_an_empty_line() {
        assert_eq!(blocks("data: a\n\ndata:b\r\n\r\ndata:  c\r\rdata: d\n"), [data("a"), data("b"), data(" c")]);
    }

    #[test]
    fn several_lines_of_data_are_one_text() {
        assert_eq!(blocks("data: a\ndata\ndata: b\n\n"), [data("a\n\nb")]);
        assert_eq!(blocks("data\n\n"), [data("")]);
    }

    #[test]
    fn what_carries_only_an_id_or_a_retry_time_is_delivered() {
        let id = ServerSentEvent { id: Some("7".into()), ..ServerSentEvent::default() };
        let reset = ServerSentEvent { id: Some(String::new()), ..ServerSentEvent::default() };
        let retry = ServerSentEvent { retry: Some(500), ..ServerSentEvent::default() };

        assert_eq!(blocks("id: 7\n\nid\n\nretry: 500\n\n"), [id, reset, retry]);
    }

    #[test]
    fn what_says_nothing_is_not_delivered() {
        assert_eq!(blocks("\n\n: a comment\n\nevent: x\n\nunknown: y\n\nid: a\0b\n\nretry: 1s\n\nretry:\n\n"), []);
    }

    #[test]
    fn a_type_belongs_to_its_block_alone() {
        let typed = ServerSentEvent { event_type: Some("x".into()), ..data("a") };

        assert_eq!(blocks("event: x\ndata: a\n\ndata: b\n\nevent:\ndata: c\n\n"), [typed, data("b"), data("c")]);
    }

    #[test]
    fn a_mark_of_byte_order_is_taken_off_once() {
        assert_eq!(blocks("\u{feff}data: a\n\n"), [data("a")]);
        assert_eq!(blocks("\u{feff}\u{feff}data: a\n\n"), []);
        assert_eq!(blocks("\n\u{feff}data: a\n\n"), []);
    }

    #[test]
    fn a_time_beyond_all_times_is_none() {
        assert_eq!(blocks(&format!("retry: {}\n\n", "9".repeat(50))), []);
    }

    #[test]
    fn a_stream_that_is_not_utf8_is_an_error() {
        assert_eq!(parse(100, &[b"data: \xff\n\n"]), Err(Fault::NotUtf8));
        // A character that is cut in two is none.
        assert_eq!(parse(100, &[b"data: \xc3", b"\xa4\n\n"]), Ok(vec![data("\u{e4}")]));
    }

    #[test]
    fn a_block_is_bounded_whatever_it_consists_of() {
        let endless = [
            "data: 12345678901234567890",
            "data: 1\ndata: 2\ndata: 3\ndata: 4\ndata: 5\ndata: 6\ndata: 7",
            ": a comment without an end",
            "id: 1234567890\nevent: 1234567",
        ];
        for text in endless {
            assert_eq!(parse(16, &[text.as_bytes()]), Err(Fault::TooLarge), "{text}");
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(parse(16, &bytes), Err(Fault::TooLarge), "{text}, byte by byte");
        }
        assert_eq!(parse(16, &[b"data: 1234567890\n\n".repeat(100).as_slice()]).unwrap().len(), 100);
    }

    /// Texts that are mostly event streams.
    fn stream() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "data", "event", "id", "retry", ":", ": ", " ", "\n", "\r", "\r\n", "\n\n", "\r\n\r\n", "x", "\u{e4}", "7",
            "12", "\0", "\u{feff}", "data: ", "id: 1\n",
        ]);
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn wherever_it_is_cut_a_stream_says_what_the_standard_says(text in stream()) {
            let expected = reference(&text);
            let bytes = text.as_bytes();

            for cut in 0..=bytes.len() {
                let (head, tail) = bytes.split_at(cut);
                prop_assert_eq!(parse(1 << 20, &[head, tail]).unwrap(), expected.clone(), "cut at {}", cut);
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(parse(1 << 20, &single).unwrap(), expected);
        }
    }
}
