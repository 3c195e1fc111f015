//! Finding children, and killing until none is left.
//!
//! A list of processes is old when it has been read: who is on it may have ended, and who was forked meanwhile is not. Two
//! facts make it exact enough to kill by. *Our* children cannot go: until we wait for one, it is at least a zombie, and its id is
//! nobody else's. And none can hide: when a process ends, the kernel first gives its children to us and then tells us. So
//! whoever escapes one round stands in the list of the next, and the end is the kernel saying that there are no children
//! (`ECHILD`), not a list that looks empty.
//!
//! Between two rounds no more are waited for than were listed: whoever forks and ends without pause makes zombies for as long
//! as it is not hit, and waiting for all of them would never end.

use core::ffi::CStr;

use crate::{
    signals,
    system::{self, Errno, Fd, Pid, Result, Signal},
};

/// How often to look again for what cannot be killed, in nanoseconds.
const AGAIN: u64 = 1_000_000_000;

/// The folder /proc, opened once: who mounts something else there later does not hide processes from us.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proc {
    folder: Fd,
    /// Our list of children, if it has such lists (`CONFIG_PROC_CHILDREN`). Opened before there is a child: whoever leaves us no
    /// descriptor later does not keep us from finding it.
    children: Fd,
}

/// Children to wait for before looking at anything else: a server that makes more without end must not keep its supervisor from
/// its orders.
pub(crate) const WAITED_AT_ONCE: usize = 256;

const CHILDREN: &CStr = c"thread-self/children";

impl Proc {
    pub(crate) fn open() -> Result<Self> {
        let folder = system::open(system::ROOT_FOLDER, c"/proc")?;
        let stat = system::open(folder, c"self/stat")?;
        let mut text = [0; 16];
        let length = system::read(stat, &mut text);
        system::close(stat);
        // That of another PID namespace has other ids, which here are strangers.
        if text.get(..length?).and_then(parse_id) != Pid::new(system::own_pid()) {
            return Err(Errno::SRCH);
        }
        Ok(Self { folder, children: Fd::NONE }.of_this_process())
    }

    /// The same for a process that was forked since: the list of children is its own.
    pub(crate) fn of_this_process(self) -> Self {
        if self.children != Fd::NONE {
            system::close(self.children);
        }
        Self { children: system::open(self.folder, CHILDREN).unwrap_or(Fd::NONE), ..self }
    }

    pub(crate) fn lists_children(self) -> bool {
        self.children != Fd::NONE
    }

    /// Visits our children, zombies among them. What cannot be read is not visited.
    pub(crate) fn each_child(self, visit: impl FnMut(Pid)) {
        if self.lists_children() {
            self.each_listed(visit);
        } else {
            self.each_found(visit);
        }
    }

    /// Children from the kernel's own list: ids and spaces.
    fn each_listed(self, mut visit: impl FnMut(Pid)) {
        if system::rewind(self.children).is_err() {
            return;
        }
        let mut chunk = [0; 1024];
        let mut id = 0_i32;
        while let Ok(length @ 1..) = system::read(self.children, &mut chunk) {
            for byte in chunk.iter().take(length) {
                match byte {
                    b'0'..=b'9' => id = append_digit(id, *byte),
                    _ => {
                        Pid::new(id).into_iter().for_each(&mut visit);
                        id = 0;
                    }
                }
            }
        }
        Pid::new(id).into_iter().for_each(&mut visit);
    }

    /// Children by looking at the parent of every process.
    fn each_found(self, mut visit: impl FnMut(Pid)) {
        let own = Pid::new(system::own_pid());
        let Ok(list) = system::open(self.folder, c".") else { return };
        let mut chunk = [0_u8; 1024];
        while let Ok(length @ 1..) = system::directory_entries(list, &mut chunk) {
            let mut entries = chunk.get(..length).unwrap_or_default();
            // getdents64(2): inode and offset, the length of the entry, its type; then its name.
            while let Some(([.., low, high, _kind], name)) = entries.split_first_chunk::<19>() {
                let process = parse_id(name);
                if process.is_some_and(|process| self.parent_of(process) == own) {
                    process.into_iter().for_each(&mut visit);
                }
                let entry = usize::from(u16::from_ne_bytes([*low, *high]));
                entries = entries.get(entry..).filter(|_| entry > 0).unwrap_or_default();
            }
        }
        system::close(list);
    }

    fn parent_of(self, process: Pid) -> Option<Pid> {
        // The longest id, the rest of the path, NUL.
        let mut path = [0; 10 + 6];
        let mut digits = [0; 10];
        let mut rest = process.get();
        let mut length = 0;
        while rest > 0 {
            digits[length] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
            length += 1;
        }
        for (slot, byte) in path.iter_mut().zip(digits[..length].iter().rev().chain(b"/stat")) {
            *slot = *byte;
        }
        let file = system::open(self.folder, CStr::from_bytes_until_nul(&path).ok()?).ok()?;
        // proc_pid_stat(5): the name in parentheses may hold anything, but not more than 64 bytes.
        let mut stat = [0; 256];
        let length = system::read(file, &mut stat);
        system::close(file);
        let stat = stat.get(..length.ok()?)?;
        let name_end = stat.iter().rposition(|byte| *byte == b')')?;
        // A space, the state, a space.
        parse_id(stat.get(name_end + 4..)?)
    }
}

fn parse_id(text: &[u8]) -> Option<Pid> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    Pid::new(digits.fold(0, |id, digit| append_digit(id, *digit)))
}

fn append_digit(id: i32, digit: u8) -> i32 {
    id.saturating_mul(10).saturating_add(i32::from(digit - b'0'))
}

/// Kills our children and whatever becomes our child by that, until nothing is left. `waited` is told of each, with its
/// status as wait(2) gives it. Returns how many rounds it took.
///
/// It sleeps until a child has ended, which `signals` tells, and looks again from time to time: a child that we may not kill,
/// because it gained privileges where that was allowed, must not keep us from those that come after it.
pub(crate) fn sweep(proc: Proc, signals: Fd, mut waited: impl FnMut(Pid, i32)) -> u64 {
    let mut rounds = 0;
    loop {
        rounds += 1;
        // Before looking, so that whoever ends after that wakes us.
        signals::take(signals);
        let mut listed = 0_usize;
        proc.each_child(|child| {
            listed += 1;
            let _ = system::kill(child, Signal::KILL);
        });
        let mut ended = false;
        for _ in 0..listed.max(WAITED_AT_ONCE) {
            match system::wait(false) {
                Ok(Some((child, status))) => {
                    waited(child, status);
                    ended = true;
                }
                Ok(None) => break,
                Err(Errno::CHILD) => return rounds,
                // Nothing else is possible with these arguments, but interruptions.
                Err(_) => {}
            }
        }
        if !ended {
            let _ = system::poll([signals], Some(system::now().saturating_add(AGAIN)));
        }
    }
}
