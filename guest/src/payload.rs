//! Payloads, put together without copying what is large.
//!
//! What the guest says itself is bytes; what passes through it stays where it
//! is, and is named by a range of an event or of a call's parameters.

use crate::boundary::{EventRange, ParamsRange, Payload, Segment};
use crate::effects::CallId;
use std::fmt;
use std::io::Write as _;

/// The text that an event of the present batch carried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    index: u32,
    text: &'a str,
}

impl<'a> Source<'a> {
    /// `text` has to be the whole of what the event at `index` carried.
    pub(crate) fn new(index: u32, text: &'a str) -> Self {
        Source { index, text }
    }

    /// Names `part`, a slice of this text, by where it lies in it.
    pub(crate) fn segment(&self, part: &str) -> Segment {
        match self.range(part) {
            Some(range) => Segment::Event(range),
            // Not a slice of this text, or beyond what 32 bits can name.
            None => Segment::Bytes(part.as_bytes().to_vec()),
        }
    }

    /// The same, as a payload of its own; an absent part is an empty payload.
    pub(crate) fn payload(&self, part: Option<&str>) -> Payload {
        part.map(|part| vec![self.segment(part)]).unwrap_or_default()
    }

    fn range(&self, part: &str) -> Option<EventRange> {
        let offset = part.as_ptr().addr().checked_sub(self.text.as_ptr().addr())?;
        if offset.checked_add(part.len())? > self.text.len() {
            return None;
        }
        Some(EventRange {
            index: self.index,
            offset: u32::try_from(offset).ok()?,
            length: u32::try_from(part.len()).ok()?,
        })
    }
}

/// What JSON writes as Rust does.
pub(crate) trait Number: fmt::Display {}

impl Number for u64 {}
impl Number for i64 {}

/// A payload in the making.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    segments: Payload,
    bytes: Vec<u8>,
    length: u64,
}

impl Builder {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Builder { segments: Vec::new(), bytes: Vec::with_capacity(bytes), length: 0 }
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    pub(crate) fn number(&mut self, number: impl Number) -> &mut Self {
        // Writing to a vector cannot fail.
        let _ = write!(self.bytes, "{number}");
        self
    }

    /// `text` as a JSON string.
    pub(crate) fn string(&mut self, text: &str) -> &mut Self {
        // Writing to a vector cannot fail, and neither can serialising a string.
        let _ = serde_json::to_writer(&mut self.bytes, text);
        self
    }

    /// A part of what an event carried.
    pub(crate) fn source(&mut self, source: Source<'_>, part: &str) -> &mut Self {
        self.segment(source.segment(part))
    }

    /// A part of a call's parameters.
    pub(crate) fn params(&mut self, call: CallId, offset: u32, length: u32) -> &mut Self {
        self.segment(Segment::Params(ParamsRange { call, offset, length }))
    }

    fn segment(&mut self, segment: Segment) -> &mut Self {
        let length = match &segment {
            Segment::Bytes(bytes) => bytes.len() as u64,
            Segment::Event(range) => range.length.into(),
            Segment::Params(range) => range.length.into(),
        };
        if length > 0 {
            self.flush();
            self.length = self.length.saturating_add(length);
            self.segments.push(segment);
        }
        self
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> u64 {
        self.length.saturating_add(self.bytes.len() as u64)
    }

    pub(crate) fn finish(mut self) -> Payload {
        self.flush();
        self.segments
    }

    fn flush(&mut self) {
        if !self.bytes.is_empty() {
            self.length = self.len();
            self.segments.push(Segment::Bytes(std::mem::take(&mut self.bytes)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_of_an_event_is_named_and_anything_else_is_copied() {
        let text = String::from("0123456789");
        let source = Source::new(3, &text);

        let range = EventRange { index: 3, offset: 2, length: 4 };
        assert_eq!(source.segment(&text[2..6]), Segment::Event(range));
        assert_eq!(source.segment("elsewhere"), Segment::Bytes(b"elsewhere".to_vec()));
        assert_eq!(source.payload(None), []);
    }

    #[test]
    fn neighbouring_bytes_become_one_segment_and_empty_ranges_none() {
        let mut builder = Builder::default();

        builder.text("{").string("a\n").text(":").number(-5i64);
        builder.params(7, 1, 0).params(7, 1, 2).text("}");

        assert_eq!(builder.len(), 12);
        let range = ParamsRange { call: 7, offset: 1, length: 2 };
        assert_eq!(
            builder.finish(),
            [Segment::Bytes(br#"{"a\n":-5"#.to_vec()), Segment::Params(range), Segment::Bytes(b"}".to_vec())]
        );
    }
}
