//! Secrets: asked for when a process is started, for whom it is started.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use innkeeper::{
    Catalog, Error, Lease, Limits, Phase, Policy, Runtime, Secret, SecretError, SecretRequest, SecretStore, Server,
    transport::BoxFuture,
};
use innkeeper_tests::{
    awkward::{Scenario, tool},
    processes::Marker,
};
use serde_json::{Value, json};

use super::{assert_nothing_was_started, builder, command, denied, in_time, program};

/// A store that numbers its answers, and what it was asked.
#[derive(Clone, Default)]
struct Vault {
    asked: Arc<Mutex<Vec<SecretRequest>>>,
}

impl SecretStore for Vault {
    fn resolve(&self, request: SecretRequest) -> BoxFuture<'static, Result<Secret, SecretError>> {
        let mut asked = self.asked.lock().unwrap();
        asked.push(request.clone());
        let value = format!("{}-of-{}-{}", request.name, request.user.unwrap(), asked.len());
        Box::pin(async move {
            match request.name.as_str() {
                "sealed" => Err(SecretError::unavailable("the vault is sealed")),
                "none" => Err(SecretError::new("there is no secret of this name")),
                "slow" => std::future::pending().await,
                _ => Ok(Secret::new(value)),
            }
        })
    }
}

fn server(marker: &Marker, secret: &str) -> Server {
    Server::command(command(Scenario::Plain, marker).env_secret("TOKEN", secret))
}

async fn token(lease: &Lease) -> String {
    let result = in_time(lease.call_tool(tool::ENVIRONMENT, &json!({})).unwrap().start()).await.unwrap();
    let result: Value = serde_json::from_slice(&result.raw).unwrap();
    let lines = result["content"][0]["text"].as_str().unwrap().lines();
    lines.filter_map(|line| line.strip_prefix("TOKEN=")).collect()
}

#[tokio::test]
async fn each_process_gets_its_secret_anew_and_for_its_user() {
    let marker = Marker::new();
    let vault = Vault::default();
    let runtime = builder().secrets(vault.clone()).start().await.unwrap();
    let catalog = Catalog::new().server("github", server(&marker, "token"));
    let acme = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();
    assert!(vault.asked.lock().unwrap().is_empty(), "nothing is asked before a process is started");

    let alice = in_time(acme.lease("alice", "github")).await.unwrap();
    let bob = in_time(acme.lease("bob", "github")).await.unwrap();
    let values = (token(&alice).await, token(&bob).await);
    drop(alice);
    in_time(acme.reap(Duration::ZERO)).await;
    let again = in_time(acme.lease("alice", "github")).await.unwrap();

    assert_eq!(values, ("token-of-alice-1".to_owned(), "token-of-bob-2".to_owned()));
    assert_eq!(token(&again).await, "token-of-alice-3");
    let asked = vault.asked.lock().unwrap().clone();
    let first = &asked[0];
    assert_eq!((first.tenant.as_str(), first.server.as_str(), first.name.as_str()), ("acme", "github", "token"));
    assert_eq!(first.user.as_ref().map(|user| user.as_str()), Some("alice"));
    in_time(runtime.drain(super::BOUND)).await;
}

#[tokio::test]
async fn a_secret_that_cannot_be_had_says_what_to_do_and_nothing_is_started() {
    let marker = Marker::new();
    let runtime = builder().secrets(Vault::default()).start().await.unwrap();
    let catalog = Catalog::new().server("none", server(&marker, "none")).server("sealed", server(&marker, "sealed"));
    let acme = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();

    let none = in_time(acme.lease("alice", "none")).await.unwrap_err();
    let sealed = in_time(acme.lease("alice", "sealed")).await.unwrap_err();

    assert!(matches!(&none, Error::Start { reason, .. } if reason.contains("no secret of this name")), "{none:?}");
    assert_eq!(none.retry_after(), None);
    assert!(
        matches!(&sealed, Error::Unavailable { reason, .. } if reason.contains("the vault is sealed")),
        "{sealed:?}"
    );
    assert!(sealed.retry_after().is_some());
    in_time(runtime.reap(Duration::ZERO)).await;
    assert_eq!((runtime.status().supervisor, marker.processes()), (None, vec![]));
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_waited_for_as_long_as_an_opening_may_take() {
    let marker = Marker::new();
    let mut limits = Limits::default();
    limits.open = Duration::from_millis(200);
    let runtime = Runtime::builder().limits(limits).secrets(Vault::default()).start().await.unwrap();
    let catalog = Catalog::new().server("slow", server(&marker, "slow"));
    let acme = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();

    let error = in_time(acme.lease("alice", "slow")).await.unwrap_err();

    assert!(matches!(error, Error::Timeout { phase: Phase::Open, .. }), "{error:?}");
    assert_eq!((runtime.status().supervisor, marker.processes()), (None, vec![]));
    in_time(runtime.drain(super::BOUND)).await;
}

#[tokio::test]
async fn a_runtime_without_a_store_says_how_to_give_it_one() {
    let marker = Marker::new();
    let runtime = builder().start().await.unwrap();
    let catalog = Catalog::new().server("github", server(&marker, "token"));
    let acme = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();

    let error = in_time(acme.lease("alice", "github")).await.unwrap_err();

    assert!(matches!(&error, Error::Start { reason, .. } if reason.contains("RuntimeBuilder::secrets")), "{error:?}");
    assert_eq!((runtime.status().supervisor, marker.processes()), (None, vec![]));
}

#[tokio::test]
async fn a_server_that_a_tenant_brings_gets_the_secrets_that_policy_allows() {
    let marker = Marker::new();
    let vault = Vault::default();
    let runtime = builder().secrets(vault.clone()).start().await.unwrap();
    let policy = Policy::new().allow_command(program()).allow_variable(Marker::VARIABLE).allow_variable("TOKEN");
    let brought = |secret| Catalog::new().server("mine", server(&marker, secret));

    let tenant = |policy: &Policy, secret| {
        runtime.tenant("acme").policy(policy.clone().allow_secret("team/*")).untrusted_catalog(brought(secret)).apply()
    };
    let said = denied(in_time(tenant(&policy, "platform/billing")).await);
    assert!(said.contains("the secret `platform/billing` of its variable `TOKEN`"), "{said}");
    assert!(vault.asked.lock().unwrap().is_empty());
    assert_nothing_was_started(&runtime, &marker);

    let acme = in_time(tenant(&policy, "team/key")).await.unwrap();
    let lease = in_time(acme.lease("alice", "mine")).await.unwrap();
    assert_eq!(token(&lease).await, "team/key-of-alice-1");
    in_time(runtime.drain(super::BOUND)).await;
}
