//! Calling a tool by its name in the catalog: the right server, and a session for as long as the call.

use innkeeper::Server;
use innkeeper_tests::in_process::silent;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{SECOND, Toolbox, announced, is_stale, names, tenant, until};

#[tokio::test(start_paused = true)]
async fn a_call_by_catalog_name_holds_its_session_until_it_is_done() {
    let github = Toolbox::with(&["search"]);
    github.may_answer.forget_permits(tokio::sync::Semaphore::MAX_PERMITS);
    let (runtime, acme) = tenant([("github", github.server())]).await;

    let prepared = acme.call_tool("alice", "github__search", &json!({ "query": "x" })).await.unwrap();
    sleep(3600 * SECOND).await;
    let held = runtime.status();
    let call = prepared.deadline(7200 * SECOND).start();
    sleep(3600 * SECOND).await;
    let under_way = runtime.status();
    github.may_answer.add_permits(1);
    let result = call.await.unwrap();
    let done = runtime.status();

    assert_eq!((held.leases, under_way.leases, done.leases), (1, 1, 0));
    assert!(String::from_utf8_lossy(&result.raw).contains("search"));
    assert_eq!((github.calls(), github.connections()), (vec!["search".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn tools_of_one_name_are_told_apart_and_each_call_reaches_its_own_server() {
    let (dot, line) = (Toolbox::with(&["dot", "get"]), Toolbox::with(&["line", "get"]));
    let (_runtime, acme) = tenant([("my.files", dot.server()), ("my_files", line.server())]).await;

    let tools = acme.tools("alice").await.unwrap();
    for tool in tools.tools() {
        acme.call_tool("alice", &tool.name, &json!({})).await.unwrap().start().await.unwrap();
    }

    let get: Vec<_> = names(&tools).into_iter().filter(|name| name.starts_with("my_files__get_")).collect();
    assert_eq!((tools.tools().len(), get.len()), (4, 2));
    for (server, calls) in [("my.files", dot.calls()), ("my_files", line.calls())] {
        let of_server = tools.tools().iter().filter(|tool| tool.server.as_str() == server);
        assert_eq!(calls, of_server.map(|tool| tool.tool.name.clone()).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_of_an_older_catalog_counts_for_as_long_as_there_is_a_tool_of_it() {
    let github = Toolbox::with(&["search", "merge"]);
    let (_runtime, acme) = tenant([("github", github.server())]).await;
    let old = acme.tools("alice").await.unwrap();

    github.set(&["search", "push"]);
    announced(&acme, "github", 1).await;
    let new = until(&acme, |tools| !is_stale(tools)).await;
    acme.call_tool("alice", "github__search", &json!({})).await.unwrap().start().await.unwrap();
    let gone = acme.call_tool("alice", "github__merge", &json!({})).await.err().unwrap();

    assert!(new.generation() > old.generation());
    assert_eq!(github.calls(), ["search"]);
    assert_eq!(gone.to_string(), "there is no tool `github__merge`; there are: github__push, github__search");
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_catalog_has_one_made() {
    let github = Toolbox::with(&["search"]);
    let (_runtime, acme) = tenant([("github", github.server())]).await;

    acme.call_tool("alice", "github__search", &json!({})).await.unwrap().start().await.unwrap();

    assert_eq!((github.calls(), github.lists()), (vec!["search".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_of_a_known_tool_waits_for_no_server_that_hangs() {
    let github = Toolbox::with(&["search"]);
    let (_runtime, acme) = tenant([("github", github.server()), ("hangs", Server::connector(silent()))]).await;
    acme.tools("alice").await.unwrap();
    let began = Instant::now();

    acme.call_tool("alice", "github__search", &json!({})).await.unwrap().start().await.unwrap();

    assert_eq!(began.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn arguments_that_are_no_object_are_refused_before_anything_is_opened() {
    let github = Toolbox::with(&["search"]);
    let (_runtime, acme) = tenant([("github", github.server())]).await;

    let error = acme.call_tool("alice", "github__search", &json!([1])).await.err().unwrap();

    assert_eq!((error.code(), github.connections()), ("invalid_input", 0));
}
