//! Limits of processes, from the configuration to the process.

use std::{collections::BTreeMap, fs, path::Path};

use innkeeper::{Catalog, Isolation, Runtime, config::McpJson};
use innkeeper_tests::{awkward::Scenario, processes::Marker};
use serde_json::{Value, json};

use super::{SERVER, builder, close, lease};
use innkeeper_tests::artifacts;

/// What the system says of the limits of a process, by their names: the soft and the hard one (proc_pid_limits(5)).
fn limits_of(process: &str) -> BTreeMap<String, [String; 2]> {
    const NAMES: usize = 26;

    let text = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let lines = text.lines().skip(1).map(|line| {
        let (name, values) = line.split_at(NAMES);
        let mut values = values.split_whitespace().map(str::to_owned);
        (name.trim_end().to_owned(), [values.next().unwrap(), values.next().unwrap()])
    });
    lines.collect()
}

/// A runtime with the server of an `mcp.json`, with these further keys in its entry. It has a child.
async fn runtime_with(keys: Value, marker: &Marker) -> (Runtime, innkeeper::Tenant) {
    let found = artifacts::awkward_server(Scenario::Grandchild);
    let mut entry = json!({
        "command": found.program, "args": found.args, "env": { Marker::VARIABLE: marker.value() },
    });
    entry.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    let text = json!({ "mcpServers": { SERVER: entry } }).to_string();
    let file = McpJson::parse(Path::new("mcp.json"), text.as_bytes(), &|_| None).into_result().unwrap();
    let runtime = builder().start().await.unwrap();
    let tenant = runtime.tenant("acme").catalog(Catalog::from_mcp_json(&file)).apply().await.unwrap();
    (runtime, tenant)
}

#[tokio::test]
async fn the_limits_of_an_entry_hold_for_each_process_of_its_server() {
    for isolation in [Isolation::Guarded, Isolation::Basic] {
        let marker = Marker::new();
        let limits = json!({ "addressSpace": "4GiB", "openFiles": 64, "cpuTime": "10m" });
        let keys = json!({ "limits": limits, "isolation": isolation.as_str() });
        let (runtime, tenant) = runtime_with(keys, &marker).await;
        let _lease = lease(&tenant, "alice").await.unwrap();

        let processes = runtime.status().sessions[0].processes.clone();

        assert_eq!(processes.len(), 2);
        for process in processes {
            let limits = limits_of(&process.to_string());
            let limit = |name: &str| limits[name].each_ref().map(String::as_str);
            assert_eq!(limit("Max address space"), ["4294967296"; 2], "{isolation}");
            assert_eq!(limit("Max open files"), ["64"; 2], "{isolation}");
            // One signal that says why, and one that cannot be caught.
            assert_eq!(limit("Max cpu time"), ["600", "601"], "{isolation}");
        }
        close(&runtime).await;
    }
}

#[tokio::test]
async fn a_server_without_limits_has_those_of_the_host_and_no_core_files() {
    let marker = Marker::new();
    let (runtime, tenant) = runtime_with(json!({}), &marker).await;
    let lease = lease(&tenant, "alice").await.unwrap();

    let mut limits = limits_of(&lease.info().process.unwrap().to_string());
    let mut of_the_host = limits_of("self");

    assert_eq!(limits.remove("Max core file size").unwrap(), ["0", "0"]);
    of_the_host.remove("Max core file size");
    assert_eq!(limits, of_the_host);
    close(&runtime).await;
}

#[tokio::test]
async fn a_server_that_may_leave_core_files_has_the_limit_of_the_host() {
    let marker = Marker::new();
    let (runtime, tenant) = runtime_with(json!({ "limits": { "coreFiles": true } }), &marker).await;
    let lease = lease(&tenant, "alice").await.unwrap();

    let limits = limits_of(&lease.info().process.unwrap().to_string());

    assert_eq!(limits, limits_of("self"));
    close(&runtime).await;
}

#[tokio::test]
async fn a_limit_above_what_the_system_gives_is_an_error_and_no_lower_limit() {
    let marker = Marker::new();
    // More than `fs.nr_open` can be.
    let (runtime, tenant) = runtime_with(json!({ "limits": { "openFiles": u32::MAX } }), &marker).await;

    let error = lease(&tenant, "alice").await.unwrap_err();

    assert_eq!(error.code(), "start_failed", "{error}");
    assert!(error.to_string().contains("its limits cannot be set"), "{error}");
    close(&runtime).await;
    assert_eq!(marker.processes(), [0; 0]);
}
