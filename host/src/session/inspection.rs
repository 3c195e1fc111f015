//! What a guest says to its server, looked at before it is said: for guests that are not the platform's.
//!
//! The core does not know what is in a message. Whoever does is shown each one that goes to the server, with the call that it is
//! for, and what may not be said is a guest fault: nothing of it leaves.

use super::owner::Owner;
use crate::Error;

/// Looks at messages. Called by the task of the session, which waits meanwhile.
pub(crate) trait Inspector: Send + Sync + 'static {
    /// Whether this may be said to the server, or why not. `call` is the call that it is for, if it is for one.
    fn outgoing(&self, message: &[u8], call: Option<SaidFor<'_>>) -> Result<(), String>;
}

/// A call that something is said for.
pub(crate) struct SaidFor<'a> {
    pub(crate) method: &'a str,
    pub(crate) params: Option<&'a [u8]>,
    /// Messages that were said for it before, and that the server may have taken.
    pub(crate) before: u32,
}

impl Owner {
    /// Whether the guest may say this.
    pub(super) fn inspect(&self, message: &[u8], call: Option<u64>) -> Result<(), Error> {
        let Some(inspector) = &self.spec.inspector else { return Ok(()) };
        let call = call.and_then(|call| self.calls.said_for(call));
        inspector.outgoing(message, call).map_err(|detail| self.fault(&detail))
    }

    pub(super) fn is_inspected(&self) -> bool {
        self.spec.inspector.is_some()
    }
}
