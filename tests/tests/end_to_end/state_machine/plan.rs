//! What happens in a run, as a seed says: data, so that a run can be repeated, and made shorter where it fails.

use std::{fmt, time::Duration};

use innkeeper::Scope;

/// Few of each, so that they meet.
pub(super) const TENANTS: usize = 3;
pub(super) const USERS: usize = 3;
pub(super) const SERVERS: usize = 4;

/// Who may lease the sessions of a server.
pub(super) fn scope(server: usize) -> Scope {
    match server {
        0 => Scope::Tenant,
        1 => Scope::Exclusive,
        _ => Scope::User,
    }
}

/// Numbers from a seed: SplitMix64, of which each seed gives a sequence of its own.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The numbers of a seed, for one of several uses.
    pub(super) fn of(seed: u64, uses: impl IntoIterator<Item = usize>) -> Self {
        let mut random = Self(seed);
        for number in uses {
            random = Self(random.next() ^ number as u64);
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("it is less than a usize")
    }

    /// One of several, each as often as its weight says.
    pub(super) fn weighted<T: Clone>(&mut self, choices: &[(usize, T)]) -> T {
        let mut left = self.below(choices.iter().map(|(weight, _)| weight).sum());
        for (weight, choice) in choices {
            if left < *weight {
                return choice.clone();
            }
            left -= weight;
        }
        unreachable!("the weights were added up")
    }
}

/// What a call asks for: of the server, or of the guest where that is the faulty one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// An answer at once.
    Now,
    /// An answer after a second.
    Later,
    /// An answer after ten seconds, with a report of progress each second.
    Slowly,
    /// No answer.
    Never,
    /// An error.
    Refuse,
    /// That it ends instead of answering. The faulty guest traps.
    Die,
    /// Answers to calls that there are not, then twice the answer. The faulty guest completes a call that there is not.
    Lie,
}

/// What somebody tells a server to do at a moment, whatever its clients want.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    /// End.
    Die,
    /// Write a line that is no message.
    Garble,
    /// Write half a line, and end.
    DieMidFrame,
    /// Write a line that is longer than a frame may be.
    Flood,
    /// Ask the platform something.
    Ask,
}

/// One thing that happens. Numbers name one of those there are, whichever that is then.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Somebody asks for a lease.
    Lease { tenant: usize, user: usize, server: usize },
    /// Somebody who waits for a lease gives up.
    GiveUp(usize),
    /// Somebody makes a call with a lease, which may run twice or not.
    Call { lease: usize, ask: Ask, deadline: Option<Duration>, idempotent: bool },
    /// Somebody drops a call.
    DropCall(usize),
    /// Somebody drops a lease, whose calls go on.
    DropLease(usize),
    /// Somebody wants a new connection for a session.
    Restart(usize),
    /// Somebody tells a server what to do.
    Order(usize, Order),
    /// Somebody closes what nobody holds: of a tenant, or of all.
    Reap { tenant: Option<usize>, older_than: Duration },
    /// Somebody closes all sessions of a tenant.
    Close { tenant: usize, deadline: Duration },
    /// Time passes.
    Pass(Duration),
    /// All who can go on do so, for so many turns.
    Turns(usize),
}

/// A run.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) sessions_per_tenant: usize,
    pub(super) sessions_per_runtime: usize,
    pub(super) steps: Vec<Step>,
    /// Whether everything that was begun comes to its end by itself before the runtime is drained.
    pub(super) ends_quietly: bool,
    /// How long what is left has to end, when the runtime is drained.
    pub(super) drain: Duration,
}

impl Plan {
    pub(super) fn of(seed: u64, steps: usize) -> Self {
        let mut random = Random::of(seed, [0]);
        Self {
            seed,
            sessions_per_tenant: 2 + random.below(3),
            sessions_per_runtime: 4 + random.below(5),
            ends_quietly: random.below(2) == 0,
            drain: random.weighted(&[(1, Duration::ZERO), (1, Duration::from_secs(10))]),
            steps: (0..steps).map(|_| step(&mut random)).collect(),
        }
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} sessions of a tenant, {} in all, {} steps, then {}a drain within {:?}:",
            self.sessions_per_tenant,
            self.sessions_per_runtime,
            self.steps.len(),
            if self.ends_quietly { "an hour, then " } else { "" },
            self.drain,
        )?;
        self.steps.iter().try_for_each(|step| writeln!(f, "    {step:?}"))
    }
}

fn step(random: &mut Random) -> Step {
    // Larger than any number of things there are at a time, so that each is chosen about as often.
    let which = random.below(1 << 20);
    match random.below(100) {
        0..25 => {
            Step::Lease { tenant: random.below(TENANTS), user: random.below(USERS), server: random.below(SERVERS) }
        }
        25..29 => Step::GiveUp(which),
        29..50 => {
            let idempotent = random.below(4) == 0;
            Step::Call { lease: which, ask: ask(random), deadline: deadline(random), idempotent }
        }
        50..51 => Step::Restart(which),
        51..55 => Step::DropCall(which),
        55..67 => Step::DropLease(which),
        67..72 => Step::Order(which, order(random)),
        72..75 => Step::Reap {
            tenant: random.weighted(&[(2, Some(which % TENANTS)), (1, None)]),
            older_than: Duration::from_secs(random.weighted(&[(2, 0), (1, 5)])),
        },
        75..77 => Step::Close {
            tenant: random.below(TENANTS),
            deadline: Duration::from_millis(random.weighted(&[(1, 0), (1, 300), (1, 5_000)])),
        },
        77..92 => {
            Step::Pass(Duration::from_millis(random.weighted(&[(6, 1), (6, 300), (4, 2_000), (2, 7_000), (1, 40_000)])))
        }
        _ => Step::Turns(1 + random.below(5)),
    }
}

fn ask(random: &mut Random) -> Ask {
    random.weighted(&[
        (10, Ask::Now),
        (4, Ask::Later),
        (1, Ask::Slowly),
        (2, Ask::Never),
        (2, Ask::Refuse),
        (1, Ask::Die),
        (2, Ask::Lie),
    ])
}

fn deadline(random: &mut Random) -> Option<Duration> {
    random.weighted(&[
        (4, None),
        (1, Some(Duration::ZERO)),
        (2, Some(Duration::from_millis(10))),
        (2, Some(Duration::from_secs(3))),
    ])
}

fn order(random: &mut Random) -> Order {
    random.weighted(&[(4, Order::Die), (2, Order::Garble), (1, Order::DieMidFrame), (1, Order::Flood), (2, Order::Ask)])
}
