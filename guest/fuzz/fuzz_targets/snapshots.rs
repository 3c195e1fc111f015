//! A snapshot may be any bytes: it is refused, or it is a state that a client can go
//! on from without a panic, and that has a snapshot like any other.
//!
//! Worth starting from the frozen ones: `cargo fuzz run snapshots corpus/snapshots
//! ../tests/snapshots`.

#![no_main]

use innkeeper_guest::Client;
use innkeeper_guest::boundary::{Call, Event, Header, Outstanding, OutstandingCall, ResponseBody, ResponseHead};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let held = |id| OutstandingCall { id, method: "x".to_owned(), sent: true };
    let outstanding = || Outstanding {
        calls: (0..16).map(held).collect(),
        server_requests: (0..4).collect(),
        exchanges: (0..16).collect(),
        timers: Vec::new(),
    };
    let Ok((mut client, _)) = Client::restore(bytes, outstanding()) else { return };

    let snapshot = client.snapshot(Client::SNAPSHOT_FORMAT).expect("every state can be carried over");
    let (mut twin, _) = Client::restore(&snapshot, outstanding()).expect("what was written can be read");

    let page = |id| format!(r#"{{"id":{id},"result":{{"tools":[1],"nextCursor":"{id}"}}}}"#);
    let mut events: Vec<Event> = (0..8).map(|id| Event::Frame(page(id).into_bytes())).collect();
    events.push(Event::Frame(br#"{"jsonrpc":"2.0","id":"s","method":"roots/list"}"#.to_vec()));
    events.push(Event::Call(Call {
        id: 99,
        method: "x".to_owned(),
        params: Some(b"{\n}".to_vec()),
        progress: true,
        all_pages: true,
    }));
    for exchange in 0..8 {
        let headers = vec![Header { name: "content-type".to_owned(), value: "application/json".to_owned() }];
        let status = if exchange % 2 == 0 { 200 } else { 404 };
        events.push(Event::ResponseHead(ResponseHead { exchange, status, headers }));
        events.push(Event::ResponseBody(ResponseBody { exchange, bytes: page(exchange).into_bytes() }));
        events.push(Event::ResponseEnd(exchange));
        events.push(Event::ResponseEnd(exchange + 8));
        events.push(Event::Timer(exchange));
    }
    events.push(Event::Started(2));
    events.push(Event::Close);
    assert_eq!(client.handle(0, events.clone()), twin.handle(0, events));
});
