//! Nothing outlives its session, and no server reaches what is not its own: what is promised of processes, under torture.
//!
//! | module | what it holds |
//! |---|---|
//! | `trees` | the servers: the process trees that sessions have |
//! | `ends` | the ends: what happens to a session, its host or its supervisors |
//! | `leftovers` | one with the other, and the table of what is left: nothing |
//! | `attacks` | what servers try on processes that are not theirs |
//! | `housekeeping` | descriptors, threads and children of a host that lives on |
//!
//! Each test runs a host in a process of its own, below a witness that no process can get away from: see
//! `innkeeper_tests::hosting`. Where root runs the tests, they are run as an ordinary user too.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod attacks;
mod ends;
mod housekeeping;
mod leftovers;
mod trees;
