//! Guests that a tenant brings: what they say is looked at before it is said.

use std::sync::{Arc, Mutex};

use innkeeper::{Catalog, Error, Runtime, Server, Tenant, ToolRules, transport::Framing};
use innkeeper_tests::{
    candidate::candidate,
    in_process::{self, limits_for_paused_clock},
};
use serde_json::{Value, json};

use crate::sessions::Scripted;

/// The tools that a server was told to run, in order.
type Ran = Arc<Mutex<Vec<String>>>;

fn server(ran: &Ran) -> Server {
    let ran = ran.clone();
    Server::connector(in_process::server(Framing::Lines, move |pipes| {
        let ran = ran.clone();
        async move {
            let mut server = Scripted { pipes };
            while let Some(message) = server.message().await {
                if message["method"] == "tools/call" {
                    ran.lock().unwrap().push(message["params"]["name"].as_str().unwrap().to_owned());
                    server.answer(&message, json!({ "content": [{ "type": "text", "text": "done" }] })).await;
                }
            }
        }
    }))
}

async fn scene(fault: &str, is_trusted: bool) -> (Tenant, Ran) {
    let runtime = Runtime::builder().limits(limits_for_paused_clock()).start().await.unwrap();
    let (guest, ran) = (candidate(&runtime, fault).await, Ran::default());
    let builder = runtime.tenant("acme").catalog(Catalog::new().server("server", server(&ran)));
    let builder = builder.tool_rules(ToolRules::new().deny("secret"));
    let builder = if is_trusted { builder.guest(guest) } else { builder.untrusted_guest(guest) };
    (builder.apply().await.unwrap(), ran)
}

async fn call(tenant: &Tenant) -> Result<Value, Error> {
    let lease = tenant.lease("alice", "server").await.unwrap();
    let result = lease.call_tool("echo", &json!({ "text": "a" })).unwrap().start().await?;
    Ok(serde_json::from_slice(&result.raw).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_guest_of_the_tenants_that_says_what_it_was_given_serves() {
    let (tenant, ran) = scene("none", false).await;

    let results = [call(&tenant).await, call(&tenant).await];

    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(*ran.lock().unwrap(), ["echo", "echo"]);
}

#[tokio::test(start_paused = true)]
async fn a_guest_of_the_tenants_calls_no_tool_that_is_denied_that_nobody_asked_for_or_twice() {
    for (fault, words) in [("call-denied", "denied"), ("call-unasked", "nobody had asked"), ("call-twice", "twice")] {
        let (tenant, ran) = scene(fault, false).await;

        let error = call(&tenant).await.unwrap_err();

        assert!(matches!(&error, Error::GuestFault { detail, .. } if detail.contains(words)), "{fault}: {error}");
        // What was asked for may have been sent before; nothing else was.
        let ran = ran.lock().unwrap();
        assert!(ran.is_empty() || *ran == ["echo"], "{fault}: {ran:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_guest_of_the_platforms_says_is_its_own_matter() {
    let (tenant, ran) = scene("call-denied", true).await;

    call(&tenant).await.unwrap();

    assert_eq!(*ran.lock().unwrap(), ["echo", "secret"]);
}
