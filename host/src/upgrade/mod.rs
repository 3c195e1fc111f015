//! Upgrades: other guests for sessions that live, under traffic.
//!
//! A guest is one of the few things of a session that can be replaced while all else stays: see the handover in
//! [`session`](crate::session). This module decides for many of them: which get the new guest, in which order, how many at a time;
//! what becomes of those that cannot be handed over; and when all of them go back. Nothing here holds a lock while it waits, and
//! whatever is dropped half-way leaves each session with one guest or with the other.
//!
//! | file | what it holds |
//! |---|---|
//! | `plan` | [`Upgrade`]: how it is to be done |
//! | `report` | what became of each session |
//! | `guests` | which guest the sessions of a tenant get |
//! | `trial` | faults of a guest that is watched |
//! | `tryout` | what is tried before the first session is touched |
//! | `replace` | one session |
//! | `rollout` | all of them, and the way back |

mod guests;
mod plan;
mod replace;
mod report;
mod rollout;
mod trial;
mod tryout;

pub(crate) use guests::Guests;
pub use plan::Upgrade;
pub(crate) use replace::drained;
pub use report::{Return, SessionUpgrade, UpgradeOutcome, UpgradePhase, UpgradeProgress, UpgradeReport};
pub(crate) use rollout::{Fleet, Rollout};
