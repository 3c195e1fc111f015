//! What goes wrong with a call: whether its connection is lost for it, what its caller hears, and that the server has had it
//! once whatever happens.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use innkeeper::{
    BreakerState, Error, Lease, Limits, MayHaveRun, Runtime, Server, SessionState, Tenant,
    transport::{Connection, Framing, connector_fn},
};
use innkeeper_tests::in_process::{Pipes, limits_for_paused_clock};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::mpsc::{self, UnboundedReceiver},
    time::{Instant, sleep},
};

use super::{House, Scripted, at_once, open, scripted, tenant_of};

/// A tenant, its lease, and the server's end of each connection.
async fn session(limits: Limits) -> (Runtime, Tenant, Lease, Scripted, UnboundedReceiver<Scripted>) {
    let (connector, mut servers) = scripted();
    let (runtime, tenant) = tenant_of(Runtime::builder().limits(limits), connector).await;
    let (lease, server) = open(&tenant, &mut servers).await;
    (runtime, tenant, lease, server, servers)
}

/// Answers the next call with its method, and says which that was.
async fn answer_next(server: &mut Scripted) -> String {
    let message = server.message().await.unwrap();
    server.answer(&message, message["method"].clone()).await;
    message["method"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn an_error_that_a_server_answers_is_the_callers_and_costs_no_connection_and_no_second_call() {
    let (runtime, _tenant, lease, mut server, _servers) = session(limits_for_paused_clock()).await;
    // What others take for the end of a connection, or for a deadline, because of its text or its number.
    let errors = [
        (-32602, "Invalid params"),
        (-32603, "Internal error"),
        (-32601, "Method not found"),
        (408, "Request Timeout"),
        (-32001, "Request timed out"),
        (-32600, "Session terminated"),
        (-32000, "Connection closed"),
        (429, "Rate limit exceeded"),
        (401, "Unauthorized"),
    ];

    for (code, message) in errors {
        for idempotent in [false, true] {
            let call = lease.call("pay").idempotent(idempotent).start();
            let request = server.message().await.unwrap();
            let error = json!({ "code": code, "message": message });
            server.say(json!({ "jsonrpc": "2.0", "id": request["id"], "error": error })).await;
            let error = call.await.unwrap_err();
            // What comes next is the next call, and not this one again.
            let (next, seen) = tokio::join!(at_once(lease.call("look").start()), answer_next(&mut server));

            assert_eq!(error.may_have_run(), MayHaveRun::Yes, "{message}");
            let Error::Server(error) = error else { panic!("{message}: {error:?}") };
            assert_eq!((error.code(), error.message().as_deref()), (Some(code), Some(message)));
            assert_eq!((next.unwrap().as_ref(), seen.as_str()), (&b"\"look\""[..], "look"), "{message}");
        }
    }

    let status = runtime.status().sessions.remove(0);
    assert_eq!(
        (status.state, status.incarnation, status.breaker, status.error),
        (SessionState::Ready, 1, BreakerState::Closed, None)
    );
}

/// How a stream breaks, once it is told to.
#[derive(Clone, Copy, Debug)]
enum Break {
    ReadsEnd,
    ReadsFail(io::ErrorKind),
    /// Reading goes on without anything to read, which is what a server does that has closed its input alone.
    WritesFail(io::ErrorKind),
}

/// How a stream is broken, and who waits for it to be.
type Broken = Arc<Mutex<(Option<Break>, Option<Waker>)>>;

/// A stream, and how it is broken if it is.
struct Breakable<S> {
    stream: S,
    broken: Broken,
}

impl<S: AsyncRead + Unpin> AsyncRead for Breakable<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut broken = self.broken.lock().unwrap();
        match broken.0 {
            Some(Break::ReadsEnd) => return Poll::Ready(Ok(())),
            Some(Break::ReadsFail(kind)) => return Poll::Ready(Err(kind.into())),
            Some(Break::WritesFail(_)) | None => broken.1 = Some(context.waker().clone()),
        }
        drop(broken);
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Breakable<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let broken = self.broken.lock().unwrap().0;
        match broken {
            Some(Break::WritesFail(kind)) => Poll::Ready(Err(kind.into())),
            _ => Pin::new(&mut self.stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_is_noticed_and_the_next_call_has_another_connection_without_a_second_call() {
    let breaks = [
        Break::ReadsEnd,
        Break::ReadsFail(io::ErrorKind::ConnectionReset),
        Break::ReadsFail(io::ErrorKind::UnexpectedEof),
        Break::ReadsFail(io::ErrorKind::Other),
        Break::WritesFail(io::ErrorKind::BrokenPipe),
        Break::WritesFail(io::ErrorKind::ConnectionReset),
        Break::WritesFail(io::ErrorKind::WriteZero),
    ];

    let house = House::with(limits_for_paused_clock()).await;
    for how in breaks {
        let (sender, mut servers) = mpsc::unbounded_channel();
        let connector = connector_fn("one whose streams break", move |_| {
            let (ours, pipes) = Pipes::pair();
            let broken = Broken::default();
            let _ = sender.send((Scripted { pipes }, Arc::clone(&broken)));
            let (reader, writer) = tokio::io::split(ours);
            let (reader, writer) =
                (Breakable { stream: reader, broken: broken.clone() }, Breakable { stream: writer, broken });
            async move { Ok(Connection::new(reader, writer, Framing::Lines)) }
        });
        let tenant = house.tenant(&format!("{how:?}"), Server::connector(connector)).await;
        let opening = tokio::spawn({
            let tenant = tenant.clone();
            async move { tenant.lease("alice", "scripted").await.unwrap() }
        });
        let (mut first, broken) = servers.recv().await.unwrap();
        let paying = tokio::spawn(async move {
            let request = first.message().await.unwrap();
            (request, first)
        });
        let lease = opening.await.unwrap();
        let sent = lease.call("pay").start();
        let (request, mut first) = paying.await.unwrap();

        let waker = {
            let mut broken = broken.lock().unwrap();
            broken.0 = Some(how);
            broken.1.take()
        };
        waker.into_iter().for_each(Waker::wake);
        // Of a stream that only fails to be written to nobody hears before something is.
        let unsent = lease.call("ship").start();
        let (sent, unsent) = (sent.await.unwrap_err(), unsent.await);
        let (next, seen) = tokio::join!(lease.call("look").start(), async {
            let (mut second, _) = servers.recv().await.unwrap();
            let mut seen = Vec::new();
            while seen.last().is_none_or(|method| method != "look") {
                seen.push(answer_next(&mut second).await);
            }
            seen
        });

        assert_eq!(request["method"], "pay");
        assert_eq!((sent.code(), sent.may_have_run()), ("server_exited", MayHaveRun::Unknown), "{how:?}: {sent}");
        // It was refused with nothing of it sent, or made on the next connection: not both.
        match unsent {
            Ok(_) => assert_eq!(seen, ["ship", "look"], "{how:?}"),
            Err(error) => {
                assert_eq!((error.code(), error.may_have_run()), ("server_exited", MayHaveRun::No), "{how:?}: {error}");
                assert_eq!(seen, ["look"], "{how:?}");
            }
        }
        assert_eq!(next.unwrap(), "\"look\"");
        assert_eq!(lease.info().incarnation, 2, "{how:?}");
        // The first has heard of nothing else.
        assert_eq!(first.message().await, None, "{how:?}");
    }
}

/// What happens to a call that the server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    Refused,
    /// The server ends.
    Death,
    /// In the middle of its answer.
    HalfAnAnswer,
    /// The answer is larger than a message may be.
    Flood,
    /// The answer is none.
    Nonsense,
    Deadline,
    Dropped,
    Restart,
    Close,
}

#[tokio::test(start_paused = true)]
async fn a_server_has_a_call_once_whatever_becomes_of_it() {
    const ALL: [Fate; 10] = [
        Fate::Answered,
        Fate::Refused,
        Fate::Death,
        Fate::HalfAnAnswer,
        Fate::Flood,
        Fate::Nonsense,
        Fate::Deadline,
        Fate::Dropped,
        Fate::Restart,
        Fate::Close,
    ];
    let mut limits = limits_for_paused_clock();
    limits.frame = 64 * 1024;
    let house = House::with(limits.clone()).await;

    for fate in ALL {
        let (connector, mut servers) = scripted();
        let tenant = house.tenant(&format!("{fate:?}"), Server::connector(connector)).await;
        let (lease, mut server) = open(&tenant, &mut servers).await;
        let call = lease.call("pay").deadline(Duration::from_secs(5)).start();
        let request = server.message().await.unwrap();
        assert_eq!(request["method"], "pay");
        // Whatever is sent from here on.
        let (sender, mut seen) = mpsc::unbounded_channel();
        let obey = |mut server: Scripted| {
            let sender = sender.clone();
            tokio::spawn(async move {
                while let Some(message) = server.message().await {
                    let _ = sender.send(message["method"].as_str().unwrap_or_default().to_owned());
                    server.answer(&message, message["method"].clone()).await;
                }
            })
        };

        let mut call = Some(call);
        match fate {
            Fate::Answered => server.answer(&request, json!("paid")).await,
            Fate::Refused => {
                let error = json!({ "code": -32602, "message": "Invalid params" });
                server.say(json!({ "jsonrpc": "2.0", "id": request["id"], "error": error })).await;
            }
            Fate::HalfAnAnswer => server.pipes.write(b"{\"jsonrpc\":\"2.0\",\"id\":").await,
            Fate::Flood => {
                let padding = "x".repeat(limits.frame + 1);
                server.answer(&request, json!(padding)).await;
            }
            Fate::Nonsense => server.say(json!({ "jsonrpc": "2.0", "id": request["id"] })).await,
            Fate::Dropped => drop(call.take()),
            Fate::Death | Fate::Deadline | Fate::Restart | Fate::Close => {}
        }
        let ends = matches!(fate, Fate::Death | Fate::HalfAnAnswer);
        if ends {
            drop(server);
        } else {
            obey(server);
        }
        let serving = async {
            while let Some(server) = servers.recv().await {
                obey(server);
            }
        };
        let using = async {
            match fate {
                Fate::Restart => drop(lease.restart().await.unwrap()),
                Fate::Close => drop(tenant.close(Duration::from_secs(1)).await),
                _ => {}
            }
            let outcome = match call {
                Some(call) => Some(call.await.map_err(|error| error.may_have_run())),
                None => None,
            };
            // Longer than any wait before another try, and another call for whoever repeats things at the next chance.
            sleep(Duration::from_secs(120)).await;
            let lease = if fate == Fate::Close { tenant.lease("alice", "scripted").await.unwrap() } else { lease };
            lease.call("look").start().await.unwrap();
            outcome
        };
        let outcome = tokio::select! {
            outcome = using => outcome,
            () = serving => None,
        };

        let expected = match fate {
            Fate::Answered => Some(Ok("\"paid\"".into())),
            Fate::Refused => Some(Err(MayHaveRun::Yes)),
            Fate::Dropped => None,
            _ => Some(Err(MayHaveRun::Unknown)),
        };
        assert_eq!(outcome, expected, "{fate:?}");
        let mut methods = Vec::new();
        while let Ok(method) = seen.try_recv() {
            methods.push(method);
        }
        let calls: Vec<_> = methods.iter().filter(|method| !method.starts_with("notifications/")).collect();
        assert_eq!(calls, ["look"], "{fate:?}: {methods:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_says_of_which_server_and_how_long_it_was_and_costs_no_connection() {
    let (runtime, _tenant, lease, mut server, _servers) = session(limits_for_paused_clock()).await;

    for (given, said) in [(Some(Duration::from_millis(1500)), "1.5s"), (None, "60s")] {
        let call = lease.call("ponder");
        let call = if let Some(given) = given { call.deadline(given) } else { call };
        let began = Instant::now();
        let (error, request) = tokio::join!(call.start(), server.message());
        let (error, took) = (error.unwrap_err(), began.elapsed());
        // The answer comes too late, and the next call is answered all the same.
        assert_eq!(server.message().await.unwrap()["method"], "notifications/cancelled");
        server.answer(&request.unwrap(), json!("too late")).await;
        let (next, _) = tokio::join!(at_once(lease.call("look").start()), answer_next(&mut server));

        assert_eq!(error.to_string(), format!("the call with server `scripted` took longer than {said}"));
        assert_eq!(took.as_millis(), given.unwrap_or(Duration::from_secs(60)).as_millis());
        assert_eq!(next.unwrap(), "\"look\"");
    }

    let status = runtime.status().sessions.remove(0);
    assert_eq!((status.state, status.incarnation, status.breaker), (SessionState::Ready, 1, BreakerState::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_has_no_time_is_not_sent() {
    let (_runtime, _tenant, lease, mut server, _servers) = session(limits_for_paused_clock()).await;

    // Alone, and together with one that has.
    let alone = lease.call("pay").deadline(Duration::ZERO).start().await;
    let calls = [lease.call("look").start(), lease.call("pay").deadline(Duration::ZERO).start()];
    let seen = [answer_next(&mut server).await, {
        let last = tokio::spawn(lease.call("last").start());
        let seen = answer_next(&mut server).await;
        last.await.unwrap().unwrap();
        seen
    }];
    let [look, together] = calls;

    for error in [alone.unwrap_err(), together.await.unwrap_err()] {
        assert_eq!((error.code(), error.may_have_run()), ("timeout", MayHaveRun::No), "{error}");
    }
    assert_eq!((look.await.unwrap().as_ref(), seen), (&b"\"look\""[..], ["look", "last"].map(str::to_owned)));
}

#[tokio::test(start_paused = true)]
async fn where_one_failure_is_enough_nothing_is_tried_again() {
    let mut limits = limits_for_paused_clock();
    limits.breaker_failures = 1;
    let (runtime, _tenant, lease, server, mut servers) = session(limits).await;

    drop(server);
    let lost = lease.call("hello").start().await.unwrap_err();
    let refused = at_once(lease.call("hello").start()).await.unwrap_err();

    assert_eq!((lost.code(), refused.code()), ("server_exited", "unavailable"));
    assert!(refused.retry_after().is_some_and(|after| after <= Duration::from_secs(60)));
    assert!(servers.try_recv().is_err());
    let status = runtime.status().sessions.remove(0);
    assert_eq!((status.state, status.incarnation), (SessionState::Disconnected, 1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_another_call_or_to_none_is_no_answer() {
    let (_runtime, _tenant, lease, mut server, _servers) = session(limits_for_paused_clock()).await;

    let call = lease.call("look").start();
    let request = server.message().await.unwrap();
    let mut foreign: Value = request.clone();
    for id in [json!(4_000_000), json!("1"), json!(null), json!(-1)] {
        foreign["id"] = id;
        server.answer(&foreign, json!("for somebody else")).await;
    }
    server.answer(&request, json!("for us")).await;

    assert_eq!(call.await.unwrap(), "\"for us\"");
}
