//! What a recorder of metrics is told: calls in the words of the conventions, and what there is of each tenant.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use innkeeper::Runtime;
use innkeeper_tests::in_process::limits_for_paused_clock;
use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, SharedString, Unit};
use serde_json::json;

use super::{open, scripted, tenant_of};

/// Everything that was recorded, by name and labels.
#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<BTreeMap<String, f64>>>);

/// One series.
struct Series {
    all: Recorded,
    name: String,
}

impl Recorded {
    fn series(&self, key: &Key) -> Arc<Series> {
        let mut labels: Vec<String> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        labels.sort();
        Arc::new(Series { all: self.clone(), name: format!("{} {}", key.name(), labels.join(" ")) })
    }

    /// The only series of a name and with all of these labels.
    fn only(&self, name: &str, labels: &[&str]) -> f64 {
        let all = self.0.lock().unwrap();
        let is_it = |series: &str| {
            let mut words = series.split(' ');
            words.next() == Some(name) && labels.iter().all(|label| series.split(' ').any(|word| word == *label))
        };
        let found: Vec<_> = all.iter().filter(|(series, _)| is_it(series)).collect();
        assert_eq!(found.len(), 1, "{name} {labels:?} in {all:?}");
        *found[0].1
    }
}

impl Series {
    fn change(&self, change: impl FnOnce(&mut f64)) {
        change(self.all.0.lock().unwrap().entry(self.name.clone()).or_default());
    }
}

impl CounterFn for Series {
    fn increment(&self, value: u64) {
        self.change(|counted| *counted += value as f64);
    }

    fn absolute(&self, value: u64) {
        self.change(|counted| *counted = value as f64);
    }
}

impl GaugeFn for Series {
    fn increment(&self, value: f64) {
        self.change(|gauged| *gauged += value);
    }

    fn decrement(&self, value: f64) {
        self.change(|gauged| *gauged -= value);
    }

    fn set(&self, value: f64) {
        self.change(|gauged| *gauged = value);
    }
}

impl HistogramFn for Series {
    // The sum is enough here.
    fn record(&self, value: f64) {
        self.change(|recorded| *recorded += value);
    }
}

impl metrics::Recorder for Recorded {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.series(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.series(key))
    }
}

#[tokio::test(start_paused = true)]
async fn calls_and_connections_are_measured_in_the_words_of_the_conventions() {
    let recorded = Recorded::default();
    let _recording = metrics::set_default_local_recorder(&recorded);
    let (connector, mut servers) = scripted();
    let (runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let (lease, mut server) = open(&tenant, &mut servers).await;

    for is_error in [false, true] {
        let call = lease.call_tool("add", &json!({})).unwrap().start();
        let request = server.message().await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        server.answer(&request, json!({ "content": [], "isError": is_error })).await;
        call.await.unwrap();
    }
    let refused = lease.call("resources/list").start();
    let request = server.message().await.unwrap();
    server.say(json!({ "jsonrpc": "2.0", "id": request["id"], "error": { "code": -32601, "message": "no" } })).await;
    refused.await.unwrap_err();
    drop(lease.call("prompts/list").start());
    drop(server);
    runtime.drain(Duration::from_secs(1)).await;

    let operation = "mcp.client.operation.duration";
    let tool = ["mcp.method.name=tools/call", "gen_ai.tool.name=add", "gen_ai.operation.name=execute_tool"];
    let both = recorded.0.lock().unwrap().keys().filter(|series| series.starts_with(operation)).count();
    assert_eq!(both, 4);
    assert_eq!(recorded.only(operation, &[&tool[..], &["error.type=tool_error"]].concat()), 2.0);
    let labels = ["mcp.method.name=resources/list", "error.type=server_error", "rpc.response.status_code=-32601"];
    recorded.only(operation, &labels);
    recorded.only(operation, &["mcp.method.name=prompts/list", "error.type=cancelled"]);
    let ours = ["innkeeper.tenant=acme", "innkeeper.server=scripted", "network.transport=pipe"];
    let session = [&ours[..], &["mcp.protocol.version=2025-11-25"]].concat();
    assert!(recorded.only("mcp.client.session.duration", &session) >= 4.0);
}

#[tokio::test(start_paused = true)]
async fn leases_sessions_and_lost_connections_are_counted_by_tenant_and_come_back_to_zero() {
    let recorded = Recorded::default();
    let _recording = metrics::set_default_local_recorder(&recorded);
    let (connector, mut servers) = scripted();
    let (runtime, tenant) = tenant_of(Runtime::builder().limits(limits_for_paused_clock()), connector).await;
    let acme = ["innkeeper.tenant=acme"];

    let (lease, server) = open(&tenant, &mut servers).await;
    assert_eq!((recorded.only("innkeeper.leases", &acme), recorded.only("innkeeper.sessions", &acme)), (1.0, 1.0));
    drop(server);
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(lease);
    runtime.drain(Duration::from_secs(1)).await;
    runtime.status();

    assert_eq!((recorded.only("innkeeper.leases", &acme), recorded.only("innkeeper.sessions", &acme)), (0.0, 0.0));
    assert_eq!(recorded.only("innkeeper.connections", &acme), 1.0);
    let lost = ["innkeeper.tenant=acme", "error.type=server_exited"];
    assert_eq!(recorded.only("innkeeper.connections.lost", &lost), 1.0);
    assert_eq!(recorded.only("innkeeper.children_alive", &[]), 0.0);
}
