//! One server is killed, as the system does when memory is short.
//!
//! Nobody has to do anything about it: the session loses its connection and lives on, and whoever needs it next has another
//! process. Calls under way are made again where a hint that is trusted allows it, and fail otherwise, saying that they may have run.

use std::time::Duration;

use innkeeper::{Runtime, SessionState, SessionStatus};
use tokio::{sync::watch, time::sleep};

use crate::{screen::Screen, tally::Tally};

/// When: after the first sessions were to be seen.
const AFTER: Duration = Duration::from_secs(3);

/// Between two looks for the session.
const LOOK: Duration = Duration::from_millis(50);

/// Kills the server of one session, in the middle of a call. Returns how many it killed.
pub(crate) async fn kill_one(
    runtime: Runtime,
    tally: Tally,
    screen: Screen,
    mut stopped: watch::Receiver<bool>,
) -> usize {
    let victim = async {
        sleep(AFTER).await;
        loop {
            let sessions = runtime.status().sessions;
            // A lease is held for as long as a call. The first may be still that which asks for the tools.
            let busy = |session: &&SessionStatus| {
                is_of(session, "alice", "everything") && session.leases > 0 && tally.calls_of(&session.session) > 0
            };
            if let Some(session) = sessions.iter().find(busy)
                && let Some(process) = session.process.filter(|_| session.state == SessionState::Ready)
            {
                return (session.session.clone(), process);
            }
            sleep(LOOK).await;
        }
    };
    let (session, process) = tokio::select! {
        victim = victim => victim,
        _ = stopped.wait_for(|stopped| *stopped) => return 0,
    };
    if !kill(process) {
        return 0;
    }
    screen.note(&format!("killed process {process}, which is {} of session {}", session.server, session.id));
    1
}

fn is_of(session: &SessionStatus, user: &str, server: &str) -> bool {
    let key = &session.session;
    key.user.as_ref().is_some_and(|name| name.as_str() == user) && key.server.as_str() == server
}

#[cfg(unix)]
fn kill(process: u32) -> bool {
    use rustix::process::{Pid, Signal, kill_process};

    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    process.is_some_and(|process| kill_process(process, Signal::KILL).is_ok())
}

#[cfg(not(unix))]
fn kill(_process: u32) -> bool {
    // No server is a process there.
    false
}
