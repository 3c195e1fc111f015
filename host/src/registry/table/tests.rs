//! The table against its rules, by random sequences of everything that can happen to it.

use std::collections::HashMap;

use proptest::prelude::*;

use super::{super::Holder, *};
use crate::names::SpecDigest;

/// Few of each, so that they meet.
const TENANTS: u64 = 2;
const USERS: u8 = 4;
const ROOM: Room = Room { of_tenant: 3, of_runtime: 5 };

#[derive(Clone, Debug)]
enum Step {
    /// Somebody leases a session.
    CheckOut { tenant: u64, user: u8 },
    /// Somebody who does not use it leases a session that there may be.
    Rejoin { tenant: u64, user: u8, id: u64 },
    /// A lease is dropped: one of those that are held.
    CheckIn(prop::sample::Index),
    /// A session is left to those who hold it.
    Retire(prop::sample::Index),
    /// A session is closed, retired or not.
    Expel(prop::sample::Index),
    /// What is being closed is gone.
    Forget(prop::sample::Index),
    /// The reaper looks.
    Reap { seconds: u64 },
    /// A tenant is closed.
    Close { tenant: u64 },
    /// Time passes.
    Wait { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..TENANTS, 0..USERS).prop_map(|(tenant, user)| Step::CheckOut { tenant, user }),
        3 => (0..TENANTS, 0..USERS, 1..12_u64).prop_map(|(tenant, user, id)| Step::Rejoin { tenant, user, id }),
        5 => any::<prop::sample::Index>().prop_map(Step::CheckIn),
        2 => any::<prop::sample::Index>().prop_map(Step::Retire),
        1 => any::<prop::sample::Index>().prop_map(Step::Expel),
        2 => any::<prop::sample::Index>().prop_map(Step::Forget),
        1 => (0..5_u64).prop_map(|seconds| Step::Reap { seconds }),
        1 => (0..TENANTS).prop_map(|tenant| Step::Close { tenant }),
        3 => (0..3_u64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

fn key(tenant: u64, user: u8) -> Key {
    Key {
        tenant: format!("tenant-{tenant}").into(),
        generation: tenant,
        holder: Holder::User(format!("user-{user}").into()),
        server: "server".into(),
        digest: SpecDigest([0; 32]),
    }
}

/// What is true of the sessions, kept in the simplest way.
#[derive(Default)]
struct World {
    table: Table<SessionId>,
    now: Option<Instant>,
    /// Those that are held, and whether each is a use of its session.
    leases: Vec<(Key, SessionId, bool)>,
    /// Sessions that can be leased.
    open: HashMap<SessionId, (Key, Instant)>,
    /// Sessions that are only for those who hold them already.
    retired: HashMap<SessionId, Key>,
    closing: Vec<SessionId>,
}

impl World {
    fn now(&mut self) -> Instant {
        *self.now.get_or_insert_with(Instant::now)
    }

    fn held(&self, id: SessionId) -> usize {
        self.leases.iter().filter(|(_, leased, _)| *leased == id).count()
    }

    /// Somebody decided to close it for being idle.
    fn close_idle(&mut self, id: SessionId) {
        assert_eq!(self.held(id), 0, "{id} is held, and was taken for idle");
        self.close(id);
    }

    fn close(&mut self, id: SessionId) {
        let was_there = self.open.remove(&id).is_some() || self.retired.remove(&id).is_some();
        assert!(was_there, "{id} was closed twice");
        self.closing.push(id);
    }

    fn of_tenant(&self, tenant: &TenantName) -> usize {
        self.open.values().filter(|(key, _)| key.tenant == *tenant).count()
    }

    fn check_out(&mut self, key: &Key) {
        let now = self.now();
        let is_open = self.open.values().any(|(open, _)| open == key);
        let idle = self.open.iter().filter(|(id, (open, _))| open.tenant == key.tenant && self.held(**id) == 0);
        let longest_idle = idle.map(|(id, (_, since))| (*since, *id)).min();
        let is_full = self.of_tenant(&key.tenant) >= ROOM.of_tenant || self.open.len() >= ROOM.of_runtime;

        match self.table.check_out(key, ROOM, now, |id| id) {
            Ok(Minted { session: id, evicted }) => {
                assert_eq!(evicted, longest_idle.filter(|_| is_full && !is_open).map(|(_, id)| id));
                evicted.into_iter().for_each(|id| self.close_idle(id));
                self.leases.push((key.clone(), id, true));
                let (opened, _) = self.open.entry(id).or_insert_with(|| (key.clone(), now));
                assert_eq!(opened, key, "{id} is somebody else's");
            }
            Err(refused) => {
                assert_ne!(refused, Refused::Draining);
                assert!(is_full && !is_open && longest_idle.is_none(), "refused, and there was room");
            }
        }
    }

    fn check_in(&mut self, which: usize) {
        let (key, id, is_use) = self.leases.swap_remove(which);
        let now = self.now();
        let left = if is_use { self.table.check_in(&key, id, now) } else { self.table.leave(&key, id) };
        let (is_open, is_retired) = (self.open.contains_key(&id), self.retired.contains_key(&id));
        let expected = match self.held(id) {
            _ if !is_open && !is_retired => Left::Gone,
            1.. => Left::Held,
            0 if is_retired => Left::Over(id),
            0 => Left::Idle,
        };
        assert_eq!(left, expected);
        if matches!(left, Left::Over(_)) {
            self.close(id);
        }
        if let Some((_, since)) = self.open.get_mut(&id).filter(|_| is_use) {
            *since = now;
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::CheckOut { tenant, user } => self.check_out(&key(tenant, user)),
            Step::Rejoin { tenant, user, id } => {
                let (key, id) = (key(tenant, user), SessionId(id));
                let is_there = self.open.get(&id).is_some_and(|(open, _)| *open == key);
                assert_eq!(self.table.rejoin(&key, id), is_there.then_some(id));
                if is_there {
                    self.leases.push((key, id, false));
                }
            }
            Step::CheckIn(which) => {
                if !self.leases.is_empty() {
                    self.check_in(which.index(self.leases.len()));
                }
            }
            Step::Retire(which) => {
                let mut open: Vec<_> = self.open.iter().map(|(id, (key, _))| (*id, key.clone())).collect();
                open.sort_by_key(|(id, _)| *id);
                if !open.is_empty() {
                    let (id, key) = &open[which.index(open.len())];
                    let over = self.table.retire(key, *id);
                    // A second time is none.
                    assert_eq!(self.table.retire(key, *id), None);
                    if self.held(*id) == 0 {
                        assert_eq!(over, Some(*id));
                        self.close(*id);
                    } else {
                        assert_eq!(over, None);
                        self.open.remove(id);
                        self.retired.insert(*id, key.clone());
                    }
                }
            }
            Step::Expel(which) => {
                let open = self.open.iter().map(|(id, (key, _))| (*id, key.clone()));
                let retired = self.retired.iter().map(|(id, key)| (*id, key.clone()));
                let mut there: Vec<_> = open.chain(retired).collect();
                there.sort_by_key(|(id, _)| *id);
                if !there.is_empty() {
                    let (id, key) = &there[which.index(there.len())];
                    assert_eq!(self.table.take_one(key, *id), Some(*id));
                    assert_eq!(self.table.take_one(key, *id), None);
                    self.close(*id);
                }
            }
            Step::Forget(which) => {
                if !self.closing.is_empty() {
                    let id = self.closing.swap_remove(which.index(self.closing.len()));
                    assert_eq!(self.table.forget(id), Some(id));
                    assert_eq!(self.table.forget(id), None);
                }
            }
            Step::Reap { seconds } => {
                let (long, now) = (Duration::from_secs(seconds), self.now());
                let due: Vec<_> = self
                    .open
                    .iter()
                    .filter(|(id, (_, since))| self.held(**id) == 0 && *since + long <= now)
                    .map(|(id, _)| *id)
                    .collect();
                let reaped = self.table.take_idle(long, now, |_| true);
                assert_eq!(reaped.len(), due.len());
                for (_, id) in reaped {
                    assert!(due.contains(&id));
                    self.close_idle(id);
                }
            }
            Step::Close { tenant } => {
                let closed = self.table.take_all(|key, _| key.generation == tenant);
                let open = self.open.iter().map(|(id, (key, _))| (*id, key.generation));
                let retired = self.retired.iter().map(|(id, key)| (*id, key.generation));
                let of_tenant = open.chain(retired).filter(|(_, generation)| *generation == tenant).map(|(id, _)| id);
                let of_tenant: Vec<_> = of_tenant.collect();
                for id in of_tenant {
                    assert!(closed.iter().any(|(_, closed)| *closed == id));
                    self.close(id);
                }
            }
            Step::Wait { seconds } => self.now = Some(self.now() + Duration::from_secs(seconds)),
        }
    }

    /// What holds after every step.
    fn check(&self) {
        assert!(self.open.len() <= ROOM.of_runtime);
        let rows: Vec<_> = self.table.rows().map(|(key, id, held)| (key.clone(), *id, held)).collect();
        assert_eq!(rows.len(), self.open.len() + self.retired.len() + self.closing.len());
        for (key, id, held) in rows {
            match self.open.get(&id) {
                Some((open, _)) => assert_eq!((&key, held), (open, Tenure::Open(self.held(id)))),
                None if self.retired.contains_key(&id) => assert_eq!(held, Tenure::Retired(self.held(id))),
                None => assert!(self.closing.contains(&id) && held == Tenure::Closing),
            }
            assert!(self.of_tenant(&key.tenant) <= ROOM.of_tenant);
        }
        let idle = self.open.iter().filter(|(id, _)| self.held(**id) == 0);
        assert_eq!(self.table.longest_idle(), idle.map(|(_, (_, since))| *since).min());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_happens_no_held_session_is_taken_for_idle_and_the_counts_are_right(
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut world = World::default();

        for step in steps {
            world.take(step);
            world.check();
        }

        for tenant in 0..TENANTS {
            world.take(Step::Close { tenant });
        }
        while !world.leases.is_empty() {
            world.check_in(0);
        }
        for id in std::mem::take(&mut world.closing) {
            assert_eq!(world.table.forget(id), Some(id));
        }
        world.check();
        prop_assert_eq!(world.table.rows().count(), 0);
    }
}

#[test]
fn a_table_that_is_drained_mints_no_lease() {
    let mut table: Table<SessionId> = Table::default();

    table.drain();

    let refused = table.check_out(&key(0, 0), ROOM, Instant::now(), |id| id).unwrap_err();
    assert_eq!(refused, Refused::Draining);
}
