//! What the supervisor reports, for people and for callers.

use std::io;

use super::{
    invocation::not_executed,
    protocol::{Failure, Hello, Probe, Stage},
    supervisor::{unavailable, unusable},
};
use crate::{Isolation, transport::ConnectError};

/// Why a supervisor could not be set up.
pub(super) fn setup(failure: Failure) -> ConnectError {
    let error = io::Error::from_raw_os_error(failure.error);
    match failure.stage {
        Stage::Parent => unusable("it was not started by this process, or in another PID namespace"),
        Stage::Fork => unavailable(&format!("it cannot fork: {error}")),
        Stage::ProcessList => {
            unusable("/proc is not mounted, or is that of another PID namespace; mount the one of this")
        }
        _ => unusable(&format!("it cannot set itself up: {error}; it needs Linux 5.9")),
    }
}

/// Why a server could not be started.
pub(super) fn start(program: &str, isolation: Isolation, failure: Failure) -> ConnectError {
    let error = io::Error::from_raw_os_error(failure.error);
    match failure.stage {
        Stage::Execute => not_executed(program, &error),
        Stage::Folder => ConnectError::new(format!("its folder cannot be entered: {error}")),
        Stage::Limits => {
            ConnectError::new(format!("its limits cannot be set: {error}; are they above those of the host?"))
        }
        Stage::Privileges | Stage::SignalScope | Stage::SystemCallFilter => {
            ConnectError::isolation(isolation, format!("entering it failed: {error}"))
        }
        Stage::Table => ConnectError::unavailable("the supervisor has as many sessions as it takes"),
        Stage::Fork => ConnectError::unavailable(format!("the system gives no process for it: {error}")),
        Stage::Setup | Stage::Parent | Stage::Request | Stage::Process | Stage::ProcessList => {
            ConnectError::unavailable(format!("its supervisor failed: {error}"))
        }
    }
}

/// What a machine lacks for guarding servers; none, if nothing.
pub(crate) fn lacks(hello: &Hello) -> Option<String> {
    let needed = [
        (Probe::NoNewPrivileges, "`no_new_privs`".to_owned()),
        (
            Probe::SignalScope,
            match hello.landlock {
                0 => "Landlock, which the kernel has not, or which is off".to_owned(),
                revision => {
                    format!("the signal scope of Landlock (revision 6, Linux 6.12; this kernel has {revision})")
                }
            },
        ),
        (Probe::SystemCallFilter, "seccomp filters".to_owned()),
        (Probe::NoCapabilities, "giving up capabilities".to_owned()),
    ];
    let lacking: Vec<String> =
        needed.into_iter().filter(|(probe, _)| !hello.has(*probe)).map(|(_, name)| name).collect();
    (!lacking.is_empty()).then(|| lacking.join(", "))
}
