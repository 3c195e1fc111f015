//! The thread that ends and reaps a runtime's processes.
//!
//! It owns every child from its start to the end of its process group, and waits in epoll_wait(2) for three things: a child
//! that exits, an order to close one, the next rung of a ladder. The ladder: the session drops standard input, which is the
//! polite request of every stdio protocol; after a while `SIGTERM` to the group; after another `SIGKILL`. Whenever the
//! leader is gone, politely or not, the rest of its group is killed *before* the leader is reaped: as long as the leader is a
//! zombie its id cannot belong to anybody else.
//!
//! A child is signalled by the id of its group, which is its own id. `SIGCHLD` is not used and no other child is waited
//! for, so the embedder may do either as it likes. If it reaps one of ours, or ignores `SIGCHLD`, the exit status is lost
//! and nothing else.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{EventfdFlags, epoll, eventfd},
    process::{
        Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, test_kill_process_group, waitid,
    },
};
use tokio::sync::watch;

use crate::{Limits, transport::ExitStatus};

/// The epoll key of the eventfd that announces orders.
const ORDERS: u64 = 0;

/// Hands processes to the thread. Dropping the last one closes them all; the thread ends with the last of them.
pub(crate) struct Reaper {
    orders: Sender<Order>,
    wake: Arc<OwnedFd>,
}

/// How a process ended; none while it runs.
pub(super) type Exit = watch::Receiver<Option<ExitStatus>>;

/// A process in the care of the thread. Dropping it closes the process.
pub(super) struct ReapedChild {
    id: u64,
    pid: Pid,
    exit: Exit,
    reaper: Arc<Reaper>,
}

enum Order {
    Adopt { id: u64, pid: Pid, pidfd: OwnedFd, exit: watch::Sender<Option<ExitStatus>> },
    Close { id: u64 },
    Kill { id: u64 },
}

impl Reaper {
    pub(crate) fn start(limits: &Limits) -> io::Result<Arc<Self>> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        epoll::add(&epoll, &wake, epoll::EventData::new_u64(ORDERS), epoll::EventFlags::IN)?;
        let (orders, receiver) = channel();
        let thread = Thread {
            epoll,
            wake: wake.clone(),
            orders: receiver,
            children: HashMap::new(),
            deadlines: BTreeSet::new(),
            input: limits.close_input,
            terminate: limits.close_terminate,
        };
        thread::Builder::new().name("innkeeper-reaper".into()).spawn(move || thread.run())?;
        Ok(Arc::new(Self { orders, wake }))
    }

    /// Takes a child over that was just started as the leader of its own group, and that nobody else waits for.
    pub(super) fn adopt(self: &Arc<Self>, pid: u32) -> io::Result<ReapedChild> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(error) => {
                // Without a descriptor nobody would see it end.
                let _ = kill_process_group(pid, Signal::KILL);
                let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
                return Err(error.into());
            }
        };
        let id = u64::from(pid.as_raw_nonzero().get().unsigned_abs()) << 32 | next_serial();
        let (sender, exit) = watch::channel(None);
        self.order(Order::Adopt { id, pid, pidfd, exit: sender });
        Ok(ReapedChild { id, pid, exit, reaper: self.clone() })
    }

    fn order(&self, order: Order) {
        // The thread lives as long as a sender does.
        let _ = self.orders.send(order);
        self.wake();
    }

    fn wake(&self) {
        // It fails only where the counter would overflow, and then the thread is awake anyway.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        // The channel closes after this; the thread looks again at its next wake-up, which is now.
        let (closed, _) = channel();
        self.orders = closed;
        self.wake();
    }
}

/// Tells apart children that had the same id one after the other.
fn next_serial() -> u64 {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    static SERIAL: AtomicU32 = AtomicU32::new(1);
    u64::from(SERIAL.fetch_add(1, Relaxed))
}

impl ReapedChild {
    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    pub(super) fn close(&self) {
        self.reaper.order(Order::Close { id: self.id });
    }

    pub(super) fn kill(&self) {
        self.reaper.order(Order::Kill { id: self.id });
    }

    pub(super) fn exit(&self) -> Exit {
        self.exit.clone()
    }
}

/// Waits for the end of a process.
pub(super) async fn exited(mut exit: Exit) -> ExitStatus {
    match exit.wait_for(Option::is_some).await {
        Ok(status) => status.unwrap_or_default(),
        // The thread is gone, which it is only after all its children.
        Err(_) => ExitStatus::default(),
    }
}

impl Drop for ReapedChild {
    fn drop(&mut self) {
        self.close();
    }
}

struct Thread {
    epoll: OwnedFd,
    wake: Arc<OwnedFd>,
    orders: Receiver<Order>,
    children: HashMap<u64, Child>,
    /// When each child that is being closed is to get its next signal.
    deadlines: BTreeSet<(Instant, u64)>,
    input: Duration,
    terminate: Duration,
}

struct Child {
    pid: Pid,
    pidfd: OwnedFd,
    exit: watch::Sender<Option<ExitStatus>>,
    rung: Rung,
}

/// How far the end of a child has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rung {
    Running,
    InputClosed,
    Terminated,
    Killed,
}

impl Thread {
    fn run(mut self) {
        let mut closing = false;
        while !(closing && self.children.is_empty()) {
            let mut events = Vec::with_capacity(64);
            let timeout = self.deadlines.first().map(|(at, _)| {
                let left = at.saturating_duration_since(Instant::now());
                // Rounded up, so that the deadline has passed when the wait ends.
                rustix::event::Timespec {
                    tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                    tv_nsec: i64::from(left.subsec_nanos()),
                }
            });
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    // Cannot happen with descriptors that we own; if it does, ending everything is the safe answer.
                    tracing::error!(%error, "waiting for processes failed; closing all of them");
                    self.children.values_mut().for_each(Child::kill_group);
                    return;
                }
            }
            for event in &events {
                match event.data.u64() {
                    ORDERS => closing |= self.take_orders(),
                    id => self.exited(id),
                }
            }
            self.climb(Instant::now());
        }
    }

    /// True: nobody can give orders any more.
    fn take_orders(&mut self) -> bool {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.wake, &mut count);
        loop {
            match self.orders.try_recv() {
                Ok(Order::Adopt { id, pid, pidfd, exit }) => {
                    let watched = epoll::add(&self.epoll, &pidfd, epoll::EventData::new_u64(id), epoll::EventFlags::IN);
                    let mut child = Child { pid, pidfd, exit, rung: Rung::Running };
                    if let Err(error) = watched {
                        tracing::error!(%error, pid = %pid.as_raw_nonzero(), "a process cannot be watched; killing it");
                        child.kill_group();
                        child.reap();
                        continue;
                    }
                    self.children.insert(id, child);
                }
                Ok(Order::Close { id }) => self.close(id),
                Ok(Order::Kill { id }) => {
                    if let Some(child) = self.children.get_mut(&id) {
                        child.kill_group();
                    }
                }
                Err(std::sync::mpsc::TryRecvError::Empty) => return false,
                Err(std::sync::mpsc::TryRecvError::Disconnected) => {
                    let all: Vec<u64> = self.children.keys().copied().collect();
                    all.into_iter().for_each(|id| self.close(id));
                    return true;
                }
            }
        }
    }

    fn close(&mut self, id: u64) {
        if let Some(child) = self.children.get_mut(&id)
            && child.rung == Rung::Running
        {
            child.rung = Rung::InputClosed;
            self.deadlines.insert((Instant::now() + self.input, id));
        }
    }

    /// Gives every child whose time is up its next signal.
    fn climb(&mut self, now: Instant) {
        while let Some((at, id)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(at, id));
            let Some(child) = self.children.get_mut(&id) else { continue };
            match child.rung {
                Rung::Running | Rung::Killed => {}
                Rung::InputClosed => {
                    child.rung = Rung::Terminated;
                    let _ = kill_process_group(child.pid, Signal::TERM);
                    self.deadlines.insert((now + self.terminate, id));
                }
                Rung::Terminated => child.kill_group(),
            }
        }
    }

    fn exited(&mut self, id: u64) {
        let Some(mut child) = self.children.remove(&id) else { return };
        let _ = epoll::delete(&self.epoll, &child.pidfd);
        self.deadlines.retain(|(_, other)| *other != id);
        child.kill_group();
        child.reap();
    }
}

impl Child {
    fn kill_group(&mut self) {
        self.rung = Rung::Killed;
        // ESRCH: nobody is left in it.
        if test_kill_process_group(self.pid).is_ok() {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    fn reap(&self) {
        // ECHILD: the embedder reaped it, or ignores SIGCHLD.
        let status = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED).ok().flatten();
        let status = status.map_or_else(ExitStatus::default, |status| ExitStatus {
            code: status.exit_status(),
            signal: status.terminating_signal(),
        });
        self.exit.send_replace(Some(status));
    }
}
