//! Whose burst is next on the low-priority threads: tenants in turn, and the bursts of one tenant in order.
//!
//! One queue for all would be fair between bursts, and so would give a tenant as much as it has sessions: a thousand slow
//! ones of one tenant would keep the first one of another waiting until its wall-clock limit. Here each tenant has taken a
//! number of turns, and the one that has taken the fewest goes next. Who comes anew starts with as many as whoever went
//! last: it waits for what runs already and for one turn of each that waits at most, and gets nothing for having been away.
//!
//! A turn is one slice of a burst, a tick at most, or the reading of one result. Plain data without a lock, a thread or a clock, so that
//! every order can be tried.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Somebody who takes turns: the guests of a tenant of this process, or what the host does for one. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Party(pub(super) u64);

impl Party {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Relaxed))
    }
}

/// What waits for its turn. Holds nothing of a party of which nothing waits or runs.
pub(super) struct Turns<T> {
    parties: HashMap<Party, OfParty<T>>,
    /// Those of which something waits, in the order in which they go: by turns taken, and who said so first.
    line: BTreeMap<(u64, u64), Party>,
    /// Turns that whoever went last had taken before.
    now: u64,
    /// How often somebody joined the line.
    joined: u64,
    waiting: usize,
}

struct OfParty<T> {
    waiting: VecDeque<T>,
    /// What was taken and is not over. As long as there is any, the turns are remembered.
    running: usize,
    /// Turns taken.
    turns: u64,
}

impl<T> Default for OfParty<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), running: 0, turns: 0 }
    }
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { parties: HashMap::new(), line: BTreeMap::new(), now: 0, joined: 0, waiting: 0 }
    }
}

impl<T> Turns<T> {
    /// Puts something at the end of what waits of a party.
    pub(super) fn push(&mut self, party: Party, item: T) {
        let of_party = self.parties.entry(party).or_default();
        of_party.waiting.push_back(item);
        self.waiting += 1;
        if of_party.waiting.len() == 1 {
            // What it had running may have taken long, while others had many turns.
            of_party.turns = of_party.turns.max(self.now);
            let turns = of_party.turns;
            self.join(party, turns);
        }
    }

    /// Takes what is next. Whoever takes it says when it is [`over`](Self::over).
    pub(super) fn take(&mut self) -> Option<(Party, T)> {
        let ((turns, _), party) = self.line.pop_first()?;
        self.now = turns;
        let of_party = self.parties.get_mut(&party)?;
        let item = of_party.waiting.pop_front()?;
        self.waiting -= 1;
        of_party.running += 1;
        of_party.turns = turns + 1;
        if !of_party.waiting.is_empty() {
            self.join(party, turns + 1);
        }
        Some((party, item))
    }

    /// Something that was taken does not run any more. If it is to go on, it is pushed before this is said.
    pub(super) fn over(&mut self, party: Party) {
        if let Some(of_party) = self.parties.get_mut(&party) {
            of_party.running = of_party.running.saturating_sub(1);
            if of_party.running == 0 && of_party.waiting.is_empty() {
                self.parties.remove(&party);
            }
        }
    }

    /// How much waits.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Drops what waits.
    pub(super) fn clear(&mut self) {
        self.line.clear();
        self.waiting = 0;
        self.parties.retain(|_, of_party| {
            of_party.waiting.clear();
            of_party.running > 0
        });
    }

    fn join(&mut self, party: Party, turns: u64) {
        self.joined += 1;
        self.line.insert((turns, self.joined), party);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACME: Party = Party(1);
    const OTHER: Party = Party(2);
    const THIRD: Party = Party(3);

    /// Takes what is next, which is over at once.
    fn next<T>(turns: &mut Turns<T>) -> Option<T> {
        let (party, item) = turns.take()?;
        turns.over(party);
        Some(item)
    }

    fn rest<T>(turns: &mut Turns<T>) -> Vec<T> {
        std::iter::from_fn(|| next(turns)).collect()
    }

    #[test]
    fn the_bursts_of_one_party_go_in_order() {
        let mut turns = Turns::default();
        for number in 0..5 {
            turns.push(ACME, number);
        }

        assert_eq!(rest(&mut turns), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn parties_take_turns_however_much_waits_of_each() {
        let mut turns = Turns::default();
        for name in ["a1", "a2", "a3", "a4"] {
            turns.push(ACME, name);
        }
        for name in ["b1", "b2"] {
            turns.push(OTHER, name);
        }
        turns.push(THIRD, "c1");

        assert_eq!(rest(&mut turns), ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]);
    }

    #[test]
    fn who_comes_anew_waits_for_what_runs_and_for_nothing_else() {
        let mut turns = Turns::default();
        for number in 0..1000 {
            turns.push(ACME, number);
        }
        // Two threads are busy, as they have been for long.
        for _ in 0..98 {
            next(&mut turns);
        }
        let running = [turns.take().unwrap(), turns.take().unwrap()];

        turns.push(OTHER, 5000);

        assert_eq!(running, [(ACME, 98), (ACME, 99)]);
        assert_eq!(turns.take(), Some((OTHER, 5000)));
        assert_eq!(turns.take(), Some((ACME, 100)));
    }

    #[test]
    fn a_burst_that_goes_on_has_had_its_turn() {
        let mut turns = Turns::default();
        turns.push(ACME, "long");
        turns.push(OTHER, "b1");
        turns.push(OTHER, "b2");
        let mut order = Vec::new();

        for _ in 0..5 {
            let Some((party, item)) = turns.take() else { break };
            order.push(item);
            if item == "long" {
                turns.push(party, item);
            }
            turns.over(party);
        }

        assert_eq!(order, ["long", "b1", "long", "b2", "long"]);
    }

    #[test]
    fn whoever_was_away_has_no_turns_left_over() {
        let mut turns = Turns::default();
        turns.push(OTHER, "b0");
        next(&mut turns);
        for name in ["a1", "a2", "a3", "a4"] {
            turns.push(ACME, name);
        }
        next(&mut turns);
        next(&mut turns);

        for name in ["b1", "b2", "b3"] {
            turns.push(OTHER, name);
        }

        assert_eq!(rest(&mut turns), ["b1", "a3", "b2", "a4", "b3"]);
    }

    #[test]
    fn whoever_ran_for_long_has_no_turns_left_over_either() {
        let mut turns = Turns::default();
        turns.push(OTHER, "long");
        let (long, item) = turns.take().unwrap();
        for name in ["a1", "a2", "a3", "a4", "a5"] {
            turns.push(ACME, name);
        }
        for _ in 0..3 {
            next(&mut turns);
        }

        turns.push(long, item);
        turns.over(long);
        turns.push(OTHER, "b1");

        assert_eq!(rest(&mut turns), ["long", "a4", "b1", "a5"]);
    }

    #[test]
    fn nothing_is_kept_of_a_party_without_a_burst() {
        let mut turns = Turns::default();
        for party in (0..100).map(Party) {
            turns.push(party, ());
        }
        assert_eq!(turns.waiting(), 100);

        let running = turns.take().unwrap().0;
        turns.clear();
        assert_eq!((turns.waiting(), turns.parties.len()), (0, 1));
        turns.over(running);

        assert_eq!((turns.parties.len(), turns.line.len()), (0, 0));
    }
}
