//! Models of the clients of a session: every order in which those who need it and those who lose it may come.
//!
//! What runs is [`Succession`] itself, under a lock of the checker. Each scene is there twice: as the session does it, which
//! holds, and with one step in the wrong place, which must fail.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{sync::Arc, time::Duration};

use loom::sync::{Condvar, Mutex, MutexGuard};
use tokio::time::Instant;

use super::succession::{NoClient, SessionState, Succession, Turn};
use crate::{
    Error, Limits, MayHaveRun,
    explore::{Explored, check, explore, explore_bounded, named, say},
};

const SAME_AGAIN: &str = "somebody who had heard that a client is lost got it again";
const TOO_MANY: &str = "more clients were begun than were needed";
const LOST_FOR_ANOTHER: &str = "a client is taken for lost because another one was";
const ENDED_BEFORE: &str = "the end of a session was told earlier than that it closes";
const NOT_ENDED_ONCE: &str = "the end of a session was not told once";

/// How far a client is, as it says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Opening,
    Ready,
    Lost,
}

/// Stands for a client.
#[derive(Clone)]
struct Client(Arc<Inner>);

struct Inner {
    number: u64,
    phase: Mutex<Phase>,
    changed: Condvar,
}

impl Client {
    fn new(turn: Turn) -> Self {
        say(&format!("begins client {}", turn.number));
        Self(Arc::new(Inner { number: turn.number, phase: Mutex::new(Phase::Opening), changed: Condvar::new() }))
    }

    fn is(&self, phase: Phase) {
        say(&format!("client {} is {phase:?}", self.0.number));
        *self.0.phase.lock().unwrap() = phase;
        self.0.changed.notify_all();
    }

    /// Waits until it is open, or is not.
    fn ready(&self) -> bool {
        let mut phase = self.0.phase.lock().unwrap();
        while *phase == Phase::Opening {
            phase = self.0.changed.wait(phase).unwrap();
        }
        *phase == Phase::Ready
    }
}

/// A session, as far as it decides about its clients.
struct Session {
    clients: Mutex<Succession<Client>>,
    limits: Limits,
    now: Instant,
}

fn error() -> Error {
    Error::Closing { what: "it".to_owned(), may_have_run: MayHaveRun::No }
}

impl Session {
    fn new() -> Arc<Self> {
        let limits = Limits { reconnect_delay: Duration::ZERO, breaker_failures: u32::MAX, ..Limits::default() };
        Arc::new(Self { clients: Mutex::new(Succession::new()), limits, now: Instant::now() })
    }

    fn clients(&self) -> MutexGuard<'_, Succession<Client>> {
        self.clients.lock().unwrap()
    }

    /// The client that somebody gets, and whether they began it.
    fn client(&self) -> Option<(Client, bool)> {
        let mut begun = false;
        let client = self.clients().client(self.now, &self.limits, |turn| {
            begun = true;
            Client::new(turn)
        });
        match client {
            Ok(client) => Some((client, begun)),
            Err(NoClient::Closing(_)) => None,
            Err(NoClient::Tripped { .. }) => unreachable!("it admits any number of failures"),
        }
    }

    fn lost(&self, number: u64) -> bool {
        self.clients().lost(number, &error(), self.now, &self.limits, 0.0)
    }
}

/// Several wait for a client that fails, and try again.
fn wait_for_one_that_fails(owner: fn(&Session, &Client)) -> Explored {
    explore_bounded(move || {
        let session = Session::new();

        let waiter = || {
            let session = session.clone();
            named("waiter", move || {
                let mut owners = Vec::new();
                let mut failed = 0;
                loop {
                    let (client, begun) = session.client().unwrap();
                    if begun {
                        let (session, client) = (session.clone(), client.clone());
                        owners.push(named("owner", move || owner(&session, &client)));
                    }
                    if client.0.number == failed {
                        check(false, SAME_AGAIN);
                        break;
                    }
                    if client.ready() {
                        break;
                    }
                    failed = client.0.number;
                }
                owners.into_iter().for_each(|owner| owner.join().unwrap());
            })
        };
        [waiter(), waiter()].into_iter().for_each(|waiter| waiter.join().unwrap());

        let begun = session.clients().remaining().map(|client| client.0.number).max();
        check(begun <= Some(2), TOO_MANY);
    })
}

#[test]
fn all_who_wait_for_a_client_that_fails_hear_of_it_and_begin_one_more_together() {
    let explored = wait_for_one_that_fails(|session, client| match client.0.number {
        1 => {
            session.lost(1);
            client.is(Phase::Lost);
        }
        _ => client.is(Phase::Ready),
    });

    explored.holds(100);
}

#[test]
fn the_model_fails_where_a_loss_is_told_to_those_who_wait_earlier_than_to_the_session() {
    let explored = wait_for_one_that_fails(|session, client| match client.0.number {
        1 => {
            client.is(Phase::Lost);
            session.lost(1);
        }
        _ => client.is(Phase::Ready),
    });

    explored.fails(SAME_AGAIN);
}

/// Somebody wants another client in the place of one that is lost at the same moment, and somebody makes a call.
fn replace_one_that_is_lost(lost: fn(&Session)) -> Explored {
    explore(move || {
        let session = Session::new();
        let (first, _) = session.client().unwrap();
        let info = Arc::new(super::SessionInfo {
            revision: String::new(),
            peer: bytes::Bytes::new(),
            process: None,
            isolation: None,
            incarnation: 1,
            guest: String::new(),
            connect: Duration::ZERO,
            handshake: Duration::ZERO,
        });
        session.clients().opened(first.0.number, &info, session.now);

        let loser = named("loser", {
            let session = session.clone();
            move || lost(&session)
        });
        let restarter = named("restarter", {
            let session = session.clone();
            move || session.clients().replace(session.now, Client::new).unwrap().0.0.number
        });
        let caller = named("caller", {
            let session = session.clone();
            move || session.client().unwrap().0.0.number
        });
        loser.join().unwrap();
        let (restarted, called) = (restarter.join().unwrap(), caller.join().unwrap());

        // One is lost, and one takes its place.
        check(restarted == 2 && called <= 2, TOO_MANY);
        check(session.clients().state() == SessionState::Opening, LOST_FOR_ANOTHER);
    })
}

#[test]
fn a_client_that_is_lost_while_another_takes_its_place_is_lost_for_itself_alone() {
    replace_one_that_is_lost(|session| {
        session.lost(1);
    })
    .holds(3);
}

#[test]
fn the_model_fails_where_whichever_client_is_present_is_taken_for_lost() {
    let lose_the_present = |session: &Session| {
        let present = session.clients().remaining().map(|client| client.0.number).max().unwrap();
        session.lost(present);
    };

    let explored = replace_one_that_is_lost(lose_the_present);

    assert!(explored.faults.contains_key(LOST_FOR_ANOTHER), "{explored}");
}

/// A session is closed while its client ends and somebody makes a call. `is_over` says whether a client that has ended was the
/// end of its session.
fn close_while_it_ends(is_over: fn(&Succession<Client>) -> bool) -> Explored {
    explore(move || {
        let session = Session::new();
        let told = Arc::new(Mutex::new(Vec::new()));
        let (first, _) = session.client().unwrap();
        let tell = |told: &Mutex<Vec<&'static str>>, is_over: bool| {
            if is_over {
                say("tells the end");
                told.lock().unwrap().push("closed");
            }
        };

        let owner = named("owner", {
            let (session, told) = (session.clone(), told.clone());
            move || {
                session.lost(first.0.number);
                let mut clients = session.clients();
                clients.forget(first.0.number, true);
                let is_over = is_over(&clients);
                drop(clients);
                tell(&told, is_over);
            }
        });
        let closer = named("closer", {
            let (session, told) = (session.clone(), told.clone());
            move || {
                assert!(session.clients().close(error()));
                say("tells that it closes");
                told.lock().unwrap().push("closing");
                let mut clients = session.clients();
                clients.announced();
                let is_over = clients.over().is_some();
                drop(clients);
                tell(&told, is_over);
            }
        });
        let caller = named("caller", {
            let session = session.clone();
            move || session.client().and_then(|(client, begun)| begun.then_some(client.0.number))
        });
        [owner, closer].into_iter().for_each(|thread| thread.join().unwrap());
        // Its call may have begun another client before the session was closed, which ends too.
        if let Some(number) = caller.join().unwrap() {
            let mut clients = session.clients();
            clients.forget(number, true);
            let is_over = clients.over().is_some();
            drop(clients);
            tell(&told, is_over);
        }

        let told = told.lock().unwrap();
        check(told.iter().filter(|what| **what == "closed").count() == 1, NOT_ENDED_ONCE);
        check(told.first() == Some(&"closing"), ENDED_BEFORE);
        check(session.client().is_none(), TOO_MANY);
    })
}

#[test]
fn the_end_of_a_session_is_told_once_and_later_than_that_it_closes() {
    close_while_it_ends(|clients| clients.over().is_some()).holds(10);
}

#[test]
fn the_model_fails_where_the_end_does_not_wait_for_the_announcement() {
    let explored = close_while_it_ends(|clients| clients.closing().is_some() && clients.remaining().next().is_none());

    assert!(explored.faults.contains_key(ENDED_BEFORE), "{explored}");
}
