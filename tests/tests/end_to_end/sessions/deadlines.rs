//! Deadlines of calls, in virtual time: what they do to the call, what extends them and what does not.

use std::time::Duration;

use innkeeper::{Error, MayHaveRun, Phase, Runtime};
use innkeeper_tests::in_process::limits_for_paused_clock;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{open, scripted, tenant_of};

#[tokio::test(start_paused = true)]
async fn a_deadline_cancels_the_call_at_the_server_and_says_that_it_may_have_run() {
    let (connector, mut servers) = scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;
    let began = Instant::now();

    let call = lease.call("ponder").deadline(Duration::from_secs(7)).start();
    let request = server.message().await.unwrap();
    let error = call.await.unwrap_err();
    let cancelled = server.message().await.unwrap();

    assert!(matches!(error, Error::Timeout { phase: Phase::Call, after, .. } if after == Duration::from_secs(7)));
    assert_eq!(error.may_have_run(), MayHaveRun::Unknown);
    assert_eq!(began.elapsed().as_secs(), 7);
    assert_eq!(cancelled["method"], "notifications/cancelled");
    assert_eq!(cancelled["params"]["requestId"], request["id"]);
}

#[tokio::test(start_paused = true)]
async fn progress_starts_the_default_deadline_anew_up_to_its_total() {
    let mut limits = limits_for_paused_clock();
    limits.call = Duration::from_secs(10);
    limits.call_total = Duration::from_secs(25);
    let (connector, mut servers) = scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;
    let began = Instant::now();

    let call = lease.call("ponder").start();
    let token = server.message().await.unwrap()["params"]["_meta"]["progressToken"].clone();
    let reporting = tokio::spawn(async move {
        for step in 1.. {
            tokio::time::sleep(Duration::from_secs(8)).await;
            let params = json!({ "progressToken": token, "progress": step });
            server.say(json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })).await;
        }
    });
    let error = call.await.unwrap_err();
    reporting.abort();

    assert_eq!(error.code(), "timeout");
    assert_eq!(began.elapsed().as_secs(), 25);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_of_the_callers_own_is_not_extended_by_progress() {
    let (connector, mut servers) = scripted();
    let (_runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;
    let began = Instant::now();

    let mut call = lease.call("ponder").deadline(Duration::from_secs(10)).start();
    let token = server.message().await.unwrap()["params"]["_meta"]["progressToken"].clone();
    tokio::time::sleep(Duration::from_secs(8)).await;
    let params = json!({ "progressToken": token, "progress": 1 });
    server.say(json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })).await;
    let report = call.progress().await.unwrap();
    let error = call.await.unwrap_err();

    assert_eq!(serde_json::from_slice::<Value>(&report).unwrap()["progress"], 1);
    assert_eq!((error.code(), began.elapsed().as_secs()), ("timeout", 10));
}
