//! Payloads of a guest that name the same bytes over and over.
//!
//! A range costs the guest a few bytes, however much it names. So what the host copies for one batch is bounded, and more is
//! the guest's fault before anything is copied.

use innkeeper::{Error, Event, Limits, Runtime};
use innkeeper_tests::faulty::{faulty, quiet, tenant};

/// Of one payload: a quarter of a frame.
const PARAMS: usize = 256 * 1024;

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.frame = 4 * PARAMS;
    limits.gathered_result = 4 * PARAMS;
    // Subscribers are to get all that is put together here.
    limits.notification = limits.frame;
    limits
}

/// JSON of that size.
fn params() -> String {
    "x".repeat(PARAMS - 2)
}

/// The length of what comes of a call of that method, which disturbs no other session.
async fn outcome_of(method: &str) -> Result<usize, Error> {
    let runtime = Runtime::builder().limits(limits()).start().await.unwrap();
    let guest = faulty(&runtime).await;
    let tenant = tenant(&runtime, "acme", &guest, quiet()).await;
    let lease = tenant.lease("alice", "quiet").await.unwrap();

    let outcome = lease.call(method).params(&params()).start().await;

    let lease = tenant.lease("bob", "quiet").await.unwrap();
    assert_eq!(&lease.call("echo").params(&1).start().await.unwrap()[..], b"1", "{method}");
    outcome.map(|result| result.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payloads_up_to_a_frame_are_put_together() {
    for (method, length) in [
        ("repeated-result:4", 4 * PARAMS),
        ("repeated-notifications:2", "null".len()),
        ("repeated-slices:32", "null".len()),
    ] {
        assert_eq!(outcome_of(method).await.unwrap(), length, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_names_the_same_bytes_over_and_over_is_at_fault() {
    // Each would be 16 MiB or 32 MiB out of 256 KiB: in one payload, in many, and in many of one range each.
    for method in ["repeated-result:64", "repeated-notifications:64", "repeated-slices:512"] {
        let error = outcome_of(method).await.unwrap_err();

        assert!(
            matches!(&error, Error::GuestFault { detail, .. } if detail.contains("its payloads are larger")),
            "{method}: {error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_copied_for_a_batch_counts_for_no_other() {
    let runtime = Runtime::builder().limits(limits()).start().await.unwrap();
    let guest = faulty(&runtime).await;
    let lease = tenant(&runtime, "acme", &guest, quiet()).await.lease("alice", "quiet").await.unwrap();
    let mut events = runtime.events();

    for _ in 0..16 {
        lease.call("repeated-notifications:1").params(&params()).start().await.unwrap();
    }

    for _ in 0..16 {
        let Some(Ok(Event::Notification { params, .. })) = events.next().await else { panic!("one is missing") };
        assert_eq!(params.len(), 2 * PARAMS);
    }
}
