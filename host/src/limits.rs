//! Every bound of the runtime, with its default and the accident or attack that it bounds.
//!
//! A wait without a deadline or a queue without a bound is a fault of this crate. What has one is listed here, so that an
//! operator sees all of them in one place and tests can make them small.

use std::time::Duration;

/// A mebibyte, in bytes.
const MIB: usize = 1024 * 1024;

/// The longest time that a limit may be: a year. Longer ones are meant to be for ever, and would overflow an instant.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The most places that a queue may have. Each is allocated or counted by the runtime below us.
const MOST_PLACES: usize = 1 << 20;

/// The bounds of a runtime. [`Limits::default`] gives each its documented default; change what you need:
///
/// ```
/// let mut limits = innkeeper::Limits::default();
/// limits.call = std::time::Duration::from_secs(5);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Sessions of one tenant. Default 100. For one more, the one that has been idle for longest is closed, and waited for; where
    /// none is idle it is [`Error::AtCapacity`](crate::Error::AtCapacity).
    pub sessions_per_tenant: usize,
    /// Sessions of the runtime. Default 10,000, or less where the system allows less: `RLIMIT_NOFILE` (5 descriptors for
    /// each), `vm.max_map_count` (6 mappings for each), `kernel.pid_max` (3 processes for each). For one more, a session of the
    /// same tenant is closed, never of another.
    pub sessions_per_runtime: usize,
    /// How long a session without a lease is kept. Default 15 minutes; measured by a timer, not by traffic.
    pub idle: Duration,
    /// From the start of a session until it is ready: start of the process, connection, handshake. Default 30 s.
    pub open: Duration,
    /// How long to wait before a server that failed is tried again: the first time. Default 0.5 s. It doubles with each failure in
    /// a row, and up to half of it is taken off by chance.
    pub reconnect_delay: Duration,
    /// The longest that this gets. Default 60 s.
    pub reconnect_delay_max: Duration,
    /// Failures in a row after which a server is not tried for a while, and a lease or a call of it is
    /// [`Error::Unavailable`](crate::Error::Unavailable) at once. Default 5. Each user has a count of its own.
    pub breaker_failures: u32,
    /// How long that while is. Default 60 s. The next lease or call after it tries again; if that fails, as long again.
    pub breaker_pause: Duration,
    /// How long a connection must have been ready for its loss to count as no failure. Default 10 s: a server that starts and dies
    /// is one that fails.
    pub stable: Duration,
    /// A call, from being taken until its result. Default 60 s. A progress report of the server starts it anew.
    pub call: Duration,
    /// A call in all, however much progress it reports. Default 10 minutes.
    pub call_total: Duration,
    /// How long a request of the server may wait for its answer, which may be that of a person. Default 10 minutes.
    /// Meanwhile the deadlines of the calls that it may belong to stand still.
    pub server_request: Duration,
    /// On close: how long a process may take to exit after its standard input was closed. Default 2 s. A server at a URL has this
    /// and the next together for the last request.
    pub close_input: Duration,
    /// On close: how long a process may take to exit after `SIGTERM`, before `SIGKILL`. Default 2 s.
    pub close_terminate: Duration,
    /// How long connecting to a server at a URL may take: name, connection, TLS. Default 10 s.
    pub http_connect: Duration,
    /// How long an HTTP exchange that belongs to no call may take, until its response is there or begins to be a stream of
    /// events. Default 60 s. That of a call is bounded by the call, and has as long as this when the call has ended.
    pub http_response: Duration,
    /// How long the body of a response may bring nothing. Default 30 s. A stream of events may be silent for as long as it likes.
    pub http_idle: Duration,
    /// One frame, in either direction, in bytes; of HTTP one body or event, after decompression. Default 16 MiB. A larger frame
    /// from the server ends its session, because what it belongs to cannot be known without reading it; a larger body or event
    /// ends its exchange.
    pub frame: usize,
    /// One result that a guest puts together from several pages, in bytes. Default 16 MiB.
    pub gathered_result: usize,
    /// Pages of such a result. Default 1,000: a server that has no last page is a known fault.
    pub pages: u32,
    /// Linear memory of a guest, in bytes. Default 64 MiB: one largest frame, its copy, and the guest itself.
    pub guest_memory: usize,
    /// CPU time of a guest on the thread of its session before it moves to the low-priority threads, as a tick of
    /// 10 ms finds it. Default 2 ms: ticks are not aligned to batches, and one that has just begun is no slow one. Tests with a
    /// paused clock make it long, because that clock runs while another thread works.
    pub guest_slice: Duration,
    /// CPU time of a guest for one batch of events. Default 100 ms, about seven times what the default guest needs for a
    /// frame of 16 MiB.
    pub guest_cpu: Duration,
    /// Wall-clock time of a guest for one batch of events. Default 5 s: far above the CPU budget, because on a busy machine
    /// an honest guest waits for its turn.
    pub guest_wall: Duration,
    /// Snapshot of a guest, in bytes. Default 8 MiB.
    pub snapshot: usize,
    /// How long a session that was replaced by another, after its server's definition was edited, is left to those who hold it.
    /// Default 60 s, as a call. Then it is closed.
    pub drain: Duration,
    /// Calls of one session that are in flight. Default 256. More wait in its mailbox.
    pub calls_in_flight: usize,
    /// Calls that wait in the mailbox of a session. Default 1,024. One more is [`Error::Busy`](crate::Error::Busy).
    pub mailbox: usize,
    /// Bytes that wait to be written to a server. Default 32 MiB. While there are more, no new call is taken; if replies of
    /// the guest exceed it too, the session ends, because then the server does not read what it asked for.
    pub write_queue: usize,
    /// Requests of a server that are open at a time. Default 64.
    pub server_requests: u32,
    /// Progress reports of one call that nobody has taken yet. Default 64; the oldest is dropped.
    pub progress_backlog: usize,
    /// Lines of standard error that are kept of each process, for errors. Default 50, of at most 1 KiB each.
    pub stderr_lines: usize,
    /// Parameters of a notification that subscribers get, in bytes. Default 64 KiB, because a subscriber that is behind keeps as
    /// many of them as [`event_backlog`](Self::event_backlog) says. A larger one is dropped and logged.
    pub notification: usize,
    /// Lists of tools that a tenant keeps, each of a user and a server. Default 4,096: those of 200 users of 20 servers. Of one more
    /// the one that nobody has asked for longest is forgotten, and had again from its server when it is asked for.
    pub tool_lists: usize,
    /// All of those in bytes, as the servers sent them. Default 64 MiB; a list has some ten KiB. One list that is larger is
    /// [`Error::TooLarge`](crate::Error::TooLarge).
    pub tool_list_bytes: usize,
    /// Events that a subscriber may be behind. Default 1,024; it is told how many it missed.
    pub event_backlog: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions_per_tenant: 100,
            sessions_per_runtime: 10_000,
            idle: Duration::from_secs(15 * 60),
            open: Duration::from_secs(30),
            reconnect_delay: Duration::from_millis(500),
            reconnect_delay_max: Duration::from_secs(60),
            breaker_failures: 5,
            breaker_pause: Duration::from_secs(60),
            stable: Duration::from_secs(10),
            call: Duration::from_secs(60),
            call_total: Duration::from_secs(10 * 60),
            server_request: Duration::from_secs(10 * 60),
            close_input: Duration::from_secs(2),
            close_terminate: Duration::from_secs(2),
            http_connect: Duration::from_secs(10),
            http_response: Duration::from_secs(60),
            http_idle: Duration::from_secs(30),
            frame: 16 * MIB,
            gathered_result: 16 * MIB,
            pages: 1_000,
            guest_memory: 64 * MIB,
            guest_slice: Duration::from_millis(2),
            guest_cpu: Duration::from_millis(100),
            guest_wall: Duration::from_secs(5),
            snapshot: 8 * MIB,
            drain: Duration::from_secs(60),
            calls_in_flight: 256,
            mailbox: 1_024,
            write_queue: 32 * MIB,
            server_requests: 64,
            progress_backlog: 64,
            stderr_lines: 50,
            notification: 64 * 1024,
            tool_lists: 4_096,
            tool_list_bytes: 64 * MIB,
            event_backlog: 1_024,
        }
    }
}

impl Limits {
    /// The same, with what cannot be kept brought down to what can.
    pub(crate) fn clamped(mut self) -> Self {
        for duration in [
            &mut self.idle,
            &mut self.open,
            &mut self.reconnect_delay,
            &mut self.reconnect_delay_max,
            &mut self.breaker_pause,
            &mut self.stable,
            &mut self.call,
            &mut self.call_total,
            &mut self.server_request,
            &mut self.close_input,
            &mut self.close_terminate,
            &mut self.drain,
            &mut self.http_connect,
            &mut self.http_response,
            &mut self.http_idle,
            &mut self.guest_slice,
            &mut self.guest_cpu,
            &mut self.guest_wall,
        ] {
            *duration = (*duration).min(LONGEST);
        }
        for places in [&mut self.mailbox, &mut self.event_backlog, &mut self.progress_backlog, &mut self.stderr_lines] {
            *places = (*places).min(MOST_PLACES);
        }
        // With none of these no call would ever be taken.
        for least in [&mut self.frame, &mut self.calls_in_flight, &mut self.write_queue] {
            *least = (*least).max(1);
        }
        self
    }
}
