//! The sessions, as the rows of a table.

use innkeeper::Status;

use crate::tally::Tally;

pub(crate) const COLUMNS: [&str; 9] =
    ["tenant", "user", "server", "state", "incarnation", "leases", "pid", "calls", "last error"];

/// A row of text for each session.
pub(crate) fn rows(status: &Status, tally: &Tally) -> Vec<[String; COLUMNS.len()]> {
    let mut rows: Vec<_> = status
        .sessions
        .iter()
        .map(|session| {
            let key = &session.session;
            let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            // Behind the first line are the last lines that the server wrote.
            let error = session.error.as_deref().and_then(|error| error.lines().next()).map(str::to_owned);
            [
                key.tenant.to_string(),
                // A session that all users of the tenant share has none.
                key.user.as_ref().map_or_else(|| "(all)".to_owned(), ToString::to_string),
                key.server.to_string(),
                session.state.to_string(),
                session.incarnation.to_string(),
                session.leases.to_string(),
                or_none(session.process.map(|process| process.to_string())),
                tally.calls_of(key).to_string(),
                or_none(error),
            ]
        })
        .collect();
    rows.sort();
    rows
}
