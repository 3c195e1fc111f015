//! Scope: who shares a session, and whom its server can ask.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use innkeeper::{Answer, Catalog, Runtime, Scope, Server, ServerRequest, ServerRequestHandler, transport::BoxFuture};
use innkeeper_tests::in_process::limits_for_paused_clock;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Scripted, obedient, scripted};

/// Answers everything with its name, and says what it was asked.
struct Somebody {
    name: &'static str,
    asked: mpsc::UnboundedSender<(&'static str, ServerRequest)>,
}

impl ServerRequestHandler for Somebody {
    fn capabilities(&self) -> Value {
        json!({ "elicitation": {} })
    }

    fn handle(&self, request: ServerRequest) -> BoxFuture<'static, Answer> {
        let _ = self.asked.send((self.name, request));
        let answer = json!({ "action": "accept", "content": { "by": self.name } });
        Box::pin(async move { Answer::Result(answer) })
    }
}

/// A server that asks a question during its first call: what the handlers were asked, and what the server was answered.
async fn ask(scope: Scope, tenant_has_handler: bool) -> (Option<(&'static str, ServerRequest)>, Value) {
    let (asked, mut questions) = mpsc::unbounded_channel();
    let (connector, mut servers) = scripted();
    let of_runtime = Somebody { name: "runtime", asked: asked.clone() };
    let builder = Runtime::builder().limits(limits_for_paused_clock()).server_requests(of_runtime);
    let runtime = builder.start().await.unwrap();
    let catalog = Catalog::new().server("scripted", Server::connector(connector).scope(scope));
    let mut tenant = runtime.tenant("acme").catalog(catalog);
    if tenant_has_handler {
        tenant = tenant.server_requests(Somebody { name: "tenant", asked });
    }
    let tenant = tenant.apply().await.unwrap();
    let asking = tokio::spawn(async move {
        let mut server: Scripted = servers.recv().await.unwrap();
        let request = server.message().await.unwrap();
        let params = json!({ "message": "who is there?" });
        server.say(json!({ "jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": params })).await;
        let answer = server.message().await.unwrap();
        server.answer(&request, json!(null)).await;
        answer
    });

    let lease = tenant.lease("alice", "scripted").await.unwrap();
    lease.call("hello").start().await.unwrap();

    (questions.try_recv().ok(), asking.await.unwrap())
}

async fn connections_of(scope: Scope) -> (Runtime, innkeeper::Tenant, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    let (runtime, other, connections) = obedient(Runtime::builder().limits(limits_for_paused_clock())).await;
    let server = other.catalog().get(&"scripted".into()).unwrap().clone().scope(scope);
    drop(other);
    let catalog = Catalog::new().server("scripted", server);
    let tenant = runtime.tenant("of-scope").catalog(catalog).apply().await.unwrap();
    (runtime, tenant, connections)
}

#[tokio::test(start_paused = true)]
async fn users_of_a_tenant_share_a_session_where_the_catalog_says_so() {
    let (runtime, tenant, connections) = connections_of(Scope::Tenant).await;

    let alice = tenant.lease("alice", "scripted").await.unwrap();
    let bob = tenant.lease("bob", "scripted").await.unwrap();

    assert_eq!(alice.session(), bob.session());
    assert_eq!((alice.session().user, connections.load(SeqCst)), (None, 1));
    assert_eq!(runtime.status().sessions[0].leases, 2);
}

#[tokio::test(start_paused = true)]
async fn two_tenants_never_share_one() {
    let (runtime, tenant, connections) = connections_of(Scope::Tenant).await;
    let other = runtime.tenant("other").catalog(tenant.catalog()).apply().await.unwrap();

    let ours = tenant.lease("alice", "scripted").await.unwrap();
    let theirs = other.lease("alice", "scripted").await.unwrap();

    assert_ne!(ours.session().id, theirs.session().id);
    assert_eq!(connections.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn an_exclusive_session_belongs_to_one_lease_and_is_closed_with_it() {
    let (runtime, tenant, connections) = connections_of(Scope::Exclusive).await;

    let first = tenant.lease("alice", "scripted").await.unwrap();
    let second = tenant.lease("alice", "scripted").await.unwrap();
    let call = second.call("hello").start();
    let watches = [first.watch(), second.watch()];
    assert_ne!(first.session().id, second.session().id);
    assert_eq!((first.session().user.unwrap().as_str(), connections.load(SeqCst)), ("alice", 2));
    drop(first);
    drop(second);

    assert_eq!(watches[0].closed().await.code(), "closing");
    // A call holds it like the lease.
    assert_eq!(&call.await.unwrap()[..], b"\"hello\"");
    assert_eq!(watches[1].closed().await.code(), "closing");
    assert!(runtime.status().sessions.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lease_of_an_exclusive_session_that_is_given_up_while_it_opens_leaves_nothing() {
    let (connector, mut servers) = scripted();
    let runtime = Runtime::builder().limits(limits_for_paused_clock()).start().await.unwrap();
    let catalog = Catalog::new().server("scripted", Server::connector(connector).scope(Scope::Exclusive));
    let tenant = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();

    let waiting = tokio::time::timeout(Duration::from_secs(1), tenant.lease("alice", "scripted")).await;
    assert!(waiting.is_err());
    let mut server = servers.recv().await.unwrap();
    while server.pipes.line().await.is_some() {}
    runtime.drain(Duration::from_secs(1)).await;

    assert!(runtime.status().sessions.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_question_in_a_session_of_a_user_goes_to_the_runtime_or_to_the_tenant_with_that_user() {
    for (tenant_has_handler, by) in [(false, "runtime"), (true, "tenant")] {
        let (asked, answer) = ask(Scope::User, tenant_has_handler).await;

        let (who, request) = asked.unwrap();
        assert_eq!((who, request.user.unwrap().as_str()), (by, "alice"));
        assert!(request.call.is_some());
        assert_eq!(answer["result"]["content"]["by"], by);
    }
}

#[tokio::test(start_paused = true)]
async fn one_in_a_shared_session_that_names_no_call_is_refused_though_only_one_user_is_there() {
    let (asked, answer) = ask(Scope::Tenant, false).await;

    assert!(asked.is_none(), "{asked:?}");
    assert_eq!(answer["result"], json!({ "action": "decline" }));
}

#[tokio::test(start_paused = true)]
async fn or_it_goes_to_the_handler_of_the_tenant_and_to_no_user() {
    let (asked, answer) = ask(Scope::Tenant, true).await;

    let (who, request) = asked.unwrap();
    assert_eq!((who, request.user, request.call), ("tenant", None, None));
    assert_eq!(answer["result"]["content"]["by"], "tenant");
}
