//! Requests and responses, as they should be.

use std::{collections::BTreeSet, sync::Arc};

use innkeeper::{Catalog, Endpoint, config::McpJson};
use innkeeper_tests::http::{BOUND, HttpServer, answer, chunk, head};
use tokio::{sync::Barrier, time::timeout};

use super::{House, call, fetch, text};

#[tokio::test]
async fn a_request_arrives_as_the_guest_wrote_it_with_what_is_the_hosts() {
    let server = HttpServer::echo().await;
    let lease = House::new().await.lease(server.url("/mcp?x=1")).await;

    let told = fetch(&lease, "POST server\naccept: text/plain, */*\nx-test: 1\n\nhello").await;

    assert_eq!(told, "head 200\ncontent-type: text/plain\ncontent-length: 5\nbody hello\nend\n");
    let request = server.received().remove(0);
    assert_eq!(
        (request.method.as_str(), request.path.as_str(), request.text().as_str()),
        ("POST", "/mcp?x=1", "hello")
    );
    let mut headers: Vec<_> = request.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    headers.sort();
    let expected = [
        "accept-encoding: gzip".to_owned(),
        "accept: text/plain, */*".to_owned(),
        "content-length: 5".to_owned(),
        format!("host: {}", server.address()),
        concat!("user-agent: innkeeper/", env!("CARGO_PKG_VERSION")).to_owned(),
        "x-test: 1".to_owned(),
    ];
    assert_eq!(headers, expected);
}

#[tokio::test]
async fn any_method_goes_with_a_body_or_without() {
    let server = HttpServer::echo().await;
    let lease = House::new().await.lease(server.url("/")).await;

    for request in ["GET server", "DELETE server", "POST server", "PUT server\n\nx", "X-ODD server\n\nx"] {
        assert!(fetch(&lease, request).await.starts_with("head 200\n"), "{request}");
    }

    let methods: Vec<_> = server.received().into_iter().map(|request| (request.method, request.body.len())).collect();
    let expected = [("GET", 0), ("DELETE", 0), ("POST", 0), ("PUT", 1), ("X-ODD", 1)];
    assert_eq!(methods, expected.map(|(method, length)| (method.to_owned(), length)));
}

#[tokio::test]
async fn every_final_status_settles_its_own_exchange() {
    let server = HttpServer::start(|request, mut wire| async move {
        let status: u16 = request.text().parse().unwrap();
        wire.write(match status {
            204 | 304 => format!("HTTP/1.1 {status} Any\r\n\r\n"),
            status => answer(status, "text/html", "<h1>no</h1>"),
        })
        .await;
        Some(wire)
    })
    .await;
    let lease = House::new().await.lease(server.url("/")).await;

    for status in [200, 202, 204, 300, 301, 302, 304, 400, 401, 403, 404, 405, 418, 500, 502, 503, 599] {
        let told = fetch(&lease, &format!("POST server\n\n{status}")).await;

        let body = if matches!(status, 204 | 304) { "" } else { "body <h1>no</h1>\n" };
        assert!(told.starts_with(&format!("head {status}\n")) && told.ends_with(&format!("{body}end\n")), "{told}");
    }
}

#[tokio::test]
async fn what_comes_before_the_final_status_is_not_told() {
    let early = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    let server = HttpServer::of(early.to_owned() + &answer(200, "text/plain", "x")).await;
    let lease = House::new().await.lease(server.url("/")).await;

    let told = fetch(&lease, "POST server\n\nx").await;

    assert_eq!(told, "head 200\ncontent-type: text/plain\ncontent-length: 1\nbody x\nend\n");
}

#[tokio::test]
async fn a_body_comes_whole_however_it_is_sent() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned()
        + &chunk("one ")
        + &chunk("two")
        + "0\r\n\r\n";
    // A stored block (RFC 1951, section 3.2.4), and the sum of its content.
    let mut gzip = head(200, "text/plain", "content-encoding: gzip\r\n").into_bytes();
    gzip.extend([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1, 7, 0, 0xf8, 0xff]);
    gzip.extend(b"one two");
    gzip.extend([0x2f, 0x89, 7, 0xcd, 7, 0, 0, 0]);
    let until_the_end = head(200, "text/plain", "") + "one two";

    for bytes in [chunked.into_bytes(), gzip, until_the_end.into_bytes()] {
        let server = HttpServer::of(bytes).await;
        let lease = House::new().await.lease(server.url("/")).await;

        let told = fetch(&lease, "GET server").await;

        assert!(told.ends_with("body one two\nend\n"), "{told}");
    }
}

#[tokio::test]
async fn params_of_a_call_are_a_body_of_any_size() {
    let server = HttpServer::start(|request, mut wire| async move {
        wire.write(answer(200, "text/plain", &request.body.len().to_string())).await;
        Some(wire)
    })
    .await;
    let lease = House::new().await.lease(server.url("/")).await;

    for size in [0, 1, 100_000, 16 << 20] {
        let told = text(call(&lease, "put", &"x".repeat(size))).await;

        assert!(told.ends_with(&format!("body {size}\nend\n")), "{told}");
    }
}

#[tokio::test]
async fn a_session_has_many_exchanges_at_a_time() {
    const MANY: usize = 256;
    // None is answered before all are there.
    let all = Arc::new(Barrier::new(MANY));
    let server = HttpServer::start(move |request, mut wire| {
        let all = all.clone();
        async move {
            all.wait().await;
            wire.write(answer(200, "text/plain", &request.text())).await;
            Some(wire)
        }
    })
    .await;
    let lease = House::new().await.lease(server.url("/")).await;

    let calls: Vec<_> = (0..MANY).map(|number| call(&lease, "fetch", &format!("POST server\n\n{number}"))).collect();

    for (number, call) in calls.into_iter().enumerate() {
        assert!(text(call).await.ends_with(&format!("body {number}\nend\n")));
    }
}

#[tokio::test]
async fn connections_are_kept_for_the_next_request_of_the_same_tenant_and_of_no_other() {
    let server = HttpServer::echo().await;
    let house = House::new().await;
    let of = |tenant: &'static str| house.tenant(tenant, innkeeper::Server::url(server.url("/")));
    let (acme, other) = (of("acme").await, of("other").await);

    for (tenant, user) in [(&acme, "alice"), (&acme, "bob"), (&other, "alice")].into_iter().cycle().take(30) {
        let lease = tenant.lease(user, "remote").await.unwrap();
        fetch(&lease, &format!("POST server\n\n{}", tenant.name())).await;
    }

    let received = server.received();
    let of = |tenant: &str| -> BTreeSet<usize> {
        received.iter().filter(|request| request.text() == tenant).map(|request| request.connection).collect()
    };
    assert!(of("acme").is_disjoint(&of("other")), "{received:?}");
    // One that was idle for too long, because the machine was busy, is made anew.
    assert!(of("acme").len() < 20 && of("other").len() < 10, "{received:?}");
}

#[tokio::test]
async fn a_path_at_the_origin_is_reached_where_the_catalog_allows_it() {
    let server = HttpServer::echo().await;
    let house = House::new().await;
    let endpoint = Endpoint::new(server.url("/sse"));
    let only = house.tenant("only", innkeeper::Server::url(endpoint.clone())).await;
    let all = house.tenant("all", innkeeper::Server::url(endpoint.origin_paths(true))).await;

    let denied = fetch(&only.lease("alice", "remote").await.unwrap(), "POST /messages?a=b\n\nx").await;
    let told = fetch(&all.lease("alice", "remote").await.unwrap(), "POST /messages?a=b\n\nx").await;

    assert!(denied.starts_with("failed denied: requests go to its URL only"), "{denied}");
    assert!(told.ends_with("body x\nend\n"), "{told}");
    let paths: Vec<_> = server.received().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/messages?a=b"]);
}

#[tokio::test]
async fn this_machine_is_meant_where_an_address_or_localhost_is_named() {
    let server = HttpServer::echo().await;
    let house = House::new().await;
    let port = server.address().port();

    for (tenant, host) in [("digits", "127.0.0.1"), ("decimal", "2130706433"), ("name", "localhost")] {
        let tenant = house.tenant(tenant, innkeeper::Server::url(format!("http://{host}:{port}/"))).await;
        let lease = tenant.lease("alice", "remote").await.unwrap();

        let told = fetch(&lease, "GET server").await;

        assert!(told.starts_with("head 200"), "{host}: {told}");
    }
}

#[tokio::test]
async fn a_proxy_of_the_entry_is_gone_through() {
    let proxy = HttpServer::echo().await;
    let endpoint = Endpoint::new("http://nowhere.invalid/mcp")
        .proxy(format!("http://user:hunter2@{}", proxy.address()))
        .header("x-key", "1");
    let lease = House::new().await.lease(endpoint).await;

    let told = fetch(&lease, "POST server\n\nhello").await;

    assert!(told.ends_with("body hello\nend\n"), "{told}");
    let request = proxy.received().remove(0);
    assert_eq!(request.path, "http://nowhere.invalid/mcp");
    assert_eq!(request.header("x-key"), Some("1"));
    assert!(request.header("proxy-authorization").is_some_and(|value| value.starts_with("Basic ")));
}

#[tokio::test]
async fn an_entry_of_a_file_is_reached_with_its_header_fields() {
    let server = HttpServer::echo().await;
    let text = format!(
        r#"{{"mcpServers": {{"remote": {{"type": "http", "url": "{}", "headers": {{"X-Key": "${{KEY}}"}}}}}}}}"#,
        server.url("/mcp")
    );
    let file = McpJson::parse("mcp.json".as_ref(), text.as_bytes(), &|_: &str| Some("the-key".into()));
    let catalog = Catalog::from_mcp_json(&file.into_result().unwrap());
    let house = House::new().await;
    let tenant = house.runtime.tenant("acme").guest(house.guest.clone()).catalog(catalog).apply().await.unwrap();

    let lease = tenant.lease("alice", "remote").await.unwrap();
    fetch(&lease, "GET server").await;

    assert_eq!(server.received()[0].header("x-key"), Some("the-key"));
}

#[tokio::test]
async fn a_lease_waits_until_the_guest_has_greeted() {
    let server = HttpServer::echo().await;
    let house = House::new().await;
    let tenant = house.tenant("acme", innkeeper::Server::url(server.url("/")).revision("handshake")).await;

    let lease = timeout(BOUND, tenant.lease("alice", "remote")).await.unwrap().unwrap();

    assert_eq!((lease.info().revision.as_str(), lease.info().process, lease.info().incarnation), ("courier", None, 1));
    assert_eq!(server.received().len(), 1);
    assert!(house.drain().await);
}
