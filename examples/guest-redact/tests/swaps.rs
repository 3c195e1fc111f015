//! A session may change between the default guest and this one at any point, and nothing that its host does tells.
//!
//! Scripts of random events run against the engine alone, and what it did is written down. Then the same events are told to a row
//! of guests that replace each other, each restored from the snapshot of the one before, as a host does it: calls, progress,
//! requests of the server, exchanges and timers are open while it happens.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use innkeeper_guest::Client as Engine;
use innkeeper_guest::boundary::{Effect, Event, GuestInfo, Instant, Outstanding, TransportKind};
use innkeeper_guest::checker::Checker;
use innkeeper_guest::script::{self, Step};
use innkeeper_redact_guest::Client;
use proptest::prelude::*;

enum Guest {
    Default(Engine),
    Ours(Client),
}

impl Guest {
    fn info(&self) -> GuestInfo {
        match self {
            Self::Default(_) => Engine::describe(),
            Self::Ours(_) => Client::describe(),
        }
    }

    fn handle(&mut self, now: Instant, events: Vec<Event>) -> Vec<Effect> {
        match self {
            Self::Default(engine) => engine.handle(now, events),
            Self::Ours(client) => client.handle(now, events),
        }
    }

    /// Replaces a guest by another, in the first format that the old one writes and the new one reads.
    fn replaced(&self, by_ours: bool, outstanding: Outstanding) -> (Self, Vec<Effect>) {
        let restorable = if by_ours { Client::describe() } else { Engine::describe() }.restorable_formats;
        let written = self.info().snapshot_formats;
        let format = written.iter().find(|format| restorable.contains(format)).unwrap();
        let state = match self {
            Self::Default(engine) => engine.snapshot(format),
            Self::Ours(client) => client.snapshot(format),
        };
        if by_ours {
            let (client, effects) = Client::restore(&state.unwrap(), outstanding).unwrap();
            (Self::Ours(client), effects)
        } else {
            let (engine, effects) = Engine::restore(&state.unwrap(), outstanding).unwrap();
            (Self::Default(engine), effects)
        }
    }
}

/// Makes the host hold what the script's held, after that forgot some of it and took over other.
fn agree(checker: &mut Checker, outstanding: &Outstanding) {
    let ours = checker.outstanding();
    let (calls, theirs): (Vec<_>, Vec<_>) =
        (ours.calls.iter().map(|call| call.id).collect(), outstanding.calls.iter().map(|call| call.id).collect());
    calls.iter().filter(|id| !theirs.contains(id)).for_each(|id| checker.drop_call(*id));
    theirs.iter().filter(|id| !calls.contains(id)).for_each(|id| checker.adopt_call(*id));
    let (ours, theirs) = (ours.exchanges, &outstanding.exchanges);
    ours.iter().filter(|id| !theirs.contains(id)).for_each(|id| checker.lose_exchange(*id));
    theirs.iter().filter(|id| !ours.contains(id)).for_each(|id| checker.adopt_exchange(*id));
    assert_eq!(&checker.outstanding(), outstanding);
}

/// There is nothing to mask in what the servers of scripts say, so all is the same.
fn compare(done: &[Effect], effects: &[Effect]) {
    assert_eq!(done, effects);
}

/// Runs a script with a change of guest before every step for which there is one: to ours, or to the default guest. Gives the
/// number of changes.
fn run(transport: TransportKind, script: &[u8], changes: &[Option<bool>]) -> usize {
    let mut guest = Guest::Default(Engine::new());
    let mut checker = Checker::new();
    let mut count = 0;
    for (step, change) in script::record(transport, script).unwrap().into_iter().zip(changes.iter().cycle()) {
        if let Some(to_ours) = *change {
            let (next, effects) = guest.replaced(to_ours, checker.outstanding());
            assert_eq!(effects, [], "a faithful change leads to nothing");
            guest = next;
            count += 1;
        }
        match step {
            Step::Handle { now, events, effects } => {
                let done = guest.handle(now, events.clone());
                compare(&done, &effects);
                checker.apply(&events, &done).unwrap();
            }
            Step::Restore { outstanding, effects } => {
                agree(&mut checker, &outstanding);
                let (next, done) = guest.replaced(matches!(guest, Guest::Default(_)), outstanding);
                assert_eq!(done, effects);
                checker.apply_restored(&done).unwrap();
                guest = next;
                count += 1;
            }
        }
    }
    count
}

/// 256 cases unless `PROPTEST_CASES` says otherwise. A failure is printed, not put into a file: it belongs into a test with a
/// name.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// Mostly no change, else to either.
fn changes() -> impl Strategy<Value = Vec<Option<bool>>> {
    prop::collection::vec(prop::option::weighted(0.3, any::<bool>()), 1..40)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn changes_at_any_point_of_a_session_on_a_stream_do_not_show(
        script in prop::collection::vec(any::<u8>(), 0..600),
        changes in changes(),
    ) {
        run(TransportKind::Stream, &script, &changes);
    }

    #[test]
    fn changes_at_any_point_of_a_session_over_http_do_not_show(
        script in prop::collection::vec(any::<u8>(), 0..600),
        changes in changes(),
    ) {
        run(TransportKind::Http, &script, &changes);
    }
}

/// Without this, a mistake above could make the properties hold of nothing.
#[test]
fn a_change_before_every_step_does_not_show() {
    for transport in [TransportKind::Stream, TransportKind::Http] {
        let mut changes = 0;
        for seed in 0..50_u32 {
            // A linear congruential generator; Numerical Recipes' constants.
            let next = |state: &u32| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
            let states = std::iter::successors(Some(seed.wrapping_mul(0x9e37_79b9)), next);
            let script: Vec<u8> = states.map(|state| state.to_be_bytes()[0]).take(400).collect();

            changes += run(transport, &script, &[Some(true), Some(true), Some(false), Some(false), Some(true)]);
        }
        assert!(changes > 1000, "{changes}");
    }
}
