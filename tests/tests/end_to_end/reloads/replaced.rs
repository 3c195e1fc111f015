//! What a reload touches, and what it leaves alone.

use std::time::Duration;

use innkeeper::{Catalog, Error, Reloaded, Server, ToolRules};
use tokio::time::{Instant, sleep};

use super::{AT_ONCE, Edition, SECOND, acme, answers, house, only};

#[tokio::test(start_paused = true)]
async fn what_is_the_same_keeps_its_connection() {
    let (runtime, edition) = (house().await, Edition::new("first", AT_ONCE));
    let tenant = acme(&runtime, only(&edition)).await;
    let lease = tenant.lease("alice", "server").await.unwrap();
    let rules = ToolRules::new().deny("secret");

    let same = tenant.reload(only(&edition)).await.unwrap();
    let ruled = tenant.reload(Catalog::new().server("server", edition.server().tool_rules(rules))).await.unwrap();

    assert_eq!(same.servers[0].outcome, Reloaded::Unchanged);
    assert_eq!(ruled.servers[0].outcome, Reloaded::Updated);
    assert_eq!((edition.connections(), lease.info().incarnation), (1, 1));
    // The rules are in force for the lease that was taken before.
    let denied = lease.call_tool("secret", &serde_json::json!({})).map(drop).unwrap_err();
    assert_eq!(denied.code(), "denied");
}

#[tokio::test(start_paused = true)]
async fn a_call_in_flight_finishes_on_the_old_session_while_new_leases_get_the_new_one() {
    let (old, new) = (Edition::new("old", AT_ONCE), Edition::new("new", AT_ONCE));
    let runtime = house().await;
    let tenant = acme(&runtime, only(&old)).await;
    let lease = tenant.lease("alice", "server").await.unwrap();
    let call = lease.call("slow").start();

    let report = tenant.reload(only(&new)).await.unwrap();
    let now = answers(&tenant, "alice").await;

    assert_eq!(report.servers[0].outcome, Reloaded::Replaced { opened: 1, unopened: 0 });
    assert_eq!(now, "new");
    assert_eq!(&call.await.unwrap()[..], b"\"old\"");
    assert_eq!((old.open(), new.open()), (1, 1));
    drop(lease);
    sleep(SECOND).await;
    assert_eq!((old.open(), old.connections(), new.connections()), (0, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_reload_returns_when_the_new_session_is_open() {
    let (old, new) = (Edition::new("old", AT_ONCE), Edition::new("new", 5 * SECOND));
    let runtime = house().await;
    let tenant = acme(&runtime, only(&old)).await;
    answers(&tenant, "alice").await;

    let report = tenant.reload(only(&new)).await.unwrap();
    let began = Instant::now();
    let now = answers(&tenant, "alice").await;

    assert_eq!((now.as_str(), began.elapsed()), ("new", AT_ONCE), "{report}");
}

#[tokio::test(start_paused = true)]
async fn while_the_new_session_is_being_opened_the_old_one_is_leased() {
    let (old, new) = (Edition::new("old", AT_ONCE), Edition::new("new", 5 * SECOND));
    let runtime = house().await;
    let tenant = acme(&runtime, only(&old)).await;
    answers(&tenant, "alice").await;

    let reload = tokio::spawn({
        let (tenant, new) = (tenant.clone(), only(&new));
        async move { tenant.reload(new).await }
    });
    sleep(SECOND).await;
    let (began, meanwhile) = (Instant::now(), answers(&tenant, "alice").await);

    assert_eq!((meanwhile.as_str(), began.elapsed()), ("old", AT_ONCE));
    assert!(reload.await.unwrap().unwrap().is_in_force());
    assert_eq!(answers(&tenant, "alice").await, "new");
}

#[tokio::test(start_paused = true)]
async fn who_holds_an_old_session_for_too_long_loses_it() {
    let (old, new) = (Edition::new("old", AT_ONCE), Edition::new("new", AT_ONCE));
    let runtime = house().await;
    let tenant = acme(&runtime, only(&old)).await;
    let lease = tenant.lease("alice", "server").await.unwrap();

    assert!(tenant.reload(only(&new)).await.unwrap().is_in_force());
    sleep(runtime.limits().drain - SECOND).await;
    let in_time = lease.call("which").start().await;
    sleep(2 * SECOND).await;
    let too_late = lease.call("which").start().await;

    assert_eq!(&in_time.unwrap()[..], b"\"old\"");
    assert!(matches!(too_late, Err(Error::Closing { .. })), "{too_late:?}");
    sleep(10 * SECOND).await;
    assert_eq!(old.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn every_user_has_a_new_session_and_nobody_the_one_of_another() {
    let (old, new) = (Edition::new("old", AT_ONCE), Edition::new("new", SECOND));
    let runtime = house().await;
    let tenant = acme(&runtime, only(&old)).await;
    for user in 0..40 {
        answers(&tenant, &format!("user-{user}")).await;
    }
    let began = Instant::now();

    let report = tenant.reload(only(&new)).await.unwrap();
    // One first, then sixteen at a time.
    let took = began.elapsed();
    sleep(10 * SECOND).await;

    assert_eq!(report.servers[0].outcome, Reloaded::Replaced { opened: 40, unopened: 0 });
    assert_eq!(took.as_secs(), 1 + 3);
    assert_eq!((old.open(), new.open(), runtime.status().sessions.len()), (0, 40, 40));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_gone_from_the_catalog_is_left_to_those_who_hold_its_sessions() {
    let edition = Edition::new("old", AT_ONCE);
    let runtime = house().await;
    let ruled = edition.server().tool_rules(ToolRules::new().deny("secret"));
    let tenant = acme(&runtime, Catalog::new().server("server", ruled)).await;
    let lease = tenant.lease("alice", "server").await.unwrap();

    let report = tenant.reload(Catalog::new()).await.unwrap();
    let refused = tenant.lease("bob", "server").await.unwrap_err();

    assert_eq!(report.servers[0].outcome, Reloaded::Removed { sessions: 1 });
    assert!(matches!(refused, Error::NotFound { .. }), "{refused}");
    assert_eq!(&lease.call("which").start().await.unwrap()[..], b"\"old\"");
    // What was denied is so to the end.
    assert!(lease.call_tool("secret", &serde_json::json!({})).is_err());
    drop(lease);
    sleep(SECOND).await;
    assert_eq!(edition.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_tools_of_a_server_that_was_replaced_are_those_of_the_new_one() {
    let (old, new) = (Edition::new("old", AT_ONCE), Edition::new("new", AT_ONCE));
    let runtime = house().await;
    let tenant = acme(&runtime, only(&old)).await;
    let before = tenant.tools("alice").await.unwrap();

    assert!(tenant.reload(only(&new)).await.unwrap().is_in_force());
    let after = tenant.tools("alice").await.unwrap();
    assert!(tenant.reload(Catalog::new()).await.unwrap().is_in_force());
    let none = tenant.tools("alice").await.unwrap();

    assert!(before.get("server__old").is_some() && after.get("server__new").is_some(), "{after:?}");
    assert!(after.get("server__old").is_none() && none.tools().is_empty());
    assert!(before.generation() < after.generation() && after.generation() < none.generation());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_no_good_changes_nothing_and_neither_does_what_policy_denies() {
    let (old, new) = (Edition::new("old", AT_ONCE), Edition::new("new", AT_ONCE));
    let runtime = house().await;
    let tenant = acme(&runtime, only(&old)).await;
    let nameless = ToolRules::new().rename("a", "not a name");

    let unruly = tenant.reload(Catalog::new().server("server", new.server().tool_rules(nameless))).await;
    let brought = tenant.reload_untrusted(Catalog::new().server("own", Server::command("/bin/sh"))).await;

    assert!(matches!(unruly, Err(Error::InvalidInput { .. })), "{unruly:?}");
    assert!(matches!(brought, Err(Error::Denied { .. })), "{brought:?}");
    assert_eq!(answers(&tenant, "alice").await, "old");
    assert_eq!(tenant.catalog().servers().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_wait_for_a_reload_has_it_all_the_same() {
    let (old, new) = (Edition::new("old", AT_ONCE), Edition::new("new", 5 * SECOND));
    let runtime = house().await;
    let tenant = acme(&runtime, only(&old)).await;
    answers(&tenant, "alice").await;

    let impatient = tokio::time::timeout(SECOND, tenant.reload(only(&new))).await;
    sleep(10 * SECOND).await;

    assert!(impatient.is_err());
    assert_eq!(answers(&tenant, "alice").await, "new");
}

#[tokio::test(start_paused = true)]
async fn servers_are_replaced_beside_each_other_and_a_slow_one_delays_none() {
    let (slow, quick) = (Edition::new("slow", 20 * SECOND), Edition::new("quick", SECOND));
    let old = Edition::new("old", AT_ONCE);
    let runtime = house().await;
    let catalog =
        |one: &Edition, two: &Edition| Catalog::new().server("one", one.server()).server("server", two.server());
    let tenant = acme(&runtime, catalog(&old, &old)).await;
    drop(tenant.lease("alice", "one").await.unwrap());
    answers(&tenant, "alice").await;
    let began = Instant::now();

    let reload = tokio::spawn({
        let (tenant, catalog) = (tenant.clone(), catalog(&slow, &quick));
        async move { tenant.reload(catalog).await }
    });
    sleep(2 * SECOND).await;
    let early = answers(&tenant, "alice").await;
    let report = reload.await.unwrap().unwrap();

    assert_eq!(early, "quick");
    assert_eq!(began.elapsed(), Duration::from_secs(20), "{report}");
}

#[tokio::test(start_paused = true)]
async fn the_rules_of_a_definition_bind_the_sessions_that_were_opened_with_it_to_their_end() {
    let (old, new) = (Edition::new("old", AT_ONCE), Edition::new("new", AT_ONCE));
    let runtime = house().await;
    let strict = old.server().tool_rules(ToolRules::new().deny("secret"));
    let tenant = acme(&runtime, Catalog::new().server("server", strict)).await;
    let before = tenant.lease("alice", "server").await.unwrap();

    let report = tenant.reload(only(&new)).await.unwrap();
    let after = tenant.lease("alice", "server").await.unwrap();
    let secret = |lease: &innkeeper::Lease| lease.call_tool("secret", &serde_json::json!({})).map(drop);

    assert!(report.is_in_force());
    assert!(secret(&before).is_err());
    assert!(secret(&after).is_ok());
}
