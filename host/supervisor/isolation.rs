//! What a guarded server cannot do to others: to its supervisor, to the host, to servers of other sessions.
//!
//! All of them run as one user, and to the kernel that is one party: each may signal, trace, read and starve the others. So a
//! server begins in a domain that ends at its own descendants:
//!
//! - *Landlock*, signal scope (Linux 6.12): signals reach processes of the domain only. Every Landlock domain also
//!   forbids tracing what is outside of it, and with it /proc/PID/{environ,mem,fd}, `pidfd_getfd` and `process_vm_writev`.
//! - the *seccomp filter* of [`filter`](crate::filter): limits, priorities and processors of others.
//! - *no new privileges*: no setuid program gives back what was taken.
//! - *no capabilities*, where the host has any: the rules of the kernel above have exceptions for those.
//!
//! None of this limits files, the network, memory or the number of processes.

use crate::{
    arch, filter,
    protocol::{Failure, Probe, Stage},
    system::{self, Errno, Fd, Pid, Result, Signal, as_int, call, process_control, word},
};

/// Puts this process, and all that it will start, into a domain of its own. It must have no new privileges before.
pub(crate) fn enter() -> core::result::Result<(), Failure> {
    drop_capabilities().map_err(Errno::at(Stage::Privileges))?;
    scope_signals().map_err(Errno::at(Stage::SignalScope))?;
    filter::install().map_err(Errno::at(Stage::SystemCallFilter))
}

/// Keeps this process, and all that it will start, from gaining privileges: from becoming what its supervisor may not kill.
pub(crate) fn no_new_privileges() -> Result<()> {
    const PR_SET_NO_NEW_PRIVS: usize = 38;
    process_control(PR_SET_NO_NEW_PRIVS, 1, 0)
}

/// Gives up all capabilities. Without new privileges no program brings them back; bounding set and secure bits say the same
/// once more.
fn drop_capabilities() -> Result<()> {
    const PR_CAPBSET_DROP: usize = 24;
    const PR_SET_SECUREBITS: usize = 28;
    const PR_CAP_AMBIENT: usize = 47;
    const PR_CAP_AMBIENT_CLEAR_ALL: usize = 4;
    // NOROOT, NO_SETUID_FIXUP and KEEP_CAPS off, each locked.
    const SECURE_BITS: usize = 0b10_1111;
    const MOST_CAPABILITIES: usize = 64;
    const VERSION_3: u32 = 0x2008_0522;

    // These three need a capability themselves, which a host may lack; then there is less to give up, and the last step counts.
    for capability in 0..MOST_CAPABILITIES {
        let _ = process_control(PR_CAPBSET_DROP, capability, 0);
    }
    let _ = process_control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0);
    let _ = process_control(PR_SET_SECUREBITS, SECURE_BITS, 0);

    let header = [VERSION_3, 0];
    let none = [0_u32; 6];
    // SAFETY: the kernel reads version and process, and effective, permitted and inheritable capabilities twice 32 each.
    unsafe { call(arch::CAPSET, [header.as_ptr() as usize, none.as_ptr() as usize]) }.map(drop)
}

/// `struct landlock_ruleset_attr`: which kinds of access are refused without a rule. No rules follow.
#[repr(C)]
struct Ruleset {
    files: u64,
    network: u64,
    scoped: u64,
}

fn scope_signals() -> Result<()> {
    const SCOPE_SIGNAL: u64 = 2;
    let ruleset = Ruleset { files: 0, network: 0, scoped: SCOPE_SIGNAL };
    let arguments = [&raw const ruleset as usize, size_of::<Ruleset>(), 0];
    // SAFETY: the kernel reads a ruleset of that size. It refuses one that it does not know.
    let fd = Fd(as_int(unsafe { call(arch::LANDLOCK_CREATE_RULESET, arguments) }?));
    // SAFETY: takes no address.
    let restricted = unsafe { call(arch::LANDLOCK_RESTRICT_SELF, [word(fd.0), 0]) };
    system::close(fd);
    restricted.map(drop)
}

/// The revision of Landlock that the kernel has; 0 where it has none, or it is off.
pub(crate) fn landlock_revision() -> u64 {
    const VERSION: usize = 1;
    // SAFETY: with this flag the kernel reads nothing.
    unsafe { call(arch::LANDLOCK_CREATE_RULESET, [0, 0, VERSION]) }.unwrap_or(0) as u64
}

/// Tries all of it in a process of its own, against this one. Returns what worked, as a sum of [`Probe`].
///
/// A kernel that has a call may still refuse it, in a container for example; and one that takes it may not keep what it
/// promises. So each is tried by what it is for.
pub(crate) fn probe() -> Result<u64> {
    let Some(root) = Pid::new(system::own_pid()) else { return Err(Errno::INVAL) };
    match system::fork()? {
        None => system::exit(i32::try_from(try_all(root)).unwrap_or(0)),
        Some(child) => loop {
            match system::wait(true) {
                Ok(Some((ended, status))) if ended == child => {
                    // wait(2): the low byte is a signal, the next the exit status.
                    let exited = status & 0xFF == 0;
                    break Ok(if exited { u64::from((status >> 8).cast_unsigned()) & 0xFF } else { 0 });
                }
                Err(Errno::CHILD) => break Ok(0),
                _ => {}
            }
        },
    }
}

fn try_all(root: Pid) -> u64 {
    const RLIMIT_CORE: usize = 4;
    let mut worked = 0;
    let mut note = |probe: Probe, works: bool| worked |= if works { probe as u64 } else { 0 };

    note(Probe::NoNewPrivileges, no_new_privileges().is_ok());
    note(Probe::NoCapabilities, drop_capabilities().is_ok());
    let signalled = || system::kill(root, Signal::NONE).is_ok();
    note(Probe::SignalScope, scope_signals().is_ok() && !signalled());
    let limited = || {
        // SAFETY: neither a new limit nor a place for the old one: nothing is done, if it is allowed.
        unsafe { call(arch::PRLIMIT64, [word(root.get()), RLIMIT_CORE, 0, 0]) }.is_ok()
    };
    note(Probe::SystemCallFilter, filter::install().is_ok() && !limited());
    worked
}
