//! Reloads that fail, that follow one another, and servers of which there may be only one at a time.

use std::time::Duration;

use innkeeper::{Catalog, Error, Reloaded, Replace, Scope};
use tokio::time::{Instant, sleep};

use super::{AT_ONCE, Edition, SECOND, acme, answers, house, only};

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_be_opened_stays_as_it_was_and_is_tried_again_until_it_can() {
    let (old, new) = (Edition::new("old", AT_ONCE), Edition::new("new", AT_ONCE).fails(6));
    let runtime = house().await;
    let tenant = acme(&runtime, only(&old)).await;
    answers(&tenant, "alice").await;

    let report = tenant.reload(only(&new)).await.unwrap();
    let meanwhile = answers(&tenant, "alice").await;
    let first_tries = new.connections();
    sleep(Duration::from_secs(120)).await;

    assert!(
        matches!(&report.servers[0].outcome, Reloaded::Kept { reason } if reason.contains("does not want")),
        "{report}"
    );
    assert_eq!((meanwhile.as_str(), first_tries), ("old", 1));
    assert_eq!(answers(&tenant, "alice").await, "new");
    assert_eq!((new.connections(), old.connections()), (7, 1));
    assert_eq!(runtime.status().sessions.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_opens_is_tried_less_and_less_often() {
    let (old, new) = (Edition::new("old", AT_ONCE), Edition::new("new", AT_ONCE).fails(usize::MAX));
    let runtime = house().await;
    let tenant = acme(&runtime, only(&old)).await;
    answers(&tenant, "alice").await;

    let report = tenant.reload(only(&new)).await.unwrap();
    sleep(Duration::from_secs(3600)).await;

    assert_eq!(report.kept().count(), 1);
    // Once a minute at most, and half a minute at least.
    assert!((60..140).contains(&new.connections()), "{} tries in an hour", new.connections());
    assert_eq!(answers(&tenant, "alice").await, "old");
}

#[tokio::test(start_paused = true)]
async fn edits_during_a_reload_end_with_the_last_and_leave_nothing_of_the_others() {
    let runtime = house().await;
    let old = Edition::new("old", AT_ONCE);
    let tenant = acme(&runtime, only(&old)).await;
    answers(&tenant, "alice").await;
    let editions: Vec<_> = (0..10).map(|_| Edition::new("edit", 5 * SECOND)).collect();
    let last = Edition::new("last", SECOND);

    let mut reloads = Vec::new();
    for edition in editions.iter().chain([&last]) {
        let (tenant, catalog) = (tenant.clone(), only(edition));
        reloads.push(tokio::spawn(async move { tenant.reload(catalog).await }));
        sleep(SECOND).await;
    }
    for reload in reloads {
        let report = reload.await.unwrap().unwrap();
        assert_eq!(report.servers[0].outcome, Reloaded::Replaced { opened: 1, unopened: 0 }, "{report}");
    }
    sleep(10 * SECOND).await;

    assert_eq!(answers(&tenant, "alice").await, "last");
    assert!(editions.iter().all(|edition| edition.open() == 0));
    assert_eq!((last.open(), runtime.status().sessions.len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_is_taken_back_while_it_cannot_be_opened_changes_nothing() {
    let (old, new) = (Edition::new("old", AT_ONCE), Edition::new("new", AT_ONCE).fails(usize::MAX));
    let runtime = house().await;
    let tenant = acme(&runtime, only(&old)).await;
    answers(&tenant, "alice").await;

    let kept = tenant.reload(only(&new)).await.unwrap();
    let back = tenant.reload(only(&old)).await.unwrap();
    let tries = new.connections();
    sleep(Duration::from_secs(600)).await;

    assert_eq!((kept.kept().count(), back.kept().count()), (1, 0));
    assert_eq!((new.connections(), old.connections()), (tries, 1));
}

/// The same server, of which there may be one at a time.
fn alone(edition: &Edition) -> Catalog {
    Catalog::new().server("server", edition.server().replace(Replace::After))
}

#[tokio::test(start_paused = true)]
async fn where_one_is_to_come_after_the_other_there_are_never_two_and_whoever_leases_waits() {
    let (old, new) = (Edition::new("old", AT_ONCE), Edition::new("new", SECOND));
    let runtime = house().await;
    let tenant = acme(&runtime, alone(&old)).await;
    let lease = tenant.lease("alice", "server").await.unwrap();
    let call = lease.call("slow").deadline(Duration::from_secs(60)).start();

    let reload = tokio::spawn({
        let (tenant, catalog) = (tenant.clone(), alone(&new));
        async move { tenant.reload(catalog).await }
    });
    sleep(10 * SECOND).await;
    let waits = tokio::spawn({
        let tenant = tenant.clone();
        async move { answers(&tenant, "alice").await }
    });
    sleep(10 * SECOND).await;
    let opened_early = new.connections();
    let result = call.await.unwrap();
    drop(lease);
    let report = reload.await.unwrap().unwrap();

    assert_eq!((opened_early, &result[..]), (0, &b"\"old\""[..]));
    assert_eq!(report.servers[0].outcome, Reloaded::Replaced { opened: 1, unopened: 0 });
    assert_eq!(waits.await.unwrap(), "new");
    assert_eq!((old.open(), new.connections()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn where_the_one_that_is_to_come_after_cannot_be_opened_the_one_before_is_opened_again() {
    let (old, new) = (Edition::new("old", AT_ONCE), Edition::new("new", AT_ONCE).fails(1));
    let runtime = house().await;
    let tenant = acme(&runtime, alone(&old)).await;
    answers(&tenant, "alice").await;

    let report = tenant.reload(alone(&new)).await.unwrap();
    let meanwhile = answers(&tenant, "alice").await;
    sleep(Duration::from_secs(60)).await;

    assert_eq!(report.kept().count(), 1, "{report}");
    assert_eq!(meanwhile, "old");
    assert_eq!(answers(&tenant, "alice").await, "new");
    assert_eq!(old.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_server_to_be_replaced_waits_no_longer_than_for_a_session_to_open() {
    let (old, new) = (Edition::new("old", AT_ONCE), Edition::new("new", AT_ONCE));
    let runtime = house().await;
    let tenant = acme(&runtime, alone(&old)).await;
    let _held = tenant.lease("alice", "server").await.unwrap();
    let reload = tokio::spawn({
        let (tenant, catalog) = (tenant.clone(), alone(&new));
        async move { tenant.reload(catalog).await }
    });
    sleep(SECOND).await;
    let began = Instant::now();

    let error = tenant.lease("bob", "server").await.unwrap_err();

    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert_eq!(began.elapsed(), runtime.limits().open);
    reload.abort();
}

#[tokio::test(start_paused = true)]
async fn leases_taken_all_the_time_see_one_edition_or_the_other_and_no_error() {
    let runtime = house().await;
    let editions: Vec<_> = (0..30).map(|_| Edition::new("edition", Duration::from_millis(30))).collect();
    let tenant = acme(&runtime, only(&editions[0])).await;
    let users: Vec<_> = (0..8)
        .map(|user| {
            let tenant = tenant.clone();
            tokio::spawn(async move {
                let mut calls = 0;
                let until = Instant::now() + Duration::from_secs(20);
                while Instant::now() < until {
                    assert_eq!(answers(&tenant, &format!("user-{user}")).await, "edition");
                    calls += 1;
                    sleep(Duration::from_millis(7)).await;
                }
                calls
            })
        })
        .collect();

    for edition in &editions[1..] {
        let report = tenant.reload(only(edition)).await.unwrap();
        assert_eq!(report.kept().count(), 0, "{report}");
        sleep(Duration::from_millis(100)).await;
    }

    for user in users {
        assert!(user.await.unwrap() > 1_000);
    }
    let (last, others) = editions.split_last().unwrap();
    assert_eq!((last.open(), runtime.status().sessions.len()), (8, 8));
    assert!(others.iter().all(|edition| edition.open() == 0));
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_overtakes_another_while_the_old_session_is_held_leaves_never_two() {
    let (old, passed, last) =
        (Edition::new("old", AT_ONCE), Edition::new("passed", AT_ONCE), Edition::new("last", AT_ONCE));
    let runtime = house().await;
    let tenant = acme(&runtime, alone(&old)).await;
    let lease = tenant.lease("alice", "server").await.unwrap();

    let mut reloads = Vec::new();
    for edition in [&passed, &last] {
        let (tenant, catalog) = (tenant.clone(), alone(edition));
        reloads.push(tokio::spawn(async move { tenant.reload(catalog).await }));
        sleep(SECOND).await;
    }
    sleep(10 * SECOND).await;
    let opened_early = (passed.connections(), last.connections());
    // It is held to the deadline, and closed then.
    sleep(runtime.limits().drain).await;

    assert_eq!(opened_early, (0, 0));
    assert!(lease.check().is_err());
    for reload in reloads {
        assert!(reload.await.unwrap().unwrap().is_in_force());
    }
    assert_eq!(answers(&tenant, "alice").await, "last");
    assert_eq!((old.open(), passed.connections(), last.open()), (0, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn an_edit_of_something_else_while_sessions_are_replaced_leaves_none_of_the_old_behind() {
    let (old, new) = (Edition::new("old", AT_ONCE), Edition::new("new", 5 * SECOND));
    let runtime = house().await;
    let tenant = acme(&runtime, only(&old)).await;
    let mut held = Vec::new();
    for user in 0..40 {
        held.push(tenant.lease(format!("user-{user}"), "server").await.unwrap());
    }
    let reload = tokio::spawn({
        let (tenant, catalog) = (tenant.clone(), only(&new));
        async move { tenant.reload(catalog).await }
    });
    // The first is open, the others are being opened.
    sleep(7 * SECOND).await;

    let ruled = new.server().tool_rules(innkeeper::ToolRules::new().deny("secret"));
    let report = tenant.reload(Catalog::new().server("server", ruled)).await.unwrap();
    sleep(runtime.limits().drain + 10 * SECOND).await;

    assert!(report.is_in_force() && reload.await.unwrap().unwrap().is_in_force());
    assert!(held.iter().all(|lease| lease.check().is_err()));
    assert_eq!(old.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_shares_a_session_may_be_another_matter_after_an_edit() {
    for (before, after) in [
        (Scope::Tenant, Scope::User),
        (Scope::User, Scope::Tenant),
        (Scope::User, Scope::Exclusive),
        (Scope::Exclusive, Scope::User),
    ] {
        let edition = Edition::new("same", AT_ONCE);
        let catalog = |scope| Catalog::new().server("server", edition.server().scope(scope));
        let runtime = house().await;
        let tenant = acme(&runtime, catalog(before)).await;
        answers(&tenant, "alice").await;
        answers(&tenant, "bob").await;

        let report = tenant.reload(catalog(after)).await.unwrap();
        answers(&tenant, "alice").await;
        sleep(10 * SECOND).await;

        assert!(report.is_in_force(), "{before:?} to {after:?}: {report}");
        // Nothing is opened that nobody can have.
        let sessions = runtime.status().sessions.len();
        let expected = match after {
            Scope::Tenant => 1,
            Scope::User => 1,
            _ => 0,
        };
        assert_eq!((sessions, edition.open()), (expected, expected), "{before:?} to {after:?}");
    }
}
