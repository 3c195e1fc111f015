//! The supervisor: the process that stands between a host and its servers, and outlives the host by as long as it takes to
//! end them.
//!
//! A host can be ended by `SIGKILL`, and then nothing of its own code runs any more; a server can leave its process group, and
//! its parent, and then no signal to a group finds it. What is left in both cases is *ancestry*: the kernel hands every
//! orphan to the nearest ancestor that is a "subreaper" (prctl(2), `PR_SET_CHILD_SUBREAPER`). So each session gets such an
//! ancestor, which kills what comes to it until nothing is left:
//!
//! ```text
//! host ── root supervisor ─┬─ session supervisor ── server ── whatever it starts
//!                          └─ session supervisor ── server ── …
//! ```
//!
//! The *root* is executed once by a runtime, takes orders on a socket and forks the others; it sweeps for one that dies. A
//! *session supervisor* starts one server, closes it when it is told to, when its socket is closed, or when host or root
//! are gone, and ends only when no process of the session is left.
//!
//! It is a program without the standard library, without libc, and without an allocator: every session has a copy of
//! it, and what it does not have needs no memory; it links wherever there is a linker; and a process that may only fork
//! has no lock that another thread could have held. It does not know what a server says, it does not read
//! configuration, and it decides nothing: whatever could be decided by the host is in the request.
//!
//! | file | what it holds |
//! |---|---|
//! | `protocol` | what host and supervisor say to each other; the host compiles the same file |
//! | `root` | the root: takes orders, forks, sweeps for session supervisors that died |
//! | `session` | the supervisor of one session, from the request to the report of the end |
//! | `request` | reading the request, and what execve(2) needs of it |
//! | `server` | from fork to exec, in the server's process |
//! | `isolation` | what a server cannot do to others, and the probe for it |
//! | `filter` | the seccomp filter of it |
//! | `sweep` | finding children, and killing until none is left |
//! | `signals` | signals, read from a descriptor |
//! | `system` | system calls as functions |
//! | `arch` | what differs between processors |
//! | `memory` | the functions that compiled code expects |
#![no_std]
#![no_main]
// The functions of `memory` must not be compiled into calls of themselves.
#![no_builtins]
#![deny(unsafe_op_in_unsafe_fn)]

mod arch;
mod filter;
mod isolation;
mod memory;
#[allow(dead_code, reason = "the host uses the other half")]
mod protocol;
mod request;
mod root;
mod server;
mod session;
mod signals;
mod sweep;
mod system;

use core::{ffi::CStr, panic::PanicInfo};

use system::Pid;

/// Exit status of a supervisor that did not do what it is for. The host and the root take any status but 0 as that.
const FAILED: i32 = 1;

/// Where the arguments are when a process begins: their number, then their addresses (System V ABI).
///
/// # Safety
///
/// `stack` is the stack pointer that the kernel gave to a new process.
unsafe extern "C" fn begin(stack: *const usize) -> ! {
    // SAFETY: the kernel put the number of arguments there.
    let count = unsafe { *stack };
    let host = if count == 2 {
        // SAFETY: the address of argument 1 stands behind the number and the address of argument 0; it ends with NUL.
        let argument = unsafe { CStr::from_ptr(*stack.add(2) as *const _) };
        argument.to_str().ok().and_then(|host| host.parse().ok()).and_then(Pid::new)
    } else {
        None
    };
    match host {
        Some(host) => root::run(host),
        None => {
            let _ =
                system::write(system::STDERR, b"the supervisor of Innkeeper is started by Innkeeper, not by hand\n");
            system::exit(FAILED)
        }
    }
}

/// A fault in here ends this process, and that alone ends what it supervises: the root sweeps for a session supervisor that
/// died, and a session supervisor takes the death of the root as an order.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    system::exit(FAILED)
}

/// Named by the unwinding tables of the compiled core library. Nothing unwinds here, so nobody calls it.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
