//! `innkeeper ping [SERVER]`: whether servers answer, how fast, and what they say they are.

use std::time::Duration;

use innkeeper::{Error, Lease, SessionInfo};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use crate::{
    each::{Answer, each},
    exit::Exit,
    hosting::Host,
    output::Report,
    page::{Page, Style},
    spinner::Spinner,
};

/// What servers answered.
#[derive(Serialize)]
pub(crate) struct PingReport {
    servers: Vec<Answer<Pong>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Pong {
    round_trip: Duration,
    revision: String,
    /// What the server says of itself; null where that is not JSON.
    peer: Value,
}

pub(crate) async fn run(host: &Host, servers: Vec<String>, spinner: Spinner) -> PingReport {
    let servers = each(host, servers, ping).await;
    drop(spinner);
    PingReport { servers }
}

async fn ping(lease: Lease) -> Result<Pong, Error> {
    let round_trip = lease.ping().await?;
    let SessionInfo { revision, peer, .. } = lease.info();
    Ok(Pong { round_trip, revision: revision.clone(), peer: serde_json::from_slice(peer).unwrap_or_default() })
}

impl Pong {
    /// Name and version of the server, as far as it gives them.
    fn identity(&self) -> String {
        let member = |name| self.peer.get("serverInfo")?.get(name)?.as_str();
        [member("name"), member("version")].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    fn milliseconds(&self) -> f64 {
        self.round_trip.as_secs_f64() * 1000.0
    }
}

impl Report for PingReport {
    fn write_text(&self, page: &mut Page) {
        let answered =
            self.servers.iter().filter_map(|Answer { server, outcome }| Some((server, outcome.as_ref().ok()?)));
        let rows = answered.map(|(server, pong)| {
            vec![
                (server.clone(), Some(Style::Bold)),
                (format!("{:.1} ms", pong.milliseconds()), Some(Style::Green)),
                (pong.revision.clone(), None),
                (pong.identity(), Some(Style::Dim)),
            ]
        });
        page.table(&rows.collect::<Vec<_>>());
        for Answer { server, outcome } in &self.servers {
            if let Err(failure) = outcome {
                page.styled(Style::Bold, server).end_line().failure(failure);
            }
        }
    }

    fn exit(&self) -> Exit {
        let failures = self.servers.iter().filter_map(|answer| answer.outcome.as_ref().err());
        failures.map(|failure| failure.exit).next().unwrap_or(Exit::Success)
    }
}

impl Serialize for Answer<Pong> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.server)?;
        match &self.outcome {
            Ok(pong) => {
                map.serialize_entry("milliseconds", &pong.milliseconds())?;
                map.serialize_entry("revision", &pong.revision)?;
                map.serialize_entry("peer", &pong.peer)?;
            }
            Err(failure) => map.serialize_entry("error", &failure.to_json())?,
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::exit::Failure;

    fn pong() -> Pong {
        Pong {
            round_trip: Duration::from_micros(1250),
            revision: "2025-11-25".into(),
            peer: json!({ "serverInfo": { "name": "mcp-time", "version": "1.0" } }),
        }
    }

    fn report() -> PingReport {
        let failed = Failure::system("opening it", "no");
        PingReport {
            servers: vec![
                Answer { server: "time".into(), outcome: Ok(pong()) },
                Answer { server: "web".into(), outcome: Err(failed) },
            ],
        }
    }

    #[test]
    fn answers_and_failures_stand_beside_each_other() {
        let mut page = Page::new(false, false);

        report().write_text(&mut page);

        assert_eq!(page.text(), "time  1.2 ms  2025-11-25  mcp-time 1.0\nweb\nerror: opening it: no\n");
        assert_eq!(report().exit(), Exit::Server);
    }

    #[test]
    fn programs_get_the_same() {
        assert_eq!(
            serde_json::to_value(report()).expect("a report is JSON"),
            json!({
                "servers": [
                    {
                        "name": "time",
                        "milliseconds": 1.25,
                        "revision": "2025-11-25",
                        "peer": { "serverInfo": { "name": "mcp-time", "version": "1.0" } },
                    },
                    { "name": "web", "error": { "code": "system", "message": "opening it: no" } },
                ],
            })
        );
    }
}
