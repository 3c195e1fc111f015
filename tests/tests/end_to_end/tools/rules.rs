//! Rules for tools bind every way to call one, before anything is sent.

use innkeeper::{Error, ToolRules};
use innkeeper_tests::in_process::limits_for_paused_clock;
use serde_json::json;

use super::{Toolbox, names, tenant, tenant_with};

/// That a rule is named.
#[track_caller]
fn assert_denied(error: &Error, rule: &str) {
    assert_eq!(error.code(), "denied", "{error}");
    assert!(error.to_string().contains(rule), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_denied_tool_is_in_no_list_and_no_call_of_it_reaches_the_server() {
    let github = Toolbox::with(&["delete_repo", "get_repo"]);
    let rules = ToolRules::new().deny("delete_*");
    let (_runtime, acme) = tenant([("github", github.server().tool_rules(rules))]).await;
    let lease = acme.lease("alice", "github").await.unwrap();

    let listed: Vec<_> = lease.tools().await.unwrap().into_iter().map(|tool| tool.name).collect();
    let tools = acme.tools("alice").await.unwrap();
    let denied = [
        lease.call_tool("delete_repo", &json!({})).err().unwrap(),
        lease.call("tools/call").params(&json!({ "name": "delete_repo" })).start().await.unwrap_err(),
        lease.call("tools/call").raw_params(r#"{"name":"delete_repo"}"#.into()).start().await.unwrap_err(),
        lease.notify("tools/call", Some(&json!({ "name": "delete_repo" }))).unwrap_err(),
        acme.call_tool("alice", "github__delete_repo", &json!({})).await.err().unwrap(),
        // Without a catalog that was given before.
        acme.call_tool("bob", "github__delete_repo", &json!({})).await.err().unwrap(),
    ];

    assert_eq!((listed, names(&tools)), (vec!["get_repo".to_owned()], vec!["github__get_repo"]));
    denied.iter().for_each(|error| assert_denied(error, "deny `delete_*`"));
    // Behind all of them, so that whatever was sent has been read.
    lease.call_tool("get_repo", &json!({})).unwrap().start().await.unwrap();
    assert_eq!(github.calls(), ["get_repo"]);
}

#[tokio::test(start_paused = true)]
async fn raw_parameters_that_two_servers_could_read_differently_are_denied() {
    let (bound, free) = (Toolbox::with(&["get"]), Toolbox::with(&["get"]));
    let rules = ToolRules::new().allow("get");
    let (_runtime, acme) = tenant([("bound", bound.server().tool_rules(rules)), ("free", free.server())]).await;
    let doubtful = [
        r#"{"name":"get","name":"delete"}"#,
        r#"{"name":"delete","name":"get"}"#,
        r#"{"name":"get","n\u0061me":"delete"}"#,
        r#"{"name":"get","Name":"delete"}"#,
        r#"{"name":["get"]}"#,
        r#"{"arguments":{"name":"get"}}"#,
    ];

    let lease = acme.lease("alice", "bound").await.unwrap();
    for params in doubtful {
        let error = lease.call("tools/call").raw_params(params.into()).start().await.unwrap_err();
        assert_denied(&error, "do not name one in a way that all servers read alike");
    }
    assert_denied(&lease.call("tools/call").start().await.unwrap_err(), "do not name one");
    lease.call("tools/call").raw_params(r#"{"arguments":{},"name":"get"}"#.into()).start().await.unwrap();
    assert_eq!(bound.calls(), ["get"]);

    // Where there are no rules, there is nothing to get around.
    let lease = acme.lease("alice", "free").await.unwrap();
    lease.call("tools/call").raw_params(doubtful[0].into()).start().await.unwrap();
    assert_eq!(free.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn other_methods_are_not_affected() {
    let github = Toolbox::with(&["delete_repo"]);
    let rules = ToolRules::new().allow_only_listed();
    let (_runtime, acme) = tenant([("github", github.server().tool_rules(rules))]).await;
    let lease = acme.lease("alice", "github").await.unwrap();

    let raw = lease.call("tools/list").all_pages().start().await.unwrap();

    assert!(String::from_utf8_lossy(&raw).contains("delete_repo"));
    assert!(lease.call("prompts/get").params(&json!({ "name": "delete_repo" })).start().await.is_ok());
    assert!(lease.tools().await.unwrap().is_empty());
    assert_denied(&lease.call_tool("delete_repo", &json!({})).err().unwrap(), "allow no tool");
}

#[tokio::test(start_paused = true)]
async fn the_rules_of_a_tenant_bind_all_its_servers_beside_their_own() {
    let (github, files) = (Toolbox::with(&["get", "put"]), Toolbox::with(&["get", "put", "delete"]));
    let of_github = github.server().tool_rules(ToolRules::new().allow("get").allow("delete"));
    let servers = [("files", files.server()), ("github", of_github)];
    let (_runtime, acme) = tenant_with(limits_for_paused_clock(), ToolRules::new().deny("delete"), servers).await;

    let tools = acme.tools("alice").await.unwrap();
    let by_tenant = acme.call_tool("alice", "files__delete", &json!({})).await.err().unwrap();
    let by_server = acme.call_tool("alice", "github__put", &json!({})).await.err().unwrap();

    assert_eq!(names(&tools), ["files__get", "files__put", "github__get"]);
    assert_denied(&by_tenant, "the tenant's rules for tools deny `delete`");
    assert_denied(&by_server, "the server's rules for tools allow only `get`, `delete`");
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_is_renamed_is_called_by_its_other_name_in_the_catalog_and_by_its_own_elsewhere() {
    let time = Toolbox::with(&["get_current_time"]);
    let rules = ToolRules::new()
        .allow("get_*")
        .rename("get_current_time", "now")
        .describe("get_current_time", "The time of day.");
    let (_runtime, acme) = tenant([("time", time.server().tool_rules(rules))]).await;

    let tools = acme.tools("alice").await.unwrap();
    acme.call_tool("alice", "now", &json!({})).await.unwrap().start().await.unwrap();
    let lease = acme.lease("alice", "time").await.unwrap();
    lease.call_tool("get_current_time", &json!({})).unwrap().start().await.unwrap();

    assert_eq!((names(&tools), tools.tools()[0].description()), (vec!["now"], Some("The time of day.")));
    assert_eq!(tools.tools()[0].tool.description.as_deref(), Some("get_current_time of the server"));
    assert_denied(&lease.call_tool("now", &json!({})).err().unwrap(), "allow only `get_*`");
    assert_eq!(time.calls(), ["get_current_time", "get_current_time"]);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_whose_rules_give_a_name_that_no_model_takes_is_not_made() {
    let (runtime, _acme) = tenant([]).await;
    let bad = || ToolRules::new().rename("get", "my tool");
    let catalog = innkeeper::Catalog::new().server("s", Toolbox::with(&[]).server().tool_rules(bad()));

    let of_server = runtime.tenant("b").catalog(catalog).apply().await.unwrap_err();
    let of_tenant = runtime.tenant("b").tool_rules(bad()).apply().await.unwrap_err();
    let mended = runtime.tenant("b").apply().await;

    assert_eq!((of_server.code(), of_tenant.code()), ("invalid_input", "invalid_input"));
    assert!(of_server.to_string().contains("server `s`") && of_server.to_string().contains("`my tool`"), "{of_server}");
    assert!(mended.is_ok());
}
