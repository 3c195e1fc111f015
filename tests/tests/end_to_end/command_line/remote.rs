//! Servers that are reached over HTTP, without a file that names them.

use innkeeper_tests::remote::{Manner, Remote};
use serde_json::json;

use super::{Desk, assert_says};

#[tokio::test]
async fn a_server_at_a_url_needs_no_file() {
    let desk = Desk::new();
    let remote = Remote::start(Manner::default()).await;
    let url = remote.url();

    let tools = desk.run(&["tools", "--url", &url, "--json"]).await.json();
    let called = desk.run(&["call", "echo", "message=hi", "--url", &url, "--json"]).await.json();
    let ping = desk.run(&["ping", "--url", &url]).await.text();

    let name = tools["servers"][0]["name"].as_str().unwrap().to_owned();
    assert!(url.contains(&name) && name.starts_with("127.0.0.1:"), "{name} of {url}");
    assert_eq!(called["result"]["content"][0], json!({ "type": "text", "text": "hi" }));
    assert_says(&ping, &[&name]);
}

#[tokio::test]
async fn what_is_no_url_is_said_to_be_none_and_what_is_nobodys_cannot_be_reached() {
    let desk = Desk::new();

    let no_url = desk.run(&["tools", "--url", "example"]).await;
    let nobody = desk.run(&["tools", "--url", "http://127.0.0.1:1/mcp"]).await;

    assert_eq!((no_url.exit(), nobody.exit()), (2, 3));
    assert_says(&no_url.stderr, &["`example` is not the URL of a server", "such as https://example.com/mcp"]);
    assert_says(&format!("{}{}", nobody.stdout, nobody.stderr), &["127.0.0.1:1"]);
}
