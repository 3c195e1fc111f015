//! What is done between fork and exec, in the child.
//!
//! The child has one thread, and whatever lock another thread of the host held is held for ever. So nothing here allocates
//! or locks: system calls only. It is the only part of the host that is `unsafe`.

use std::{
    io,
    os::{
        fd::{BorrowedFd, RawFd},
        unix::process::CommandExt,
    },
    process::Command,
};

use rustix::{
    io::{FdFlags, fcntl_setfd},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use crate::{ProcessLimits, transport::ConnectError};

/// The first descriptor that is no standard stream.
const FIRST: RawFd = 3;

/// Descriptors that are looked at, at most: a host may be allowed any number, has a few for each of its sessions, and gets the
/// lowest that are free.
const MOST: u64 = 65_536;

/// Has a command begin with its standard streams only, and with limits.
pub(super) fn confine(command: &mut Command, limits: Limits) {
    let open = getrlimit(Resource::Nofile).current.unwrap_or(MOST).min(MOST);
    let last = RawFd::try_from(open).unwrap_or(RawFd::MAX);
    // SAFETY: what runs in the child only makes system calls: see the header.
    unsafe {
        command.pre_exec(move || {
            close_on_exec(FIRST..last);
            limits.set()
        });
    }
}

/// Some systems, macOS among them, cannot make a descriptor that is closed on exec in one step, so that a child that is started
/// at that moment has it. Were it another session's socket, then that session would not end with the host.
///
/// Not closed now: one of them tells the parent why an exec fails.
fn close_on_exec(descriptors: std::ops::Range<RawFd>) {
    for descriptor in descriptors {
        // SAFETY: the number goes to fcntl(2), which fails where no such descriptor is open, and nothing else is done with
        // it. No other thread of this process could open or close one.
        let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
        let _ = fcntl_setfd(descriptor, FdFlags::CLOEXEC);
    }
}

/// Limits that this process may set.
#[derive(Clone, Copy, Default)]
pub(super) struct Limits([Option<(Resource, u64, u64)>; 3]);

impl Limits {
    /// The limits of a server. Checked here, because in the child nothing can be explained.
    pub(super) fn new(wanted: ProcessLimits) -> Result<Self, ConnectError> {
        if wanted.address_space.is_some() {
            return Err(ConnectError::new(
                "its limit of address space cannot be set: this version does that on Linux only; remove it",
            ));
        }
        let limits = [
            (!wanted.core_files).then_some((Resource::Core, 0, 0)),
            wanted.open_files.map(|files| (Resource::Nofile, files, files)),
            // The soft limit signals `SIGXCPU`, by which the exit says what happened; a second later `SIGKILL` cannot be
            // caught.
            wanted.cpu_seconds.map(|seconds| (Resource::Cpu, seconds, seconds.saturating_add(1))),
        ];
        for (resource, _, hard) in limits.into_iter().flatten() {
            if getrlimit(resource).maximum.is_some_and(|maximum| maximum < hard) {
                return Err(ConnectError::new("its limits cannot be set: they are above those of the host"));
            }
        }
        Ok(Self(limits))
    }

    fn set(self) -> io::Result<()> {
        for (resource, soft, hard) in self.0.into_iter().flatten() {
            setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) })?;
        }
        Ok(())
    }
}
