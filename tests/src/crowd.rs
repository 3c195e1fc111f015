//! A crowd: many sessions with servers of several kinds, each with a call under way whenever a test wants that.
//!
//! What is done to all sessions at once, as an upgrade, is tried under traffic. Each session has two callers. One makes short
//! calls, one after the other. The other *holds* one call a round: the server has it, and answers when the round is
//! [over](Crowd::release). How a call is held differs by session: nothing was heard of it, it is half-way, the server has
//! asked something because of it, or half of its answer was written. So no clock decides what is under way when.
//!
//! Servers, and the handler of what they ask, count what they run, call by call. Whether something failed or ran twice is in the
//! [`Verdict`].

mod callers;
mod counts;
mod framed;
mod handler;

use std::{path::PathBuf, sync::Arc, time::Duration};

use innkeeper::{Catalog, Command, Component, Runtime, Server, Tenant};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};

pub use self::counts::Verdict;
use self::{
    callers::{Caller, Member},
    counts::Counts,
    framed::Desk,
    handler::Person,
};
use crate::{
    artifacts::{self, ServerCommand},
    awkward::{Scenario, tool},
    remote::{Manner, Remote},
};

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// The number of the round that is never over before the crowd is.
const END: u32 = u32::MAX;

/// How many sessions there are with servers of each kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sizes {
    /// In process, in frames after their length.
    pub framed: usize,
    /// Processes: awkward servers that are not.
    pub processes: usize,
    /// Processes: the demo server, made with rmcp.
    pub demos: usize,
    /// Over HTTP.
    pub remotes: usize,
}

impl Sizes {
    /// All of them.
    pub fn sessions(self) -> usize {
        self.framed + self.processes + self.demos + self.remotes
    }
}

/// Sessions under traffic. Their callers end when it is dropped.
pub struct Crowd {
    tenant: Tenant,
    sessions: usize,
    /// Rounds that are over.
    over: watch::Sender<u32>,
    /// A message for each session that holds a call.
    holding: mpsc::UnboundedReceiver<()>,
    callers: JoinSet<()>,
    counts: Arc<Counts>,
    remotes: Vec<Remote>,
    folder: Folder,
}

/// Where pipes and counts are. It goes with this.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("innkeeper-crowd-{name}-{}", std::process::id()));
        // Of a process that had the same number.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
        Self(folder)
    }

    fn count_file(&self) -> PathBuf {
        self.0.join("counts")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Crowd {
    /// A tenant of this name with its sessions, all of them open, each about to hold its first call. `pace` is the pause between
    /// short calls of a session; none where the next follows at once.
    pub async fn open(runtime: &Runtime, name: &str, guest: &Component, sizes: Sizes, pace: Option<Duration>) -> Self {
        let folder = Folder::new(name);
        let (over, rounds) = watch::channel(0);
        let (holds, holding) = mpsc::unbounded_channel();
        let counts = Arc::<Counts>::default();

        let desk = Desk { counts: counts.clone(), over: rounds.clone(), holds: holds.clone() };
        let count_file = folder.count_file();
        let count_file = count_file.to_str().expect("names of temporary folders are text");
        let awkward = command(&artifacts::awkward_server(Scenario::Plain)).env(tool::COUNT_FILE, count_file);
        let mut catalog = Catalog::new()
            .server("framed", Server::connector(framed::connector(desk)))
            .server("process", Server::command(awkward));
        if sizes.demos > 0 {
            catalog = catalog.server("demo", Server::command(command(&artifacts::demo_server())));
        }
        let mut remotes = Vec::new();
        for number in 0..sizes.remotes {
            let remote = Remote::start(Manner { events: true, ..Manner::default() }).await;
            catalog = catalog.server(format!("remote-{number}"), Server::url(remote.url()));
            remotes.push(remote);
        }
        let person = Person { counts: counts.clone(), over: rounds.clone(), holds: holds.clone() };
        let tenant = runtime.tenant(name).guest(guest.clone()).catalog(catalog).server_requests(person);
        let tenant = tenant.apply().await.expect("the name is free");

        let mut callers = JoinSet::new();
        for (number, member) in Member::all(sizes).enumerate() {
            let lease = tenant.lease(&*member.user, &*member.server).await;
            lease.unwrap_or_else(|error| panic!("{} does not open: {error}", member.user));
            let (tenant, counts, folder) = (tenant.clone(), counts.clone(), folder.0.clone());
            let caller = Caller { tenant, member, counts, folder, number, over: rounds.clone(), holds: holds.clone() };
            callers.spawn(caller.clone().hold_calls());
            callers.spawn(caller.make_short_calls(pace));
        }
        for remote in &remotes {
            // The handshake, and the stream of what the server says by itself.
            while !remote.asked().iter().any(|asked| asked == "GET") {
                remote.receives(remote.received().len() + 1).await;
            }
        }
        Self { tenant, sessions: sizes.sessions(), over, holding, callers, counts, remotes, folder }
    }

    /// The tenant.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The servers over HTTP.
    pub fn remotes(&self) -> &[Remote] {
        &self.remotes
    }

    /// Waits until each session holds a call.
    pub async fn all_hold(&mut self) {
        for session in 0..self.sessions {
            let holds = timeout(PATIENCE, self.holding.recv()).await;
            holds.unwrap_or_else(|_| panic!("{session} of {} sessions hold a call: {:?}", self.sessions, self.counts));
        }
    }

    /// Ends the round: servers answer the calls that are held, and each session holds another one.
    pub fn release(&self) {
        self.over.send_modify(|over| *over += 1);
    }

    /// What was counted up to now. Calls that are under way are made, and have no outcome.
    pub fn so_far(&self) -> Verdict {
        self.counts.verdict(&self.folder.count_file(), &self.remotes)
    }

    /// When short calls began and how long they took, since this was asked last: those that were answered.
    pub fn take_times(&self) -> Vec<(std::time::Instant, Duration)> {
        self.counts.take_times()
    }

    /// Lets all calls end, closes the sessions, and says what became of the calls.
    pub async fn end(mut self) -> Verdict {
        self.over.send_replace(END);
        let ended = timeout(PATIENCE, async {
            while let Some(ended) = self.callers.join_next().await {
                ended.expect("callers do not panic");
            }
        });
        ended.await.unwrap_or_else(|_| panic!("a call has no end: {:?}", self.counts));
        let report = self.tenant.close(PATIENCE).await;
        assert!(report.closed.iter().all(|session| session.gone), "{report:?}");
        self.so_far()
    }
}

fn command(ServerCommand { program, args }: &ServerCommand) -> Command {
    Command::new(program.to_str().expect("paths of the target folder are text")).args(args)
}
