//! Signals, read from a descriptor.
//!
//! All signals are blocked in all supervisors, from the first moment on and for ever: no handler interrupts anything, and
//! whatever somebody sends to a supervisor by mistake does nothing. Those that mean something are read by signalfd(2). The
//! mask is inherited by the processes that are forked, and so is the descriptor, which gives each process its own signals.

use crate::{
    arch,
    system::{Errno, Fd, Result, Signal, as_int, call, read, word},
};

/// Bytes of a set of signals, as the kernel has it.
const SET: usize = size_of::<u64>();

/// Signals that the kernel has.
const SIGNALS: i32 = 64;

const SIG_SETMASK: usize = 2;

/// What was signalled since it was asked last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Signalled {
    /// A child ended.
    pub(crate) child: bool,
    /// We are to end. From people, from the machine that is shut down, and from the kernel when our parent has ended:
    /// [`PARENT_ENDED`].
    pub(crate) end: bool,
}

/// What a session supervisor asks the kernel for at the end of its parent.
pub(crate) const PARENT_ENDED: Signal = Signal::TERM;

/// Resets what was inherited, and blocks everything. The descriptor that it returns reads what means something.
///
/// An embedder may ignore `SIGCHLD`, which survives execve(2), and then the kernel would reap our children before we know
/// how they ended.
pub(crate) fn take_over() -> Result<Fd> {
    let default = [0_u64; 4];
    for signal in 1..=SIGNALS {
        // SAFETY: the kernel reads an action of four words, the default one, and is not asked for the old one. It refuses
        // `SIGKILL` and `SIGSTOP`, which always have it.
        let _ = unsafe { call(arch::RT_SIGACTION, [word(signal), default.as_ptr() as usize, 0, SET]) };
    }
    set_mask(u64::MAX)?;
    let wanted = [Signal::CHLD, Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT];
    let wanted = wanted.iter().fold(0_u64, |set, signal| set | 1 << (signal.0 - 1));
    const SFD_CLOEXEC_NONBLOCK: usize = 0o2_004_000;
    // SAFETY: the kernel reads a set of signals.
    let fd = unsafe { call(arch::SIGNALFD4, [word(-1), &raw const wanted as usize, SET, SFD_CLOEXEC_NONBLOCK]) }?;
    Ok(Fd(as_int(fd)))
}

/// Unblocks everything: what a program expects to begin with.
pub(crate) fn unblock() -> Result<()> {
    set_mask(0)
}

fn set_mask(blocked: u64) -> Result<()> {
    // SAFETY: the kernel reads a set of signals, and is not asked for the old one.
    unsafe { call(arch::RT_SIGPROCMASK, [SIG_SETMASK, &raw const blocked as usize, 0, SET]) }.map(drop)
}

/// Reads all that was signalled.
pub(crate) fn take(fd: Fd) -> Signalled {
    /// `struct signalfd_siginfo`, of which only the number counts.
    const RECORD: usize = 128;
    let mut signalled = Signalled::default();
    let mut record = [0; RECORD];
    while let Ok(RECORD) = read(fd, &mut record) {
        let [a, b, c, d, ..] = record;
        if i32::from_ne_bytes([a, b, c, d]) == Signal::CHLD.0 {
            signalled.child = true;
        } else {
            signalled.end = true;
        }
    }
    signalled
}

/// Asks for a signal at the end of the parent.
pub(crate) fn at_end_of_parent(signal: Signal) -> core::result::Result<(), Errno> {
    const PR_SET_PDEATHSIG: usize = 1;
    crate::system::process_control(PR_SET_PDEATHSIG, word(signal.0), 0)
}
