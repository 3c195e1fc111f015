//! What a host that lives on holds of the system, and what it passes on.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use innkeeper_tests::{
    artifacts,
    awkward::{Scenario, tool},
    hosting::{Account, Answer, Held, Host, Isolation, Order},
};
use serde_json::json;

use crate::trees::Tree;

/// Sessions that are opened at a time, and how often.
const SESSIONS: usize = 8;
const ROUNDS: usize = 125;

fn held(host: &mut Host) -> Held {
    serde_json::from_value(host.order(&Order::Held).unwrap()).unwrap()
}

#[test]
fn a_server_has_its_three_standard_descriptors_and_no_other() {
    for isolation in [Isolation::Guarded, Isolation::Basic] {
        let mut settings = Tree::Of(Scenario::Attacker).settings();
        settings.isolation = isolation;
        let mut host = Host::start(&settings, Account::OfTheTest);
        // The descriptors of others are open by then.
        host.order(&Order::Open(SESSIONS)).unwrap();

        for session in [0, SESSIONS - 1] {
            assert_eq!(host.call(session, tool::DESCRIPTORS, json!({})).unwrap(), "0\n1\n2\n");
        }

        assert_eq!(host.end(), 0);
    }
}

/// Where root runs the tests: others cannot make such a namespace everywhere.
#[test]
fn a_host_that_sees_the_processes_of_another_namespace_starts_no_server() {
    if !Account::available().contains(&Account::NOBODY) {
        return;
    }
    let settings = serde_json::to_string(&Tree::Of(Scenario::Plain).settings()).unwrap();
    let order = serde_json::to_string(&Order::Open(1)).unwrap();
    let mut host = Command::new("unshare")
        .args(["--pid", "--fork"])
        .arg(artifacts::program("hosting-process"))
        .arg(settings)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();

    writeln!(host.stdin.take().unwrap(), "{order}").unwrap();

    let answer = host.wait_with_output().unwrap().stdout;
    let answer: Answer = serde_json::from_slice(&answer).unwrap();
    let refusal = answer.unwrap_err();
    assert!(refusal.contains("/proc is not mounted, or is that of another PID namespace"), "{refusal}");
}

#[test]
fn a_thousand_sessions_cost_no_descriptor_no_thread_and_no_child() {
    let mut host = Host::start(&Tree::Of(Scenario::Plain).settings(), Account::OfTheTest);
    // What is made once is there before the count.
    host.order(&Order::Rounds { rounds: 2, sessions: SESSIONS }).unwrap();
    let before = held(&mut host);

    host.order(&Order::Rounds { rounds: ROUNDS, sessions: SESSIONS }).unwrap();

    let after = held(&mut host);
    assert!(after.files <= before.files, "before {before:?}, after {after:?}");
    assert!(after.threads <= before.threads, "before {before:?}, after {after:?}");
    assert!(after.children <= before.children, "before {before:?}, after {after:?}");
    assert_eq!(host.wait_until_gone(), []);
    assert_eq!(host.end(), 0);
}

#[test]
fn a_drained_host_has_no_child() {
    let mut host = Host::start(&Tree::Of(Scenario::Daemon).settings(), Account::OfTheTest);
    host.order(&Order::Rounds { rounds: 1, sessions: SESSIONS }).unwrap();
    let before = held(&mut host);
    host.order(&Order::Open(SESSIONS)).unwrap();

    host.order(&Order::Drain).unwrap();

    let after = held(&mut host);
    assert_eq!(after.children, 0);
    assert!(after.threads <= before.threads && after.files <= before.files, "before {before:?}, after {after:?}");
    assert_eq!(host.end(), 0);
}
