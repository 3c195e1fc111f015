//! The bytes that a guest's payloads name: its own, parts of the events of the batch, and parts of the params of open calls.

use bytes::{Bytes, BytesMut};

use super::{calls::Calls, link::Link};
use crate::guest::{
    Batch,
    boundary::{Effect, Event, Payload, Segment},
};

/// The bytes that a payload names.
pub(super) fn parts<'a>(
    payload: &'a Payload,
    events: &'a [Event],
    calls: &'a Calls,
) -> Result<Vec<&'a [u8]>, &'static str> {
    payload
        .iter()
        .map(|segment| match segment {
            Segment::Bytes(bytes) => Ok(&bytes[..]),
            Segment::Event { index, offset, length } => events
                .get(*index as usize)
                .and_then(|event| range(event.bytes(), *offset, *length))
                .ok_or("it named a range outside of its event"),
            Segment::Params { call, offset, length } => calls
                .params(*call)
                .and_then(|params| range(params, *offset, *length))
                .ok_or("it named a range outside of the params of an open call"),
        })
        .collect()
}

/// The same, copied together, where they are no more than allowed.
pub(super) fn bytes_of(payload: &Payload, events: &[Event], calls: &Calls, most: usize) -> Result<Bytes, String> {
    // One piece of one owner is shared, not copied.
    if let [Segment::Bytes(bytes)] = payload.as_slice()
        && bytes.len() <= most
    {
        return Ok(bytes.clone());
    }
    let parts = parts(payload, events, calls)?;
    let length = total(&parts);
    if length > most {
        return Err(format!("it made a request with a body of {length} bytes"));
    }
    let mut bytes = BytesMut::with_capacity(length);
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    Ok(bytes.freeze())
}

/// The bytes of parts in all. Saturating, because the same bytes may be named any number of times.
pub(super) fn total(parts: &[&[u8]]) -> usize {
    parts.iter().fold(0, |total, part| total.saturating_add(part.len()))
}

pub(super) fn range(bytes: &[u8], offset: u32, length: u32) -> Option<&[u8]> {
    let start = offset as usize;
    bytes.get(start..start.checked_add(length as usize)?)
}

/// Queues the frames of a last batch, whose other effects nobody needs any more.
pub(super) fn queue_writes(batch: &Batch, link: &mut Link, may_be_said: impl Fn(&[&[u8]]) -> bool) {
    let calls = Calls::default();
    for effect in &batch.effects {
        if let Effect::Write { frame, .. } = effect
            && let Ok(parts) = parts(frame, &batch.events, &calls)
            && may_be_said(&parts)
        {
            link.queue(parts.iter().copied(), None);
        }
    }
}
