//! The server's process, from fork to exec.
//!
//! Nothing here can be undone or reported later, so the order is: what cannot fail for a reason of the server's, then what
//! its configuration asks for, then what restricts it, and last what makes it independent of us. Where a step fails, the
//! process says which and why, and is gone.

use crate::{
    isolation,
    protocol::{CORE_FILES, Failure, GUARDED, PRIVILEGES, Stage, UNLIMITED},
    request::Request,
    signals,
    system::{self, Errno, Fd, Limit, Pid, Result, STDERR, STDIN, STDOUT, Signal},
};

/// Exit status of a process that did not become the program, as shells have it. The failure was reported otherwise.
const NOT_EXECUTED: i32 = 127;

/// Where the descriptor for failures is moved: behind the three that the program gets, so that all others can be closed.
const FAILURES: Fd = Fd(3);

/// Bytes of a failure: stage and error number.
pub(crate) const FAILURE: usize = 16;

/// Starts the server. Returns its process, and a descriptor that says why it is not the program: a failure, or the end once
/// execve(2) has closed the other side.
pub(crate) fn start(request: &mut Request, streams: [Fd; 3], signals: Fd) -> Result<(Pid, Fd)> {
    let supervisor = Pid::new(system::own_pid());
    let (reader, writer) = system::pipe()?;
    match system::fork() {
        Ok(None) => {
            let failure = become_program(request, streams, writer, supervisor, signals);
            let mut bytes = [0; FAILURE];
            bytes[..8].copy_from_slice(&(failure.stage as u64).to_ne_bytes());
            bytes[8..].copy_from_slice(&i64::from(failure.error).to_ne_bytes());
            // It is where the pipe was moved to, unless that was what failed.
            if system::write(FAILURES, &bytes).is_err() {
                let _ = system::write(writer, &bytes);
            }
            system::exit(NOT_EXECUTED)
        }
        Ok(Some(server)) => {
            system::close(writer);
            Ok((server, reader))
        }
        Err(error) => {
            system::close(reader);
            system::close(writer);
            Err(error)
        }
    }
}

/// What [`start`] reported.
pub(crate) fn failure_of(bytes: &[u8; FAILURE]) -> Option<Failure> {
    let (words, _) = bytes.as_chunks();
    let [stage, error] = words else { return None };
    let error = i32::try_from(i64::from_ne_bytes(*error)).unwrap_or_default();
    Some(Failure { stage: Stage::from_word(u64::from_ne_bytes(*stage))?, error })
}

fn become_program(
    request: &mut Request,
    streams: [Fd; 3],
    failures: Fd,
    supervisor: Option<Pid>,
    signals: Fd,
) -> Failure {
    let flags = request.header.flags;
    let failed = prepare(request, streams, failures, signals)
        .and_then(|()| match flags & PRIVILEGES {
            0 => isolation::no_new_privileges().map_err(Errno::at(Stage::Privileges)),
            _ => Ok(()),
        })
        .and_then(|()| if flags & GUARDED != 0 { isolation::enter() } else { Ok(()) })
        // After what takes descriptors and memory of its own.
        .and_then(|()| limit(request).map_err(Errno::at(Stage::Limits)))
        .and_then(|()| let_go(supervisor).map_err(Errno::at(Stage::Process)));
    match failed {
        Err(failure) => failure,
        Ok(()) => Errno::at(Stage::Execute)(request.execute()),
    }
}

fn prepare(request: &Request, streams: [Fd; 3], failures: Fd, signals: Fd) -> core::result::Result<(), Failure> {
    system::close(signals);
    // A session of its own, and with it a process group: what is sent to the host's terminal does not reach it, and one signal
    // reaches all that stay in it.
    system::new_session().map_err(Errno::at(Stage::Process))?;
    for (stream, target) in streams.into_iter().zip([STDIN, STDOUT, STDERR]) {
        system::duplicate(stream, target, false).map_err(Errno::at(Stage::Process))?;
    }
    if failures != FAILURES {
        system::duplicate(failures, FAILURES, true).map_err(Errno::at(Stage::Process))?;
    }
    system::close_from(Fd(FAILURES.0 + 1)).map_err(Errno::at(Stage::Process))?;
    if request.folder().is_empty() {
        return Ok(());
    }
    system::change_folder(request.folder()).map_err(Errno::at(Stage::Folder))
}

fn limit(request: &Request) -> Result<()> {
    const RLIMIT_CPU: usize = 0;
    const RLIMIT_CORE: usize = 4;
    const RLIMIT_NOFILE: usize = 7;
    const RLIMIT_AS: usize = 9;
    let header = &request.header;
    if header.flags & CORE_FILES == 0 {
        system::set_limit(RLIMIT_CORE, Limit { soft: 0, hard: 0 })?;
    }
    // The soft limit signals `SIGXCPU`, by which the exit says what happened; a second later `SIGKILL` cannot be caught.
    let cpu = Limit { soft: header.cpu_seconds, hard: header.cpu_seconds.saturating_add(1) };
    let files = Limit { soft: header.open_files, hard: header.open_files };
    let memory = Limit { soft: header.address_space, hard: header.address_space };
    for (resource, limit) in [(RLIMIT_CPU, cpu), (RLIMIT_NOFILE, files), (RLIMIT_AS, memory)] {
        if limit.soft != UNLIMITED {
            // Where the host itself may not use a second more, both signals come at once.
            let equal = Limit { hard: limit.soft, ..limit };
            system::set_limit(resource, limit).or_else(|_| system::set_limit(resource, equal))?;
        }
    }
    Ok(())
}

/// Makes sure that it does not outlive its supervisor, and ends what a program must not inherit of us.
fn let_go(supervisor: Option<Pid>) -> Result<()> {
    // The second line, if both supervisors are killed at once. After the change of capabilities, which resets it.
    signals::at_end_of_parent(Signal::KILL)?;
    // Whoever died before that was asked for has not signalled.
    if system::parent() != supervisor {
        system::exit(NOT_EXECUTED);
    }
    signals::unblock()
}
