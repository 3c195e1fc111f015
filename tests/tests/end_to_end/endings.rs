//! How a connection ends, and what the calls on it hear: the last answer is not lost, and no call is told that nothing of it
//! was sent when something was.

use std::{
    future::pending,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use innkeeper::{
    Catalog, Error, Event, Lease, MayHaveRun, Runtime, Server,
    transport::{BoxFuture, ConnectContext, ConnectError, Connection, Connector, Framing, connector_fn},
};
use innkeeper_tests::{
    faulty::{faulty, tenant},
    in_process::{self, Pipes, limits_for_paused_clock},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, DuplexStream, ReadBuf, duplex},
    sync::{Mutex, mpsc},
};

/// Bytes that a pipe holds, as one of the system does.
const PIPE: usize = 64 * 1024;

const WELCOME: &str =
    r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}"#;

async fn lease(server: Server) -> Lease {
    let runtime = Runtime::builder().limits(limits_for_paused_clock()).start().await.unwrap();
    let catalog = Catalog::new().server("s", server);
    let tenant = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();
    tenant.lease("alice", "s").await.unwrap()
}

fn answer(request: &str, result: &str) -> String {
    let request: Value = serde_json::from_str(request).unwrap();
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, request["id"])
}

/// Does the handshake of a server.
async fn welcome(pipes: &mut Pipes) {
    let initialize = pipes.line().await.unwrap();
    pipes.write_line(&answer(&initialize, WELCOME)).await;
    pipes.line().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_first_page_was_answered_may_have_run_when_the_second_is_never_written() {
    let server = in_process::server(Framing::Lines, |mut pipes| async move {
        welcome(&mut pipes).await;
        let first = pipes.line().await.unwrap();
        // And it is gone, before the next page can be asked for.
        pipes.write_line(&answer(&first, r#"{"tools":[],"nextCursor":"2"}"#)).await;
    });
    let lease = lease(Server::connector(server)).await;

    let error = lease.call("tools/list").all_pages().start().await.unwrap_err();

    assert_eq!((error.code(), error.may_have_run()), ("server_exited", MayHaveRun::Unknown), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_sent_may_have_run_when_the_next_process_cannot_be_started() {
    let connections = AtomicUsize::new(0);
    let (seen, mut lines) = mpsc::unbounded_channel();
    let server = Server::connector(connector_fn("one that starts once", move |_| {
        let first = connections.fetch_add(1, SeqCst) == 0;
        let seen = seen.clone();
        async move {
            if !first {
                return Err("it is gone".to_owned());
            }
            let (ours, theirs) = duplex(PIPE);
            tokio::spawn(async move {
                let mut lines = BufReader::new(theirs).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let _ = seen.send(line);
                }
            });
            let (reader, writer) = tokio::io::split(ours);
            Ok(Connection::new(reader, writer, Framing::Lines))
        }
    }));
    let runtime = Runtime::builder().limits(limits_for_paused_clock()).start().await.unwrap();
    let tenant = tenant(&runtime, "acme", &faulty(&runtime).await, server).await;
    let lease = tenant.lease("alice", "quiet").await.unwrap();
    let sent = lease.call("send").params(&"hello").start();
    assert_eq!(lines.recv().await.unwrap(), "\"hello\"");
    let held = lease.call("hold").start();

    let _ = lease.call("fresh-process").start().await;
    let (sent, held) = (sent.await.unwrap_err(), held.await.unwrap_err());

    assert_eq!((sent.code(), sent.may_have_run()), ("unavailable", MayHaveRun::Unknown), "{sent}");
    assert_eq!((held.code(), held.may_have_run()), ("start_failed", MayHaveRun::No), "{held}");
}

/// A reader that has nothing at the first looks at what has come, as a pipe whose readiness was not looked up again.
struct Late {
    reader: DuplexStream,
    looks: u32,
}

/// The owner looks once before it hears of a call, and once after it has written it.
const LOOKS: u32 = 2;

impl AsyncRead for Late {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.looks < LOOKS {
            self.looks += 1;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let read = Pin::new(&mut self.reader).poll_read(context, buffer);
        if read.is_pending() {
            self.looks = 0;
        }
        read
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_has_come_is_not_lost_when_the_next_call_cannot_be_written() {
    let (writer, input) = duplex(PIPE);
    let (reader, mut output) = duplex(PIPE);
    let connection = Connection::new(Late { reader, looks: 0 }, writer, Framing::Lines);
    let connection = Arc::new(Mutex::new(Some(connection)));
    let server = Server::connector(connector_fn("a connection of this test", move |_| {
        let connection = connection.clone();
        async move { connection.lock().await.take().ok_or_else(|| "there is only one".to_owned()) }
    }));
    let mut input = BufReader::new(input).lines();
    let handshake = async {
        let initialize = input.next_line().await.unwrap().unwrap();
        output.write_all(format!("{}\n", answer(&initialize, WELCOME)).as_bytes()).await.unwrap();
        input.next_line().await.unwrap().unwrap();
    };
    let (lease, ()) = tokio::join!(lease(server), handshake);

    let first = lease.call("first").start();
    let request = input.next_line().await.unwrap().unwrap();
    // All at once, so that the second call is written before the answer to the first is read.
    output.write_all(format!("{}\n", answer(&request, "7")).as_bytes()).await.unwrap();
    drop((input, output));
    let second = lease.call("second").start();

    assert_eq!(first.await.unwrap(), "7");
    let error = second.await.unwrap_err();
    assert_eq!((error.code(), error.may_have_run()), ("server_exited", MayHaveRun::No), "{error}");
}

/// Counts connections that were begun.
struct Begun(Arc<AtomicUsize>);

impl Connector for Begun {
    fn describe(&self) -> String {
        "one that is slow to connect".to_owned()
    }

    fn connect(&self, _: ConnectContext) -> BoxFuture<'static, Result<Connection, ConnectError>> {
        let begun = self.0.clone();
        Box::pin(async move {
            begun.fetch_add(1, SeqCst);
            pending().await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_its_guest_refuses_to_open_starts_no_server_in_order_to_close_it() {
    let begun = Arc::new(AtomicUsize::new(0));
    let server = Server::connector(Arc::new(Begun(begun.clone()))).revision("1999-01-01");
    let runtime = Runtime::builder().limits(limits_for_paused_clock()).start().await.unwrap();
    let tenant = runtime.tenant("acme").catalog(Catalog::new().server("s", server)).apply().await.unwrap();

    let refused = tenant.lease("alice", "s").await.unwrap_err();
    runtime.drain(Duration::from_secs(10)).await;

    assert!(!matches!(refused, Error::Timeout { .. }), "{refused}");
    assert_eq!(begun.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn subscribers_get_no_notification_that_is_larger_than_its_limit() {
    let server = in_process::server(Framing::Lines, |mut pipes| async move {
        welcome(&mut pipes).await;
        for bytes in [10, 2_000, 20] {
            let text = "x".repeat(bytes);
            let said = json!({ "jsonrpc": "2.0", "method": "notifications/said", "params": { "text": text } });
            pipes.write_line(&said.to_string()).await;
        }
        pipes.drain().await;
    });
    let mut limits = limits_for_paused_clock();
    limits.notification = 1_000;
    let runtime = Runtime::builder().limits(limits).start().await.unwrap();
    let catalog = Catalog::new().server("s", Server::connector(server));
    let tenant = runtime.tenant("acme").catalog(catalog).apply().await.unwrap();
    let mut events = pin!(runtime.events());
    let _lease = tenant.lease("alice", "s").await.unwrap();

    let mut heard = Vec::new();
    while heard.len() < 2 {
        if let Event::Notification { params, .. } = events.next().await.unwrap().unwrap() {
            heard.push(params.len());
        }
    }

    assert_eq!(heard, [r#"{"text":""}"#.len() + 10, r#"{"text":""}"#.len() + 20]);
}
