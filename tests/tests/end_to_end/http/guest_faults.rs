//! What a guest may not ask for.

use innkeeper::Error;
use innkeeper_tests::http::HttpServer;

use super::{House, call, error};

#[tokio::test]
async fn a_guest_that_asks_for_what_is_the_hosts_is_at_fault_and_nothing_is_sent() {
    let server = HttpServer::echo().await;
    let house = House::new().await;
    let tenant = house.tenant("acme", innkeeper::Server::url(server.url("/"))).await;
    let cases = [
        ("fetch", "GET server\ncookie: a=b", "which is the host's"),
        ("fetch", "GET server\nauthorization: Bearer x", "which is the host's"),
        ("fetch", "GET server\nhost: evil.example", "which is the host's"),
        ("fetch", "GET server\nx-other: 1", "which it did not declare"),
        ("fetch", "GET server\nx-test: a\rb: c", "no header field can have"),
        ("fetch", "GET server\nx test: 1", "whose name is none"),
        ("fetch", "CONNECT server", "the method CONNECT"),
        ("fetch", "G\tT server", "a method that is none"),
        ("fetch", "GET //evil.example/", "a path that is none"),
        ("fetch", "GET http://evil.example/", "a path that is none"),
        ("leave", "GET server\ncookie: a=b", "which is the host's"),
        ("same-id", "GET server", "an exchange that is open"),
        ("forged-abort", "", "which is not open"),
        ("forged-call", "GET server", "which is not open"),
        ("frame", "", "its session has HTTP"),
        ("process", "", "its session has HTTP"),
    ];
    for (method, request, said) in cases {
        // Each for a user of its own: so many faults in a row would open the breaker of one.
        let user = format!("{method} {request}").replace(|c: char| c.is_control(), " ");
        let lease = tenant.lease(user, "remote").await.unwrap();

        let error = error(call(&lease, method, request)).await;

        assert!(
            matches!(&error, Error::GuestFault { detail, .. } if detail.contains(said)),
            "{method} {request}: {error}"
        );
    }
    // The first of the two with one id may have left.
    assert!(server.received().len() <= 1, "{:?}", server.received());
}
