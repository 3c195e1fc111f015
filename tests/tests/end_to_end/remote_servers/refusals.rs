//! Statuses that say no, and responses that say nothing.

use innkeeper::{Error, MayHaveRun};
use innkeeper_tests::http::{HttpServer, Received, Wire, answer, head};
use serde_json::{Value, json};

use super::{House, call, ended, start};

/// A server that opens sessions, and gives these bytes to every call of the tool `odd`.
async fn odd(bytes: String) -> HttpServer {
    HttpServer::start(move |request: Received, mut wire: Wire| {
        let bytes = bytes.clone();
        async move {
            let message: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let result = match message["method"].as_str() {
                Some("initialize") => {
                    let info = json!({ "name": "odd", "version": "1" });
                    json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} }, "serverInfo": info })
                }
                Some("tools/call") if message["params"]["name"] == "odd" => {
                    wire.write(bytes.replace("ID", &message["id"].to_string())).await;
                    return None;
                }
                Some("tools/call") => json!({ "content": [{ "type": "text", "text": "as usual" }] }),
                Some(_) => {
                    wire.write(answer(202, "text/plain", "")).await;
                    return Some(wire);
                }
                None => {
                    wire.write(answer(405, "text/plain", "")).await;
                    return Some(wire);
                }
            };
            let reply = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
            wire.write(answer(200, "application/json", &reply.to_string())).await;
            Some(wire)
        }
    })
    .await
}

#[tokio::test]
async fn a_server_that_wants_authorization_does_not_open() {
    for status in [401, 403] {
        let challenge = "www-authenticate: Bearer resource_metadata=\"https://a.example/m\"\r\n";
        let server = HttpServer::of(head(status, "text/plain", &format!("{challenge}content-length: 0\r\n"))).await;
        let house = House::at(server.url("/mcp")).await;

        let error = house.opened().await.unwrap_err();

        let Error::AuthorizationRequired { status: said, challenge, .. } = &error else { panic!("{error:?}") };
        assert_eq!((*said, challenge.as_deref()), (status, Some("Bearer resource_metadata=\"https://a.example/m\"")));
        assert_eq!(server.received().len(), 1);
    }
}

#[tokio::test]
async fn a_call_that_wants_authorization_fails_alone() {
    for (status, may_have_run) in [(401, MayHaveRun::No), (403, MayHaveRun::Unknown)] {
        let server = odd(head(status, "text/plain", "www-authenticate: Bearer scope=\"x\"\r\n")).await;
        let house = House::at(server.url("/mcp")).await;
        let lease = house.lease().await;

        let error = ended(start(&lease, "odd")).await.unwrap_err();

        let Error::AuthorizationRequired { status: said, challenge, .. } = &error else { panic!("{error:?}") };
        assert_eq!((*said, challenge.as_deref()), (status, Some("Bearer scope=\"x\"")));
        assert_eq!(error.may_have_run(), may_have_run);
        assert_eq!(call(&lease, "usual").await, "as usual");
        assert_eq!(lease.ready().await.unwrap().incarnation, 1);
    }
}

#[tokio::test]
async fn an_odd_response_fails_its_call_and_no_other() {
    let error_of = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32000,"message":"tired"}}}}"#);
    let json = |status: u16, body: &str| head(status, "application/json", "") + body;
    let events = |body: &str| head(200, "text/event-stream", "") + body;
    let cases = [
        ("a status of the server's trouble", head(500, "text/plain", "") + "oops", "unavailable"),
        ("an error with such a status", json(500, &error_of("ID")), "server_error"),
        ("an error that has no id", json(500, &error_of("null")), "server_error"),
        ("an error of a good status", json(200, &error_of("ID")), "server_error"),
        ("no json", json(200, "{"), "protocol_violation"),
        ("nothing", json(200, ""), "protocol_violation"),
        ("a page", head(200, "text/html", "") + "<p>", "protocol_violation"),
        ("no reply announced", answer(202, "text/plain", ""), "protocol_violation"),
        ("a stream that ends", events(""), "unavailable"),
        ("a stream of nothing of use", events("data: {}\n\n: x\n\ndata\n\n"), "unavailable"),
        ("a broken connection", String::new(), "unavailable"),
        ("no http", "HTTP/1.1 abc\r\n\r\n".to_owned(), "protocol_violation"),
    ];
    for (what, bytes, code) in cases {
        let server = odd(bytes).await;
        let house = House::at(server.url("/mcp")).await;
        let lease = house.lease().await;

        let error = ended(start(&lease, "odd")).await.unwrap_err();

        assert_eq!(error.code(), code, "{what}: {error}");
        if what.contains("stream") {
            assert!(error.to_string().contains("ended before the reply"), "{what}: {error}");
        }
        assert_eq!(call(&lease, "usual").await, "as usual", "{what}");
        assert_eq!(lease.ready().await.unwrap().incarnation, 1, "{what}");
    }
}
