//! Connections that are not what a pipe to a process is: writers that keep bytes back, servers that close their input and
//! live on, peers that do not end. What matters here are the two streams and the peer, so the guest only writes what it is
//! told to.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use innkeeper::{
    Call, Lease, MayHaveRun, Runtime, Server,
    transport::{BoxFuture, Connection, ExitStatus, Framing, Peer, connector_fn},
};
use innkeeper_tests::{
    faulty::{faulty, tenant},
    in_process::limits_for_paused_clock,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter, DuplexStream, duplex},
    sync::{Notify, mpsc},
    time::{Instant, timeout},
};

/// Bytes that a pipe holds, as one of the system does.
const PIPE: usize = 64 * 1024;

/// A session over this one connection. The lease holds all of it.
async fn session(connection: Connection) -> Lease {
    let connection = Mutex::new(Some(connection));
    let server = Server::connector(connector_fn("a connection of this test", move |_| {
        let connection = connection.lock().unwrap().take();
        async move { connection.ok_or_else(|| "there is only one".to_owned()) }
    }));
    let runtime = Runtime::builder().limits(limits_for_paused_clock()).start().await.unwrap();
    let tenant = tenant(&runtime, "acme", &faulty(&runtime).await, server).await;
    tenant.lease("alice", "quiet").await.unwrap()
}

/// Has the guest send a text to the server, in a call that stays open.
fn send(lease: &Lease, text: &str) -> Call {
    lease.call("send").params(&text).start()
}

/// The next line that the server reads, within a time that nothing here needs.
async fn line(input: &mut BufReader<DuplexStream>) -> String {
    let mut line = String::new();
    timeout(Duration::from_secs(10), input.read_line(&mut line)).await.expect("the line is passed on").unwrap();
    line
}

// ---------------------------------------------------------------------------------------------------- writing

#[tokio::test(start_paused = true)]
async fn a_writer_that_passes_on_only_what_is_flushed_keeps_no_call_back() {
    // In the smaller pipe no flush ends before the server has read.
    for pipe in [PIPE, 1] {
        let (writer, input) = duplex(pipe);
        let (reader, _output) = duplex(pipe);
        let connection = Connection::new(reader, BufWriter::with_capacity(PIPE, writer), Framing::Lines);
        let lease = session(connection).await;
        let mut input = BufReader::new(input);

        for text in ["one", "two", "three"] {
            let call = send(&lease, text);
            assert_eq!(line(&mut input).await, format!("\"{text}\"\n"), "a pipe of {pipe} bytes");
            drop(call);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_closes_its_input_and_still_prints_is_gone() {
    let (writer, input) = duplex(PIPE);
    let (reader, mut output) = duplex(PIPE);
    let lease = session(Connection::new(reader, writer, Framing::Lines)).await;
    let mut input = BufReader::new(input);

    let read = send(&lease, "read");
    line(&mut input).await;
    drop(input);
    output.write_all(b"it lives\n").await.unwrap();
    let unread = send(&lease, "unread");
    let errors = [read.await.unwrap_err(), unread.await.unwrap_err()];

    assert_eq!(errors.each_ref().map(innkeeper::Error::code), ["server_exited"; 2], "{errors:?}");
    assert_eq!(errors.map(|error| error.may_have_run()), [MayHaveRun::Unknown, MayHaveRun::No]);
}

#[tokio::test(start_paused = true)]
async fn of_a_frame_that_was_half_written_the_call_may_have_run_and_of_those_behind_it_not() {
    let (writer, mut input) = duplex(16);
    let (reader, _output) = duplex(PIPE);
    let lease = session(Connection::new(reader, writer, Framing::Lines)).await;

    let begun = send(&lease, &"x".repeat(100));
    input.read_exact(&mut [0; 4]).await.unwrap();
    let behind = send(&lease, "behind");
    // The guest has done what came before this call.
    lease.call("echo").start().await.unwrap();
    drop(input);
    let errors = [begun.await.unwrap_err(), behind.await.unwrap_err()];

    assert_eq!(errors.each_ref().map(innkeeper::Error::code), ["server_exited"; 2], "{errors:?}");
    assert_eq!(errors.map(|error| error.may_have_run()), [MayHaveRun::Unknown, MayHaveRun::No]);
}

// ---------------------------------------------------------------------------------------------------- the end

/// Times that a peer may be asked for its end before the host is taken to spin.
const TOO_OFTEN: usize = 1_000;

/// A peer that ends when it is killed and not before.
#[derive(Clone)]
struct Stubborn {
    killed: Arc<Notify>,
    /// How often it was asked whether it has ended.
    asked: Arc<AtomicUsize>,
    /// Tells by its end that the host has let go of the peer.
    _alive: mpsc::Sender<()>,
}

impl Peer for Stubborn {
    fn ended(&self) -> Option<BoxFuture<'static, ExitStatus>> {
        let peer = self.clone();
        Some(Box::pin(async move {
            let mut killed = pin!(peer.killed.notified());
            std::future::poll_fn(|context| {
                // A paused clock stands still while somebody spins: without this the test would never end.
                let spins = peer.asked.fetch_add(1, SeqCst) > TOO_OFTEN;
                if spins { Poll::Ready(()) } else { killed.as_mut().poll(context) }
            })
            .await;
            ExitStatus::default()
        }))
    }

    fn kill(&self) {
        self.killed.notify_one();
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_peer_that_does_not_end_takes_no_work_once_every_handle_is_gone() {
    let asked = Arc::new(AtomicUsize::new(0));
    let (alive, mut gone) = mpsc::channel(1);
    let peer = Stubborn { killed: Arc::default(), asked: asked.clone(), _alive: alive };
    let (ours, _theirs) = duplex(PIPE);
    let (reader, writer) = tokio::io::split(ours);
    let lease = session(Connection::with_peer(reader, writer, Framing::Lines, peer)).await;
    let limits = limits_for_paused_clock();
    let began = Instant::now();

    drop(lease);
    assert_eq!(gone.recv().await, None);

    // It has its whole time, in which nobody looks at it for nothing.
    assert_eq!(began.elapsed().as_secs(), (limits.close_input + limits.close_terminate).as_secs());
    assert!(asked.load(SeqCst) < 20, "asked {} times", asked.load(SeqCst));
}
