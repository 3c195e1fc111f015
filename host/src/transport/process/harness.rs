//! What the tests of both forms share.

use std::time::Duration;

use tokio::{io::AsyncReadExt, time::timeout};

use crate::{
    Limits,
    names::SessionId,
    transport::{Command, ConnectContext, ConnectError, Connection, Connector, ExitStatus},
};

/// No wait of a test is longer.
pub(super) const BOUND: Duration = Duration::from_secs(10);

/// The session of every connection.
pub(super) const SESSION: SessionId = SessionId(7);

/// A ladder that does not hold up tests.
pub(super) fn quick_close() -> Limits {
    Limits { close_input: Duration::from_millis(50), close_terminate: Duration::from_millis(50), ..Limits::default() }
}

pub(super) async fn connect(connector: &impl Connector) -> Result<Connection, ConnectError> {
    let context = ConnectContext {
        tenant: "tenant".into(),
        user: Some("user".into()),
        server: "server".into(),
        session: SESSION,
        incarnation: 1,
    };
    timeout(BOUND, connector.connect(context)).await.expect("in time")
}

pub(super) fn shell(script: &str) -> Command {
    Command::new("/bin/sh").args(["-c", script])
}

/// All that a server writes, and how it ends.
pub(super) async fn outcome(mut connection: Connection) -> (String, ExitStatus) {
    let ended = connection.peer.ended().expect("a process ends");
    let mut output = String::new();
    timeout(BOUND, connection.reader.read_to_string(&mut output)).await.expect("in time").expect("text");
    (output.trim_end().to_owned(), timeout(BOUND, ended).await.expect("in time"))
}

/// A line of what a server writes.
pub(super) async fn line(connection: &mut Connection) -> String {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        line.push(timeout(BOUND, connection.reader.read_u8()).await.expect("in time").expect("a line"));
    }
    String::from_utf8(line).expect("text").trim_end().to_owned()
}
