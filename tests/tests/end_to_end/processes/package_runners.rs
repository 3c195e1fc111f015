//! `npx` and `uvx`, by which most people start servers: a launcher, what it launches, and a cache in the home of the user.
//!
//! Here they start in folders of a session's own; in those of the user, on the command line: `command_line::package_runners`.
//! What they need was installed before, and no network is there for them.

use innkeeper::{Command, Server};
use innkeeper_tests::{artifacts, processes::Marker};

use super::{BOUND, WITHOUT_NETWORK, builder, close, in_time, lease, tenant};

/// Has a tenant beside another list the tools of a server, which is not what was started itself, and close it.
async fn lists_its_tools_and_is_gone(command: Command, tool: &str) {
    let marker = Marker::new();
    let runtime = builder().start().await.unwrap();
    let variables = WITHOUT_NETWORK.into_iter().chain([(Marker::VARIABLE, marker.value())]);
    let command = variables.fold(command, |command, (name, value)| command.env(name, value));
    // As long as the bound of the test: each of them starts an interpreter or two.
    let acme = tenant(&runtime, "acme", Server::command(command).open_timeout(BOUND)).await;
    let _other = runtime.tenant("other").apply().await.unwrap();
    let lease = lease(&acme, "alice").await.unwrap();

    let tools = in_time(lease.tools()).await.unwrap();
    let status = runtime.status();

    assert!(tools.iter().any(|found| found.name == tool), "{tools:?}");
    let mut marked = marker.processes();
    marked.sort_unstable();
    assert_eq!(status.sessions[0].processes, marked);
    assert!(marked.len() >= 2, "{marked:?}");
    drop(lease);
    close(&runtime).await;
    assert_eq!(marker.processes(), [0; 0]);
    assert_eq!(runtime.status().children_alive, 0);
}

#[tokio::test]
async fn npx_starts_a_server_in_a_private_home() {
    let command = Command::new("npx").args(["--no-install", "--offline", "mcp-server-everything", "stdio"]);

    lists_its_tools_and_is_gone(command.current_dir(artifacts::npm_folder()), "get-sum").await;
}

#[tokio::test]
async fn uvx_starts_a_server_in_a_private_home_with_a_cache_that_the_catalog_names() {
    let (uvx, home) = artifacts::uvx();
    let command = Command::new(uvx.to_str().unwrap()).args(["--offline", "mcp-server-time", "--local-timezone", "UTC"]);
    let cache = home.join(".cache/uv");

    lists_its_tools_and_is_gone(command.env("UV_CACHE_DIR", cache.to_str().unwrap()), "convert_time").await;
}
