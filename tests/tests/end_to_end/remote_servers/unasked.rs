//! What a server says by itself, on a stream that the guest asks for.

use innkeeper::Event;
use innkeeper_tests::{
    http::BOUND,
    remote::{Manner, Remote},
};
use serde_json::json;
use tokio::time::timeout;

use super::{FORMS, House, call};

#[tokio::test]
async fn it_reaches_the_subscriber() {
    for manner in FORMS {
        let remote = Remote::start(manner).await;
        let house = House::of(&remote).await;
        let mut events = house.runtime.events();
        let lease = house.lease().await;

        let params = json!({ "level": "info", "data": "tea is ready" });
        remote.say(json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": params }));

        let heard = loop {
            let event = timeout(BOUND, events.next()).await.unwrap().unwrap().unwrap();
            if let Event::Notification { params, .. } = event {
                break params;
            }
        };
        assert_eq!(String::from_utf8_lossy(&heard), params.to_string());
        drop(lease);
        house.close().await;
    }
}

#[tokio::test]
async fn a_server_that_has_no_such_stream_is_asked_for_it_once() {
    for manner in FORMS {
        let remote = Remote::start(Manner { listening: false, ..manner }).await;
        let house = House::of(&remote).await;
        let lease = house.lease().await;
        remote.receives(3).await;

        for _ in 0..3 {
            assert_eq!(call(&lease, "echo").await, "hello");
        }
        drop(lease);
        house.close().await;

        let streams = remote.asked().into_iter().filter(|asked| asked == "GET").count();
        assert_eq!(streams, 1);
    }
}
