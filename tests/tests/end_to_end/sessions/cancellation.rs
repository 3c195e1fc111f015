//! Calls that nobody waits for any more, each at a known place on its way. Those dropped at any moment are in `dropped_calls`.

use innkeeper::Runtime;
use innkeeper_tests::in_process::limits_for_paused_clock;
use serde_json::json;

use super::{open, scripted, tenant_of};

#[tokio::test(start_paused = true)]
async fn dropping_a_call_cancels_it_at_the_server() {
    let (connector, mut servers) = scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;

    let call = lease.call("ponder").start();
    let request = server.message().await.unwrap();
    drop(call);
    let cancelled = server.message().await.unwrap();

    assert_eq!(cancelled["method"], "notifications/cancelled");
    assert_eq!(cancelled["params"]["requestId"], request["id"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_before_it_is_taken_is_never_sent() {
    let (connector, mut servers) = scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;

    drop(lease.call("first").start());
    let second = tokio::spawn(lease.call("second").start());

    assert_eq!(server.message().await.unwrap()["method"], "second");
    second.abort();
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_to_a_cancelled_call_disturbs_nobody() {
    let (connector, mut servers) = scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;

    let call = lease.call("ponder").start();
    let request = server.message().await.unwrap();
    drop(call);
    server.message().await.unwrap();
    server.answer(&request, json!("too late")).await;
    let call = lease.call("next").start();
    let next = server.message().await.unwrap();
    server.answer(&next, json!("in time")).await;

    assert_eq!(&call.await.unwrap()[..], b"\"in time\"");
}
