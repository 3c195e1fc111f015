//! A secret is seen by its server, and by nobody else: a server that tells all it knows, and everything that the host shows.
//!
//! Here everything is captured that this thread logs, and the host runs on it. That nothing is logged by other threads either is
//! tested with the whole program, in `command_line/secrets`.

use std::{
    ffi::OsString,
    fmt::Debug,
    io,
    path::Path,
    sync::{Arc, Mutex},
};

use innkeeper::{
    Catalog, Command, Error, Event, Lease, Runtime, Secret, SecretError, SecretRequest, SecretStore, config::McpJson,
    transport::BoxFuture,
};
use innkeeper_tests::{
    artifacts,
    awkward::{Scenario, tool},
    processes::Marker,
};
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use super::{builder, in_time};

/// Values, with what JSON writes in another way, and with lines.
const TOKEN: &str = "t0ken-\"quoted\"-\u{fc}ml\u{e4}ut";
const KEY: &str = "-----BEGIN KEY-----\nMIIEowIBAAKCAQEA\n-----END KEY-----\n";
const VARIABLE: &str = "value-of-a-variable";

/// What must be nowhere: pieces of these, as they are and as JSON.
const HIDDEN: [&str; 6] = ["t0ken-", "quoted", "ml\u{e4}ut", "MIIEow", "BEGIN KEY", "value-of-a-var"];

struct Vault;

impl SecretStore for Vault {
    fn resolve(&self, request: SecretRequest) -> BoxFuture<'static, Result<Secret, SecretError>> {
        let value = if request.name.as_str() == "key" { KEY } else { TOKEN };
        Box::pin(async move { Ok(Secret::new(value)) })
    }
}

/// Everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Begins to capture, on this thread.
fn capture() -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    (log, tracing::subscriber::set_default(subscriber))
}

/// All that was seen.
#[derive(Default)]
struct Seen(Vec<String>);

impl Seen {
    fn add(&mut self, what: &impl Debug) {
        self.0.push(format!("{what:?} {what:#?}"));
    }

    fn add_error(&mut self, error: &Error) {
        self.add(error);
        self.0.push(error.to_string());
    }

    #[track_caller]
    fn assert_without_secrets(&self) {
        for text in &self.0 {
            for hidden in HIDDEN {
                assert!(!text.contains(hidden), "{hidden} is in {text}");
            }
        }
    }
}

/// An `mcp.json` with an awkward server that has two secrets and a variable.
fn file(scenario: Scenario, marker: &Marker) -> McpJson {
    let found = artifacts::awkward_server(scenario);
    let env = json!({
        Marker::VARIABLE: marker.value(),
        "A_TOKEN": "Bearer ${secret:token}.",
        "B_KEY": "${secret:key}",
        "C_VARIABLE": "<${FROM_OUTSIDE}>",
        "Z_TOKEN": "${secret:token}",
    });
    let text = json!({ "mcpServers": { "server": { "command": found.program, "args": found.args, "env": env } } });
    let environment = |name: &str| (name == "FROM_OUTSIDE").then(|| OsString::from(VARIABLE));
    McpJson::parse(Path::new("mcp.json"), text.to_string().as_bytes(), &environment).into_result().unwrap()
}

async fn call(lease: &Lease, tool: &str) -> Result<Value, Error> {
    let result = in_time(lease.call_tool(tool, &json!({})).unwrap().start()).await?;
    Ok(serde_json::from_slice(&result.raw).unwrap())
}

fn look_at(runtime: &Runtime, seen: &mut Seen) {
    let status = runtime.status();
    seen.add(&status);
    seen.0.push(serde_json::to_string(&status).unwrap());
}

#[tokio::test]
async fn what_a_server_tells_of_its_secrets_reaches_nobody_but_as_data() {
    let (log, _capturing) = capture();
    let (marker, mut seen) = (Marker::new(), Seen::default());
    let runtime = builder().secrets(Vault).start().await.unwrap();
    let mut events = runtime.events();
    let file = file(Scenario::TellsEnvironment, &marker);
    let catalog = Catalog::from_mcp_json(&file);
    seen.add(&(&file, &catalog, catalog.get(&"server".into()).unwrap().digest()));
    let acme = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();
    let lease = in_time(acme.lease("alice", "server")).await.unwrap();
    seen.add(&(&runtime.limits(), &acme, &lease, lease.info(), lease.session()));

    // A result is data.
    let told = call(&lease, tool::ENVIRONMENT).await.unwrap();
    let text = told["content"][0]["text"].as_str().unwrap();
    for line in [format!("A_TOKEN=Bearer {TOKEN}.\n"), format!("B_KEY={KEY}\n"), format!("C_VARIABLE=<{VARIABLE}>\n")] {
        assert!(text.contains(&line), "{line:?} is not in {text:?}");
    }
    // An error is shown.
    let refused = call(&lease, tool::ECHO).await.unwrap_err();
    let Error::Server(error) = &refused else { panic!("{refused:?}") };
    let message = error.message().unwrap();
    for line in ["A_TOKEN=Bearer ***.\n", "B_KEY=***\n", "C_VARIABLE=<***>\n"] {
        assert!(message.contains(line), "{line:?} is not in {message:?}");
    }
    assert_eq!(error.code(), Some(-32603));
    seen.add_error(&refused);
    seen.0.push(String::from_utf8(error.raw().to_vec()).unwrap());
    look_at(&runtime, &mut seen);

    // It tells all again, in pieces, and ends in the middle of it.
    let exited = call(&lease, tool::SLEEP).await.unwrap_err();
    let Error::ServerExited { exit, .. } = &exited else { panic!("{exited:?}") };
    assert_eq!(exit.code, Some(3));
    for line in ["A_TOKEN=Bearer ***.", "B_KEY=***", "C_VARIABLE=<***>", "Z_TOKEN=***"] {
        assert!(exit.stderr.iter().any(|told| told == line), "{line:?} is not in {exit:?}");
    }
    seen.add_error(&exited);
    seen.0.push(runtime.status().sessions.remove(0).error.unwrap());
    look_at(&runtime, &mut seen);
    while let Some(event) = in_time(events.next()).await {
        let event = event.unwrap();
        seen.add(&event);
        if let Event::SessionDisconnected { .. } = event {
            break;
        }
    }
    seen.add(&in_time(runtime.drain(super::BOUND)).await);

    let logged = log.text();
    // It was captured, and the lines of the server with it.
    assert!(logged.contains("TRACE") || logged.contains("DEBUG"), "{logged}");
    assert!(logged.contains("A_TOKEN=Bearer ***.") && logged.contains("B_KEY=***"), "{logged}");
    seen.0.push(logged);
    seen.assert_without_secrets();
}

#[tokio::test]
async fn a_server_that_refuses_the_session_with_its_secrets_shows_none() {
    let (log, _capturing) = capture();
    let (marker, mut seen) = (Marker::new(), Seen::default());
    let runtime = builder().secrets(Vault).start().await.unwrap();
    let mut events = runtime.events();
    let catalog = Catalog::from_mcp_json(&file(Scenario::RefusesWithEnvironment, &marker));
    let acme = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();

    let refused = in_time(acme.lease("alice", "server")).await.unwrap_err();
    look_at(&runtime, &mut seen);
    let event = in_time(events.next()).await.unwrap().unwrap();

    assert!(refused.to_string().contains("A_TOKEN=Bearer ***."), "{refused}");
    let Event::SessionDisconnected { reason, .. } = &event else { panic!("{event:?}") };
    assert!(reason.contains("B_KEY=***"), "{reason}");
    seen.add_error(&refused);
    seen.add(&event);
    seen.add(&in_time(runtime.drain(super::BOUND)).await);
    seen.0.push(log.text());
    seen.assert_without_secrets();
}

#[tokio::test]
async fn a_folder_that_comes_out_of_a_hidden_variable_is_not_shown() {
    let found = artifacts::awkward_server(Scenario::Plain);
    let entry = json!({ "command": found.program, "env": { "A": "${DIR}" }, "cwd": "/none/${DIR}" });
    let text = json!({ "mcpServers": { "server": entry } }).to_string();
    let environment = |_: &str| Some(OsString::from(VARIABLE));
    let file = McpJson::parse(Path::new("mcp.json"), text.as_bytes(), &environment).into_result().unwrap();
    let runtime = builder().start().await.unwrap();
    let catalog = Catalog::from_mcp_json(&file);
    let acme = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();

    let error = in_time(acme.lease("alice", "server")).await.unwrap_err();

    assert!(error.to_string().contains("its folder `/none/***` does not exist"), "{error}");
    let mut seen = Seen::default();
    seen.add_error(&error);
    seen.add(&(&file, &acme));
    let command = Command::new("server").env("A", VARIABLE).env_secret("B", "name");
    seen.add(&command);
    seen.assert_without_secrets();
}

/// The search above can fail: what it looks for is found where it is.
#[test]
#[should_panic(expected = "t0ken-")]
fn a_secret_that_is_shown_is_found() {
    let mut seen = Seen::default();

    seen.add(&format!("Bearer {TOKEN}"));

    seen.assert_without_secrets();
}
