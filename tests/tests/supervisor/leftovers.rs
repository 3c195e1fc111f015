//! Every server with every end, and what is left.

use std::{
    env,
    fmt::Write as _,
    io::{self, Write as _},
    num::NonZeroUsize,
    panic,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use innkeeper_tests::{
    awkward::Scenario,
    hosting::{Account, Host, Isolation},
    processes::Marker,
};

use crate::{ends::End, trees::Tree};

/// The variable that has a word of the scenarios to run, for who looks into one of them. Default: all.
const ONLY: &str = "INNKEEPER_SCENARIOS";

/// The ends that every server meets: the polite one, and the one that nobody can prepare for.
const EVERY_SERVER: [End; 2] = [End::Drained, End::Killed];

/// The servers that meet every end: the one that is hardest to find, and one whose session is not open yet.
const EVERY_END: [Tree; 2] = [Tree::Of(Scenario::Daemon), Tree::Of(Scenario::NeverAnswersInitialize)];

/// A server, an end, and as whom.
#[derive(Clone, Copy, Debug)]
struct Cell {
    tree: Tree,
    end: End,
    isolation: Isolation,
    account: Account,
}

/// What was seen of a cell.
struct Outcome {
    /// Processes that were left, by either witness.
    left: usize,
    /// From the end until nothing remained. For what is left it is how long was waited.
    gone_after: Duration,
    /// Why it could not be brought about, or what else went wrong.
    fault: Option<String>,
}

impl Outcome {
    fn unknown() -> Self {
        Self { left: 0, gone_after: Duration::ZERO, fault: Some("the test panicked".into()) }
    }
}

impl Cell {
    fn all() -> Vec<Self> {
        let mut cells = Vec::new();
        for account in Account::available() {
            for isolation in [Isolation::Guarded, Isolation::Basic] {
                let cell = |tree, end| Self { tree, end, isolation, account };
                for end in EVERY_SERVER {
                    cells.extend(Tree::ALL.map(|tree| cell(tree, end)));
                }
            }
            for end in End::ALL.into_iter().filter(|end| !EVERY_SERVER.contains(end)) {
                let trees = EVERY_END.into_iter().filter(|tree| possible(*tree, end));
                cells.extend(trees.map(|tree| Self { tree, end, isolation: Isolation::Guarded, account }));
            }
        }
        cells
    }

    fn run(self) -> Outcome {
        // Two of them at a time leave nobody else a processor.
        static CHAINS: Mutex<()> = Mutex::new(());
        let _alone = self.tree.is_busy().then(|| CHAINS.lock());

        let marker = Marker::new();
        let mut settings = self.tree.settings();
        settings.isolation = self.isolation;
        settings.env.insert(Marker::VARIABLE.into(), marker.value().into());
        self.end.prepare(&mut settings);
        let mut host = Host::start(&settings, self.end.account(self.account));
        let opened = self.end.before_open(&mut host).and_then(|_| self.tree.open(&mut host, self.end.sessions()));

        let began = Instant::now();
        let happened = opened.and_then(|()| self.end.happen(&mut host));
        let remains = host.wait_until_gone();
        let gone_after = began.elapsed();

        let left = remains.iter().map(|process| format!("{process:?} {}", process.command_line()));
        let left = left.collect::<Vec<_>>().join(", ");
        let happened = happened.and(if left.is_empty() { Ok(()) } else { Err(left) });
        let after = happened.and_then(|()| self.end.after(self.tree, &mut host));
        // A second wait of the same length would not make the first one longer.
        let left = if remains.is_empty() { host.end() } else { host.end_now().max(remains.len()) };
        Outcome { left: left.max(marker.processes().len()), gone_after, fault: after.err() }
    }

    fn scenario(self) -> String {
        format!("{}: {}", self.tree.name(), self.end.name())
    }

    fn row(self, outcome: &Outcome) -> String {
        let scenario = self.scenario();
        let isolation = format!("{:?}", self.isolation).to_lowercase();
        let gone_after = outcome.gone_after.as_secs_f64() * 1e3;
        let account = self.end.account(self.account).name();
        let fault = outcome.fault.as_deref().unwrap_or_default();
        format!("{scenario:<66} {account:<8}  {isolation:<9} {:>4} {gone_after:>12.1}  {fault}", outcome.left)
    }
}

/// Whether a server can come to this end at all: a session that never opened is not leased, and its guest gets no call.
fn possible(tree: Tree, end: End) -> bool {
    match end {
        End::Reaped | End::GuestTraps | End::ForkRefused | End::ManyDrained => tree == Tree::Of(Scenario::Daemon),
        _ => true,
    }
}

/// Runs all, some at a time, in their order.
fn run(cells: &[Cell]) -> Vec<Outcome> {
    // Each waits more than it computes.
    let threads = 2 * thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let next = Mutex::new(cells.iter().enumerate());
    let outcomes = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let taken = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((number, cell)) = taken else { return };
                    // A cell that cannot be judged has failed, and the others are to be seen all the same.
                    let outcome = panic::catch_unwind(|| cell.run()).unwrap_or_else(|_| Outcome::unknown());
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((number, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by_key(|(number, _)| *number);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

#[test]
fn nothing_outlives_its_session() {
    let mut cells = Cell::all();
    if let Ok(word) = env::var(ONLY) {
        cells.retain(|cell| cell.scenario().contains(&word));
    }
    let outcomes = run(&cells);

    let mut table = String::from("\n");
    let _ =
        writeln!(table, "{:<66} {:<8}  {:<9} {:>4} {:>12}", "scenario", "user", "isolation", "left", "gone in (ms)");
    let mut failed = String::new();
    for (cell, outcome) in cells.iter().zip(&outcomes) {
        let row = cell.row(outcome);
        let _ = writeln!(table, "{}", row.trim_end());
        if outcome.left > 0 || outcome.fault.is_some() {
            let _ = writeln!(failed, "{row}");
        }
    }
    // Not by a macro: those are captured, and this is to be seen of a test that passes.
    io::stdout().write_all(table.as_bytes()).unwrap();
    assert!(failed.is_empty(), "of {} scenarios these failed:\n{failed}", cells.len());
}
