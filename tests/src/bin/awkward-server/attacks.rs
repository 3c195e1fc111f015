//! What a server can try on a process that is not its own, such as the host, its supervisor or another session's server.
//!
//! An attack is a system call with the least effect by which it can be seen to be permitted: a signal that is ignored, a limit
//! set to what it is. So the same attacks run where they are refused and where they are not, and a test of the refusal is known
//! to be able to fail. The lethal ones stand apart.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::ptr;

use innkeeper_tests::awkward::tool::SUCCEEDED;
use libc::{c_int, c_long, pid_t};

type Attack = (&'static str, fn(pid_t) -> io::Result<()>);

const SURVIVABLE: [Attack; 24] = [
    ("signal", |process| kill(process, libc::SIGWINCH)),
    ("signal its group", |process| kill(-group(process)?, libc::SIGWINCH)),
    ("signal its thread", |process| thread_signal(process, libc::SIGWINCH)),
    ("signal through a pidfd", |process| pidfd_signal(process, libc::SIGWINCH)),
    ("queue a signal", queue_signal),
    ("stop", |process| kill(process, libc::SIGSTOP).and_then(|()| kill(process, libc::SIGCONT))),
    ("prlimit", set_limit),
    ("renice", |process| renice(libc::PRIO_PROCESS, process)),
    ("renice its group", |process| renice(libc::PRIO_PGRP, group(process)?)),
    ("renice a user", renice_a_user),
    ("set its affinity", set_affinity),
    ("set its scheduler", set_scheduler),
    ("set its I/O priority", set_io_priority),
    ("set its OOM score", |process| write_back(process, "oom_score_adj")),
    ("set its core dump filter", |process| write_back(process, "coredump_filter")),
    ("renice its autogroup", renice_autogroup),
    ("forget what it has referred to", |process| write(process, "clear_refs", b"1")),
    ("reset its statistics", |process| write(process, "sched", b"0")),
    ("trace", trace),
    ("read environ", |process| read(process, "environ")),
    ("open mem", |process| File::open(format!("/proc/{process}/mem")).map(drop)),
    ("read fd", |process| fs::read_link(format!("/proc/{process}/fd/0")).map(drop)),
    ("write to its pipes", open_pipes),
    ("take its descriptor", take_descriptor),
];

const LETHAL: [Attack; 5] = [
    ("kill through the owner of a pipe", kill_through_owner),
    ("kill its thread", |process| thread_signal(process, libc::SIGKILL)),
    ("kill its group", |process| kill(-group(process)?, libc::SIGKILL)),
    ("kill through a pidfd", |process| pidfd_signal(process, libc::SIGKILL)),
    ("kill", |process| kill(process, libc::SIGKILL)),
];

/// Tries what a process survives.
pub(crate) fn survivable(process: pid_t) -> String {
    outcomes(&SURVIVABLE, process)
}

/// Tries to kill a process.
pub(crate) fn lethal(process: pid_t) -> String {
    outcomes(&LETHAL, process)
}

fn outcomes(attacks: &[Attack], process: pid_t) -> String {
    let outcome = |&(name, attack): &Attack| match attack(process) {
        Ok(()) => format!("{name}: {SUCCEEDED}\n"),
        Err(error) => format!("{name}: {error}\n"),
    };
    attacks.iter().map(outcome).collect()
}

/// What a system call returned, where -1 is an error.
fn checked(returned: impl Into<c_long>) -> io::Result<c_long> {
    match returned.into() {
        -1 => Err(io::Error::last_os_error()),
        value => Ok(value),
    }
}

// -------------------------------------------------------------------------------------------------------- signals

fn kill(process: pid_t, signal: c_int) -> io::Result<()> {
    // SAFETY: kill(2) takes no pointer.
    checked(unsafe { libc::kill(process, signal) }).map(drop)
}

fn group(process: pid_t) -> io::Result<pid_t> {
    // SAFETY: getpgid(2) takes no pointer.
    match unsafe { libc::getpgid(process) } {
        -1 => Err(io::Error::last_os_error()),
        group => Ok(group),
    }
}

fn thread_signal(process: pid_t, signal: c_int) -> io::Result<()> {
    // SAFETY: tgkill(2) takes no pointer. The first thread of a process has its number.
    checked(unsafe { libc::syscall(libc::SYS_tgkill, process, process, signal) }).map(drop)
}

fn pidfd(process: pid_t) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open(2) takes no pointer.
    let descriptor = checked(unsafe { libc::syscall(libc::SYS_pidfd_open, process, 0) })?;
    let descriptor = c_int::try_from(descriptor).map_err(io::Error::other)?;
    // SAFETY: it was just opened, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn pidfd_signal(process: pid_t, signal: c_int) -> io::Result<()> {
    let pidfd = pidfd(process)?;
    let no_info = ptr::null::<libc::siginfo_t>();
    // SAFETY: pidfd_send_signal(2) takes no siginfo where the pointer is null.
    checked(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_info, 0) }).map(drop)
}

fn queue_signal(process: pid_t) -> io::Result<()> {
    let value = libc::sigval { sival_ptr: ptr::null_mut() };
    // SAFETY: the value is passed on and not followed.
    checked(unsafe { libc::sigqueue(process, libc::SIGWINCH, value) }).map(drop)
}

/// Has the kernel send a signal when a pipe becomes readable (F_SETOWN of fcntl(2)). Whether it was sent is not to be seen here:
/// who is attacked is dead, or not.
fn kill_through_owner(process: pid_t) -> io::Result<()> {
    /// Of `<fcntl.h>`.
    const F_SETSIG: c_int = 10;

    let (reader, mut writer) = io::pipe()?;
    let descriptor = reader.as_raw_fd();
    // SAFETY: these commands of fcntl(2) take no pointer.
    unsafe {
        checked(libc::fcntl(descriptor, F_SETSIG, libc::SIGKILL))?;
        checked(libc::fcntl(descriptor, libc::F_SETOWN, process))?;
        checked(libc::fcntl(descriptor, libc::F_SETFL, libc::O_ASYNC))?;
    }
    writer.write_all(b"!")?;
    Err(io::Error::other("tried, and nothing is to be seen of it"))
}

// ---------------------------------------------------------------------------------------------- limits and priorities

fn set_limit(process: pid_t) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both pointers are null or to a limit that lives on.
    unsafe {
        checked(libc::prlimit(process, libc::RLIMIT_NOFILE, ptr::null(), &raw mut limit))?;
        checked(libc::prlimit(process, libc::RLIMIT_NOFILE, &raw const limit, ptr::null_mut())).map(drop)
    }
}

fn renice(which: libc::__priority_which_t, process: pid_t) -> io::Result<()> {
    let process = libc::id_t::try_from(process).map_err(io::Error::other)?;
    // SAFETY: neither takes a pointer. A priority may be -1, so the error is looked for in `errno` alone.
    unsafe {
        *libc::__errno_location() = 0;
        let priority = libc::getpriority(which, process);
        if *libc::__errno_location() != 0 {
            return Err(io::Error::last_os_error());
        }
        checked(libc::setpriority(which, process, priority)).map(drop)
    }
}

/// Of this user, by the number that stands for it; where that is root, of a user without processes, because it is enough to see
/// that the call is let through.
fn renice_a_user(_process: pid_t) -> io::Result<()> {
    const NOBODY_HERE: libc::id_t = 4_000_000_000;

    // SAFETY: neither takes a pointer.
    let user = if unsafe { libc::geteuid() } == 0 { NOBODY_HERE } else { 0 };
    // SAFETY: setpriority(2) takes no pointer.
    match checked(unsafe { libc::setpriority(libc::PRIO_USER, user, 0) }) {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => Err(error),
        _ => Ok(()),
    }
}

fn set_affinity(process: pid_t) -> io::Result<()> {
    // SAFETY: a set of processors is an array of numbers; the size given is its own.
    unsafe {
        let mut processors: libc::cpu_set_t = mem::zeroed();
        let size = size_of_val(&processors);
        checked(libc::sched_getaffinity(process, size, &raw mut processors))?;
        checked(libc::sched_setaffinity(process, size, &raw const processors)).map(drop)
    }
}

fn set_scheduler(process: pid_t) -> io::Result<()> {
    // SAFETY: the parameter lives on, and is what this policy asks for.
    unsafe {
        let parameter: libc::sched_param = mem::zeroed();
        checked(libc::sched_setscheduler(process, libc::SCHED_OTHER, &raw const parameter)).map(drop)
    }
}

fn set_io_priority(process: pid_t) -> io::Result<()> {
    /// Of `<linux/ioprio.h>`.
    const IOPRIO_WHO_PROCESS: c_int = 1;

    // SAFETY: neither takes a pointer.
    unsafe {
        let priority = checked(libc::syscall(libc::SYS_ioprio_get, IOPRIO_WHO_PROCESS, process))?;
        checked(libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, process, priority)).map(drop)
    }
}

/// Gives a file of proc(5) what is in it.
fn write_back(process: pid_t, file: &str) -> io::Result<()> {
    let content = fs::read_to_string(format!("/proc/{process}/{file}"))?;
    // What is read as a hexadecimal number is written with a prefix.
    let content = if file == "coredump_filter" { format!("0x{content}") } else { content };
    write(process, file, content.as_bytes())
}

/// The share of processors of its session (sched(7)), of which the nice value stands last.
fn renice_autogroup(process: pid_t) -> io::Result<()> {
    let content = fs::read_to_string(format!("/proc/{process}/autogroup"))?;
    write(process, "autogroup", content.trim_end().rsplit(' ').next().unwrap_or_default().as_bytes())
}

fn write(process: pid_t, file: &str, content: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).open(format!("/proc/{process}/{file}"))?.write_all(content)
}

// ------------------------------------------------------------------------------------------- memory and descriptors

/// Traces it, and lets go.
fn trace(process: pid_t) -> io::Result<()> {
    let nothing = ptr::null_mut::<libc::c_void>();
    // SAFETY: these requests of ptrace(2) follow no pointer, and waitpid(2) may be given a null one.
    unsafe {
        checked(libc::ptrace(libc::PTRACE_SEIZE, process, nothing, nothing))?;
        // Only a stopped process is let go of.
        checked(libc::ptrace(libc::PTRACE_INTERRUPT, process, nothing, nothing))?;
        checked(libc::waitpid(process, ptr::null_mut(), libc::__WALL))?;
        checked(libc::ptrace(libc::PTRACE_DETACH, process, nothing, nothing)).map(drop)
    }
}

fn read(process: pid_t, file: &str) -> io::Result<()> {
    let mut byte = [0];
    File::open(format!("/proc/{process}/{file}"))?.read_exact(&mut byte)
}

/// Opens what it has as its input and output. What is written to the one that answers the host is an answer.
fn open_pipes(process: pid_t) -> io::Result<()> {
    let open = |descriptor: c_int| {
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(libc::O_NONBLOCK).open(format!("/proc/{process}/fd/{descriptor}"))
    };
    open(0).or_else(|_| open(1)).map(drop)
}

fn take_descriptor(process: pid_t) -> io::Result<()> {
    let pidfd = pidfd(process)?;
    // SAFETY: pidfd_getfd(2) takes no pointer.
    let descriptor = checked(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), 0, 0) })?;
    let descriptor = c_int::try_from(descriptor).map_err(io::Error::other)?;
    // SAFETY: it was just made, and nobody else has it.
    drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
    Ok(())
}
