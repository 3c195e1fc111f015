//! The supervisor of one session: from the request to the report that nothing is left.
//!
//! It waits in ppoll(2) for five things: the end of the host, the end of the root or a child (signals), an order, the word
//! of the server's process on its exec, and the next rung of the ladder. The ladder: the host has closed the server's input,
//! which is the polite request of every stdio protocol; after a while `SIGTERM`; after another `SIGKILL`. Whatever it is that
//! ends the session, also the server by itself, the end is a sweep, and this process ends after it and not before.

use crate::{
    protocol::{CLOSE, Cause, Ended, Failure, KILL, Report, Stage},
    request::Request,
    server,
    signals::{self, PARENT_ENDED},
    sweep::{Proc, WAITED_AT_ONCE, sweep},
    system::{self, Errno, Fd, Pid, Result, Signal},
};

/// What a session supervisor has of the root.
pub(crate) struct Inherited {
    pub(crate) root: Pid,
    /// Readable when the host has ended.
    pub(crate) host: Fd,
    pub(crate) signals: Fd,
    pub(crate) proc: Proc,
}

struct Session {
    inherited: Inherited,
    socket: Fd,
    server: Pid,
    /// Says why the server's process is not the program; none once that is known.
    failures: Fd,
    failure: Option<Failure>,
    rung: Rung,
    close_input: u64,
    close_terminate: u64,
    status: i32,
    /// Orphans that were waited for since there was none to wait for.
    backlog: usize,
}

/// Orphans that may have to be waited for in a row: an eighth of the processes that a machine has at least. A server whose
/// orphans end faster than that uses up all of them, which stops every other process of the machine.
const MOST_BACKLOG: usize = 4096;

/// How far the close is; when the next rung is due.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rung {
    Running,
    InputClosed { until: u64 },
    Terminated { until: u64 },
}

/// Why the session is over, once it is.
type Over = Option<Cause>;

/// The life of a session supervisor. `socket` and `streams` are its alone.
pub(crate) fn run(inherited: Inherited, socket: Fd, streams: [Fd; 3]) -> ! {
    system::name_process(c"innkeeper-sess");
    // The root's control socket is on standard input.
    let _ = system::duplicate(system::STDOUT, system::STDIN, false);
    let inherited = Inherited { proc: inherited.proc.of_this_process(), ..inherited };
    let mut session = match begin(inherited, socket, streams) {
        Ok(session) => session,
        Err(failure) => {
            report(socket, Report::Failed(failure));
            system::exit(0);
        }
    };
    let cause = session.serve();
    session.end(cause)
}

fn begin(inherited: Inherited, socket: Fd, streams: [Fd; 3]) -> core::result::Result<Session, Failure> {
    set_up(&inherited).map_err(Errno::at(Stage::Setup))?;
    report(socket, Report::Accepted { supervisor: system::own_pid() });
    let request = Request::read(|slice| fill(slice, socket, &inherited));
    let mut request = request.map_err(Errno::at(Stage::Request))?;
    let started = server::start(&mut request, streams, inherited.signals).map_err(Errno::at(Stage::Fork));
    let header = request.header;
    request.release();
    // As long as we had them, nobody would see the end of the server's output.
    streams.into_iter().for_each(system::close);
    let (server, failures) = started?;
    Ok(Session {
        inherited,
        socket,
        server,
        failures,
        failure: None,
        rung: Rung::Running,
        close_input: header.close_input,
        close_terminate: header.close_terminate,
        status: 0,
        backlog: 0,
    })
}

/// Becomes the one that all orphans of the session come to, and that does not outlive the root unawares.
fn set_up(inherited: &Inherited) -> Result<()> {
    become_subreaper()?;
    signals::at_end_of_parent(PARENT_ENDED)?;
    // A root that died before that was asked for has not signalled. There is nothing to end yet.
    if system::parent() != Some(inherited.root) {
        system::exit(0);
    }
    Ok(())
}

pub(crate) fn become_subreaper() -> Result<()> {
    const PR_SET_CHILD_SUBREAPER: usize = 36;
    system::process_control(PR_SET_CHILD_SUBREAPER, 1, 0)
}

/// Fills a slice with bytes of the request. Ends this process when nobody wants the session any more: there is nothing of it
/// yet.
fn fill(slice: &mut [u8], socket: Fd, inherited: &Inherited) -> Result<()> {
    let mut rest = slice;
    while !rest.is_empty() {
        let [host_ended, signalled, readable] = system::poll([inherited.host, inherited.signals, socket], None)?;
        if host_ended || signalled && signals::take(inherited.signals).end {
            system::exit(0);
        }
        if readable {
            match system::receive(socket, rest) {
                Ok(0) => system::exit(0),
                Ok(length) => rest = rest.get_mut(length..).unwrap_or_default(),
                Err(Errno::AGAIN) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// A report is lost where the host has closed the socket. Its buffer holds all that one session ever reports.
pub(crate) fn report(socket: Fd, report: Report) {
    let _ = system::send(socket, &report.to_bytes());
}

impl Session {
    /// Until the server has ended, or is to end now.
    fn serve(&mut self) -> Cause {
        loop {
            let deadline = match self.rung {
                _ if self.backlog > 0 => Some(0),
                Rung::Running => None,
                Rung::InputClosed { until } | Rung::Terminated { until } => Some(until),
            };
            let fds = [self.inherited.host, self.inherited.signals, self.failures, self.socket];
            let Ok([host_ended, signalled, executed, ordered]) = system::poll(fds, deadline) else { return Cause::Root };
            // In this order: what has ended is not asked, and a server's failure is known before its end is seen.
            if host_ended {
                return Cause::Host;
            }
            if executed {
                self.take_failure();
            }
            let over = if signalled || self.backlog > 0 { self.take_signals() } else { None };
            let over = over.or_else(|| if ordered { self.take_order() } else { None });
            if let Some(cause) = over.or_else(|| self.climb()) {
                return cause;
            }
        }
    }

    fn take_failure(&mut self) {
        let mut bytes = [0; server::FAILURE];
        let read = system::read(self.failures, &mut bytes);
        if read == Err(Errno::AGAIN) {
            return;
        }
        system::close(self.failures);
        self.failures = Fd::NONE;
        if read == Ok(bytes.len()) {
            // It is reported when the process is gone.
            self.failure = server::failure_of(&bytes);
        } else {
            report(self.socket, Report::Started { server: self.server.get() });
        }
    }

    fn take_signals(&mut self) -> Over {
        let signalled = signals::take(self.inherited.signals);
        if signalled.end {
            return Some(Cause::Root);
        }
        // Orphans of the server end too, and are waited for as they do.
        for _ in 0..WAITED_AT_ONCE {
            match system::wait(false) {
                Ok(Some((process, status))) if process == self.server => {
                    self.status = status;
                    return Some(Cause::Server);
                }
                Ok(Some(_)) => self.backlog += 1,
                Ok(None) | Err(_) => {
                    self.backlog = 0;
                    return None;
                }
            }
        }
        (self.backlog >= MOST_BACKLOG).then_some(Cause::Runaway)
    }

    fn take_order(&mut self) -> Over {
        let mut order = [0];
        match system::receive(self.socket, &mut order) {
            Ok(1) if order == [KILL] => return Some(Cause::Host),
            Ok(1) if order == [CLOSE] => self.close(),
            Ok(1) | Err(Errno::AGAIN) => {}
            // Nobody is left who could order anything, or be told.
            Ok(_) | Err(_) => {
                system::close(self.socket);
                self.socket = Fd::NONE;
                self.close();
            }
        }
        None
    }

    fn close(&mut self) {
        if self.rung == Rung::Running {
            self.rung = Rung::InputClosed { until: system::now().saturating_add(self.close_input) };
        }
    }

    fn climb(&mut self) -> Over {
        let now = system::now();
        match self.rung {
            Rung::InputClosed { until } if until <= now => {
                // The group, which a shell and what it started share; and those who left it and lost their parent. Who is
                // stopped must go on to hear of it.
                for signal in [Signal::TERM, Signal::CONT] {
                    let _ = system::kill_group(self.server, signal);
                    self.inherited.proc.each_child(|child| {
                        if child != self.server {
                            let _ = system::kill(child, signal);
                        }
                    });
                }
                self.rung = Rung::Terminated { until: now.saturating_add(self.close_terminate) };
                None
            }
            Rung::Terminated { until } if until <= now => Some(Cause::Host),
            _ => None,
        }
    }

    fn end(mut self, cause: Cause) -> ! {
        let began = system::now();
        let mut others = 0;
        // It may have been waited for, where it is what ended the session; then its group is nobody's, or its own still.
        if cause != Cause::Server {
            let _ = system::kill_group(self.server, Signal::KILL);
        }
        let rounds = sweep(self.inherited.proc, self.inherited.signals, |process, status| {
            if process == self.server {
                self.status = status;
            } else {
                others += 1;
            }
        });
        if self.failures != Fd::NONE {
            self.take_failure();
        }
        report(
            self.socket,
            match self.failure {
                Some(failure) => Report::Failed(failure),
                None => Report::Ended(Ended {
                    cause,
                    status: self.status,
                    swept: others,
                    rounds,
                    microseconds: system::now().saturating_sub(began) / 1000,
                }),
            },
        );
        // The root takes this as: nothing is left that it would have to look for.
        system::exit(0)
    }
}
