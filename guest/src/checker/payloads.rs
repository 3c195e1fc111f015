//! Payloads, put together from what an event carried and what the host keeps.

use super::{Batch, Checked, Checker, violated};
use crate::boundary::{Answer, Event, Payload, Segment};

impl Checker {
    /// The bytes of a payload, if each of its ranges lies within its bytes.
    pub(super) fn put_together(&self, payload: &Payload, batch: &Batch<'_>) -> Checked<Vec<u8>> {
        let mut whole = Vec::new();
        for segment in payload {
            let (carried, offset, length) = match segment {
                Segment::Bytes(bytes) => {
                    whole.extend_from_slice(bytes);
                    continue;
                }
                Segment::Event(range) => {
                    let event = batch.events.get(range.index as usize);
                    let Some(carried) = event.and_then(carried) else {
                        return violated(format!("event {} carries no bytes", range.index));
                    };
                    (carried, range.offset, range.length)
                }
                Segment::Params(range) => match self.calls.get(&range.call) {
                    Some(call) => (&*call.params, range.offset, range.length),
                    None => {
                        return violated(format!("params of call {}, which is not open", range.call));
                    }
                },
            };
            let end = u64::from(offset) + u64::from(length);
            match usize::try_from(end).ok().and_then(|end| carried.get(offset as usize..end)) {
                Some(part) => whole.extend_from_slice(part),
                None => {
                    return violated(format!("{offset}+{length} is beyond {}", carried.len()));
                }
            }
        }
        Ok(whole)
    }
}

/// The bytes that ranges of an event refer to.
fn carried(event: &Event) -> Option<&[u8]> {
    match event {
        Event::Frame(bytes) => Some(bytes),
        Event::Call(call) => call.params.as_deref(),
        Event::Notify(notify) => notify.params.as_deref(),
        Event::ServerResponse(response) => match &response.answer {
            Answer::Result(bytes) | Answer::Error(bytes) => Some(bytes),
            Answer::Refused => None,
        },
        Event::ResponseBody(body) => Some(&body.bytes),
        Event::ServerSentEvent(event) => Some(&event.data),
        Event::Extension(extension) => Some(&extension.body),
        _ => None,
    }
}
