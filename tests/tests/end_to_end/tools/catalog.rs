//! What is in a catalog, and what making one costs: servers are asked once, at a time, and none takes anything from another.

use std::sync::{Arc, atomic::Ordering::SeqCst};

use futures_util::future::join_all;
use innkeeper::{
    Catalog, Error, MayHaveRun, Server, ToolRules,
    transport::{Connection, Framing, connector_fn},
};
use innkeeper_tests::in_process::{Pipes, limits_for_paused_clock, silent};
use tokio::time::{Instant, sleep, timeout};

use super::{SECOND, Toolbox, is_stale, names, tenant, tenant_with};

#[tokio::test(start_paused = true)]
async fn the_tools_of_all_servers_are_one_catalog_under_names_that_are_safe_for_models() {
    let (github, time) = (Toolbox::with(&["search", "issues.get"]), Toolbox::with(&["now"]));
    let (_runtime, acme) = tenant([("github", github.server()), ("my time", time.server())]).await;

    let tools = acme.tools("alice").await.unwrap();

    assert_eq!(names(&tools), ["github__issues_get", "github__search", "my_time__now"]);
    let tool = tools.get("github__issues_get").unwrap();
    assert_eq!((tool.server.as_str(), tool.tool.name.as_str()), ("github", "issues.get"));
    assert_eq!(tool.description(), Some("issues.get of the server"));
    assert!(tools.get("issues.get").is_none() && tools.unavailable().len() == 0 && !is_stale(&tools));
}

#[tokio::test(start_paused = true)]
async fn a_catalog_outlives_the_sessions_that_it_came_from_and_opens_none() {
    let github = Toolbox::with(&["search"]);
    let (runtime, acme) = tenant([("github", github.server())]).await;
    let before = acme.tools("alice").await.unwrap();

    sleep(1000 * SECOND).await;
    assert!(runtime.status().sessions.is_empty());
    let after = acme.tools("alice").await.unwrap();

    assert!(Arc::ptr_eq(&before, &after) && !is_stale(&after));
    assert_eq!((github.lists(), github.connections()), (1, 1));
    assert!(runtime.status().sessions.is_empty());
}

#[tokio::test(start_paused = true)]
async fn however_many_ask_at_a_time_a_server_is_asked_once() {
    let github = Toolbox::with(&["search"]);
    let (_runtime, acme) = tenant([("github", github.server())]).await;

    let catalogs = join_all((0..20).map(|_| acme.tools("alice"))).await;

    let generations: Vec<_> = catalogs.into_iter().map(|tools| tools.unwrap().generation()).collect();
    assert!(generations.iter().all(|generation| *generation == generations[0]));
    assert_eq!(github.lists(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_server_that_fails_hides_no_other_and_is_asked_again_the_next_time() {
    let (github, broken) = (Toolbox::with(&["search"]), Toolbox::with(&["mend"]));
    broken.refuses.store(true, SeqCst);
    let nowhere = Server::url("http://localhost:1");
    let (_runtime, acme) =
        tenant([("broken", broken.server()), ("github", github.server()), ("nowhere", nowhere)]).await;

    let tools = acme.tools("alice").await.unwrap();
    let unavailable: Vec<_> = tools.unavailable().map(|(name, error)| (name.to_string(), error.code())).collect();
    broken.refuses.store(false, SeqCst);
    let mended = acme.tools("alice").await.unwrap();

    assert_eq!(names(&tools), ["github__search"]);
    assert_eq!(unavailable, [("broken".into(), "server_error"), ("nowhere".into(), "unavailable")]);
    assert_eq!(names(&mended), ["broken__mend", "github__search"]);
    assert!(mended.generation() > tools.generation());
    assert_eq!((github.lists(), broken.lists()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_call_of_a_tool_whose_server_fails_says_how_and_not_that_there_is_no_such_tool() {
    let (github, broken) = (Toolbox::with(&["search"]), Toolbox::with(&["mend"]));
    broken.refuses.store(true, SeqCst);
    let rules = ToolRules::new().rename("glue", "repair");
    let servers = [("broken", broken.server().tool_rules(rules)), ("github", github.server())];
    let (_runtime, acme) = tenant(servers).await;
    let code = async |name: &str| {
        let called = acme.call_tool("alice", name, &serde_json::json!({})).await;
        called.err().map(|error| (error.code(), error.may_have_run()))
    };

    let failed = [code("broken__mend").await, code("repair").await];
    let unknown = [code("github__mend").await, code("made_up").await];
    broken.refuses.store(false, SeqCst);
    let mended = code("broken__mend").await;

    assert_eq!(failed, [Some(("unavailable", MayHaveRun::No)); 2]);
    assert_eq!(unknown, [Some(("not_found", MayHaveRun::No)); 2]);
    assert_eq!(mended, None);
}

#[tokio::test(start_paused = true)]
async fn servers_are_asked_at_a_time_and_one_that_hangs_costs_its_own_limit_and_no_more() {
    let (github, time) = (Toolbox::with(&["search"]), Toolbox::with(&["now"]));
    let hanging = || Server::connector(silent());
    let (_runtime, acme) = tenant([
        ("a", hanging().open_timeout(5 * SECOND)),
        ("b", hanging().open_timeout(7 * SECOND)),
        ("github", github.server()),
        ("time", time.server()),
    ])
    .await;
    let began = Instant::now();

    let tools = acme.tools("alice").await.unwrap();

    assert_eq!(began.elapsed().as_secs(), 7);
    assert_eq!(names(&tools), ["github__search", "time__now"]);
    assert!(tools.unavailable().all(|(_, error)| matches!(error, Error::Timeout { .. })));
    assert_eq!(tools.unavailable().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_costs_the_limit_of_a_call() {
    let (github, slow) = (Toolbox::with(&["search"]), Toolbox::with(&["wait"]));
    slow.list_only(0);
    let (_runtime, acme) =
        tenant([("github", github.server()), ("slow", slow.server().call_timeout(3 * SECOND))]).await;
    let began = Instant::now();

    let tools = acme.tools("alice").await.unwrap();

    assert_eq!(began.elapsed().as_secs(), 3);
    assert_eq!((names(&tools), tools.unavailable().len()), (vec!["github__search"], 1));
}

#[tokio::test(start_paused = true)]
async fn who_stops_waiting_does_not_lose_the_answer_for_others() {
    let github = Toolbox::with(&["search"]);
    github.list_only(0);
    let (_runtime, acme) = tenant([("github", github.server())]).await;

    let given_up = timeout(SECOND, acme.tools("alice")).await;
    let waiting = tokio::spawn({
        let acme = acme.clone();
        async move { acme.tools("alice").await.unwrap().generation() }
    });
    github.may_list.add_permits(1);

    assert!(given_up.is_err());
    assert_eq!(waiting.await.unwrap(), acme.tools("alice").await.unwrap().generation());
    assert_eq!(github.lists(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_users_share_neither_a_list_nor_a_catalog() {
    // Each user has a tool of their own, as a server has that knows who asks.
    let server = Server::connector(connector_fn("a server of each user", |context| {
        let (ours, theirs) = Pipes::pair();
        let tool = format!("of_{}", context.user.unwrap());
        tokio::spawn(Toolbox::with(&[&tool]).serve(theirs));
        async move {
            let (reader, writer) = tokio::io::split(ours);
            Ok(Connection::new(reader, writer, Framing::Lines))
        }
    }));
    let (runtime, acme) = tenant([("s", server)]).await;

    let alice = acme.tools("alice").await.unwrap();
    let bob = acme.tools("bob").await.unwrap();

    assert_eq!((names(&alice), names(&bob)), (vec!["s__of_alice"], vec!["s__of_bob"]));
    assert_ne!(alice.generation(), bob.generation());
    assert_eq!(acme.call_tool("bob", "s__of_alice", &serde_json::json!({})).await.err().unwrap().code(), "not_found");
    assert_eq!(runtime.status().sessions.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn more_lists_than_a_tenant_may_keep_are_asked_for_again() {
    let github = Toolbox::with(&["search"]);
    let mut limits = limits_for_paused_clock();
    limits.tool_lists = 1;
    let (_runtime, acme) = tenant_with(limits, ToolRules::new(), [("github", github.server())]).await;

    let first = acme.tools("alice").await.unwrap();
    acme.tools("bob").await.unwrap();
    let again = acme.tools("alice").await.unwrap();

    assert_eq!((names(&first), github.lists()), (names(&again), 3));
    assert!(again.generation() > first.generation());
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_larger_than_all_may_be_is_not_kept_and_said_to_be_too_large() {
    let (github, large) = (Toolbox::with(&["search"]), Toolbox::with(&[&"x".repeat(2000)]));
    let mut limits = limits_for_paused_clock();
    limits.tool_list_bytes = 1000;
    let (_runtime, acme) =
        tenant_with(limits, ToolRules::new(), [("github", github.server()), ("large", large.server())]).await;

    let tools = acme.tools("alice").await.unwrap();

    assert_eq!(names(&tools), ["github__search"]);
    let (server, error) = tools.unavailable().next().unwrap();
    assert_eq!((server.as_str(), error.code()), ("large", "too_large"));
    assert!(error.to_string().contains("`Limits::tool_list_bytes`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_is_made_anew_goes_on_with_the_generations_of_the_old() {
    let github = Toolbox::with(&["search"]);
    let (runtime, old) = tenant([("github", github.server())]).await;
    let before = old.tools("alice").await.unwrap().generation();
    drop(old);

    let catalog = Catalog::new().server("github", github.server());
    let new = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();

    assert!(new.tools("alice").await.unwrap().generation() > before);
    assert_eq!(github.lists(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_is_closed_has_no_catalogs_any_more() {
    let github = Toolbox::with(&["search"]);
    let (runtime, acme) = tenant([("github", github.server())]).await;
    acme.tools("alice").await.unwrap();

    runtime.drain(SECOND).await;

    assert_eq!(acme.tools("alice").await.unwrap_err().code(), "closing");
    let call = acme.call_tool("alice", "github__search", &serde_json::json!({})).await;
    assert_eq!(call.err().unwrap().code(), "closing");
}
