//! The root: executed once by a runtime, it forks the supervisor of each session, and sweeps for one that dies.
//!
//! Its own death is noticed by all session supervisors, which then end their sessions; so there is no moment at which nobody
//! watches. It cannot be traced or read by processes of the same user (`PR_SET_DUMPABLE`), and neither can those that it
//! forks: they know the environment of every server.

use crate::{
    FAILED, isolation,
    protocol::{DESCRIPTORS, Failure, Hello, MOST_SESSIONS, OPEN, Probe, Report, Stage, VERSION},
    session::{self, Inherited, become_subreaper, report},
    signals::{self, PARENT_ENDED},
    sweep::{Proc, WAITED_AT_ONCE},
    system::{self, Errno, Fd, Pid, Result, STDERR, STDIN, Signal},
};

/// The control socket.
const CONTROL: Fd = STDIN;

struct Root {
    pid: Pid,
    /// Closed, when nobody can give orders any more.
    control: Fd,
    /// Readable when the host has ended.
    host: Fd,
    signals: Fd,
    proc: Proc,
    sessions: Table,
    /// There may be more children to wait for.
    backlog: bool,
}

/// The session supervisors that live; 0 in free places.
struct Table(&'static mut [i32]);

/// The life of the root. `host` is who it was started by.
pub(crate) fn run(host: Pid) -> ! {
    system::name_process(c"innkeeper-root");
    match Root::set_up(host) {
        Ok((mut root, hello)) => {
            let _ = system::send(CONTROL, &hello.to_bytes());
            while !root.turn() {}
            system::exit(0)
        }
        Err(failure) => {
            let hello = Hello { version: VERSION, failed: Some(failure), landlock: 0, probes: 0 };
            let _ = system::send(CONTROL, &hello.to_bytes());
            system::exit(FAILED)
        }
    }
}

impl Root {
    fn set_up(host: Pid) -> core::result::Result<(Self, Hello), Failure> {
        let setup = Errno::at(Stage::Setup);
        // First, so that nothing interrupts the rest.
        let signals = signals::take_over().map_err(&setup)?;
        // Already the leader of a session, if an embedder starts it in its own way: that is as good.
        let _ = system::new_session();
        // Whatever folder the host is in could not be unmounted.
        let _ = system::change_folder(c"/");
        const PR_SET_DUMPABLE: usize = 4;
        system::process_control(PR_SET_DUMPABLE, 0, 0).map_err(&setup)?;
        // An embedder's descriptors that survive execve(2) would live as long as we do.
        let signals = keep_only(signals).map_err(&setup)?;
        become_subreaper().map_err(&setup)?;
        // In this order: a host that ended before has another process's id, but not our parent's.
        let watched = system::pidfd(host).map_err(Errno::at(Stage::Parent))?;
        if system::parent() != Some(host) {
            return Err(Errno::at(Stage::Parent)(Errno::CHILD));
        }
        let proc = Proc::open().map_err(Errno::at(Stage::ProcessList))?;
        let sessions = Table(system::map(MOST_SESSIONS).map_err(&setup)?);
        let mut probes = isolation::probe().map_err(Errno::at(Stage::Fork))?;
        if proc.lists_children() {
            probes |= Probe::Children as u64;
        }
        let pid = Pid::new(system::own_pid()).ok_or(setup(Errno::INVAL))?;
        let root = Self { pid, control: CONTROL, host: watched, signals, proc, sessions, backlog: false };
        let hello = Hello { version: VERSION, failed: None, landlock: isolation::landlock_revision(), probes };
        Ok((root, hello))
    }

    /// Waits for something and does what it asks for. True: nothing is left to do.
    fn turn(&mut self) -> bool {
        let deadline = self.backlog.then_some(0);
        let polled = system::poll([self.host, self.signals, self.control], deadline);
        let [host_ended, signalled, ordered] = polled.unwrap_or_else(|_| {
            self.end_sessions();
            [false; 3]
        });
        // First, because what a dead host has ordered nobody wants.
        if host_ended {
            system::close(self.host);
            self.host = Fd::NONE;
            self.close_control();
            // They see it too, unless somebody has stopped them.
            self.sessions.each(|session| {
                let _ = system::kill(session, Signal::CONT);
            });
        }
        if signalled {
            let signalled = signals::take(self.signals);
            if signalled.end {
                self.end_sessions();
            }
        }
        if ordered && self.control != Fd::NONE {
            self.take_order();
        }
        let children_left = self.wait_for_children();
        self.control == Fd::NONE && !children_left
    }

    fn end_sessions(&mut self) {
        self.close_control();
        self.sessions.each(|session| {
            let _ = system::kill(session, PARENT_ENDED);
        });
    }

    fn close_control(&mut self) {
        // Not just closed: the next descriptor would get its number, and standard input is given to no one.
        let _ = system::duplicate(system::STDOUT, CONTROL, false);
        self.control = Fd::NONE;
    }

    fn take_order(&mut self) {
        let mut order = [0; 8];
        match system::receive_descriptors::<DESCRIPTORS>(self.control, &mut order) {
            Ok(Some((length, descriptors, count))) => {
                let [socket, streams @ ..] = descriptors;
                if order.get(..length) == Some(&OPEN) && count == DESCRIPTORS {
                    self.open(socket, streams);
                }
                descriptors.into_iter().take(count).for_each(system::close);
            }
            Ok(None) => self.close_control(),
            Err(Errno::AGAIN) => {}
            // A socket that cannot be read is as good as none.
            Err(_) => self.close_control(),
        }
    }

    fn open(&mut self, socket: Fd, streams: [Fd; 3]) {
        let Some(place) = self.sessions.free() else {
            report(socket, Report::Failed(Errno::at(Stage::Table)(Errno::AGAIN)));
            return;
        };
        match system::fork() {
            Ok(None) => {
                let Self { pid: root, host, signals, proc, .. } = *self;
                session::run(Inherited { root, host, signals, proc }, socket, streams)
            }
            Ok(Some(session)) => *place = session.get(),
            Err(error) => report(socket, Report::Failed(Errno::at(Stage::Fork)(error))),
        }
    }

    /// Waits for those that have ended. Returns whether any is left.
    ///
    /// A session supervisor that ends well has left nothing. From one that does not, and from each process of its session that
    /// ends then, its children have come to us: they are killed, which ends them, which brings us here again. So nothing is
    /// waited for that would keep other sessions waiting.
    fn wait_for_children(&mut self) -> bool {
        let mut orphans = false;
        let mut left = true;
        self.backlog = true;
        for _ in 0..WAITED_AT_ONCE {
            match system::wait(false) {
                Ok(Some((process, status))) => orphans |= !(self.sessions.remove(process) && status == 0),
                none => {
                    left = none.is_ok();
                    self.backlog = false;
                    break;
                }
            }
        }
        if orphans && left {
            let sessions = &self.sessions;
            self.proc.each_child(|child| {
                if !sessions.contains(child) {
                    let _ = system::kill(child, Signal::KILL);
                }
            });
        }
        left
    }
}

/// Moves a descriptor to the first place after the standard ones, and closes all others.
fn keep_only(fd: Fd) -> Result<Fd> {
    let kept = Fd(STDERR.0 + 1);
    if fd != kept {
        system::duplicate(fd, kept, true)?;
    }
    system::close_from(Fd(kept.0 + 1))?;
    Ok(kept)
}

impl Table {
    fn free(&mut self) -> Option<&mut i32> {
        self.0.iter_mut().find(|place| **place == 0)
    }

    fn contains(&self, session: Pid) -> bool {
        self.0.contains(&session.get())
    }

    /// False: it was not there.
    fn remove(&mut self, session: Pid) -> bool {
        let place = self.0.iter_mut().find(|place| **place == session.get());
        place.map(|place| *place = 0).is_some()
    }

    fn each(&self, visit: impl FnMut(Pid)) {
        self.0.iter().filter_map(|session| Pid::new(*session)).for_each(visit);
    }
}
