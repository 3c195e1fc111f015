//! What a server says to have changed is asked for again: in the background, on its session, and not more often than needed.

use std::sync::atomic::Ordering::SeqCst;

use tokio::time::{sleep, timeout};

use super::{SECOND, Toolbox, announced, happens, is_stale, names, tenant, until};

#[tokio::test(start_paused = true)]
async fn what_a_server_announces_is_asked_for_on_the_same_session_and_the_generation_grows() {
    let github = Toolbox::with(&["search"]);
    let (_runtime, acme) = tenant([("github", github.server())]).await;
    let before = acme.tools("alice").await.unwrap();

    github.set(&["search", "merge"]);
    announced(&acme, "github", 1).await;
    let after = until(&acme, |tools| !is_stale(tools)).await;

    assert_eq!(names(&after), ["github__merge", "github__search"]);
    assert!(after.generation() > before.generation());
    assert_eq!((github.lists(), github.connections()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn until_the_answer_is_there_the_tools_are_stale_and_nobody_waits() {
    let (github, time) = (Toolbox::with(&["search"]), Toolbox::with(&["now"]));
    let (_runtime, acme) = tenant([("github", github.server()), ("time", time.server())]).await;
    let before = acme.tools("alice").await.unwrap();

    github.list_only(0);
    github.set(&["find"]);
    announced(&acme, "github", 1).await;
    let meanwhile = timeout(SECOND, acme.tools("alice")).await.expect("nobody waits").unwrap();
    github.may_list.add_permits(1);
    let after = until(&acme, |tools| !is_stale(tools)).await;

    assert_eq!(names(&meanwhile), names(&before));
    assert_eq!(meanwhile.generation(), before.generation());
    let stale: Vec<_> = meanwhile.tools().iter().map(|tool| (tool.server.as_str(), tool.stale)).collect();
    assert_eq!(stale, [("github", true), ("time", false)]);
    assert_eq!(names(&after), ["github__find", "time__now"]);
    assert_eq!((github.lists(), time.lists()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_announcements_has_the_server_asked_twice_at_most() {
    let github = Toolbox::with(&["search"]);
    let (_runtime, acme) = tenant([("github", github.server())]).await;
    acme.tools("alice").await.unwrap();

    github.set(&["find"]);
    announced(&acme, "github", 100).await;
    let after = until(&acme, |tools| !is_stale(tools)).await;
    sleep(60 * SECOND).await;

    assert_eq!(names(&after), ["github__find"]);
    assert!((2..=3).contains(&github.lists()), "{}", github.lists());
}

#[tokio::test(start_paused = true)]
async fn an_announcement_while_the_first_list_is_on_its_way_is_not_lost() {
    let github = Toolbox::with(&["search"]);
    github.announces_always.store(true, SeqCst);
    github.list_only(0);
    let (_runtime, acme) = tenant([("github", github.server())]).await;

    let (first, ()) = tokio::join!(acme.tools("alice"), async {
        // The server has said that there is a change, and answers with what was before.
        happens(|| github.lists() > 0).await;
        github.announces_always.store(false, SeqCst);
        github.set(&["find"]);
        github.may_list.add_permits(2);
    });
    let first = first.unwrap();
    let after = until(&acme, |tools| !is_stale(tools)).await;

    assert_eq!((names(&first), is_stale(&first)), (vec!["github__search"], true));
    assert_eq!((names(&after), github.lists()), (vec!["github__find"], 2));
}

#[tokio::test(start_paused = true)]
async fn a_change_to_the_same_is_none() {
    let github = Toolbox::with(&["search", "find"]);
    let (_runtime, acme) = tenant([("github", github.server())]).await;
    let before = acme.tools("alice").await.unwrap();

    github.set(&["find", "search"]);
    announced(&acme, "github", 1).await;
    let after = until(&acme, |tools| !is_stale(tools)).await;

    assert_eq!(github.lists(), 2);
    assert_eq!(after.generation(), before.generation());
}

#[tokio::test(start_paused = true)]
async fn where_asking_again_fails_the_old_list_stays_stale_and_the_next_catalog_has_it_tried_again() {
    let github = Toolbox::with(&["search"]);
    let (_runtime, acme) = tenant([("github", github.server())]).await;
    let before = acme.tools("alice").await.unwrap();

    github.refuses.store(true, SeqCst);
    github.set(&["find"]);
    announced(&acme, "github", 1).await;
    happens(|| github.lists() >= 2).await;
    sleep(60 * SECOND).await;
    let asked = github.lists();
    let kept = acme.tools("alice").await.unwrap();
    github.refuses.store(false, SeqCst);
    let after = until(&acme, |tools| !is_stale(tools)).await;

    assert_eq!(asked, 2, "it is not tried again for nobody");
    assert_eq!((names(&kept), is_stale(&kept)), (names(&before), true));
    assert_eq!((kept.generation(), kept.unavailable().len()), (before.generation(), 0));
    assert_eq!(names(&after), ["github__find"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_announced_by_a_session_that_is_gone_is_asked_for_on_the_next() {
    let github = Toolbox::with(&["search"]);
    let (_runtime, acme) = tenant([("github", github.server())]).await;
    acme.tools("alice").await.unwrap();
    github.list_only(0);
    github.set(&["find"]);
    announced(&acme, "github", 1).await;

    acme.close(SECOND).await;
    github.may_list.add_permits(1);
    let stale = acme.tools("alice").await.unwrap();
    let after = until(&acme, |tools| !is_stale(tools)).await;

    assert_eq!((names(&stale), is_stale(&stale)), (vec!["github__search"], true));
    assert_eq!((names(&after), github.connections()), (vec!["github__find"], 2));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_announces_without_end_is_asked_once_a_second_and_its_session_goes_when_it_is_idle() {
    let github = Toolbox::with(&["search"]);
    github.announces_always.store(true, SeqCst);
    let (runtime, acme) = tenant([("github", github.server())]).await;

    acme.tools("alice").await.unwrap();
    sleep(100 * SECOND).await;
    let asked = github.lists();
    sleep(900 * SECOND).await;

    assert!((90..=102).contains(&asked), "{asked}");
    assert!(runtime.status().sessions.is_empty());
    assert!(github.lists() <= 902, "{}", github.lists());
    assert!(is_stale(&acme.tools("alice").await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_runtime_ends_the_asking_and_who_waits_for_an_answer_hears_of_it() {
    let github = Toolbox::with(&["search"]);
    let (runtime, acme) = tenant([("github", github.server())]).await;
    acme.tools("alice").await.unwrap();
    github.list_only(0);
    announced(&acme, "github", 1).await;
    let first = tokio::spawn({
        let acme = acme.clone();
        async move { acme.tools("bob").await.unwrap() }
    });
    // Both are asked: for what has changed, and for what nobody had yet.
    happens(|| github.lists() >= 3).await;

    let report = runtime.drain(SECOND).await;
    let waited = first.await.unwrap();
    sleep(600 * SECOND).await;

    assert_eq!((report.closed.len(), runtime.status().leases), (2, 0));
    let unavailable: Vec<_> = waited.unavailable().map(|(_, error)| error.code()).collect();
    assert_eq!((names(&waited), unavailable), (vec![], vec!["closing"]));
    assert_eq!((github.lists(), github.connections()), (3, 2));
}
