//! Guests that somebody else could have built: one that masks secrets, and one that passes for the default guest.
//!
//! They are loaded from files, as a tenant's own are. What each does is tested beside its code, natively; here it is shown that
//! the host runs it, and that components hand a session on to each other.

use innkeeper::{
    Answer, Catalog, Component, ComponentSource, Error, Runtime, Server, ServerRequest, ServerRequestHandler, Tenant,
    guest::{Instance, boundary},
    transport::{BoxFuture, Framing},
};
use innkeeper_guest::{boundary::TransportKind, script, script::Step};
use innkeeper_tests::{artifacts, in_process};
use serde_json::{Value, json};

use crate::native_and_wasm::{bytes, effect, event, held};

/// What a tool returns here, with an order of members and white space that nobody who builds JSON anew would keep.
const LETTER: &str =
    r#"{ "z": [1.50, 4111111111111111], "text": "from alice@example.com:\nsk-0123456789abcdefghij", "a": "é" }"#;

/// A server with a letter in it.
async fn post(mut pipes: in_process::Pipes) {
    while let Some(line) = pipes.line().await {
        let message: Value = serde_json::from_str(&line).unwrap();
        let id = &message["id"];
        let reply = match message["method"].as_str() {
            Some("initialize") => {
                let info = json!({ "name": "post", "version": "1" });
                json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": info }).to_string()
            }
            Some("letter") => LETTER.to_owned(),
            Some("archive") => archive("alice@example.com"),
            Some("plain") => r#"{ "text": "nothing to hide" }"#.to_owned(),
            Some("refuse") => {
                let error = r#"{"code":-32000,"message":"write to bob@example.com"}"#;
                pipes.write_line(&format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)).await;
                continue;
            }
            Some("steps") => {
                let token = &message["params"]["_meta"]["progressToken"];
                let params = format!(r#"{{"progressToken":{token},"progress":1}}"#);
                let method = "notifications/progress";
                pipes.write_line(&format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#)).await;
                "{}".to_owned()
            }
            Some("ask") => {
                pipes.write_line(r#"{"jsonrpc":"2.0","id":"q","method":"roots/list"}"#).await;
                let answer: Value = serde_json::from_str(&pipes.line().await.unwrap()).unwrap();
                answer["result"].to_string()
            }
            _ => continue,
        };
        pipes.write_line(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{reply}}}"#)).await;
    }
}

/// A result of 8 MiB, one string with quotes and line breaks, and this at its end.
fn archive(end: &str) -> String {
    let line = r#"lorem ipsum \"dolor\" sit amet.\n"#;
    format!(r#"{{"text":"{}{end}"}}"#, line.repeat(8 * 1024 * 1024 / line.len()))
}

/// A platform that has one root.
struct Roots;

impl ServerRequestHandler for Roots {
    fn capabilities(&self) -> Value {
        json!({ "roots": {} })
    }

    fn handle(&self, _: ServerRequest) -> BoxFuture<'static, Answer> {
        Box::pin(async { Answer::Result(json!({ "roots": [{ "uri": "file:///work" }] })) })
    }
}

async fn runtime() -> Runtime {
    Runtime::builder().server_requests(Roots).start().await.unwrap()
}

async fn built(runtime: &Runtime, package: &str) -> Component {
    runtime.load_component(ComponentSource::File(artifacts::guest(package))).await.unwrap()
}

async fn tenant(runtime: &Runtime, name: &str, guest: &Component) -> Tenant {
    let server = Server::connector(in_process::server(Framing::Lines, post));
    let catalog = Catalog::new().server("post", server);
    runtime.tenant(name).guest(guest.clone()).catalog(catalog).apply().await.unwrap()
}

#[tokio::test]
async fn the_redacting_guest_masks_secrets_in_results_and_nothing_else() {
    let runtime = runtime().await;
    let guest = built(&runtime, "innkeeper-redact-guest").await;
    let lease = tenant(&runtime, "acme", &guest).await.lease("alice", "post").await.unwrap();

    let letter = lease.call("letter").start().await.unwrap();
    let plain = lease.call("plain").start().await.unwrap();
    let refused = lease.call("refuse").start().await.unwrap_err();

    let expected = r#"{ "z": [1.50, 0], "text": "from [mail]:\n[token]", "a": "é" }"#;
    assert_eq!(std::str::from_utf8(&letter).unwrap(), expected);
    assert_eq!(&plain[..], br#"{ "text": "nothing to hide" }"#);
    assert!(matches!(&refused, Error::Server(error) if error.raw().ends_with(b"bob@example.com\"}")), "{refused}");
}

#[tokio::test]
async fn the_redacting_guest_masks_a_large_result_within_its_limits() {
    let runtime = runtime().await;
    let guest = built(&runtime, "innkeeper-redact-guest").await;
    let lease = tenant(&runtime, "acme", &guest).await.lease("alice", "post").await.unwrap();

    let archived = lease.call("archive").start().await.unwrap();

    assert!(archived == archive("[mail]"), "{} bytes", archived.len());
}

#[tokio::test]
async fn another_tenants_results_are_not_masked() {
    let runtime = runtime().await;
    let redacting = built(&runtime, "innkeeper-redact-guest").await;
    let default = runtime.load_component(ComponentSource::Embedded).await.unwrap();
    tenant(&runtime, "acme", &redacting).await.lease("alice", "post").await.unwrap();

    let lease = tenant(&runtime, "globex", &default).await.lease("alice", "post").await.unwrap();
    let letter = lease.call("letter").start().await.unwrap();

    assert_eq!(&letter[..], LETTER.as_bytes());
}

/// All that a caller sees of a session.
async fn conversation(tenant: &Tenant) -> Vec<Vec<u8>> {
    let lease = tenant.lease("alice", "post").await.unwrap();
    let mut seen = vec![lease.info().revision.clone().into_bytes(), lease.info().peer.to_vec()];
    seen.push(lease.call("letter").start().await.unwrap().to_vec());
    let Error::Server(refused) = lease.call("refuse").start().await.unwrap_err() else { panic!("it was not refused") };
    seen.push(refused.raw().to_vec());
    let mut steps = lease.call("steps").start();
    seen.push(steps.progress().await.unwrap().to_vec());
    seen.push(steps.await.unwrap().to_vec());
    seen.push(lease.call("ask").start().await.unwrap().to_vec());
    seen
}

#[tokio::test]
async fn the_later_version_passes_for_the_default_guest() {
    let runtime = runtime().await;
    let default = runtime.load_component(ComponentSource::Embedded).await.unwrap();
    let later = built(&runtime, "innkeeper-v2-guest").await;

    let expected = conversation(&tenant(&runtime, "acme", &default).await).await;
    let seen = conversation(&tenant(&runtime, "globex", &later).await).await;

    assert_eq!((&*later.info().name, &*later.info().version), ("innkeeper-mcp-v2", "2.0.0"));
    assert_eq!(seen, expected);
    // The comparison is no better than what it compares, so one thing literally.
    assert_eq!(seen.last().unwrap(), br#"{"roots":[{"uri":"file:///work"}]}"#);
}

/// A fresh instance of another component in the place of one, in the first format that the old one writes and the new one reads.
async fn replaced(
    mut instance: Instance,
    from: &Component,
    to: &Component,
    outstanding: &boundary::Outstanding,
) -> (Instance, Vec<boundary::Effect>) {
    let mut written = from.info().snapshot_formats.iter();
    let format = written.find(|format| to.info().restorable_formats.contains(format)).unwrap();
    let state = instance.snapshot(format).await.unwrap().unwrap();
    let mut next = Instance::new(to).await.unwrap();
    let effects = next.restore(&state, outstanding).await.unwrap().unwrap();
    (next, effects)
}

#[tokio::test]
async fn components_hand_sessions_on_to_each_other_in_both_directions() {
    /// Scripts that are replayed on each transport. Each has some hundred events, and a few changes of guest.
    const SCRIPTS: u32 = 60;

    let runtime = Runtime::builder().start().await.unwrap();
    let default = runtime.load_component(ComponentSource::Embedded).await.unwrap();
    let row = [
        default.clone(),
        built(&runtime, "innkeeper-v2-guest").await,
        default,
        built(&runtime, "innkeeper-redact-guest").await,
    ];
    let mut changes = 0;

    let transports = [TransportKind::Stream, TransportKind::Http];
    for (seed, transport) in (0..SCRIPTS).flat_map(|seed| transports.map(|transport| (seed, transport))) {
        let mut place = 0;
        let mut instance = Instance::new(&row[place]).await.unwrap();
        for step in script::record(transport, &bytes(seed)).unwrap() {
            match step {
                Step::Handle { now, events, effects } => {
                    let events: Vec<_> = events.into_iter().map(event).collect();
                    let mut got = instance.handle(now, &events).await.unwrap();
                    let expected: Vec<_> = effects.into_iter().map(effect).collect();
                    // What the later version says of its calls at the end.
                    let more = got.split_off(expected.len().min(got.len()));
                    assert!(more.iter().all(|effect| matches!(effect, boundary::Effect::Log { .. })), "{more:?}");
                    assert_eq!(got, expected, "script {seed}, events {events:?}");
                }
                Step::Restore { outstanding, effects } => {
                    let next = (place + 1) % row.len();
                    let (taken_over, got) = replaced(instance, &row[place], &row[next], &held(outstanding)).await;
                    let expected: Vec<_> = effects.into_iter().map(effect).collect();
                    assert_eq!(got, expected, "script {seed}, restore");
                    (instance, place) = (taken_over, next);
                    changes += 1;
                }
            }
        }
    }

    assert!(changes > 4 * row.len(), "{changes} changes");
}
