//! What servers say of their tools decides whether a call is made again, where the rules trust it, and nowhere else.
//!
//! Each test has a server that takes a call and ends; what it was told is the number of times that the call may have run.

use std::sync::{Arc, atomic::Ordering::SeqCst};

use innkeeper::{Error, MayHaveRun, Runtime, Tenant, ToolRules, mcp::ToolResult};
use innkeeper_tests::in_process::limits_for_paused_clock;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{SECOND, Toolbox, announced, happens, is_stale, tenant, tenant_with, until};

fn trusting() -> ToolRules {
    ToolRules::new().trust_idempotence_hints(true)
}

/// A server that ends at its first call.
fn mortal(annotations: Value) -> Arc<Toolbox> {
    let files = Toolbox::with(&["read"]);
    files.annotate(annotations);
    files.ends_at_calls.store(1, SeqCst);
    files
}

/// A tenant that trusts the hints of a server, and whose user alice has its tools in her catalog.
async fn trusting_tenant(files: &Arc<Toolbox>) -> (Runtime, Tenant) {
    let (runtime, acme) = tenant([("files", files.server().tool_rules(trusting()))]).await;
    acme.tools("alice").await.unwrap();
    (runtime, acme)
}

async fn call_by_catalog(tenant: &Tenant) -> Result<ToolResult, Error> {
    tenant.call_tool("alice", "files__read", &json!({ "path": "a" })).await.unwrap().start().await
}

async fn call_by_lease(tenant: &Tenant) -> Result<ToolResult, Error> {
    let lease = tenant.lease("alice", "files").await.unwrap();
    lease.call_tool("read", &json!({ "path": "a" })).unwrap().start().await
}

/// That the call reached the server once, and failed.
#[track_caller]
fn assert_made_once(outcome: Result<ToolResult, Error>, files: &Toolbox) {
    let error = outcome.unwrap_err();
    assert_eq!((error.code(), error.may_have_run()), ("server_exited", MayHaveRun::Unknown), "{error}");
    assert_eq!(files.calls(), ["read"]);
}

/// That the call reached the server twice, and has the second answer.
#[track_caller]
fn assert_made_again(outcome: Result<ToolResult, Error>, files: &Toolbox) {
    let result = outcome.unwrap();
    assert!(String::from_utf8_lossy(&result.raw).contains("read"), "{result:?}");
    assert_eq!(files.calls(), ["read", "read"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_of_a_tool_that_is_hinted_idempotent_is_made_again_where_the_rules_trust_hints() {
    for hints in [
        json!({ "readOnlyHint": true }),
        json!({ "idempotentHint": true }),
        json!({ "readOnlyHint": false, "idempotentHint": true, "destructiveHint": true }),
    ] {
        let files = mortal(hints.clone());
        let (_runtime, acme) = trusting_tenant(&files).await;
        assert_made_again(call_by_catalog(&acme).await, &files);

        let files = mortal(hints);
        let (_runtime, acme) = trusting_tenant(&files).await;
        assert_made_again(call_by_lease(&acme).await, &files);
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_made_again_once_and_no_more() {
    let files = mortal(json!({ "readOnlyHint": true }));
    files.ends_at_calls.store(3, SeqCst);
    let (_runtime, acme) = trusting_tenant(&files).await;

    let error = call_by_catalog(&acme).await.unwrap_err();

    assert_eq!((error.code(), error.may_have_run()), ("server_exited", MayHaveRun::Unknown));
    assert_eq!(files.calls(), ["read", "read"]);
}

#[tokio::test(start_paused = true)]
async fn hints_count_for_nothing_where_no_rule_trusts_them_or_one_does_not() {
    let silent = ToolRules::new;
    let distrusting = || ToolRules::new().trust_idempotence_hints(false);
    for (of_server, of_tenant) in [(silent(), silent()), (distrusting(), trusting()), (trusting(), distrusting())] {
        let files = mortal(json!({ "readOnlyHint": true, "idempotentHint": true }));
        let servers = [("files", files.server().tool_rules(of_server))];
        let (_runtime, acme) = tenant_with(limits_for_paused_clock(), of_tenant, servers).await;
        acme.tools("alice").await.unwrap();

        assert_made_once(call_by_catalog(&acme).await, &files);
    }
}

#[tokio::test(start_paused = true)]
async fn the_rules_of_a_tenant_trust_all_its_servers() {
    let files = mortal(json!({ "readOnlyHint": true }));
    let (_runtime, acme) = tenant_with(limits_for_paused_clock(), trusting(), [("files", files.server())]).await;
    acme.tools("alice").await.unwrap();

    assert_made_again(call_by_catalog(&acme).await, &files);
}

#[tokio::test(start_paused = true)]
async fn without_a_hint_a_call_is_made_once() {
    for hints in [
        Value::Null,
        json!({}),
        json!({ "readOnlyHint": false, "idempotentHint": false }),
        json!({ "destructiveHint": false }),
        json!({ "idempotentHint": "true" }),
    ] {
        let files = mortal(hints);
        let (_runtime, acme) = trusting_tenant(&files).await;

        assert_made_once(call_by_catalog(&acme).await, &files);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_caller_says_counts_more_than_any_hint() {
    for (hint, says, calls) in [(true, false, 1), (false, true, 2)] {
        let files = mortal(json!({ "idempotentHint": hint }));
        let (_runtime, acme) = trusting_tenant(&files).await;

        let call = acme.call_tool("alice", "files__read", &json!({})).await.unwrap();
        let outcome = call.idempotent(says).start().await;

        assert_eq!((outcome.is_ok(), files.calls().len()), (calls == 2, calls));
    }
}

#[tokio::test(start_paused = true)]
async fn a_hint_of_which_no_catalog_knows_counts_for_nothing() {
    let files = mortal(json!({ "readOnlyHint": true }));
    let (_runtime, acme) = tenant([("files", files.server().tool_rules(trusting()))]).await;

    assert_made_once(call_by_lease(&acme).await, &files);
    assert_eq!(files.lists(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_hint_that_was_taken_back_counts_for_nothing() {
    let files = mortal(json!({ "idempotentHint": true }));
    let (_runtime, acme) = trusting_tenant(&files).await;

    files.annotate(json!({ "idempotentHint": false }));
    announced(&acme, "files", 1).await;
    until(&acme, |tools| !is_stale(tools)).await;

    assert_made_once(call_by_catalog(&acme).await, &files);
}

#[tokio::test(start_paused = true)]
async fn a_hint_that_is_stale_when_the_connection_is_lost_counts_for_nothing() {
    let files = mortal(json!({ "idempotentHint": true }));
    files.may_answer.forget_permits(Semaphore::MAX_PERMITS);
    let (_runtime, acme) = trusting_tenant(&files).await;
    files.list_only(0);
    announced(&acme, "files", 1).await;
    assert!(is_stale(&acme.tools("alice").await.unwrap()));

    let call = tokio::spawn(async move { call_by_catalog(&acme).await });
    happens(|| !files.calls().is_empty()).await;
    files.may_answer.add_permits(1);

    assert_made_once(call.await.unwrap(), &files);
}

#[tokio::test(start_paused = true)]
async fn a_hint_that_was_stale_when_the_call_was_made_counts_once_the_server_has_said_it_again() {
    let files = mortal(json!({ "idempotentHint": true }));
    files.may_answer.forget_permits(Semaphore::MAX_PERMITS);
    let (_runtime, acme) = trusting_tenant(&files).await;
    acme.close(SECOND).await;

    // The session is opened anew, and its server is asked for its tools, because it may be another version.
    files.list_only(0);
    let prepared = acme.call_tool("alice", "files__read", &json!({})).await.unwrap();
    happens(|| files.lists() >= 2).await;
    assert!(is_stale(&acme.tools("alice").await.unwrap()));
    let call = prepared.start();
    files.may_list.add_permits(10);
    until(&acme, |tools| !is_stale(tools)).await;
    files.may_answer.add_permits(2);

    assert_made_again(call.await, &files);
}

#[tokio::test(start_paused = true)]
async fn a_hint_that_is_taken_back_while_a_call_is_under_way_counts_for_nothing() {
    let files = mortal(json!({ "idempotentHint": true }));
    files.announces_at_calls.store(true, SeqCst);
    let (_runtime, acme) = trusting_tenant(&files).await;

    assert_made_once(call_by_catalog(&acme).await, &files);
}

#[tokio::test(start_paused = true)]
async fn a_hint_that_comes_while_a_call_is_under_way_is_not_for_that_call() {
    let files = mortal(json!({ "idempotentHint": true }));
    files.may_answer.forget_permits(Semaphore::MAX_PERMITS);
    let (_runtime, acme) = tenant([("files", files.server().tool_rules(trusting()))]).await;
    let lease = acme.lease("alice", "files").await.unwrap();
    let listing = tokio::spawn({
        let acme = acme.clone();
        async move { acme.tools("alice").await.unwrap() }
    });
    files.list_only(0);
    happens(|| files.lists() > 0).await;

    // The server has it behind the question, and answers that first.
    let call = lease.call_tool("read", &json!({})).unwrap().start();
    files.may_list.add_permits(1);
    assert!(!is_stale(&listing.await.unwrap()));
    files.may_answer.add_permits(1);

    assert_made_once(call.await, &files);
}
