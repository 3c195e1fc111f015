//! What servers try on processes that are not theirs: the host, the supervisors, another session's server.
//!
//! The same attacks run in both isolations. What a guarded server is refused, a basic one is not: so the refusals are known to
//! be the isolation's, and these tests to be able to fail.

use innkeeper_tests::{
    awkward::{Scenario, tool},
    hosting::{Account, BOUND, Host, Isolation, Order, wait_for_end},
};
use serde_json::json;

use crate::trees::Tree;

/// Two sessions of one host. The first is the attacker's.
struct Neighbours {
    host: Host,
    attacker: u32,
    victim: u32,
}

impl Neighbours {
    fn open(isolation: Isolation, account: Account) -> Self {
        let mut settings = Tree::Of(Scenario::Attacker).settings();
        settings.isolation = isolation;
        let mut host = Host::start(&settings, account);
        let processes = host.order(&Order::Open(2)).unwrap();
        let process = |session: usize| processes[session].as_u64().unwrap().try_into().unwrap();
        Self { attacker: process(0), victim: process(1), host }
    }

    /// Whom to attack, with names for people.
    fn targets(&self) -> Vec<(String, u32)> {
        let mut targets =
            vec![("another session's server".to_owned(), self.victim), ("the host".to_owned(), self.host.pid())];
        targets
            .extend(self.host.session_supervisors().into_iter().map(|pid| ("a session's supervisor".to_owned(), pid)));
        targets.push(("the runtime's supervisor".to_owned(), self.host.supervisor().expect("the runtime has one")));
        targets
    }

    /// Has the attacker attack. Gives the names of the attacks that succeeded, and how many there were.
    fn attack(&mut self, tool: &str, process: u32) -> (Vec<String>, usize) {
        let report = self.host.call(0, tool, json!({ "process": process })).unwrap();
        let outcomes = report.lines().filter_map(|line| line.split_once(": "));
        let succeeded = outcomes.filter(|(_, outcome)| *outcome == tool::SUCCEEDED).map(|(name, _)| name.to_owned());
        (succeeded.collect(), report.lines().count())
    }

    /// Everybody is there and answers.
    fn are_unharmed(&mut self, targets: &[(String, u32)]) {
        assert_eq!(self.targets(), targets);
        for session in [0, 1] {
            assert_eq!(self.host.call(session, tool::ECHO, json!({ "text": "hello" })).unwrap(), "hello");
        }
        assert_ne!(self.attacker, self.victim);
    }

    fn leave_nothing(mut self) {
        self.host.order(&Order::Drain).unwrap();
        assert_eq!(self.host.wait_until_gone(), []);
        assert_eq!(self.host.end(), 0);
    }
}

/// What isolation does not refuse. Files of proc(5) that these are written to are guarded by their owner alone: for the system
/// they are no matter of tracing or signals. The supervisors of an ordinary user are nevertheless out of reach, because
/// their files belong to root.
const WITHIN_REACH: [&str; 5] = [
    "set its OOM score",
    "set its core dump filter",
    "renice its autogroup",
    "forget what it has referred to",
    "reset its statistics",
];

#[test]
fn a_guarded_server_can_do_nothing_to_what_is_not_its_own() {
    let mut succeeded = Vec::new();
    for account in Account::available() {
        let mut neighbours = Neighbours::open(Isolation::Guarded, account);
        let targets = neighbours.targets();

        for (name, process) in &targets {
            let (attacks, tried) = neighbours.attack(tool::ATTACK, *process);
            assert!(tried >= 20, "only {tried} attacks were tried");
            let attacks = attacks.into_iter().filter(|attack| !WITHIN_REACH.contains(&attack.as_str()));
            succeeded.extend(attacks.map(|attack| format!("{attack} ({name}, as {})", account.name())));
        }

        neighbours.are_unharmed(&targets);
        neighbours.leave_nothing();
    }

    assert_eq!(succeeded, [""; 0]);
}

#[test]
fn a_guarded_server_kills_nobody() {
    for account in Account::available() {
        let mut neighbours = Neighbours::open(Isolation::Guarded, account);
        let targets = neighbours.targets();

        for (name, process) in &targets {
            let (attacks, tried) = neighbours.attack(tool::KILL, *process);
            assert!(tried >= 5 && attacks.is_empty(), "{attacks:?} ({name}, as {})", account.name());
        }

        neighbours.are_unharmed(&targets);
        neighbours.leave_nothing();
    }
}

#[test]
fn the_same_attacks_succeed_where_nothing_is_in_their_way() {
    // Not those that a setting of the system may refuse, as that of Yama does with tracing, nor those on pipes: whether the
    // host's own can be opened is for who started it.
    const AT_LEAST: [&str; 13] = [
        "signal",
        "signal its group",
        "signal its thread",
        "signal through a pidfd",
        "queue a signal",
        "stop",
        "prlimit",
        "renice",
        "renice a user",
        "set its affinity",
        "set its scheduler",
        "read environ",
        "read fd",
    ];
    for account in Account::available() {
        let mut neighbours = Neighbours::open(Isolation::Basic, account);

        for victim in [neighbours.victim, neighbours.host.pid()] {
            let (succeeded, _) = neighbours.attack(tool::ATTACK, victim);
            let refused: Vec<_> =
                AT_LEAST.iter().filter(|attack| !succeeded.iter().any(|name| name == *attack)).collect();
            assert_eq!(refused, [&""; 0], "as {}", account.name());
        }

        neighbours.leave_nothing();
    }
}

#[test]
fn a_basic_server_kills_its_neighbour() {
    let mut neighbours = Neighbours::open(Isolation::Basic, Account::OfTheTest);
    let victim = neighbours.victim;

    neighbours.attack(tool::KILL, victim);

    assert!(wait_for_end(victim, BOUND));
    neighbours.leave_nothing();
}
