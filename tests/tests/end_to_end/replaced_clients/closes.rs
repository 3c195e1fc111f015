//! Closing: of a client that has no connection, that is half open, or whose close is given up; and the next open after it.

use std::{future::poll_fn, pin::pin, task::Poll};

use tokio::{runtime::Handle, task::yield_now, time::Instant};

use super::{
    DEADLINE, HOUR, SERVER, house, lease, limits, one, only,
    site::{Over, Site, soon},
    which,
};

/// Polls a future so often, whenever it asks to be, and drops it. Whether it was done.
async fn polled(times: usize, work: impl Future) -> bool {
    let mut work = pin!(work);
    let mut left = times;
    poll_fn(|context| {
        if work.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        left -= 1;
        if left == 0 { Poll::Ready(false) } else { Poll::Pending }
    })
    .await
}

/// Tasks that have not ended, of the library and of the servers here.
fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// There are as many tasks as before. Those of connections end when the system has said that those are closed.
async fn no_more_tasks(over: Over, before: usize) {
    if over == Over::Http {
        soon(async {
            while tasks() != before {
                yield_now().await;
            }
        })
        .await;
    }
    assert_eq!(tasks(), before);
}

async fn a_close_between_two_tries(over: Over) {
    let mut limits = limits();
    (limits.reconnect_delay, limits.reconnect_delay_max) = (HOUR, HOUR);
    limits.open = 2 * HOUR;
    let site = Site::new(over, "old").await;
    site.refuse(true);
    let (runtime, tenant) = house(limits, only(site.server())).await;
    let alive = tasks();
    lease(&tenant, "alice").await.unwrap_err();
    let retrying = tokio::spawn({
        let tenant = tenant.clone();
        async move { tenant.lease("alice", SERVER).await.map(drop) }
    });
    over.pass(DEADLINE).await;
    let before = (retrying.is_finished(), runtime.status().sessions.len(), site.connections().await);

    let report = soon(tenant.close(DEADLINE)).await;
    let error = soon(retrying).await.unwrap().unwrap_err();
    // Long before the next try.
    over.pass(DEADLINE).await;
    no_more_tasks(over, alive).await;
    over.pass(3 * HOUR).await;

    assert_eq!(before, (false, 1, 1));
    assert_eq!((report.closed.len(), report.closed[0].gone, error.code()), (1, true, "closing"));
    assert_eq!((site.connections().await, runtime.status().sessions.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_close_between_two_tries_leaves_no_task_and_no_further_try_over_streams() {
    a_close_between_two_tries(Over::Streams).await;
}

#[tokio::test]
async fn a_close_between_two_tries_leaves_no_task_and_no_further_try_over_http() {
    a_close_between_two_tries(Over::Http).await;
}

async fn a_close_that_is_cancelled(over: Over) {
    for whole in [false, true] {
        let (site, runtime, tenant) = one(over).await;
        let alive = tasks();
        for polls in 1.. {
            let held = lease(&tenant, "alice").await.unwrap();
            let (watch, id) = (held.watch(), held.session().id);
            let answered = which(&held).await;

            let closing =
                async { if whole { tenant.close(DEADLINE).await } else { tenant.close_session(id, DEADLINE).await } };
            let is_done = soon(polled(polls, closing)).await;
            let end = soon(watch.closed()).await;
            site.sees("end", polls).await;

            assert_eq!((answered, end.code()), (format!("old {polls}"), "closing"));
            assert_eq!(soon(held.call("late").start()).await.unwrap_err().code(), "closing");
            if is_done {
                assert!(polls > 1, "it was never cancelled");
                break;
            }
        }
        over.pass(HOUR).await;

        assert!(runtime.status().sessions.is_empty());
        assert_eq!((site.count("initialize"), site.count("late")), (site.count("end"), 0));
        no_more_tasks(over, alive).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_that_is_cancelled_at_any_step_leaves_nothing_of_the_old_client_over_streams() {
    a_close_that_is_cancelled(Over::Streams).await;
}

#[tokio::test]
async fn a_close_that_is_cancelled_at_any_step_leaves_nothing_of_the_old_client_over_http() {
    a_close_that_is_cancelled(Over::Http).await;
}

async fn an_open_after_a_close(over: Over) {
    let (site, _runtime, tenant) = one(over).await;
    drop(lease(&tenant, "alice").await.unwrap());
    soon(tenant.close(DEADLINE)).await;

    site.greet(false);
    let opening = tokio::spawn({
        let tenant = tenant.clone();
        async move { tenant.lease("alice", SERVER).await }
    });
    site.sees("initialize", 2).await;
    over.pass(DEADLINE).await;
    let is_early = opening.is_finished();
    site.greet(true);
    let held = soon(opening).await.unwrap().unwrap();
    let opened = site.count("open");
    let answered = over.at_once(which(&held)).await;

    assert!(!is_early, "it returned before the new connection was up");
    assert_eq!((opened, answered.as_str()), (2, "old 2"));
    let order = site.order(&["open", "end"]);
    assert_eq!(
        order.iter().map(|(session, what)| (*session, &**what)).collect::<Vec<_>>(),
        [(1, "open"), (1, "end"), (2, "open")]
    );
}

#[tokio::test(start_paused = true)]
async fn an_open_after_a_close_returns_when_the_new_connection_is_up_over_streams() {
    an_open_after_a_close(Over::Streams).await;
}

#[tokio::test]
async fn an_open_after_a_close_returns_when_the_new_connection_is_up_over_http() {
    an_open_after_a_close(Over::Http).await;
}

async fn a_half_open_client(over: Over) {
    let (site, runtime, tenant) = one(over).await;
    site.greet(false);
    site.end(false);
    let opening = tokio::spawn({
        let tenant = tenant.clone();
        async move { tenant.lease("alice", SERVER).await.map(drop) }
    });
    site.sees("initialize", 1).await;
    let began = Instant::now();

    let report = soon(tenant.close(DEADLINE)).await;
    let took = began.elapsed();

    assert_eq!(soon(opening).await.unwrap().unwrap_err().code(), "closing");
    assert_eq!((report.closed.len(), report.closed[0].gone), (1, true), "{report:?}");
    site.sees("end", 1).await;
    assert_eq!((site.count("open"), runtime.status().sessions.len()), (0, 0));
    if over == Over::Streams {
        // It took force, which was used at the deadline and not before. Timers count milliseconds.
        assert!(took >= DEADLINE && took.as_millis() <= DEADLINE.as_millis() + 2, "{took:?}");
        assert_eq!((site.count("kill"), report.closed[0].in_time), (1, false));
    }
    // And the next one opens as ever.
    site.greet(true);
    site.end(true);
    assert_eq!(which(&lease(&tenant, "alice").await.unwrap()).await, "old 2");
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_handshake_never_ends_is_closed_by_force_at_the_deadline_over_streams() {
    a_half_open_client(Over::Streams).await;
}

#[tokio::test]
async fn a_client_whose_handshake_never_ends_is_closed_by_force_at_the_deadline_over_http() {
    a_half_open_client(Over::Http).await;
}
