//! The lists by themselves: every order of questions, answers and announcements, without a server.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::MayHaveRun;

fn lists() -> Lists {
    Lists::new(100, 1000)
}

fn key(user: &str, server: &str) -> Key {
    Key { user: Some(user.into()), server: server.into() }
}

fn list(tools: &[&str], bytes: usize) -> Arc<List> {
    let tools: Vec<_> = tools.iter().map(|name| json!({ "name": name })).collect();
    let listed = super::super::super::tool::list(json!({ "tools": tools }).to_string().into()).unwrap();
    Arc::new(List { tools: listed.into_iter().map(Arc::new).collect(), bytes })
}

fn failure() -> Outcome {
    Err(Arc::new(Error::Closing { what: "it".to_owned(), may_have_run: MayHaveRun::No }))
}

fn ask(lists: &mut Lists, key: &Key) -> u64 {
    lists.asking(key, Instant::now())
}

/// Asks for a list that nobody asks for, and has the answer.
fn learn(lists: &mut Lists, key: &Key, list: Arc<List>) {
    let fetch = lists.want(key).begin.unwrap();
    let seen = ask(lists, key);
    assert!(lists.finish(&fetch, seen, Ok(list)).is_none());
}

/// The names that are known, and whether they are stale.
fn known(lists: &mut Lists, key: &Key) -> Option<(Vec<String>, bool)> {
    match lists.source(key)? {
        Source::Known { list, stale } => Some((list.tools.iter().map(|tool| tool.name.clone()).collect(), stale)),
        Source::Failed(_) => None,
    }
}

#[test]
fn however_many_want_a_list_it_is_asked_for_once_and_all_hear_the_answer() {
    let (mut lists, key) = (lists(), key("alice", "a"));

    let first = lists.want(&key);
    let second = lists.want(&key);
    let fetch = first.begin.unwrap();
    assert!(second.begin.is_none());
    lists.finish(&fetch, 0, Ok(list(&["x"], 1)));

    for wait in [first.wait.unwrap(), second.wait.unwrap()] {
        assert_eq!(wait.borrow().as_ref().unwrap().as_ref().unwrap().tools[0].name, "x");
    }
    let third = lists.want(&key);
    assert!(third.begin.is_none() && third.wait.is_none());
}

#[test]
fn what_failed_is_asked_for_again_by_the_next_who_wants_it() {
    let (mut lists, key) = (lists(), key("alice", "a"));
    let fetch = lists.want(&key).begin.unwrap();
    lists.finish(&fetch, 0, failure());
    assert!(matches!(lists.source(&key), Some(Source::Failed(_))));

    let again = lists.want(&key);

    assert!(again.begin.is_some() && again.wait.is_some());
}

#[test]
fn an_announcement_while_the_first_fetch_runs_is_not_lost() {
    let (mut lists, key) = (lists(), key("alice", "a"));
    let fetch = lists.want(&key).begin.unwrap();
    let seen = ask(&mut lists, &key);

    assert!(lists.announced(&key).is_none());
    let next = lists.finish(&fetch, seen, Ok(list(&["old"], 1))).expect("it is asked for again");
    assert_eq!(known(&mut lists, &key), Some((vec!["old".to_owned()], true)));
    let seen = ask(&mut lists, &key);
    assert!(lists.finish(&next, seen, Ok(list(&["new"], 1))).is_none());

    assert_eq!(known(&mut lists, &key), Some((vec!["new".to_owned()], false)));
}

#[test]
fn an_announcement_before_the_question_is_known_to_its_answer() {
    let (mut lists, key) = (lists(), key("alice", "a"));
    let fetch = lists.want(&key).begin.unwrap();

    lists.announced(&key);
    let seen = ask(&mut lists, &key);

    assert!(lists.finish(&fetch, seen, Ok(list(&["x"], 1))).is_none());
    assert_eq!(known(&mut lists, &key), Some((vec!["x".to_owned()], false)));
}

#[test]
fn a_burst_of_announcements_is_one_fetch_and_at_most_one_more() {
    let (mut lists, key) = (lists(), key("alice", "a"));
    learn(&mut lists, &key, list(&["x"], 1));

    let (fetch, _) = lists.announced(&key).unwrap();
    assert!((0..10).all(|_| lists.announced(&key).is_none()));
    let seen = ask(&mut lists, &key);
    assert!((0..10).all(|_| lists.announced(&key).is_none()));
    let next = lists.finish(&fetch, seen, Ok(list(&["y"], 1))).unwrap();
    let seen = ask(&mut lists, &key);

    assert!(lists.finish(&next, seen, Ok(list(&["z"], 1))).is_none());
    assert_eq!(known(&mut lists, &key), Some((vec!["z".to_owned()], false)));
}

#[test]
fn a_refresh_that_fails_keeps_the_list_and_is_tried_again_without_being_waited_for() {
    let (mut lists, key) = (lists(), key("alice", "a"));
    learn(&mut lists, &key, list(&["x"], 1));
    let (fetch, _) = lists.announced(&key).unwrap();

    assert!(lists.finish(&fetch, 1, failure()).is_none());
    assert_eq!(known(&mut lists, &key), Some((vec!["x".to_owned()], true)));
    let again = lists.want(&key);

    assert!(again.begin.is_some() && again.wait.is_none());
}

#[test]
fn a_fetch_that_is_given_up_leaves_what_is_known_and_may_be_begun_again() {
    let (mut lists, key) = (lists(), key("alice", "a"));
    learn(&mut lists, &key, list(&["x"], 1));
    let (fetch, _) = lists.announced(&key).unwrap();

    lists.give_up(&fetch);

    assert_eq!(known(&mut lists, &key), Some((vec!["x".to_owned()], true)));
    assert!(lists.announced(&key).is_some());
}

#[test]
fn who_waits_for_a_fetch_that_is_given_up_hears_of_it() {
    let (mut lists, key) = (lists(), key("alice", "a"));
    let wanted = lists.want(&key);
    let fetch = wanted.begin.unwrap();

    lists.give_up(&fetch);
    drop(fetch);

    assert!(wanted.wait.unwrap().has_changed().is_err());
    assert!(lists.want(&key).begin.is_some());
}

#[test]
fn nobody_s_list_is_not_asked_for_because_it_changes() {
    let (mut lists, key) = (lists(), key("alice", "a"));

    assert!(lists.announced(&key).is_none());
    assert!(lists.source(&key).is_none());
}

#[test]
fn an_answer_that_is_the_same_is_the_very_same() {
    let (mut lists, key) = (lists(), key("alice", "a"));
    learn(&mut lists, &key, list(&["x"], 1));
    let before = lists.source(&key).unwrap();
    let (fetch, _) = lists.announced(&key).unwrap();

    lists.finish(&fetch, 1, Ok(list(&["x"], 1)));

    assert!(lists.source(&key).unwrap().is(&before));
}

#[test]
fn when_a_server_was_asked_last_is_known_to_who_spaces_the_questions() {
    let (mut lists, key) = (lists(), key("alice", "a"));
    let fetch = lists.want(&key).begin.unwrap();
    let now = Instant::now() + Duration::from_secs(5);
    lists.asking(&key, now);
    lists.finish(&fetch, 0, Ok(list(&["x"], 1)));

    assert_eq!(lists.announced(&key).unwrap().1, Some(now));
}

fn catalog() -> Arc<ToolCatalog> {
    Arc::new(ToolCatalog { generation: 1, tools: Vec::new(), unavailable: Vec::new() })
}

fn given(lists: &mut Lists, keys: &[Key]) -> Given {
    let sources = keys.iter().map(|key| (key.server.clone(), lists.source(key).unwrap())).collect();
    Given { catalog: catalog(), sources, changes: lists.changes() }
}

#[test]
fn of_too_many_lists_the_one_that_nobody_has_asked_for_longest_is_forgotten_and_catalogs_of_it_too() {
    let mut lists = Lists::new(2, 1000);
    let [a, b, c] = ["a", "b", "c"].map(|user| key(user, "s"));
    for key in [&a, &b] {
        learn(&mut lists, key, list(&["x"], 1));
        let given = given(&mut lists, std::slice::from_ref(key));
        lists.give(key.user.as_ref().unwrap(), given, std::slice::from_ref(key));
    }
    lists.source(&a);

    learn(&mut lists, &c, list(&["x"], 1));

    assert!(lists.source(&a).is_some() && lists.source(&b).is_none() && lists.source(&c).is_some());
    assert!(lists.given(&"a".into()).is_some() && lists.given(&"b".into()).is_none());
}

#[test]
fn lists_are_bounded_in_bytes_too() {
    let mut lists = Lists::new(100, 10);
    let [a, b, c] = ["a", "b", "c"].map(|user| key(user, "s"));
    learn(&mut lists, &a, list(&["x"], 4));
    learn(&mut lists, &b, list(&["x"], 4));

    learn(&mut lists, &c, list(&["x"], 6));

    assert!(lists.source(&a).is_none() && lists.source(&b).is_some() && lists.source(&c).is_some());
    // What a refresh makes larger counts, and what it makes smaller no longer does.
    let (fetch, _) = lists.announced(&b).unwrap();
    lists.finish(&fetch, 1, Ok(list(&["x", "y"], 1)));
    learn(&mut lists, &a, list(&["x"], 3));
    assert!([&a, &b, &c].into_iter().all(|key| lists.source(key).is_some()));
}

#[test]
fn a_list_that_is_asked_for_is_not_forgotten_meanwhile() {
    let mut lists = Lists::new(1, 1000);
    let [a, b] = ["a", "b"].map(|user| key(user, "s"));
    let asked = lists.want(&a);
    learn(&mut lists, &b, list(&["x"], 1));

    assert!(lists.want(&a).begin.is_none());
    drop(asked);
}

#[test]
fn a_catalog_of_lists_that_were_forgotten_is_not_kept() {
    let mut lists = Lists::new(1, 1000);
    let [a, b] = ["a", "b"].map(|server| key("alice", server));
    learn(&mut lists, &a, list(&["x"], 1));
    let of_a = given(&mut lists, std::slice::from_ref(&a));
    learn(&mut lists, &b, list(&["x"], 1));

    lists.give(&"alice".into(), of_a, &[a, b]);

    assert!(lists.given(&"alice".into()).is_none());
}
