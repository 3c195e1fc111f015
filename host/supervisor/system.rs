//! System calls as functions: what Rust can check of them, it checks.
//!
//! A descriptor is a number here, not an owner that closes itself: what one process closes after fork(2), another keeps, and
//! the type system does not see which of the two it is in.

use core::{
    ffi::CStr,
    ptr::null_mut,
};

use crate::{
    arch::{self, syscall},
    protocol::{Failure, Stage},
};

/// An error number of the kernel, as in errno(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

impl Errno {
    pub(crate) const SRCH: Self = Self(3);
    pub(crate) const INTR: Self = Self(4);
    pub(crate) const NOEXEC: Self = Self(8);
    pub(crate) const CHILD: Self = Self(10);
    pub(crate) const AGAIN: Self = Self(11);
    pub(crate) const INVAL: Self = Self(22);
    pub(crate) const PROTO: Self = Self(71);

    pub(crate) fn at(stage: Stage) -> impl Fn(Self) -> Failure {
        move |error| Failure { stage, error: error.0 }
    }
}

pub(crate) type Result<T> = core::result::Result<T, Errno>;

/// A descriptor of this process, open or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fd(pub(crate) i32);

impl Fd {
    /// None: poll passes over it.
    pub(crate) const NONE: Self = Self(-1);
}

pub(crate) const STDIN: Fd = Fd(0);
pub(crate) const STDOUT: Fd = Fd(1);
pub(crate) const STDERR: Fd = Fd(2);

/// A process: never 0 or negative, which kill(2) takes for groups, or for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pid(i32);

impl Pid {
    pub(crate) fn new(id: i32) -> Option<Self> {
        (id > 0).then_some(Self(id))
    }

    pub(crate) fn get(self) -> i32 {
        self.0
    }
}

/// A signal's number; the same on all architectures that `arch` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signal(pub(crate) i32);

impl Signal {
    /// Only asks whether it would be allowed.
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const HUP: Self = Self(1);
    pub(crate) const INT: Self = Self(2);
    pub(crate) const QUIT: Self = Self(3);
    pub(crate) const KILL: Self = Self(9);
    pub(crate) const TERM: Self = Self(15);
    pub(crate) const CHLD: Self = Self(17);
    pub(crate) const CONT: Self = Self(18);
}

/// Enters the kernel with up to six arguments.
///
/// # Safety
///
/// As for [`syscall`].
pub(crate) unsafe fn call<const N: usize>(number: usize, arguments: [usize; N]) -> Result<usize> {
    let mut six = [0; 6];
    for (slot, argument) in six.iter_mut().zip(arguments) {
        *slot = argument;
    }
    // SAFETY: as the caller promises; an argument that a system call does not have is not looked at.
    let result = unsafe { syscall(number, six) };
    if (-4095..0).contains(&result) { Err(Errno(as_int(result.unsigned_abs()))) } else { Ok(result.cast_unsigned()) }
}

/// An int as an argument: the kernel looks at its low half.
pub(crate) fn word(int: i32) -> usize {
    (int as isize).cast_unsigned()
}

#[allow(clippy::cast_possible_truncation, reason = "the kernel made it from an int")]
pub(crate) fn as_int(result: usize) -> i32 {
    result as i32
}

pub(crate) fn exit(status: i32) -> ! {
    loop {
        // SAFETY: takes no address, and does not return.
        let _ = unsafe { call(arch::EXIT_GROUP, [word(status)]) };
    }
}

pub(crate) fn read(fd: Fd, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the kernel writes at most as many bytes as the buffer has.
    unsafe { call(arch::READ, [word(fd.0), buffer.as_mut_ptr() as usize, buffer.len()]) }
}

pub(crate) fn write(fd: Fd, bytes: &[u8]) -> Result<usize> {
    // SAFETY: the kernel reads as many bytes as there are.
    unsafe { call(arch::WRITE, [word(fd.0), bytes.as_ptr() as usize, bytes.len()]) }
}

/// Sends without waiting: who does not read what we report does not stop us; nor does one who is gone, by `SIGPIPE`.
pub(crate) fn send(fd: Fd, bytes: &[u8]) -> Result<usize> {
    const MSG_DONTWAIT: usize = 0x40;
    const MSG_NOSIGNAL: usize = 0x4000;
    let flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    // SAFETY: the kernel reads as many bytes as there are; no address is given.
    unsafe { call(arch::SENDTO, [word(fd.0), bytes.as_ptr() as usize, bytes.len(), flags, 0, 0]) }
}

/// Receives what is there. 0: the other end is closed.
pub(crate) fn receive(fd: Fd, buffer: &mut [u8]) -> Result<usize> {
    const MSG_DONTWAIT: usize = 0x40;
    // SAFETY: the kernel writes at most as many bytes as the buffer has; no address is asked for.
    unsafe { call(arch::RECVFROM, [word(fd.0), buffer.as_mut_ptr() as usize, buffer.len(), MSG_DONTWAIT, 0, 0]) }
}

/// Back to the beginning of a file.
pub(crate) fn rewind(fd: Fd) -> Result<()> {
    // SAFETY: takes no address.
    unsafe { call(arch::LSEEK, [word(fd.0), 0, 0]) }.map(drop)
}

pub(crate) fn close(fd: Fd) {
    // SAFETY: takes no address. The descriptor is closed even where an error is returned.
    let _ = unsafe { call(arch::CLOSE, [word(fd.0)]) };
}

/// Closes all descriptors from `first` on.
pub(crate) fn close_from(first: Fd) -> Result<()> {
    // SAFETY: takes no address.
    unsafe { call(arch::CLOSE_RANGE, [word(first.0), usize::MAX >> 32, 0]) }.map(drop)
}

/// Makes `target` another descriptor for `source`, closed by execve(2) or not.
pub(crate) fn duplicate(source: Fd, target: Fd, close_on_exec: bool) -> Result<()> {
    let flags = if close_on_exec { O_CLOEXEC } else { 0 };
    // SAFETY: takes no address.
    unsafe { call(arch::DUP3, [word(source.0), word(target.0), flags]) }.map(drop)
}

const O_CLOEXEC: usize = 0o2_000_000;
const O_NONBLOCK: usize = 0o4_000;

/// Opens for reading, relative to a folder.
pub(crate) fn open(folder: Fd, path: &CStr) -> Result<Fd> {
    // SAFETY: the path ends with NUL.
    let fd = unsafe { call(arch::OPENAT, [word(folder.0), path.as_ptr() as usize, O_CLOEXEC, 0]) }?;
    Ok(Fd(as_int(fd)))
}

/// Reads entries of an open folder, as getdents64(2) gives them. 0: there are no more.
pub(crate) fn directory_entries(folder: Fd, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the kernel writes at most as many bytes as the buffer has.
    unsafe { call(arch::GETDENTS64, [word(folder.0), buffer.as_mut_ptr() as usize, buffer.len()]) }
}

/// The folder of absolute paths in [`open`].
pub(crate) const ROOT_FOLDER: Fd = Fd(-100);

/// A pipe, neither end of which waits.
pub(crate) fn pipe() -> Result<(Fd, Fd)> {
    let mut ends = [0_i32; 2];
    // SAFETY: the kernel writes two ints.
    unsafe { call(arch::PIPE2, [ends.as_mut_ptr() as usize, O_CLOEXEC | O_NONBLOCK]) }?;
    let [reader, writer] = ends;
    Ok((Fd(reader), Fd(writer)))
}

/// A process of its own with a copy of all memory. None: we are in it.
pub(crate) fn fork() -> Result<Option<Pid>> {
    // SAFETY: no memory is shared, so neither process disturbs the other; there is one thread, and no lock that one could
    // have held.
    let pid = unsafe { call(arch::CLONE, [word(Signal::CHLD.0), 0, 0, 0, 0]) }?;
    Ok(Pid::new(as_int(pid)))
}

pub(crate) fn own_pid() -> i32 {
    // SAFETY: takes nothing, and cannot fail.
    unsafe { call(arch::GETPID, []) }.map_or(0, as_int)
}

/// The parent; none where it is outside of this PID namespace.
pub(crate) fn parent() -> Option<Pid> {
    // SAFETY: takes nothing, and cannot fail.
    Pid::new(unsafe { call(arch::GETPPID, []) }.map_or(0, as_int))
}

pub(crate) fn new_session() -> Result<()> {
    // SAFETY: takes nothing.
    unsafe { call(arch::SETSID, []) }.map(drop)
}

pub(crate) fn kill(pid: Pid, signal: Signal) -> Result<()> {
    // SAFETY: takes no address.
    unsafe { call(arch::KILL, [word(pid.0), word(signal.0)]) }.map(drop)
}

/// Signals a process group by the id of its leader, which must not have been waited for: until then no other process can get
/// the id.
pub(crate) fn kill_group(leader: Pid, signal: Signal) -> Result<()> {
    // SAFETY: takes no address.
    unsafe { call(arch::KILL, [word(-leader.0), word(signal.0)]) }.map(drop)
}

/// Waits for any child. None: there are children, and none has ended, which is only returned without `block`.
pub(crate) fn wait(block: bool) -> Result<Option<(Pid, i32)>> {
    const WNOHANG: usize = 1;
    // Also for children that signal their end by another signal than `SIGCHLD`.
    const WALL: usize = 0x4000_0000;
    let options = if block { WALL } else { WALL | WNOHANG };
    let mut status = 0_i32;
    // SAFETY: the kernel writes one int; no usage is asked for.
    let pid = unsafe { call(arch::WAIT4, [word(-1), &raw mut status as usize, options, 0]) }?;
    Ok(Pid::new(as_int(pid)).map(|pid| (pid, status)))
}

/// A descriptor that becomes readable when the process has ended.
pub(crate) fn pidfd(pid: Pid) -> Result<Fd> {
    // SAFETY: takes no address. It is closed by execve(2) without being asked to.
    let fd = unsafe { call(arch::PIDFD_OPEN, [word(pid.0), 0]) }?;
    Ok(Fd(as_int(fd)))
}

/// prctl(2), of operations that take numbers.
pub(crate) fn process_control(operation: usize, argument: usize, second: usize) -> Result<()> {
    // SAFETY: none of the operations used here takes an address.
    unsafe { call(arch::PRCTL, [operation, argument, second, 0, 0]) }.map(drop)
}

/// What ps(1) shows as the name, at most 15 bytes.
pub(crate) fn name_process(name: &CStr) {
    const PR_SET_NAME: usize = 15;
    // SAFETY: the name ends with NUL.
    let _ = unsafe { call(arch::PRCTL, [PR_SET_NAME, name.as_ptr() as usize, 0, 0, 0]) };
}

pub(crate) fn change_folder(path: &CStr) -> Result<()> {
    // SAFETY: the path ends with NUL.
    unsafe { call(arch::CHDIR, [path.as_ptr() as usize]) }.map(drop)
}

/// A limit of getrlimit(2).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Limit {
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

/// Sets a limit of this process.
pub(crate) fn set_limit(resource: usize, limit: Limit) -> Result<()> {
    // SAFETY: the kernel reads one limit, and is not asked for the old one.
    unsafe { call(arch::PRLIMIT64, [0, resource, &raw const limit as usize, 0]) }.map(drop)
}

/// Time since the machine was started, in nanoseconds.
pub(crate) fn now() -> u64 {
    const CLOCK_MONOTONIC: usize = 1;
    let mut time = [0_u64; 2];
    // SAFETY: the kernel writes seconds and nanoseconds.
    let _ = unsafe { call(arch::CLOCK_GETTIME, [CLOCK_MONOTONIC, time.as_mut_ptr() as usize]) };
    let [seconds, nanoseconds] = time;
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

/// Which of `fds` have something to read, or are at their end; none of them, where `deadline` has passed.
pub(crate) fn poll<const N: usize>(fds: [Fd; N], deadline: Option<u64>) -> Result<[bool; N]> {
    #[derive(Clone, Copy)]
    #[repr(C)]
    struct Polled {
        fd: i32,
        events: i16,
        happened: i16,
    }
    const POLLIN: i16 = 1;

    let mut polled = fds.map(|fd| Polled { fd: fd.0, events: POLLIN, happened: 0 });
    let left = deadline.map(|deadline| deadline.saturating_sub(now()));
    let mut left = left.map(|left| [left / 1_000_000_000, left % 1_000_000_000]);
    let timeout = left.as_mut().map_or(null_mut(), |left| left.as_mut_ptr());
    // SAFETY: the kernel writes within `polled`; it reads seconds and nanoseconds, if there are any, and writes what is left of
    // them.
    let result = unsafe { call(arch::PPOLL, [polled.as_mut_ptr() as usize, N, timeout as usize, 0, 8]) };
    match result {
        Ok(_) => Ok(polled.map(|polled| polled.happened != 0)),
        // Continued after a stop. The caller looks again.
        Err(Errno::INTR) => Ok([false; N]),
        // Somebody has lowered our limit of open files, which no guarded server can.
        Err(error) => Err(error),
    }
}

/// Becomes another program. Returns why not.
///
/// # Safety
///
/// `program` is a string that ends with NUL; `arguments` and `environment` are lists of such strings that end with null.
pub(crate) unsafe fn execute(program: *const u8, arguments: *const *const u8, environment: *const *const u8) -> Errno {
    // SAFETY: as the caller promises.
    let result = unsafe { call(arch::EXECVE, [program as usize, arguments as usize, environment as usize]) };
    result.err().unwrap_or(Errno::INVAL)
}

/// What may be made of zeroed memory.
pub(crate) trait Zeroable: Copy {}
impl Zeroable for u8 {}
impl Zeroable for i32 {}
impl Zeroable for *const u8 {}

/// Memory of its own, of zeros. It costs what is written to it.
pub(crate) fn map<T: Zeroable>(count: usize) -> Result<&'static mut [T]> {
    const PROT_READ_WRITE: usize = 3;
    const MAP_PRIVATE_ANONYMOUS: usize = 0x22;
    let bytes = count.max(1).checked_mul(size_of::<T>()).ok_or(Errno::INVAL)?;
    // SAFETY: new memory, at an address of the kernel's choice.
    let address = unsafe { call(arch::MMAP, [0, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, usize::MAX, 0]) }?;
    // SAFETY: as many zeros, aligned to a page, that nobody else has; they are valid values.
    Ok(unsafe { core::slice::from_raw_parts_mut(core::ptr::with_exposed_provenance_mut(address), count) })
}

/// Gives memory back.
///
/// # Safety
///
/// [`map`] made it, and nothing refers to it any more.
pub(crate) unsafe fn unmap<T: Zeroable>(memory: *mut [T]) {
    let bytes = (memory.len() * size_of::<T>()).max(size_of::<T>());
    // SAFETY: as the caller promises.
    let _ = unsafe { call(arch::MUNMAP, [memory.cast::<T>() as usize, bytes]) };
}

/// Receives a datagram with descriptors, which execve(2) will close. None: the other end is closed.
pub(crate) fn receive_descriptors<const N: usize>(
    fd: Fd,
    datagram: &mut [u8],
) -> Result<Option<(usize, [Fd; N], usize)>> {
    /// `struct msghdr` of 64-bit architectures.
    #[repr(C)]
    struct Message {
        name: *mut u8,
        name_length: u32,
        parts: *mut Part,
        part_count: usize,
        control: *mut u8,
        control_length: usize,
        flags: i32,
    }
    #[repr(C)]
    struct Part {
        base: *mut u8,
        length: usize,
    }
    /// `struct cmsghdr` with its data.
    #[repr(C)]
    struct Control<const N: usize> {
        length: usize,
        level: i32,
        kind: i32,
        descriptors: [i32; N],
    }
    const SOL_SOCKET: i32 = 1;
    const SCM_RIGHTS: i32 = 1;
    const MSG_DONTWAIT: usize = 0x40;
    const MSG_CMSG_CLOEXEC: usize = 0x4000_0000;
    const HEAD: usize = 16;

    let mut part = Part { base: datagram.as_mut_ptr(), length: datagram.len() };
    let mut control = Control { length: 0, level: 0, kind: 0, descriptors: [-1; N] };
    let mut message = Message {
        name: null_mut(),
        name_length: 0,
        parts: &raw mut part,
        part_count: 1,
        control: (&raw mut control).cast(),
        control_length: size_of::<Control<N>>(),
        flags: 0,
    };
    // SAFETY: the kernel writes within the parts, the control data and the message itself.
    let length =
        unsafe { call(arch::RECVMSG, [word(fd.0), &raw mut message as usize, MSG_DONTWAIT | MSG_CMSG_CLOEXEC]) }?;
    if length == 0 {
        return Ok(None);
    }
    let is_rights = message.control_length >= HEAD && control.level == SOL_SOCKET && control.kind == SCM_RIGHTS;
    let bytes = if is_rights { control.length.saturating_sub(HEAD) } else { 0 };
    Ok(Some((length, control.descriptors.map(Fd), (bytes / size_of::<i32>()).min(N))))
}
