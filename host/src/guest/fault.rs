//! How a guest fails.

use std::time::Duration;

/// Why a guest was ended. Its `Store` is dropped and never touched again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GuestFault {
    /// It trapped.
    #[error("it trapped: {0}")]
    Trap(String),
    /// It used more CPU time for one batch of events than it may.
    #[error("it used more than {0:?} of CPU time for one batch of events (`Limits::guest_cpu`)")]
    CpuTime(Duration),
    /// It did not finish a batch of events in time, though it had CPU time left.
    #[error("it took longer than {0:?} for one batch of events (`Limits::guest_wall`)")]
    WallClock(Duration),
    /// It asked for more memory than it may have, and failed.
    #[error("it asked for more than {0} bytes of memory (`Limits::guest_memory`), and failed: {1}")]
    Memory(usize, String),
    /// It broke a rule of the boundary: an unknown id, a range out of bounds, an effect that its transport has not.
    #[error("it broke a rule of the boundary: {0}")]
    Boundary(String),
}
