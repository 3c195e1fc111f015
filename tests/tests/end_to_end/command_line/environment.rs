//! What servers get of whoever runs the program: the folders of the user, and the limits that the configuration sets.

use innkeeper_tests::{artifacts, awkward::Scenario};
use serde_json::{Value, json};

use super::Desk;

/// A desk whose `plain` server has these further keys in its entry.
fn desk_with(keys: &Value) -> Desk {
    let desk = Desk::new();
    let found = artifacts::awkward_server(Scenario::Plain);
    let mut entry = json!({ "command": found.program, "args": found.args });
    entry.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    desk.write("mcp.json", json!({ "mcpServers": { "plain": entry } }).to_string());
    desk
}

/// The value of a variable in the environment of the server, in a run with folders of the user.
async fn variable(desk: &Desk, name: &str) -> Option<String> {
    let arguments = ["call", "plain.environment"];
    let mut command = desk.command(&arguments);
    command.env("TMPDIR", &desk.folder).env("XDG_CACHE_HOME", "/user/cache").env("XDG_CONFIG_DIRS", "/of/the/system");
    let text = desk.end_of(command.spawn().unwrap(), &arguments).await.text();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

#[tokio::test]
async fn a_server_has_the_folders_of_whoever_runs_the_program() {
    let desk = desk_with(&json!({}));
    let folder = desk.folder.to_str().unwrap();

    for (name, value) in
        [("HOME", folder), ("TMPDIR", folder), ("XDG_CACHE_HOME", "/user/cache"), ("XDG_CONFIG_DIRS", "/of/the/system")]
    {
        assert_eq!(variable(&desk, name).await.as_deref(), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_server_whose_entry_says_so_has_folders_of_its_own() {
    let desk = desk_with(&json!({ "inheritHome": false }));

    let home = variable(&desk, "HOME").await.unwrap();
    let scratch = variable(&desk, "TMPDIR").await.unwrap();

    assert!(!desk.folder.starts_with(&home) && desk.folder.to_str() != Some(&home), "{home}");
    // Where private folders are made is no secret: below the user's own folder for what is temporary.
    assert!(scratch.starts_with(desk.folder.to_str().unwrap()) && desk.folder.to_str() != Some(&scratch), "{scratch}");
    assert_eq!(variable(&desk, "XDG_CACHE_HOME").await, None);
    assert_eq!(variable(&desk, "XDG_CONFIG_DIRS").await.as_deref(), Some("/of/the/system"));
    let left: Vec<_> = std::fs::read_dir(&desk.folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["mcp.json"]);
}

#[tokio::test]
async fn a_server_that_cannot_live_within_its_limits_is_status_3_and_one_that_can_serves() {
    let most = u32::MAX;
    let refused = desk_with(&json!({ "limits": { "openFiles": most } }));
    let served = desk_with(&json!({ "limits": { "openFiles": 64, "addressSpace": "4GiB", "cpuTime": "1m" } }));

    let error = refused.run(&["ping"]).await.failure(3);

    assert!(error.contains("its limits cannot be set"), "{error}");
    assert_eq!(served.run(&["call", "plain.echo", "text=hello"]).await.text(), "hello\n");
}
