//! HTTP+SSE, which came before streamable HTTP (2024-11-05).

use innkeeper::{Endpoint, Error};
use innkeeper_tests::{
    http::{HttpServer, answer},
    remote::{Manner, Remote},
};

use super::{House, call};

const OLD: Manner = Manner { events: true, sessions: false, listening: false, channel: true };

#[tokio::test]
async fn a_server_that_refuses_to_be_posted_to_is_spoken_to_over_its_channel() {
    let remote = Remote::start(OLD).await;
    let house = House::at(Endpoint::new(remote.url()).origin_paths(true)).await;
    let lease = house.lease().await;

    let echoed = call(&lease, "echo").await;

    assert_eq!(echoed, "hello");
    let received = remote.received();
    let paths: Vec<_> = received.iter().map(|request| (request.method.as_str(), request.path.as_str())).collect();
    let message = ("POST", "/messages?session=7");
    assert_eq!(paths, [("POST", "/mcp"), ("GET", "/mcp"), message, message, message]);
    drop(lease);
    house.close().await;
}

#[tokio::test]
async fn its_endpoint_is_reached_only_where_the_entry_allows_other_paths() {
    let remote = Remote::start(OLD).await;
    let house = House::of(&remote).await;

    let error = house.opened().await.unwrap_err();

    assert!(matches!(error, Error::Denied { .. }), "{error:?}");
    assert!(error.to_string().contains("path"), "{error}");
    assert_eq!(remote.asked(), ["POST initialize", "GET"]);
}

#[tokio::test]
async fn what_is_no_server_of_either_kind_is_said_to_be_none() {
    let server = HttpServer::of(answer(404, "text/html", "<h1>no such page</h1>")).await;
    let house = House::at(server.url("/mpc")).await;

    let error = house.opened().await.unwrap_err();

    assert_eq!(error.code(), "unavailable", "{error}");
    assert!(error.to_string().contains("status 404") && error.to_string().contains("check its url"), "{error}");
}
