//! What the server asks the platform while calls are open: who answers, and whose time stands still meanwhile.

use std::time::Duration;

use innkeeper::{Answer, Limits, Runtime, ServerRequest, ServerRequestHandler, transport::BoxFuture};
use innkeeper_tests::in_process::limits_for_paused_clock;
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::Instant};

use super::{open, scripted, tenant_of};

/// Answers what it knows, after a while; keeps what it was asked.
struct Person {
    asked: mpsc::UnboundedSender<ServerRequest>,
    ponders: Duration,
}

impl ServerRequestHandler for Person {
    fn capabilities(&self) -> Value {
        json!({ "elicitation": {} })
    }

    fn handle(&self, request: ServerRequest) -> BoxFuture<'static, Answer> {
        let ponders = self.ponders;
        let _ = self.asked.send(request);
        Box::pin(async move {
            tokio::time::sleep(ponders).await;
            Answer::Result(json!({ "action": "accept", "content": { "name": "Alice" } }))
        })
    }
}

fn question(id: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "elicitation/create", "params": { "message": "your name?" } })
}

#[tokio::test(start_paused = true)]
async fn a_question_to_a_person_is_answered_with_its_context_and_stops_the_time_of_the_call() {
    let (asked, mut questions) = mpsc::unbounded_channel();
    let (connector, mut servers) = scripted();
    let builder = Runtime::builder()
        .limits(limits_for_paused_clock())
        .server_requests(Person { asked, ponders: Duration::from_secs(300) });
    let (_runtime, tenant) = tenant_of(builder, connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;

    let call = lease.call("greet").deadline(Duration::from_secs(10)).start();
    let id = call.id();
    let request = server.message().await.unwrap();
    server.say(question("q1")).await;
    let answer = server.message().await.unwrap();
    server.answer(&request, json!("hello Alice")).await;

    assert_eq!(&call.await.unwrap()[..], b"\"hello Alice\"");
    assert_eq!((&answer["id"], &answer["result"]["content"]["name"]), (&json!("q1"), &json!("Alice")));
    let asked = questions.recv().await.unwrap();
    assert_eq!(
        (asked.tenant.as_str(), asked.user.as_ref().unwrap().as_str(), asked.server.as_str()),
        ("acme", "alice", "scripted")
    );
    assert_eq!((asked.call, asked.method.as_str()), (id, "elicitation/create"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_without_end_does_not_hold_a_call_for_ever() {
    let (asked, _questions) = mpsc::unbounded_channel();
    let (connector, mut servers) = scripted();
    let builder = Runtime::builder()
        .limits(limits_for_paused_clock())
        .server_requests(Person { asked, ponders: Duration::from_secs(60) });
    let (_runtime, tenant) = tenant_of(builder, connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;
    let began = Instant::now();

    let call = lease.call("greet").deadline(Duration::from_secs(10)).start();
    server.message().await.unwrap();
    let asking = tokio::spawn(async move {
        for number in 0.. {
            server.say(question(&format!("q{number}"))).await;
            server.message().await;
        }
    });
    let error = call.await.unwrap_err();
    asking.abort();

    assert_eq!(error.code(), "timeout");
    assert_eq!(began.elapsed(), Limits::default().server_request + Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_the_server_withdraws_is_not_answered() {
    let (asked, mut questions) = mpsc::unbounded_channel();
    let (connector, mut servers) = scripted();
    let builder = Runtime::builder()
        .limits(limits_for_paused_clock())
        .server_requests(Person { asked, ponders: Duration::from_secs(5) });
    let (_runtime, tenant) = tenant_of(builder, connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;

    server.say(question("q1")).await;
    questions.recv().await.unwrap();
    let params = json!({ "requestId": "q1" });
    server.say(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params })).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let call = lease.call("next").start();

    assert_eq!(server.message().await.unwrap()["method"], "next");
    drop(call);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_answers_is_refused_and_a_ping_is_answered() {
    let (connector, mut servers) = scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (_lease, mut server) = open(&tenant, &mut servers).await;

    server.say(json!({ "jsonrpc": "2.0", "id": 1, "method": "roots/list" })).await;
    let refused = server.message().await.unwrap();
    server.say(json!({ "jsonrpc": "2.0", "id": 2, "method": "ping" })).await;
    let pong = server.message().await.unwrap();

    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(1), &json!(-32601)));
    assert_eq!((&pong["id"], &pong["result"]), (&json!(2), &json!({})));
}
