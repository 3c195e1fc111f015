//! Servers that a tenant brings itself.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use innkeeper::{Catalog, Command, Error, Isolation, Policy, Runtime, Server, Tenant};
use innkeeper_tests::{
    awkward::{Scenario, tool},
    in_process::silent,
    processes::Marker,
};
use serde_json::{Value, json};

use super::{assert_nothing_was_started, builder, command, denied, in_time, program};

const MINE: &str = "mine";

/// A folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new(marker: &Marker) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("policy-{}", marker.value()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What allows the awkward server with its mark.
fn policy() -> Policy {
    Policy::new().allow_command(program()).allow_variable(Marker::VARIABLE)
}

async fn apply(runtime: &Runtime, policy: Policy, server: Server) -> Result<Tenant, Error> {
    let catalog = Catalog::new().server(MINE, server);
    in_time(runtime.tenant("acme").policy(policy).untrusted_catalog(catalog).apply()).await
}

#[tokio::test]
async fn everything_is_denied_by_default_and_said_at_once() {
    let marker = Marker::new();
    let runtime = builder().start().await.unwrap();
    let theirs = Catalog::new()
        .server(
            "one",
            Server::command(command(Scenario::Plain, &marker).current_dir("/").env("LD_PRELOAD", "/evil.so")),
        )
        .server("two", Server::command(Command::new("npx").env_secret("KEY", "of-the-platform")).inherit_home(true))
        .server("three", Server::command(command(Scenario::Plain, &marker)).isolation(Isolation::Basic))
        .server("four", Server::connector(silent()))
        .server("five", Server::url("http://169.254.169.254/latest"))
        .server("ours", Server::command(command(Scenario::Plain, &marker)));
    let ours = Catalog::new().server("ours", Server::command(command(Scenario::Plain, &marker)));

    let applied = in_time(runtime.tenant("acme").catalog(ours.clone()).untrusted_catalog(theirs).apply()).await;
    let said = denied(applied);

    let expected = [
        ("one", "`LD_PRELOAD`"),
        ("one", "its command"),
        ("one", "its folder"),
        ("two", "`npx` is not allowed: it is not an absolute path"),
        ("two", "the secret `of-the-platform`"),
        ("two", "home folder"),
        ("three", "`basic`"),
        ("four", "a connector"),
        ("five", "its origin http://169.254.169.254"),
        ("ours", "the platform has one of this name"),
    ];
    for (server, violation) in expected {
        let listed = |line: &str| line.starts_with(&format!("- server `{server}`: ")) && line.contains(violation);
        assert!(said.lines().any(listed), "{server} {violation}: {said}");
    }
    // Nothing is half applied: there is no such tenant.
    let acme = in_time(runtime.tenant("acme").catalog(ours).apply()).await.unwrap();
    assert_eq!(acme.catalog().servers().count(), 1);
    assert_nothing_was_started(&runtime, &marker);
}

#[tokio::test]
async fn what_is_allowed_is_started_guarded_and_in_a_home_of_its_own() {
    let marker = Marker::new();
    // One tenant: a server of the platform would have the home of the user.
    let runtime = builder().start().await.unwrap();

    let acme = apply(&runtime, policy(), Server::command(command(Scenario::Plain, &marker))).await.unwrap();
    let lease = in_time(acme.lease("alice", MINE)).await.unwrap();
    let result = in_time(lease.call_tool(tool::ENVIRONMENT, &json!({})).unwrap().start()).await.unwrap();

    assert_eq!(lease.info().isolation, Some(Isolation::Guarded));
    let result: Value = serde_json::from_slice(&result.raw).unwrap();
    let home = result["content"][0]["text"].as_str().unwrap().lines().find_map(|line| line.strip_prefix("HOME="));
    assert_ne!(home.map(str::to_owned), std::env::var("HOME").ok());
    in_time(runtime.drain(super::BOUND)).await;
}

#[tokio::test]
async fn no_path_but_the_one_of_an_allowed_file_is_executed() {
    let marker = Marker::new();
    let folder = Folder::new(&marker);
    let runtime = builder().start().await.unwrap();
    let (link, copy) = (folder.0.join("link"), folder.0.join("awkward-server"));
    symlink(program(), &link).unwrap();
    fs::copy(program(), &copy).unwrap();
    let wanted =
        |path: String| Server::command(Command::new(path).args(["plain"]).env(Marker::VARIABLE, marker.value()));
    let upwards = format!("{}/../awkward-server", program().parent().unwrap().join("deps").display());

    // A name to look for, with a PATH that would lead there; a detour; a file of the same name and content.
    let path = program().parent().unwrap().display().to_string();
    let found = wanted("awkward-server".into());
    let refused = [found, wanted(upwards), wanted(copy.display().to_string()), wanted("../awkward-server".into())];
    for server in refused {
        let said = denied(apply(&runtime, policy().allow_folder(&path), server).await);
        assert!(said.contains("its command") && said.contains("is not allowed"), "{said}");
    }
    assert_nothing_was_started(&runtime, &marker);

    // The same file by a link.
    let acme = apply(&runtime, policy(), wanted(link.display().to_string())).await.unwrap();
    in_time(acme.lease("alice", MINE)).await.unwrap();
    in_time(runtime.drain(super::BOUND)).await;
}

#[tokio::test]
async fn a_link_that_is_changed_after_it_was_looked_at_changes_nothing() {
    let marker = Marker::new();
    let folder = Folder::new(&marker);
    let runtime = builder().start().await.unwrap();
    let link = folder.0.join("server");
    symlink(program(), &link).unwrap();
    let wanted = Command::new(link.to_str().unwrap()).args(["plain"]).env(Marker::VARIABLE, marker.value());
    let policy = Policy::new().allow_command(&link).allow_variable(Marker::VARIABLE);
    let acme = apply(&runtime, policy, Server::command(wanted)).await.unwrap();

    fs::remove_file(&link).unwrap();
    symlink("/bin/false", &link).unwrap();
    let lease = in_time(acme.lease("alice", MINE)).await.unwrap();

    let executed = fs::read_link(format!("/proc/{}/exe", lease.info().process.unwrap())).unwrap();
    assert_eq!(executed, fs::canonicalize(program()).unwrap());
    in_time(runtime.drain(super::BOUND)).await;
}

#[tokio::test]
async fn a_file_that_became_a_link_is_not_executed() {
    let marker = Marker::new();
    let folder = Folder::new(&marker);
    let runtime = builder().start().await.unwrap();
    let file = folder.0.join("server");
    fs::copy(program(), &file).unwrap();
    let wanted = Command::new(file.to_str().unwrap()).args(["plain"]).env(Marker::VARIABLE, marker.value());
    let policy = Policy::new().allow_command(&file).allow_variable(Marker::VARIABLE);
    let acme = apply(&runtime, policy, Server::command(wanted)).await.unwrap();

    fs::remove_file(&file).unwrap();
    symlink(program(), &file).unwrap();
    let error = in_time(acme.lease("alice", MINE)).await.unwrap_err();

    assert!(matches!(&error, Error::Start { reason, .. } if reason.contains("is not there any more")), "{error:?}");
    assert_eq!(marker.processes(), [0; 0]);
}

#[tokio::test]
async fn a_tenant_brings_no_more_than_it_may() {
    let marker = Marker::new();
    let runtime = builder().start().await.unwrap();
    let server = || Server::command(command(Scenario::Plain, &marker));
    let three = Catalog::new().server("a", server()).server("b", server()).server("c", server());
    let long = Server::command(command(Scenario::Plain, &marker).args(["x".repeat(20_000)]));

    let many = policy().most_untrusted_servers(2);
    let said = denied(in_time(runtime.tenant("acme").policy(many).untrusted_catalog(three.clone()).apply()).await);
    assert!(said.contains("has 3 servers of its own, and may have 2"), "{said}");
    let said = denied(apply(&runtime, policy(), long.clone()).await);
    assert!(said.contains("bytes, and may have 16384"), "{said}");
    assert_nothing_was_started(&runtime, &marker);

    // The bounds can be moved.
    let roomy = policy().most_untrusted_bytes(30_000).most_untrusted_servers(3);
    drop(apply(&runtime, roomy.clone(), long).await.unwrap());
    in_time(runtime.tenant("acme").policy(roomy).untrusted_catalog(three).apply()).await.unwrap();
}

#[tokio::test]
async fn a_policy_that_can_never_apply_is_an_error_of_its_author() {
    let marker = Marker::new();
    let runtime = builder().start().await.unwrap();
    let wrong = policy().allow_command("npx").allow_origin("mcp.example.com");

    let error = apply(&runtime, wrong, Server::command(command(Scenario::Plain, &marker))).await.unwrap_err();

    let text = error.to_string();
    assert!(matches!(error, Error::InvalidInput { .. }) && text.contains("`npx`") && text.contains("origin"), "{text}");
    assert_nothing_was_started(&runtime, &marker);
}
