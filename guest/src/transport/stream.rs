//! The transport of frames: one message to a frame, both ways.
//!
//! The host does the framing (lines, for a process), so what is left is what a
//! frame may hold: no line break, and one message, or several where the revision
//! that is spoken has batches.

use crate::boundary::{Effect, Write};
use crate::effects::{CallId, Effects};
use crate::json::{self, Malformed};
use crate::jsonrpc;
use crate::payload::Builder;
use crate::revision::Revision;

/// Sends a message that is no part of a call.
pub(crate) fn send(effects: &mut Effects, message: Builder) {
    effects.push(Effect::Write(Write { frame: message.finish(), call: None }));
}

/// Sends a message whose effects at the server are those of a call.
pub(crate) fn send_for(effects: &mut Effects, call: CallId, message: Builder) {
    effects.push(Effect::Write(Write { frame: message.finish(), call: Some(call) }));
}

/// Hands out the text of each message in a frame. `spoken` is the revision, once
/// one is agreed on.
pub(crate) fn receive<'a>(
    frame: &'a str,
    spoken: Option<Revision>,
    mut visit: impl FnMut(&'a str),
) -> Result<(), Malformed> {
    if json::is_array(frame) && spoken.is_some_and(Revision::has_batches) {
        jsonrpc::batch(frame, visit)
    } else {
        visit(frame);
        Ok(())
    }
}
