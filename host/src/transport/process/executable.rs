//! The supervisor as something that can be executed.
//!
//! A library cannot rely on a file beside it, so the program is in the library, and goes to the kernel as a file in memory.
//! Where a system forbids to execute those (`vm.memfd_noexec=2`), an operator installs it as a file and names that.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use super::supervisor::{unavailable, unusable};
use crate::transport::ConnectError;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// The program, or why the library was built without.
pub(crate) const PROGRAM: Result<&[u8], &str> = include!(concat!(env!("OUT_DIR"), "/embedded_supervisor.rs"));

/// What to do where files in memory cannot be executed.
pub(super) const INSTALL: &str = "install it as a file, and name that with `RuntimeBuilder::supervisor`, or the variable \
                                  INNKEEPER_SUPERVISOR for the command line";

/// A path that can be executed as long as this lives.
pub(super) struct Executable {
    path: PathBuf,
    _memory: Option<OwnedFd>,
}

impl Executable {
    /// The file that was configured, if one was: another is not tried in its place.
    pub(super) fn new(configured: Option<&Path>) -> Result<Self, ConnectError> {
        if let Some(path) = configured {
            return Ok(Self { path: path.to_owned(), _memory: None });
        }
        let program = PROGRAM.map_err(|reason| unusable(&format!("this build has none: {reason}")))?;
        let memory = in_memory(program).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => {
                unusable(&format!("this system forbids executing files in memory (vm.memfd_noexec); {INSTALL}"))
            }
            _ => unavailable(&format!("a file in memory: {error}")),
        })?;
        Ok(Self { path: format!("/proc/self/fd/{}", memory.as_raw_fd()).into(), _memory: Some(memory) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn in_memory(program: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // The kernel wants to be told since 6.3; older ones do not know the flag.
    let memory = match memfd_create("innkeeper-supervisor", flags | MemfdFlags::EXEC) {
        Err(rustix::io::Errno::INVAL) => memfd_create("innkeeper-supervisor", flags),
        memory => memory,
    }?;
    let mut file = File::from(memory);
    file.write_all(program)?;
    let memory = OwnedFd::from(file);
    fcntl_add_seals(&memory, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    // Not one of the standard descriptors, which an embedder may have closed: the child gets others in their place.
    Ok(rustix::io::fcntl_dupfd_cloexec(&memory, 3)?)
}
