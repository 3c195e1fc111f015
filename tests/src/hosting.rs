//! A host in a process of its own, under a witness.
//!
//! What a host leaves behind when it is killed, or panics, or is an embedder with strange habits, cannot be tested in the
//! process of the test. So the program `hosting-process` links the library and does what it is told over its standard input
//! ([`Order`]). Its parent is the program `witness`, which adopts orphans: no process can get out from under it, and at the end
//! it counts what is left, and ends it. A [`Host`] is the test's end of both.
//!
//! Every wait here has a bound, and none is a sleep: each waits for the thing itself.

mod host;
mod orders;

pub use host::{Account, BOUND, Host, signal_to, wait_for, wait_for_end};
pub use orders::{Answer, Held, Isolation, Order, Settings};
