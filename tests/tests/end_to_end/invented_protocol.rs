//! The host core knows no protocol: the same binary that runs MCP runs a guest for one that was invented for this test, with
//! other framing, other method names, and no JSON around its messages.

use std::time::Duration;

use innkeeper::{Catalog, ComponentSource, Error, Event, Runtime, Server, Tenant, transport::Framing};
use innkeeper_tests::{artifacts, in_process};

/// A server of the telegraph: capital letters, errors, news, and calls that never end.
async fn telegraph(mut pipes: in_process::Pipes) {
    while let Some(frame) = pipes.frame().await {
        let text = String::from_utf8(frame).unwrap();
        let (header, body) = text.split_once('\n').unwrap_or((&text, ""));
        let words: Vec<&str> = header.split(' ').collect();
        let reply = match words.as_slice() {
            ["HELLO", ..] => "WELCOME 1\n{\"name\":\"morse\"}".to_owned(),
            ["ASK", tag, "shout"] => format!("SAY {tag}\n{}", body.to_uppercase()),
            ["ASK", tag, "refuse"] => format!("NO {tag}\n{{\"reason\":\"no\"}}"),
            ["ASK", tag, "gossip"] => {
                pipes.write_frame(b"NEWS weather\n{\"rain\":true}").await;
                pipes.write_frame(format!("STILL {tag}\n1").as_bytes()).await;
                format!("SAY {tag}\nnull")
            }
            _ => continue,
        };
        pipes.write_frame(reply.as_bytes()).await;
    }
}

async fn tenant(runtime: &Runtime) -> Tenant {
    let guest = ComponentSource::File(artifacts::guest("innkeeper-telegraph-guest"));
    let guest = runtime.load_component(guest).await.unwrap();
    let server = Server::connector(in_process::server(Framing::LengthPrefixed, telegraph));
    runtime.tenant("acme").guest(guest).catalog(Catalog::new().server("post", server)).apply().await.unwrap()
}

#[tokio::test]
async fn the_unchanged_host_runs_a_guest_for_an_invented_protocol() {
    let runtime = Runtime::builder().start().await.unwrap();
    let lease = tenant(&runtime).await.lease("alice", "post").await.unwrap();

    let shouted = lease.call("shout").params(&"hello").start().await.unwrap();
    let refused = lease.call("refuse").start().await.unwrap_err();

    assert_eq!(lease.info().revision, "1");
    assert_eq!(&lease.info().peer[..], b"{\"name\":\"morse\"}");
    assert_eq!(&shouted[..], b"\"HELLO\"");
    assert!(matches!(refused, Error::Server(error) if &error.raw()[..] == b"{\"reason\":\"no\"}"));
    let report = runtime.drain(Duration::from_secs(5)).await;
    assert!(report.closed.iter().all(|session| session.in_time && session.gone), "{report:?}");
}

#[tokio::test]
async fn progress_and_news_of_an_invented_protocol_reach_the_caller_and_the_subscriber() {
    let runtime = Runtime::builder().start().await.unwrap();
    let lease = tenant(&runtime).await.lease("alice", "post").await.unwrap();
    let mut events = runtime.events();

    let mut call = lease.call("gossip").start();
    let progress = call.progress().await;
    let result = call.await.unwrap();

    assert_eq!(progress.as_deref(), Some(b"1".as_slice()));
    assert_eq!(&result[..], b"null");
    let Some(Ok(Event::Notification { method, params, .. })) = events.next().await else {
        panic!("there was no news");
    };
    assert_eq!((method.as_str(), &params[..]), ("weather", b"{\"rain\":true}".as_slice()));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_answers_ends_at_its_deadline() {
    let runtime = Runtime::builder().limits(in_process::limits_for_paused_clock()).start().await.unwrap();
    let lease = tenant(&runtime).await.lease("alice", "post").await.unwrap();

    let outcome = lease.call("ponder").deadline(Duration::from_secs(3)).start().await;

    let error = outcome.unwrap_err();
    assert_eq!((error.code(), error.may_have_run()), ("timeout", innkeeper::MayHaveRun::Unknown));
}
