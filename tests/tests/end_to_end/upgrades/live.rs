//! A live upgrade: all that is open goes on, and nothing is connected or sent anew.

use std::time::Duration;

use innkeeper::{
    Answer, Event, Limits, Runtime, ServerRequest, ServerRequestHandler, Upgrade, UpgradeOutcome, transport::BoxFuture,
};
use innkeeper_tests::{candidate::candidate, in_process::limits_for_paused_clock};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::Scene;

#[tokio::test(start_paused = true)]
async fn a_call_in_flight_is_answered_to_the_guest_that_came_after() {
    let mut scene = Scene::paused().await;
    let (call, request) = scene.call().await;
    let before = scene.guest();
    let next = candidate(&scene.runtime, "none").await;

    let report = scene.tenant.upgrade(next.clone(), Upgrade::live()).await.unwrap();
    scene.server.answer(&request, json!("done")).await;

    assert_eq!(&call.await.unwrap()[..], b"\"done\"");
    assert!(report.is_in_force(), "{report}");
    assert_eq!(report.sessions[0].carried().unwrap().calls, 1);
    assert_ne!(scene.guest(), before);
    assert_eq!(scene.guest(), next.to_string());
    assert_eq!(scene.incarnation(), 1);
    assert!(scene.servers.try_recv().is_err(), "it was connected anew");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_to_the_server_for_an_upgrade() {
    let mut scene = Scene::paused().await;
    let (call, request) = scene.call().await;

    let report = scene.tenant.upgrade(candidate(&scene.runtime, "none").await, Upgrade::live()).await.unwrap();
    let marker = scene.lease.call("marker").start();

    assert!(report.is_in_force(), "{report}");
    assert_eq!(scene.server.message().await.unwrap()["method"], "marker");
    scene.server.answer(&request, json!(1)).await;
    call.await.unwrap();
    drop(marker);
}

#[tokio::test(start_paused = true)]
async fn a_call_half_way_reports_through_both_guests() {
    let mut scene = Scene::paused().await;
    let mut call = scene.lease.call("work").start();
    let request = scene.server.message().await.unwrap();
    scene.server.progress(&request, 1).await;
    let first = call.progress().await.unwrap();

    let report = scene.tenant.upgrade(candidate(&scene.runtime, "none").await, Upgrade::live()).await.unwrap();
    scene.server.progress(&request, 2).await;
    let second = call.progress().await.unwrap();
    scene.server.answer(&request, json!("done")).await;

    let step = |report: &[u8]| serde_json::from_slice::<Value>(report).unwrap()["progress"].clone();
    assert_eq!((step(&first), step(&second)), (json!(1), json!(2)));
    assert_eq!(&call.await.unwrap()[..], b"\"done\"");
    assert!(report.is_in_force(), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_reaches_the_server_through_the_guest_that_came_after() {
    let mut scene = Scene::paused().await;
    let (call, request) = scene.call().await;

    let report = scene.tenant.upgrade(candidate(&scene.runtime, "none").await, Upgrade::live()).await.unwrap();
    drop(call);

    let cancelled = scene.server.message().await.unwrap();
    assert_eq!(cancelled["method"], "notifications/cancelled");
    assert_eq!(cancelled["params"]["requestId"], request["id"]);
    assert!(report.is_in_force(), "{report}");
}

/// Answers when it is told to.
struct Patient(std::sync::Mutex<Option<oneshot::Receiver<Value>>>);

impl ServerRequestHandler for Patient {
    fn capabilities(&self) -> Value {
        json!({ "elicitation": {} })
    }

    fn handle(&self, _: ServerRequest) -> BoxFuture<'static, Answer> {
        let answer = self.0.lock().unwrap().take().unwrap();
        Box::pin(async move { Answer::Result(answer.await.unwrap()) })
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_that_the_old_guest_passed_on_is_answered_by_the_new_one() {
    let (answer, waits) = oneshot::channel();
    let handler = Patient(std::sync::Mutex::new(Some(waits)));
    let builder = Runtime::builder().limits(limits_for_paused_clock()).server_requests(handler);
    let mut scene = Scene::of(builder).await;
    let (call, request) = scene.call().await;
    scene.server.say(json!({ "jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": {} })).await;
    // The session reads it before it hears of the upgrade.
    tokio::time::sleep(Duration::from_millis(1)).await;

    let report = scene.tenant.upgrade(candidate(&scene.runtime, "none").await, Upgrade::live()).await.unwrap();
    answer.send(json!({ "action": "decline" })).unwrap();

    let said = scene.server.message().await.unwrap();
    assert_eq!((&said["id"], &said["result"]["action"]), (&json!("q"), &json!("decline")));
    assert_eq!(report.sessions[0].carried().unwrap().server_requests, 1);
    scene.server.answer(&request, json!(1)).await;
    call.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn half_a_frame_that_was_read_before_is_a_whole_one_after() {
    let mut scene = Scene::paused().await;
    let (call, request) = scene.call().await;
    let reply = json!({ "jsonrpc": "2.0", "id": request["id"], "result": "in two parts" }).to_string();
    let (first, rest) = reply.split_at(reply.len() / 2);
    scene.server.pipes.write(first.as_bytes()).await;
    tokio::time::sleep(Duration::from_millis(1)).await;

    let report = scene.tenant.upgrade(candidate(&scene.runtime, "none").await, Upgrade::live()).await.unwrap();
    scene.server.pipes.write(format!("{rest}\n").as_bytes()).await;

    assert_eq!(&call.await.unwrap()[..], b"\"in two parts\"");
    assert_eq!(report.sessions[0].carried().unwrap().partial_frame, first.len());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_its_turn_is_sent_by_the_new_guest() {
    let mut limits = limits_for_paused_clock();
    limits.calls_in_flight = 1;
    let mut scene = Scene::of(Runtime::builder().limits(limits)).await;
    let (first, request) = scene.call().await;
    let second = scene.lease.call("second").start();
    tokio::time::sleep(Duration::from_millis(1)).await;

    let report = scene.tenant.upgrade(candidate(&scene.runtime, "none").await, Upgrade::live()).await.unwrap();
    scene.server.answer(&request, json!(1)).await;
    let request = scene.server.message().await.unwrap();
    scene.server.answer(&request, json!(2)).await;

    assert_eq!((&first.await.unwrap()[..], &second.await.unwrap()[..]), (&b"1"[..], &b"2"[..]));
    let carried = *report.sessions[0].carried().unwrap();
    assert_eq!((carried.calls, carried.waiting_calls), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_what_it_was_before_the_upgrade() {
    let mut scene = Scene::paused().await;
    let began = tokio::time::Instant::now();
    let call = scene.lease.call("work").deadline(Duration::from_secs(10)).start();
    scene.server.message().await.unwrap();
    tokio::time::sleep(Duration::from_secs(9)).await;

    let report = scene.tenant.upgrade(candidate(&scene.runtime, "none").await, Upgrade::live()).await.unwrap();
    let error = call.await.unwrap_err();

    assert_eq!(error.code(), "timeout");
    assert_eq!(began.elapsed().as_secs(), 10);
    assert!(report.is_in_force(), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_server_has_not_answered_yet_is_opened_by_the_new_guest() {
    let (connector, mut servers) = super::scripted();
    let (runtime, tenant) = super::tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let opening = tokio::spawn({
        let tenant = tenant.clone();
        async move { tenant.lease("alice", "scripted").await }
    });
    let mut server = servers.recv().await.unwrap();
    let next = candidate(&runtime, "none").await;

    let report = tenant.upgrade(next.clone(), Upgrade::live()).await.unwrap();
    tokio::spawn(async move { server.message().await });

    let lease = opening.await.unwrap().unwrap();
    assert_eq!(lease.info().guest, next.to_string());
    assert!(matches!(report.sessions[0].outcome, UpgradeOutcome::Live(_)), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_lost_its_connection_gets_the_new_guest_with_the_next_one() {
    let mut scene = Scene::paused().await;
    let mut events = scene.runtime.events();
    drop(scene.server);
    while !matches!(events.next().await.unwrap().unwrap(), Event::SessionDisconnected { .. }) {}
    let next = candidate(&scene.runtime, "none").await;

    let report = scene.tenant.upgrade(next.clone(), Upgrade::live()).await.unwrap();
    let ready = tokio::spawn({
        let lease = scene.lease;
        async move { lease.ready().await }
    });
    let mut server = scene.servers.recv().await.unwrap();
    tokio::spawn(async move { server.message().await });

    assert!(matches!(report.sessions[0].outcome, UpgradeOutcome::Unconnected), "{report:?}");
    assert_eq!(ready.await.unwrap().unwrap().guest, next.to_string());
}

#[tokio::test(start_paused = true)]
async fn there_and_back_twenty_times_is_as_if_nothing_had_been() {
    let mut scene = Scene::paused().await;
    let first = scene.runtime.load_component(innkeeper::ComponentSource::Embedded).await.unwrap();
    let other = candidate(&scene.runtime, "none").await;
    let (call, request) = scene.call().await;

    for round in 0..20 {
        let next = if round % 2 == 0 { &other } else { &first };
        let report = scene.tenant.upgrade(next.clone(), Upgrade::live()).await.unwrap();
        assert!(report.is_in_force() && report.calls_carried() == 1, "round {round}: {report}");
        assert_eq!(scene.guest(), next.to_string());
    }
    scene.server.answer(&request, json!("done")).await;

    assert_eq!(&call.await.unwrap()[..], b"\"done\"");
    assert_eq!(scene.incarnation(), 1);
}

#[tokio::test(start_paused = true)]
async fn subscribers_and_the_status_say_which_guest_a_session_has() {
    let scene = Scene::paused().await;
    let mut events = scene.runtime.events();
    let next = candidate(&scene.runtime, "none").await;

    scene.tenant.upgrade(next.clone(), Upgrade::live()).await.unwrap().sessions.clear();

    let Event::GuestReplaced { session, guest } = events.next().await.unwrap().unwrap() else {
        panic!("another event")
    };
    assert_eq!((session.id, guest), (scene.lease.session().id, next.to_string()));
    assert_eq!(scene.runtime.status().sessions[0].guest, next.to_string());
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_to_the_guest_that_is_there_does_nothing() {
    let scene = Scene::paused().await;
    let same = scene.runtime.load_component(innkeeper::ComponentSource::Embedded).await.unwrap();

    let report = scene.tenant.upgrade(same, Upgrade::live()).await.unwrap();

    assert!(report.is_in_force() && report.sessions.is_empty(), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_tells_how_far_it_is() {
    let scene = Scene::paused().await;
    let next = candidate(&scene.runtime, "none").await;

    let mut upgrading = scene.tenant.upgrade(next, Upgrade::live().watch(Duration::from_secs(5)));
    let mut last = None;
    while let Some(progress) = upgrading.progress().await {
        last = Some(progress);
    }

    let last = last.unwrap();
    assert_eq!((last.phase, last.done, last.sessions), (innkeeper::UpgradePhase::Over, 1, 1));
    assert!(upgrading.await.unwrap().is_in_force());
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_has_grown_is_renewed_when_it_is_idle_and_not_before() {
    let limits: Limits = limits_for_paused_clock();
    let mut scene = Scene::of(Runtime::builder().limits(limits)).await;
    let mut events = scene.runtime.events();
    let (open, request) = scene.call().await;
    let large = scene.lease.call("large").start();
    let asked = scene.server.message().await.unwrap();
    let server = tokio::spawn(async move {
        scene.server.answer(&asked, json!("x".repeat(8 << 20))).await;
        scene.server
    });
    large.await.unwrap();
    let mut server = server.await.unwrap();

    let while_busy = tokio::time::timeout(Duration::from_secs(20), events.next()).await;
    server.answer(&request, json!(1)).await;
    open.await.unwrap();
    let renewed = tokio::time::timeout(Duration::from_secs(20), events.next()).await;
    let again = tokio::time::timeout(Duration::from_secs(20), events.next()).await;

    assert!(while_busy.is_err(), "{while_busy:?}");
    assert!(matches!(renewed, Ok(Some(Ok(Event::GuestReplaced { .. })))), "{renewed:?}");
    assert!(again.is_err(), "it was renewed twice: {again:?}");
}
