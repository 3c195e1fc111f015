//! `innkeeper inspect SERVER`: what a server is and offers, and how long each step with it takes.
//!
//! Everything that it says it has is asked for, one after the other, so that times are those of one request each.

use std::time::{Duration, Instant};

use innkeeper::{
    Error, SessionInfo,
    mcp::{Peer, ServerFeature},
};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value, json};

use crate::{
    exit::{Exit, Failure},
    hosting::Host,
    output::Report,
    page::{Page, Style, harmless},
    resources::templates,
    spinner::Spinner,
};

/// What was found out about a server.
#[derive(Debug)]
pub(crate) struct Inspection {
    server: String,
    peer: Peer,
    guest: String,
    process: Option<u32>,
    isolation: Option<String>,
    steps: Vec<Step>,
}

/// Something that was done with it.
#[derive(Debug)]
struct Step {
    name: &'static str,
    took: Duration,
    /// How many there are, of a list.
    outcome: Result<Option<usize>, Failure>,
}

pub(crate) async fn run(host: &Host, server: String, spinner: Spinner) -> Result<Inspection, Failure> {
    let lease = host.lease(&server).await?;
    let info = lease.info();
    let peer = lease.peer().await?;
    let SessionInfo { guest, process, isolation, connect, handshake, .. } = &*info;
    let done = |name, took| Step { name, took, outcome: Ok(None) };
    let mut steps = vec![done("connect", *connect), done("handshake", *handshake)];
    if peer.offers(ServerFeature::Tools) {
        steps.push(list("tools", async { Ok(lease.tools().await?.len()) }).await);
    }
    if peer.offers(ServerFeature::Resources) {
        steps.push(list("resources", async { Ok(lease.resources().await?.len()) }).await);
        steps.push(list("templates", async { Ok(templates(&lease).await?.len()) }).await);
    }
    if peer.offers(ServerFeature::Prompts) {
        steps.push(list("prompts", async { Ok(lease.prompts().await?.len()) }).await);
    }
    drop(spinner);
    let (guest, process) = (guest.clone(), *process);
    Ok(Inspection { server, peer, guest, process, isolation: isolation.map(|isolation| isolation.to_string()), steps })
}

async fn list(name: &'static str, listing: impl Future<Output = Result<usize, Error>>) -> Step {
    let began = Instant::now();
    let outcome = listing.await.map(Some).map_err(Failure::from);
    Step { name, took: began.elapsed(), outcome }
}

impl Inspection {
    fn failure(&self) -> Option<Failure> {
        let failed = self.steps.iter().filter(|step| step.outcome.is_err()).count();
        (failed > 0).then(|| Failure::lists(failed))
    }

    /// Name and version of the server, as far as it gives them.
    fn identity(&self) -> String {
        let Peer { name, version, title, .. } = &self.peer;
        let title = title.as_ref().filter(|title| Some(*title) != name.as_ref()).map(|title| format!("({title})"));
        [name.clone(), version.clone(), title].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// Capabilities in a line, with what they say of themselves in brackets: `tools (listChanged), logging`.
fn capabilities(announced: Option<&Map<String, Value>>) -> String {
    let Some(announced) = announced else { return "not said".to_owned() };
    let details = |value: &Value| -> Vec<String> {
        let members = value.as_object().into_iter().flatten();
        members.filter(|(_, value)| **value == true || value.is_object()).map(|(name, _)| name.clone()).collect()
    };
    let capability = |(name, value): (&String, &Value)| match &details(value)[..] {
        [] => name.clone(),
        details => format!("{name} ({})", details.join(", ")),
    };
    let offered: Vec<_> = announced.iter().filter(|(_, value)| !value.is_null()).map(capability).collect();
    if offered.is_empty() { "none".to_owned() } else { offered.join(", ") }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

impl Report for Inspection {
    fn write_text(&self, page: &mut Page) {
        page.styled(Style::Bold, &self.server).end_line();
        let isolation = self.isolation.as_ref().map(|isolation| format!(" ({isolation})")).unwrap_or_default();
        let facts = [
            ("server", self.identity()),
            ("revision", self.peer.revision.clone()),
            ("guest", self.guest.clone()),
            ("process", self.process.map(|process| format!("{process}{isolation}")).unwrap_or_default()),
            ("capabilities", capabilities(self.peer.capabilities.as_ref())),
        ];
        let facts = facts.into_iter().filter(|(_, fact)| !fact.is_empty());
        let row = |(name, fact): (&str, String)| vec![(format!("  {name}"), Some(Style::Dim)), (harmless(&fact), None)];
        page.table(&facts.map(row).collect::<Vec<_>>()).end_line();

        let rows = self.steps.iter().map(|step| {
            let time = format!("{:.1} ms", milliseconds(step.took));
            let mut row = vec![(format!("  {}", step.name), Some(Style::Dim)), (time, Some(Style::Green))];
            match &step.outcome {
                Ok(None) => {}
                Ok(Some(count)) => row.push((count.to_string(), None)),
                Err(failure) => row.push((format!("error: {}", harmless(&failure.message)), Some(Style::Red))),
            }
            row
        });
        page.table(&rows.collect::<Vec<_>>());

        if let Some(instructions) = &self.peer.instructions {
            page.end_line().styled(Style::Dim, "  instructions").end_line();
            for line in instructions.trim().lines() {
                page.push(if line.is_empty() { "" } else { "    " }).push(line).end_line();
            }
        }
    }

    fn exit(&self) -> Exit {
        self.failure().map_or(Exit::Success, |failure| failure.exit)
    }
}

impl Serialize for Inspection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let step = |step: &Step| {
            let mut entry = json!({ "step": step.name, "milliseconds": milliseconds(step.took) });
            match &step.outcome {
                Ok(Some(count)) => entry["count"] = (*count).into(),
                Ok(None) => {}
                Err(failure) => entry["error"] = failure.to_json(),
            }
            entry
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("server", &self.server)?;
        map.serialize_entry("revision", &self.peer.revision)?;
        map.serialize_entry("peer", &self.peer.raw)?;
        map.serialize_entry("guest", &self.guest)?;
        map.serialize_entry("process", &self.process)?;
        map.serialize_entry("isolation", &self.isolation)?;
        map.serialize_entry("steps", &self.steps.iter().map(step).collect::<Vec<_>>())?;
        if let Some(failure) = self.failure() {
            map.serialize_entry("error", &failure.to_json())?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_a_line() {
        let said = |said: Value| capabilities(said.as_object());

        assert_eq!(said(json!(null)), "not said");
        assert_eq!(said(json!({})), "none");
        assert_eq!(
            said(json!({
                "tools": { "listChanged": true },
                "resources": { "subscribe": true, "listChanged": false },
                "tasks": { "list": {}, "requests": { "tools": {} } },
                "logging": {},
                "prompts": null,
            })),
            "tools (listChanged), resources (subscribe), tasks (list, requests), logging"
        );
    }
}
