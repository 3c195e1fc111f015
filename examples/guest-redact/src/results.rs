//! The bytes of a result.
//!
//! The engine names what passes through it by ranges of the events of the batch.
//! Whoever wants to read a result has to keep what those ranges may refer to: not
//! every event, but those with which a server speaks.

use std::borrow::Cow;

use innkeeper_guest::boundary::{Event, Payload, Segment};

/// What the server said in a batch of events, by their index.
#[derive(Debug, Default)]
pub(crate) struct Carried(Vec<Option<Vec<u8>>>);

impl Carried {
    pub(crate) fn of(events: &[Event]) -> Self {
        let said = |event: &Event| match event {
            Event::Frame(frame) => Some(frame.clone()),
            Event::ResponseBody(body) => Some(body.bytes.clone()),
            Event::ServerSentEvent(block) => Some(block.data.clone()),
            _ => None,
        };
        Self(events.iter().map(said).collect())
    }

    /// The bytes of a result, put together only where it has several parts. None if a part of it is nothing that the server
    /// said.
    pub(crate) fn text<'a>(&'a self, result: &'a Payload) -> Option<Cow<'a, [u8]>> {
        if let [segment] = &result[..] {
            return self.part(segment).map(Cow::Borrowed);
        }
        let mut whole = Vec::new();
        for segment in result {
            whole.extend_from_slice(self.part(segment)?);
        }
        Some(Cow::Owned(whole))
    }

    fn part<'a>(&'a self, segment: &'a Segment) -> Option<&'a [u8]> {
        match segment {
            Segment::Bytes(bytes) => Some(bytes),
            Segment::Event(range) => {
                let said = self.0.get(range.index as usize)?.as_ref()?;
                let from = range.offset as usize;
                said.get(from..from.checked_add(range.length as usize)?)
            }
            // The host has them, and the guest would have to keep a copy for as long as the call is open. The engine makes no
            // result of them.
            Segment::Params(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use innkeeper_guest::boundary::{EventRange, ParamsRange};

    use super::*;

    fn range(index: u32, offset: u32, length: u32) -> Segment {
        Segment::Event(EventRange { index, offset, length })
    }

    #[test]
    fn a_result_of_several_parts_is_put_together() {
        let carried = Carried::of(&[Event::Close, Event::Frame(b"0123456789".to_vec())]);

        let result = vec![range(1, 0, 2), Segment::Bytes(b"-".to_vec()), range(1, 8, 2)];

        assert_eq!(carried.text(&result).as_deref(), Some(b"01-89".as_slice()));
    }

    #[test]
    fn what_lies_outside_of_what_the_server_said_cannot_be_read() {
        let carried = Carried::of(&[Event::Close, Event::Frame(b"0123456789".to_vec())]);

        for segment in
            [range(0, 0, 0), range(1, 9, 2), range(2, 0, 0), range(1, u32::MAX, u32::MAX), Segment::Params(params())]
        {
            assert_eq!(carried.text(&vec![segment.clone()]), None, "{segment:?}");
            assert_eq!(carried.text(&vec![Segment::Bytes(Vec::new()), segment.clone()]), None, "{segment:?}");
        }
    }

    fn params() -> ParamsRange {
        ParamsRange { call: 1, offset: 0, length: 0 }
    }
}
