//! The root supervisor of a runtime: started when the first server is, started again if it dies.
//!
//! A thread, not a task, starts it and waits for it: its start takes as long as an exec may take, its end must be waited for
//! when no tokio runtime is left, and neither may hold up anybody. The thread lives as long as the root, which lives until the
//! last session of a runtime that is gone has ended.
//!
//! The host never installs a handler for `SIGCHLD` and never waits for any child but the root, by its pidfd. An embedder may
//! do either as it likes, or ignore the signal: of the root nothing but its end is of interest.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{self, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use rustix::{
    io::retry_on_intr,
    net::{
        AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType,
        sendmsg, shutdown, socketpair, sockopt,
    },
    process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid},
};
use tokio::sync::{Semaphore, watch};

use super::{
    executable::{Executable, INSTALL},
    explain,
    protocol::{DESCRIPTORS, Hello, OPEN, Probe, VERSION},
    trees::Trees,
};
use crate::transport::{Census, ConnectError};

/// How long the root may take from its exec to its hello. It takes a millisecond, and on a machine where it takes this long
/// nothing works.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sessions whose descriptors are under way to the root. The system counts descriptors on their way against the limit of
/// open files of the sender (unix(7)): four each, a quarter of the smallest usual limit. They also fit into the socket's
/// buffer, so that sending never waits.
const UNDER_WAY: usize = 64;

/// What starts the servers of a runtime.
pub(crate) struct Supervisors {
    /// Where the program was installed; none: the one in the library.
    path: Option<PathBuf>,
    current: Mutex<Option<Current>>,
    trees: Arc<Trees>,
}

/// A root, from the decision to start it until it has ended.
struct Current {
    control: Arc<OwnedFd>,
    phase: watch::Receiver<Phase>,
}

#[derive(Clone)]
enum Phase {
    Starting,
    Running(Arc<Root>),
    /// It could not be started, and why.
    Failed(ConnectError),
    /// It has ended.
    Gone,
}

/// A root that runs.
pub(crate) struct Root {
    control: Arc<OwnedFd>,
    pid: u32,
    hello: Hello,
    /// Held while a session's descriptors are under way.
    places: Arc<Semaphore>,
}

impl Supervisors {
    pub(crate) fn new(path: Option<PathBuf>) -> Arc<Self> {
        Arc::new(Self { path, current: Mutex::default(), trees: Arc::default() })
    }

    pub(super) fn trees(&self) -> &Arc<Trees> {
        &self.trees
    }

    /// The root that runs now, if one does.
    pub(crate) fn running(&self) -> Option<u32> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current.as_ref()?.phase.borrow() {
            Phase::Running(root) => Some(root.pid),
            _ => None,
        }
    }

    /// All processes of the runtime, right now.
    pub(crate) fn census(&self) -> Census {
        self.trees.census(self.running())
    }

    /// The root, started if there is none.
    ///
    /// Cancellation safe: it goes on starting, for the next.
    pub(crate) async fn root(&self) -> Result<Arc<Root>, ConnectError> {
        let mut phase = self.current().map_err(|error| unavailable(&error.to_string()))?;
        let phase = phase.wait_for(|phase| !matches!(phase, Phase::Starting)).await;
        match phase.as_deref() {
            Ok(Phase::Running(root)) => Ok(root.clone()),
            Ok(Phase::Failed(error)) => Err(error.clone()),
            // It ended between being started and being asked for.
            Ok(Phase::Gone | Phase::Starting) | Err(_) => Err(unavailable("it ended at once")),
        }
    }

    /// Has the root end when the last session has, and waits for it. Who waits for no child would leave a zombie to whoever
    /// started the host.
    pub(crate) async fn end(&self) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Current { control, mut phase }) = current {
            let _ = shutdown(&control, Shutdown::Both);
            // An error: its thread has ended, which is as good.
            let _ = phase.wait_for(|phase| matches!(phase, Phase::Gone | Phase::Failed(_))).await;
        }
    }

    /// Says that a root has ended, before its thread knows.
    pub(super) fn forget(&self, root: &Root) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(&current.control, &root.control)) {
            *current = None;
        }
    }

    fn current(&self) -> io::Result<watch::Receiver<Phase>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = &*current
            && matches!(*current.phase.borrow(), Phase::Starting | Phase::Running(_))
            && current.phase.has_changed().is_ok()
        {
            return Ok(current.phase.clone());
        }
        let (control, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        // A root that says nothing must not hold its thread for ever.
        sockopt::set_socket_timeout(&control, sockopt::Timeout::Recv, Some(PATIENCE))?;
        let control = Arc::new(control);
        let (sender, phase) = watch::channel(Phase::Starting);
        let (path, ours) = (self.path.clone(), control.clone());
        thread::Builder::new().name("innkeeper-root".into()).spawn(move || live(path, ours, theirs, &sender))?;
        *current = Some(Current { control, phase: phase.clone() });
        Ok(phase)
    }
}

impl Drop for Supervisors {
    fn drop(&mut self) {
        // The end of the socket is the order to end when all sessions have. Shut down rather than closed: the thread holds it,
        // and so does a process that an embedder forked without exec.
        if let Some(current) = self.current.get_mut().unwrap_or_else(PoisonError::into_inner) {
            let _ = shutdown(&current.control, Shutdown::Both);
        }
    }
}

/// What may be otherwise another time.
pub(super) fn unavailable(reason: &str) -> ConnectError {
    ConnectError::unavailable(format!("the supervisor cannot be started: {reason}"))
}

/// What somebody must mend.
pub(super) fn unusable(reason: &str) -> ConnectError {
    ConnectError::new(format!("the supervisor cannot be started: {reason}"))
}

/// The thread of a root, from its start to its end.
fn live(path: Option<PathBuf>, control: Arc<OwnedFd>, theirs: OwnedFd, phase: &watch::Sender<Phase>) {
    let started = start(path, control, theirs);
    match started {
        Ok((root, ended)) => {
            tracing::debug!(pid = root.pid, landlock = root.hello.landlock, "the supervisor runs");
            let _ = phase.send(Phase::Running(Arc::new(root)));
            // ECHILD: an embedder has waited for it, or ignores SIGCHLD. It has ended in either case.
            while let Err(rustix::io::Errno::INTR) = waitid(WaitId::PidFd(ended.as_fd()), WaitIdOptions::EXITED) {}
            let _ = phase.send(Phase::Gone);
        }
        Err(NotStarted { error, child }) => {
            let _ = phase.send(Phase::Failed(error));
            // It has been told to end. What does not listen is no supervisor, and keeps this thread waiting and nothing else.
            let _ = child.map(|mut child| child.wait());
        }
    }
}

/// Why there is no root, and what was started in its place.
struct NotStarted {
    error: ConnectError,
    child: Option<process::Child>,
}

impl From<ConnectError> for NotStarted {
    fn from(error: ConnectError) -> Self {
        Self { error, child: None }
    }
}

/// Executes the supervisor, and hears what it has found out. Also a descriptor that tells its end.
fn start(path: Option<PathBuf>, control: Arc<OwnedFd>, theirs: OwnedFd) -> Result<(Root, OwnedFd), NotStarted> {
    let executable = Executable::new(path.as_deref())?;
    // Nothing of the host's environment, folder or output: it needs none, and outlives the host.
    let child = process::Command::new(executable.path())
        .arg0("innkeeper-supervisor")
        .arg(process::id().to_string())
        .env_clear()
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| not_executed(path.as_deref(), &error))?;
    let pid = child.id();
    let greeted = hello(&control).and_then(|hello| {
        // It runs, so nobody can have waited for it, and its id is its own.
        let ended = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(rustix::io::Errno::SRCH);
        let ended = ended.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
        ended.map(|ended| (hello, ended)).map_err(|error| unavailable(&format!("it cannot be watched: {error}")))
    });
    match greeted {
        Ok((hello, ended)) => Ok((Root { control, pid, hello, places: Arc::new(Semaphore::new(UNDER_WAY)) }, ended)),
        Err(error) => {
            // The order to end. It is not killed by its id, which may be another's if the embedder has waited for it.
            let _ = shutdown(&control, Shutdown::Both);
            Err(NotStarted { error, child: Some(child) })
        }
    }
}

fn not_executed(path: Option<&Path>, error: &io::Error) -> ConnectError {
    let refused = error.kind() == io::ErrorKind::PermissionDenied;
    match path {
        Some(path) => unusable(&format!("`{}` cannot be executed: {error}", path.display())),
        None if refused => unusable(&format!("this system forbids executing files in memory: {error}; {INSTALL}")),
        None => unavailable(&format!("it cannot be executed: {error}")),
    }
}

fn hello(control: &OwnedFd) -> Result<Hello, ConnectError> {
    let mut bytes = [0; Hello::SIZE];
    let received = retry_on_intr(|| rustix::net::recv(control, &mut bytes, rustix::net::RecvFlags::empty()));
    let (length, _) = received.map_err(|error| unavailable(&format!("it says nothing: {error}")))?;
    let hello = Hello::from_bytes(&bytes);
    if length != bytes.len() || hello.version != VERSION {
        return Err(unusable("it is of another version than this library; install the one that belongs to it"));
    }
    match hello.failed {
        Some(failure) => Err(explain::setup(failure)),
        None => Ok(hello),
    }
}

impl Root {
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Whether the kernel lists the children of a process.
    pub(crate) fn lists_children(&self) -> bool {
        self.hello.has(Probe::Children)
    }

    /// A place on the way to it.
    pub(super) fn places(&self) -> Arc<Semaphore> {
        self.places.clone()
    }

    /// Hands a session over: its socket, and the server's standard input, output and error.
    pub(super) fn open(&self, socket: BorrowedFd<'_>, streams: [BorrowedFd<'_>; 3]) -> rustix::io::Result<()> {
        let [stdin, stdout, stderr] = streams;
        let descriptors: [BorrowedFd<'_>; DESCRIPTORS] = [socket, stdin, stdout, stderr];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        sendmsg(&self.control, &[IoSlice::new(&OPEN)], &mut ancillary, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
            .map(drop)
    }
}
