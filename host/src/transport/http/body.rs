//! The body of a request, which knows when it leaves.
//!
//! Whether a call may have run is whether its body was handed to a connection. hyper takes the body once it has a connection and
//! has written the head, so the moment that it asks is the last one at which the answer is still "no".

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::transport::exchange::Departure;

pub(super) struct RequestBody {
    bytes: Option<Bytes>,
    departure: Arc<Departure>,
}

impl RequestBody {
    /// A body that is not empty: nobody asks for one that is.
    pub(super) fn new(bytes: Bytes, departure: Arc<Departure>) -> Self {
        Self { bytes: Some(bytes), departure }
    }
}

/// The body was not to leave any more.
#[derive(Debug)]
pub(super) struct Withdrawn;

impl fmt::Display for Withdrawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request was withdrawn")
    }
}

impl std::error::Error for Withdrawn {}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Withdrawn;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Withdrawn>>> {
        let Some(bytes) = self.bytes.take() else { return Poll::Ready(None) };
        Poll::Ready(Some(if self.departure.leave() { Ok(Frame::data(bytes)) } else { Err(Withdrawn) }))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, Bytes::len) as u64)
    }
}
