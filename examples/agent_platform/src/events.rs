//! Following what happens in the runtime: for people, and for the account at the end.

use innkeeper::{Event, Events, SessionId, SessionKey};

use crate::screen::Screen;

/// What was seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// Sessions that were opened.
    pub(crate) opened: usize,
    /// Connections that were made in place of one that was lost.
    pub(crate) reconnected: usize,
    /// Sessions that were closed.
    pub(crate) closed: Vec<SessionId>,
}

/// Follows the events until the runtime is gone.
pub(crate) async fn follow(mut events: Events, screen: Screen) -> Seen {
    let mut seen = Seen::default();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::SessionOpened { incarnation: 1, .. }) => seen.opened += 1,
            Ok(Event::SessionOpened { session, incarnation, .. }) => {
                seen.reconnected += 1;
                screen.note(&format!("{} is back, with connection {incarnation}", named(&session)));
            }
            Ok(Event::SessionDisconnected { session, reason, .. }) => {
                screen.note(&format!("{} lost its connection: {reason}", named(&session)));
            }
            Ok(Event::SessionClosing { session, .. }) => {
                seen.closed.push(session.id);
                screen.note(&format!("{} is closed", named(&session)));
            }
            // Notifications of servers: their logs, say. And events that later versions have.
            Ok(_) => {}
            // A subscriber holds nobody up. One that is too slow misses something, and is told.
            Err(lagged) => screen.note(&lagged.to_string()),
        }
    }
    seen
}

fn named(session: &SessionKey) -> String {
    let user = session.user.as_ref().map_or("(all)", |user| user.as_str());
    format!("session {} of {}/{user} with {}", session.id, session.tenant, session.server)
}
