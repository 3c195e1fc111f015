//! Awkward servers: what a server can do to its client.
//!
//! Each scenario is a behaviour seen in a real server, or one that a hostile
//! server would choose. The process `awkward-server` takes the name of one as
//! its argument and, apart from it, is a plain MCP server over stdio with the
//! tools of [`tool`]. A scenario changes how answers are delivered, or which
//! processes there are, and not what a tool does, so that a test can tell
//! whether a call has run.

use std::str::FromStr;

/// Declares the scenarios, with their names on the command line, and a list of all.
macro_rules! scenarios {
    ($($(#[doc = $doc:literal])+ $scenario:ident = $name:literal,)+) => {
        /// A way to be awkward.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Scenario {
            $($(#[doc = $doc])+ $scenario,)+
        }

        impl Scenario {
            /// All scenarios.
            pub const ALL: &[Self] = &[$(Self::$scenario),+];

            /// The name on the command line.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$scenario => $name,)+
                }
            }
        }
    };
}

scenarios! {
    /// Not awkward at all.
    Plain = "plain",
    /// Writes lines that are no messages before each message: text, broken JSON, JSON that is no object, bytes that are not UTF-8, empty lines.
    GarbageBetweenFrames = "garbage-between-frames",
    /// Answers tool calls with one line of 100 MiB.
    Line100Mib = "line-100mib",
    /// Answers the first tool call with bytes without end and without a newline.
    NoNewlineEver = "no-newline-ever",
    /// Writes to stderr without end, lines and one that never ends, and serves as usual.
    StderrFlood = "stderr-flood",
    /// Runs the first tool call, writes half of its answer and exits with status 3.
    ExitMidFrame = "exit-mid-frame",
    /// Says why on stderr and exits with status 7 before it has read anything.
    ExitOnStart = "exit-on-start",
    /// Exits with status 1 when the first message is not `initialize`, as servers do that know no probe.
    ExitOnProbe = "exit-on-probe",
    /// Before each answer, answers requests that nobody made: large, negative, fractional, textual and null ids.
    UnknownIds = "unknown-ids",
    /// Gives each answer twice.
    DuplicateIds = "duplicate-ids",
    /// Answers with the id as a string where it was a number.
    StringIds = "string-ids",
    /// Gives each page of `tools/list` a fresh cursor for one more.
    EndlessPages = "endless-pages",
    /// Gives each page of `tools/list` the same cursor.
    RepeatedCursor = "repeated-cursor",
    /// Once initialized, sends pings without end and never reads again.
    PingFlood = "ping-flood",
    /// Never answers `initialize`.
    NeverAnswersInitialize = "never-answers-initialize",
    /// Answers `initialize` with an error.
    AnswersInitializeWithError = "answers-initialize-with-error",
    /// Answers `initialize` with a revision that there never was.
    WrongVersion = "wrong-version",
    /// Reads 64 bytes every 10 ms: enough for a handshake, while a large write takes for ever.
    SlowReader = "slow-reader",
    /// Once initialized, sends notifications without end, and serves as usual.
    NotificationsFlood = "notifications-flood",
    /// Once initialized, sends requests without end, each with a new id, and serves as usual.
    ServerRequestFlood = "server-request-flood",
    /// Lives on after the end of its input.
    IgnoresEof = "ignores-eof",
    /// Lives on after the end of its input, and ignores SIGTERM.
    IgnoresEofAndTerm = "ignores-eof-and-term",
    /// Starts a child in its process group that holds its output and stays when the server exits.
    Grandchild = "grandchild",
    /// Starts a child in a process group of its own that holds its output and stays when the server exits.
    GrandchildInOwnGroup = "grandchild-in-own-group",
    /// Starts a child in its process group that holds nothing of it and stays when the server exits.
    QuietGrandchild = "quiet-grandchild",
    /// Starts a child in a session of its own, which setsid(2) makes, and exits without it.
    GrandchildInOwnSession = "grandchild-in-own-session",
    /// The same with an empty environment, so that no mark in it tells where it came from.
    GrandchildWithoutEnvironment = "grandchild-without-environment",
    /// Starts a daemon by the book: forked twice, in a session of its own, ignoring every signal that can be ignored.
    Daemon = "daemon",
    /// Starts 16 processes that fork, exit and leave their session, for ever, each as soon as nothing is left of the one before.
    ForkChains = "fork-chains",
    /// The same without pause, so that they end faster than anybody can wait for them.
    ForkStorm = "fork-storm",
    /// Has tools that look into its own process and attack others: [`tool::OF_PROCESSES`].
    Attacker = "attacker",
    /// Stops itself with SIGSTOP as soon as it is initialized.
    StopsItself = "stops-itself",
    /// Closes its output at the first tool call, and lives until the end of its input.
    ClosesStdoutButLives = "closes-stdout-but-lives",
    /// Writes each byte by itself.
    HalfFrames = "half-frames",
    /// Writes its environment to stderr at its start. Answers `echo` with an error that has it, and at `sleep` writes it again and
    /// exits with status 3.
    TellsEnvironment = "tells-environment",
    /// Answers `initialize` with an error that has its environment.
    RefusesWithEnvironment = "refuses-with-environment",
    /// Offers resources and prompts with hostile names and contents: [`offers`].
    HostileOffers = "hostile-offers",
    /// Reads nothing and writes nothing: what a grandchild does.
    Idle = "idle",
}

/// The name was not that of a scenario.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownScenario;

impl FromStr for Scenario {
    type Err = UnknownScenario;

    fn from_str(name: &str) -> Result<Self, UnknownScenario> {
        Self::ALL.iter().copied().find(|scenario| scenario.name() == name).ok_or(UnknownScenario)
    }
}

/// The tools that the server has in every scenario. All answer with one text.
pub mod tool {
    /// Gives back its argument `text`.
    pub const ECHO: &str = "echo";
    /// Answers after `ms` milliseconds; not at all, if it is cancelled meanwhile. Other calls go on beside it.
    pub const SLEEP: &str = "sleep";
    /// Adds a line to the file that [`COUNT_FILE`] names, and gives the number of lines. Where its argument `pipe` names a pipe
    /// (fifo(7)), it does so when whoever writes to that has closed it; other calls go on beside it.
    pub const COUNT: &str = "count";
    /// Gives `bytes` bytes.
    pub const FILL: &str = "fill";
    /// Gives the methods of all messages received so far, one a line.
    pub const RECEIVED: &str = "received";
    /// Gives its environment, `NAME=VALUE` a line.
    pub const ENVIRONMENT: &str = "environment";
    /// Gives its open descriptors, one a line.
    pub const DESCRIPTORS: &str = "descriptors";
    /// Tries everything that one process can do to another, and that the other survives, to the process `process`. Gives a
    /// line for each attempt: its name, a colon, and [`SUCCEEDED`] or what the system said.
    pub const ATTACK: &str = "attack";
    /// Tries to kill the process `process` in every way. Gives lines as [`ATTACK`] does.
    pub const KILL: &str = "kill";

    /// What every server has.
    pub const ALL: [&str; 6] = [ECHO, SLEEP, COUNT, FILL, RECEIVED, ENVIRONMENT];

    /// What only [`Scenario::Attacker`](super::Scenario::Attacker) has, beside those.
    pub const OF_PROCESSES: [&str; 3] = [DESCRIPTORS, ATTACK, KILL];

    /// The outcome of an attack that was not refused.
    pub const SUCCEEDED: &str = "succeeded";

    /// The variable that names the file of [`COUNT`]. A file, because a count in memory would not survive the process.
    pub const COUNT_FILE: &str = "AWKWARD_COUNT_FILE";
}

/// What [`Scenario::HostileOffers`] has to read.
pub mod offers {
    /// A small image at a URI with all that could break a line, a terminal or a path. Everything else is called so too.
    pub const HOSTILE: &str = "file:///a\nb \u{1b}[2J\u{9b}\u{202e}/../../../outside.sh";
    /// A large video.
    pub const HUGE: &str = "big:../../video";
    /// Its bytes.
    pub const HUGE_BYTES: usize = 9_000_000;
    /// An image whose base64 is none.
    pub const BROKEN: &str = "broken:image";
    /// Something that runs when it is opened.
    pub const SCRIPT: &str = "file:///etc/run.sh";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scenario_is_found_by_its_name_alone() {
        for (index, scenario) in Scenario::ALL.iter().enumerate() {
            assert_eq!(scenario.name().parse(), Ok(*scenario), "scenario {index}");
        }
        assert_eq!("unheard-of".parse::<Scenario>(), Err(UnknownScenario));
    }
}
