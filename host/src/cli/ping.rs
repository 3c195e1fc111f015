//! `innkeeper ping [SERVER]`: whether servers answer, how fast, and what they say they are.

use innkeeper::{Error, Lease, SessionInfo};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use crate::{
    each::{Answer, Answers, each},
    exit::{Exit, Failure},
    hosting::Host,
    output::Report,
    page::{Page, Style},
    spinner::Spinner,
};

/// The answer of a server.
#[derive(Debug, Serialize)]
pub(crate) struct Pong {
    milliseconds: f64,
    revision: String,
    /// What the server says of itself, as it came; null where that is not JSON.
    peer: Box<RawValue>,
}

pub(crate) async fn run(host: &Host, servers: Vec<String>, spinner: Spinner) -> Result<Answers<Pong>, Failure> {
    let answers = each(host, servers, ping).await;
    drop(spinner);
    answers
}

async fn ping(lease: Lease) -> Result<Pong, Error> {
    let milliseconds = lease.ping().await?.as_secs_f64() * 1000.0;
    let info = lease.info();
    let SessionInfo { revision, peer, .. } = &*info;
    Ok(Pong { milliseconds, revision: revision.clone(), peer: serde_json::from_slice(peer).unwrap_or_default() })
}

impl Pong {
    /// Name and version of the server, as far as it gives them.
    fn identity(&self) -> String {
        let peer: Value = serde_json::from_str(self.peer.get()).unwrap_or_default();
        let member = |name| peer.get("serverInfo")?.get(name)?.as_str();
        [member("name"), member("version")].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

impl Report for Answers<Pong> {
    fn write_text(&self, page: &mut Page) {
        let answered = self.iter().filter_map(|Answer { server, outcome }| Some((server, outcome.as_ref().ok()?)));
        let rows = answered.map(|(server, pong)| {
            vec![
                (server.clone(), Some(Style::Bold)),
                (format!("{:.1} ms", pong.milliseconds), Some(Style::Green)),
                (pong.revision.clone(), None),
                (pong.identity(), Some(Style::Dim)),
            ]
        });
        page.table(&rows.collect::<Vec<_>>());
        for Answer { server, outcome } in self.iter() {
            if let Err(failure) = outcome {
                page.styled(Style::Bold, server).end_line().failure(failure);
            }
        }
    }

    fn exit(&self) -> Exit {
        self.exit_status()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, value::to_raw_value};

    use super::*;

    #[test]
    fn answers_and_failures_stand_beside_each_other() {
        let pong = Pong {
            milliseconds: 1.234,
            revision: "2025-11-25".into(),
            peer: to_raw_value(&json!({ "serverInfo": { "name": "mcp-time", "version": "1.0" } })).expect("it is JSON"),
        };
        let answers = Answers::new(vec![
            Answer { server: "time".into(), outcome: Ok(pong) },
            Answer { server: "web".into(), outcome: Err(Failure::system("opening it", "no")) },
        ]);
        let mut page = Page::new(false, false);

        answers.expect("one of two is fine").write_text(&mut page);

        assert_eq!(page.text(), "time  1.2 ms  2025-11-25  mcp-time 1.0\nweb\nerror: opening it: no\n");
    }
}
