//! `npx` and `uvx` as people have them in their `mcp.json`: they keep their caches in the home of the user, so there they find
//! what they need, and without it they do not.

use std::path::Path;

use innkeeper_tests::{artifacts, processes::Marker};
use serde_json::{Value, json};

use super::{Desk, Run, assert_says};
use crate::processes::WITHOUT_NETWORK;

/// Far more than an interpreter takes to start, twice.
const TIME: &str = "50s";

/// Lists the tools of a server, with this home of the user. No process of it is left.
async fn tools(desk: &Desk, home: &Path, mut entry: Value) -> Run {
    for (name, value) in WITHOUT_NETWORK.into_iter().chain([(Marker::VARIABLE, desk.marker.value())]) {
        entry["env"][name] = value.into();
    }
    desk.write("mcp.json", json!({ "mcpServers": { "server": entry } }).to_string());
    let arguments = ["tools", "server", "--timeout", TIME];
    let mut command = desk.command(&arguments);
    command.env("HOME", home);
    desk.end_of(command.spawn().unwrap(), &arguments).await
}

#[tokio::test]
async fn npx_starts_a_server_in_the_home_of_the_user() {
    let desk = Desk::new();
    let args = ["--no-install", "--offline", "mcp-server-everything", "stdio"];
    let entry = json!({ "command": "npx", "args": args, "cwd": artifacts::npm_folder() });

    let text = tools(&desk, &desk.folder, entry).await.text();

    assert_says(&text, &["server\n", "  get-sum a:=NUMBER b:=NUMBER\n"]);
    // That it was the user's home is seen by what npm left there.
    assert!(desk.folder.join(".npm").is_dir());
}

#[tokio::test]
async fn uvx_starts_a_server_from_the_cache_in_the_home_of_the_user() {
    let desk = Desk::new();
    let (uvx, home) = artifacts::uvx();
    let entry = json!({ "command": uvx, "args": ["--offline", "mcp-server-time", "--local-timezone", "UTC"] });
    let mut private = entry.clone();
    private["inheritHome"] = false.into();

    let inherited = tools(&desk, &home, entry).await.text();
    let without_cache = tools(&desk, &home, private).await.failure(3);

    assert_says(&inherited, &["server\n", "  get_current_time timezone=STRING\n"]);
    assert_says(&without_cache, &["server `server` exited with status", "mcp-server-time was not found in the cache"]);
}
