//! What host and supervisor say to each other. Both compile this file.
//!
//! Both run on one machine and come from one build, unless an operator installed a supervisor of another version; so
//! messages are plain integers in the machine's own order, and the first one has a version.
//!
//! | where | from | message |
//! |---|---|---|
//! | control socket (`SOCK_SEQPACKET`, standard input of the root) | root | one [`Hello`] |
//! | | host | [`OPEN`] with four descriptors: session socket, and the server's standard input, output and error |
//! | session socket (`SOCK_STREAM`) | host | one [`Header`] and its strings, then orders: [`CLOSE`], [`KILL`] |
//! | | supervisor | [`Report`]s: accepted, started, ended; or failed |
//!
//! The end of a socket is an order too: of the control socket, to end when all sessions have; of a session socket, the same
//! as [`CLOSE`].

/// Version of all of it.
pub(crate) const VERSION: u64 = 1;

/// The datagram that opens a session.
pub(crate) const OPEN: [u8; 1] = *b"O";

/// Descriptors that come with it.
pub(crate) const DESCRIPTORS: usize = 4;

/// Begins the close of a session: its host has closed the pipes, and the server has time to end by itself.
pub(crate) const CLOSE: u8 = b'C';

/// Ends a session at once.
pub(crate) const KILL: u8 = b'K';

/// Sessions of one root at a time. A runtime has fewer; this bounds the root's table, which is memory only where it is used.
pub(crate) const MOST_SESSIONS: usize = 16_384;

/// Bytes of the strings of a request. execve(2) takes a quarter of the stack's limit, usually 2 MiB; what is larger than
/// this fails there anyway.
pub(crate) const MOST_BYTES: u64 = 4 << 20;

/// A limit that is not set.
pub(crate) const UNLIMITED: u64 = u64::MAX;

/// The server keeps what it cannot do to others: see `isolation`. Without it the server is only supervised.
pub(crate) const GUARDED: u64 = 1;

/// The server may gain privileges, by setuid programs and file capabilities. Never together with [`GUARDED`].
pub(crate) const PRIVILEGES: u64 = 4;

/// The server may leave a core file. Without it the limit is 0.
pub(crate) const CORE_FILES: u64 = 2;

/// What the machine gives, as the root found out by trying it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) version: u64,
    /// Why the root could not be set up; nothing else counts then.
    pub(crate) failed: Option<Failure>,
    /// Revision of Landlock that the kernel has, 0 for none.
    pub(crate) landlock: u64,
    /// What of [`Probe`] worked, as a sum of its bits.
    pub(crate) probes: u64,
}

/// What was tried, in a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// The list of a process's children in /proc, which is quick. Without it all of /proc is read.
    Children = 1,
    /// `PR_SET_NO_NEW_PRIVS`.
    NoNewPrivileges = 2,
    /// A process in a Landlock domain of its own could not signal the root.
    SignalScope = 4,
    /// A process behind the seccomp filter could not change the limits of the root.
    SystemCallFilter = 8,
    /// A process without capabilities.
    NoCapabilities = 16,
}

impl Hello {
    pub(crate) const SIZE: usize = 5 * 8;

    pub(crate) fn has(&self, probe: Probe) -> bool {
        self.probes & probe as u64 != 0
    }

    /// Whether servers can be guarded.
    pub(crate) fn guards(&self) -> bool {
        let needed = [Probe::NoNewPrivileges, Probe::SignalScope, Probe::SystemCallFilter, Probe::NoCapabilities];
        needed.into_iter().all(|probe| self.has(probe))
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::SIZE] {
        let (stage, error) = self.failed.map_or((0, 0), |failed| (failed.stage as u64, as_word(failed.error)));
        to_bytes([self.version, stage, error, self.landlock, self.probes])
    }

    pub(crate) fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let [version, stage, error, landlock, probes] = from_bytes(bytes);
        let failed = Stage::from_word(stage).map(|stage| Failure { stage, error: as_int(error) });
        Self { version, failed, landlock, probes }
    }
}

/// What a session is to be. Behind it come as many bytes as `bytes` says: strings that end with NUL. The first is the
/// program, a path; the second the folder to run in; then the arguments, with the name of the program; then the variables of the
/// environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) version: u64,
    pub(crate) bytes: u64,
    pub(crate) arguments: u64,
    pub(crate) variables: u64,
    /// [`GUARDED`], [`CORE_FILES`], [`PRIVILEGES`].
    pub(crate) flags: u64,
    /// How long the server may take to end after its input was closed, in nanoseconds.
    pub(crate) close_input: u64,
    /// How long after `SIGTERM`, in nanoseconds.
    pub(crate) close_terminate: u64,
    /// `RLIMIT_AS`, in bytes, or [`UNLIMITED`].
    pub(crate) address_space: u64,
    /// `RLIMIT_NOFILE`, or [`UNLIMITED`].
    pub(crate) open_files: u64,
    /// `RLIMIT_CPU`, in seconds, or [`UNLIMITED`].
    pub(crate) cpu_seconds: u64,
}

impl Header {
    pub(crate) const SIZE: usize = 10 * 8;

    pub(crate) fn to_bytes(self) -> [u8; Self::SIZE] {
        to_bytes([
            self.version,
            self.bytes,
            self.arguments,
            self.variables,
            self.flags,
            self.close_input,
            self.close_terminate,
            self.address_space,
            self.open_files,
            self.cpu_seconds,
        ])
    }

    pub(crate) fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let [
            version,
            bytes,
            arguments,
            variables,
            flags,
            close_input,
            close_terminate,
            address_space,
            open_files,
            cpu_seconds,
        ] = from_bytes(bytes);
        Self {
            version,
            bytes,
            arguments,
            variables,
            flags,
            close_input,
            close_terminate,
            address_space,
            open_files,
            cpu_seconds,
        }
    }
}

/// What becomes of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// It has a supervisor. From now on it is seen to.
    Accepted { supervisor: i32 },
    /// The program runs.
    Started { server: i32 },
    /// It could not be started, and nothing of it is left.
    Failed(Failure),
    /// Nothing of it is left.
    Ended(Ended),
}

/// Who ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The server, by ending.
    Server = 1,
    /// The host: by an order, or by closing the socket.
    Host = 2,
    /// Nobody who meant it: the root is gone, or was told to end.
    Root = 3,
    /// Its supervisor: its processes made others faster than those that ended could be waited for.
    Runaway = 4,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) cause: Cause,
    /// Exit status of the server, as wait(2) gives it.
    pub(crate) status: i32,
    /// Processes beside the server that were there when it ended, or came to be meanwhile.
    pub(crate) swept: u64,
    /// Rounds of killing that it took.
    pub(crate) rounds: u64,
    /// Time that it took.
    pub(crate) microseconds: u64,
}

impl Report {
    pub(crate) const SIZE: usize = 6 * 8;

    pub(crate) fn to_bytes(self) -> [u8; Self::SIZE] {
        to_bytes(match self {
            Self::Accepted { supervisor } => [1, as_word(supervisor), 0, 0, 0, 0],
            Self::Started { server } => [2, as_word(server), 0, 0, 0, 0],
            Self::Failed(Failure { stage, error }) => [3, stage as u64, as_word(error), 0, 0, 0],
            Self::Ended(Ended { cause, status, swept, rounds, microseconds }) => {
                [4, cause as u64, as_word(status), swept, rounds, microseconds]
            }
        })
    }

    pub(crate) fn from_bytes(bytes: &[u8; Self::SIZE]) -> Option<Self> {
        let words: [u64; 6] = from_bytes(bytes);
        match words {
            [1, supervisor, ..] => Some(Self::Accepted { supervisor: as_int(supervisor) }),
            [2, server, ..] => Some(Self::Started { server: as_int(server) }),
            [3, stage, error, ..] => {
                Some(Self::Failed(Failure { stage: Stage::from_word(stage)?, error: as_int(error) }))
            }
            [4, cause, status, swept, rounds, microseconds] => {
                let cause = match cause {
                    1 => Cause::Server,
                    2 => Cause::Host,
                    4 => Cause::Runaway,
                    _ => Cause::Root,
                };
                Some(Self::Ended(Ended { cause, status: as_int(status), swept, rounds, microseconds }))
            }
            _ => None,
        }
    }
}

/// What failed, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) stage: Stage,
    /// An error number, as in errno(3).
    pub(crate) error: i32,
}

/// Declares the stages, and how to find one by its number.
macro_rules! stages {
    ($($(#[doc = $doc:literal])+ $stage:ident = $number:literal,)+) => {
        /// At what something failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Stage {
            $($(#[doc = $doc])+ $stage = $number,)+
        }

        impl Stage {
            pub(crate) fn from_word(word: u64) -> Option<Self> {
                match word {
                    $($number => Some(Self::$stage),)+
                    _ => None,
                }
            }
        }
    };
}

stages! {
    /// Becoming the supervisor: signals, the descriptor of the host, /proc.
    Setup = 1,
    /// The process that starts the supervisor is not its host.
    Parent = 2,
    /// The root has as many sessions as its table holds.
    Table = 3,
    /// fork(2).
    Fork = 4,
    /// The request could not be read, or is not one.
    Request = 5,
    /// The server's session, signals and descriptors.
    Process = 6,
    /// chdir(2).
    Folder = 7,
    /// setrlimit(2).
    Limits = 8,
    /// Giving up new privileges and capabilities.
    Privileges = 9,
    /// The Landlock domain.
    SignalScope = 10,
    /// The seccomp filter.
    SystemCallFilter = 11,
    /// execve(2).
    Execute = 12,
    /// /proc is not mounted, or is that of another PID namespace.
    ProcessList = 13,
}

fn to_bytes<const WORDS: usize, const BYTES: usize>(words: [u64; WORDS]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

fn from_bytes<const WORDS: usize, const BYTES: usize>(bytes: &[u8; BYTES]) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    let (chunks, _) = bytes.as_chunks();
    for (word, chunk) in words.iter_mut().zip(chunks) {
        *word = u64::from_ne_bytes(*chunk);
    }
    words
}

fn as_word(int: i32) -> u64 {
    u64::from(int.cast_unsigned())
}

#[allow(clippy::cast_possible_truncation, reason = "the other side made it from an i32")]
fn as_int(word: u64) -> i32 {
    (word as u32).cast_signed()
}
