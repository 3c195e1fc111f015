//! All of it at once, in virtual time: leases, calls, sessions, limits and closing, with servers that are slow, dead or lying,
//! a guest that traps, and people who give up.
//!
//! A run is a list of random steps, made from a seed; so are the servers. After each step, and at the end, what is promised is
//! checked against what the run knows by itself (`invariants`). What fails is shown with its seed and the fewest steps that
//! still fail, and happens again with
//!
//! ```text
//! INNKEEPER_SEED=7 cargo test --workspace --test end_to_end -- state_machine
//! ```
//!
//! `INNKEEPER_SEEDS=1000` tries so many seeds.

mod conversation;
mod invariants;
mod plan;
mod servers;
mod steps;
mod world;

use std::{collections::BTreeMap, env, time::Instant};

use plan::Plan;
use world::run;

/// Seeds that are tried where nobody says otherwise, and steps of each. Most of the time of a run is that of compiling its
/// guests.
const SEEDS: u64 = 12;
const STEPS: usize = 1_000;

/// Runs to find fewer steps that fail.
const MOST_ATTEMPTS: usize = 100;

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is to be a number, and is `{value}`")))
}

/// The plan with fewer steps, as long as it fails: larger parts are left out before smaller ones.
fn shortest_that_fails(mut plan: Plan) -> Plan {
    let mut attempts = 0;
    let mut part = plan.steps.len() / 2;
    while part > 0 {
        let mut from = 0;
        while from < plan.steps.len() && attempts < MOST_ATTEMPTS {
            attempts += 1;
            let mut shorter = plan.clone();
            shorter.steps.drain(from..plan.steps.len().min(from + part));
            match run(&shorter) {
                Ok(_) => from += part,
                Err(_) => plan = shorter,
            }
        }
        part /= 2;
    }
    plan
}

fn fail(plan: Plan) -> ! {
    let seed = plan.seed;
    let plan = shortest_that_fails(plan);
    let (fault, trace) = run(&plan).err().unwrap_or_default();
    panic!(
        "seed {seed}: {fault}\n\n{plan:?}\nwhat happened:\n{}\n\nINNKEEPER_SEED={seed} repeats it",
        trace.join("\n")
    );
}

#[test]
fn whatever_happens_what_is_held_is_not_closed_calls_complete_once_and_nothing_is_left() {
    let seeds = match number("INNKEEPER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("INNKEEPER_SEEDS").unwrap_or(SEEDS),
    };
    let began = Instant::now();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();

    for seed in seeds.clone() {
        let plan = Plan::of(seed, STEPS);
        match run(&plan) {
            Ok(ran) => ran.seen.into_iter().for_each(|(what, times)| *seen.entry(what).or_default() += times),
            Err(_) => fail(plan),
        }
    }

    println!("{} seeds in {:?}: {seen:#?}", seeds.end - seeds.start, began.elapsed());
    // Without this, a mistake in the plans could make all of it hold of nothing.
    if seeds.end - seeds.start >= SEEDS {
        for what in [
            "call: answered",
            "call: busy",
            "call: dropped",
            "call: guest_fault",
            "call: server_error",
            "call: server_exited",
            "call: timeout",
            "closed: by force",
            "closed: in time",
            "lease: at_capacity",
            "lease: given up",
            "lease: server_exited",
            "lease: start_failed",
            "lease: timeout",
            "restart",
            "session: closing",
        ] {
            assert!(seen.contains_key(what), "never seen: {what}; seen: {seen:#?}");
        }
    }
}

#[test]
fn a_seed_says_all_that_happens() {
    let plan = Plan::of(0, STEPS);

    let [first, second] = [run(&plan), run(&plan)].map(|ran| ran.map_err(|(fault, _)| fault).unwrap().trace);

    assert_eq!(first, second);
}
