//! Guests that fail or lie end their own session, with an error that says what they did, and disturb nobody else.

use innkeeper::{ComponentSource, Error, Limits, MayHaveRun, Runtime, Server, SessionState, transport::Framing};
use innkeeper_tests::{
    artifacts,
    faulty::{FAULTS, faulty, quiet, tenant},
    in_process,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_fails_ends_its_calls_with_an_error_that_says_how_and_the_next_call_has_another() {
    let runtime = Runtime::builder().start().await.unwrap();
    let guest = faulty(&runtime).await;
    let tenant = tenant(&runtime, "acme", &guest, quiet()).await;

    for (method, said) in FAULTS {
        // Each for a user of its own: so many faults in a row would open the breaker of one.
        let lease = tenant.lease(method, "quiet").await.unwrap();
        let bystander = lease.call("hold").start();

        let outcome = lease.call(method).params(&"p").start().await;
        let bystander = bystander.await.unwrap_err();

        // A guest that lies after it has completed the call has completed it all the same.
        if !matches!(method, "complete-twice" | "progress-after-complete") {
            let error = outcome.unwrap_err();
            assert_eq!(error.code(), "guest_fault", "{method}: {error}");
        }
        assert!(bystander.to_string().contains(said), "{method}: {bystander}");
        assert_eq!(bystander.may_have_run(), MayHaveRun::No, "{method}");
        assert_eq!(&lease.call("echo").params(&1).start().await.unwrap()[..], b"1", "{method}");
        assert!(lease.ready().await.unwrap().incarnation > 1, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guest_may_do_in_excess_is_bounded_and_no_fault() {
    let runtime = Runtime::builder().start().await.unwrap();
    let guest = faulty(&runtime).await;
    let lease = tenant(&runtime, "acme", &guest, quiet()).await.lease("alice", "quiet").await.unwrap();

    for method in ["many-effects:10000", "huge-log", "grow:8"] {
        lease.call(method).params(&"p").start().await.unwrap();
    }

    assert_eq!(&lease.call("echo").params(&1).start().await.unwrap()[..], b"1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_but_honest_guest_is_not_ended_and_recovers_its_place() {
    let runtime = Runtime::builder().start().await.unwrap();
    let guest = faulty(&runtime).await;
    let lease = tenant(&runtime, "acme", &guest, quiet()).await.lease("alice", "quiet").await.unwrap();

    // Tens of milliseconds: beyond a tick, within the budget.
    let slow = lease.call("slow:30").params(&"slow").start().await.unwrap();
    for number in 0..100 {
        let quick = lease.call("echo").params(&number).start().await.unwrap();
        assert_eq!(quick, number.to_string());
    }

    assert_eq!(slow, "\"slow\"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_fails_while_opening_is_the_error_of_the_lease() {
    let runtime = Runtime::builder().start().await.unwrap();
    let guest = faulty(&runtime).await;

    for (mode, said) in
        [("spin-on-open", "CPU time"), ("trap-on-open", "trapped"), ("ready-too-soon", "ready without a connection")]
    {
        let tenant = tenant(&runtime, mode, &guest, quiet().revision(mode)).await;

        let error = tenant.lease("alice", "quiet").await.unwrap_err();

        assert!(matches!(&error, Error::GuestFault { detail, .. } if detail.contains(said)), "{mode}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_is_never_ready_runs_into_the_time_for_opening() {
    let runtime = Runtime::builder().limits(in_process::limits_for_paused_clock()).start().await.unwrap();
    let guest = faulty(&runtime).await;
    let tenant = tenant(&runtime, "acme", &guest, quiet().revision("never-ready")).await;

    let error = tenant.lease("alice", "quiet").await.unwrap_err();

    assert!(
        matches!(error, Error::Timeout { phase: innkeeper::Phase::Open, after, .. } if after == Limits::default().open),
        "{error}"
    );
    let status = runtime.status();
    assert_eq!((status.sessions[0].state, status.sessions[0].leases), (SessionState::Disconnected, 0), "{status:?}");
}

#[tokio::test]
async fn a_component_that_imports_anything_is_refused_by_the_name_of_the_import() {
    let runtime = Runtime::builder().start().await.unwrap();
    let importing = ComponentSource::File(artifacts::guest("innkeeper-importing-guest"));

    let error = runtime.load_component(importing).await.unwrap_err();

    assert_eq!(error.code(), "bad_component");
    assert!(error.to_string().contains("it imports `"), "{error}");
}

#[tokio::test]
async fn what_is_no_component_is_refused_with_a_reason() {
    let runtime = Runtime::builder().start().await.unwrap();
    for (bytes, said) in [
        (b"".as_slice(), "not WebAssembly in binary form"),
        (b"(component)", "not WebAssembly in binary form"),
        (b"\0asm\x01\0\0\0", "a core wasm module, not a component"),
        (b"\0asm\x0d\0\x01\0garbage", "does not compile"),
        // An empty component.
        (b"\0asm\x0d\0\x01\0", "does not export `innkeeper:guest/client`"),
    ] {
        let error = runtime.load_component(ComponentSource::Bytes(bytes.to_vec())).await.unwrap_err();

        assert!(error.to_string().contains(said), "{error}");
    }
    let missing = ComponentSource::File("no/such/file.wasm".into());
    assert!(runtime.load_component(missing).await.unwrap_err().to_string().contains("no/such/file.wasm"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_of_the_largest_size_passes_and_a_larger_one_is_refused_before_it_is_sent() {
    let mut limits = Limits::default();
    limits.frame = 1024 * 1024;
    let runtime = Runtime::builder().limits(limits).start().await.unwrap();
    let guest = faulty(&runtime).await;
    let server = Server::connector(in_process::server(Framing::Lines, |mut pipes| async move { pipes.drain().await }));
    let lease = tenant(&runtime, "acme", &guest, server).await.lease("alice", "quiet").await.unwrap();
    let text = |length: usize| "x".repeat(length - 2);

    let largest = lease.call("echo").params(&text(1024 * 1024)).start().await.unwrap();
    let larger = lease.call("echo").params(&text(1024 * 1024 + 1)).start().await.unwrap_err();

    assert_eq!(largest.len(), 1024 * 1024);
    assert_eq!((larger.code(), larger.may_have_run()), ("too_large", MayHaveRun::No));
}
