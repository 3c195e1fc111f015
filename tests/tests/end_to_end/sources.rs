//! Rules that the source itself keeps.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The Rust sources below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(sources(&entry));
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
    found
}

/// The code of a file: without comments, and without its unit tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// A new revision of MCP is a new guest; the host stays. So the host core must not know what is in one.
#[test]
fn the_host_core_names_no_method_header_or_revision_of_mcp() {
    const NAMES: [&str; 22] = [
        "initialize",
        "tools/",
        "resources/",
        "prompts/",
        "completion/",
        "logging/",
        "roots/",
        "sampling/",
        "elicitation/",
        "notifications/",
        "server/discover",
        "subscriptions/",
        "tasks/",
        "\"ping\"",
        "jsonrpc",
        "Mcp-",
        "MCP-",
        "mcp-",
        "2024-",
        "2025-",
        "2026-",
        "progressToken",
    ];
    let host = root().join("host/src");
    // The edges that speak MCP by purpose.
    let edges = ["mcp", "cli"].map(|module| host.join(module));
    let mut looked = 0;

    for path in sources(&host).into_iter().filter(|path| !edges.iter().any(|edge| path.starts_with(edge))) {
        looked += 1;
        // Examples in documentation may say what embedders say.
        let code = code(&path);
        for name in NAMES {
            assert!(!code.contains(name), "{} names {name}", path.display());
        }
    }

    assert!(looked > 30, "only {looked} files were looked at");
}

/// The list above can fail: the edge that speaks MCP does not pass it.
#[test]
fn the_edge_names_methods() {
    let edge: String = sources(&root().join("host/src/mcp")).iter().map(|path| code(path)).collect();

    assert!(edge.contains("tools/call") && edge.contains("\"ping\""));
}

#[test]
fn only_the_process_module_starts_or_signals_processes() {
    let host = root().join("host/src");
    let process = host.join("transport/process");

    for path in sources(&host).into_iter().filter(|path| !path.starts_with(&process)) {
        let code = code(&path);
        for name in ["process::Command::new", "kill_process", "pidfd_", "waitid", "waitpid", "libc::kill", "pre_exec"] {
            assert!(!code.contains(name), "{} has {name}", path.display());
        }
    }
}

/// Arrows run one way: each module of the host knows only those below it.
#[test]
fn modules_of_the_host_know_only_those_below_them() {
    const ORDER: [&str; 8] = ["mcp", "api", "registry", "session", "guest", "transport", "policy", "config"];
    let host = root().join("host/src");
    let mut imports = 0;

    for (level, module) in ORDER.iter().enumerate() {
        for path in sources(&host.join(module)) {
            let code = code(&path);
            for import in code.split("use crate::").skip(1).filter_map(|rest| rest.split(';').next()) {
                imports += 1;
                for above in &ORDER[..level] {
                    assert!(!import.contains(&format!("{above}::")), "{} uses {import}", path.display());
                }
            }
        }
    }

    assert!(imports > 25, "only {imports} imports were looked at");
}

#[test]
fn the_engine_needs_no_clock_no_randomness_and_no_unordered_map() {
    for path in sources(&root().join("guest/src")) {
        let code = code(&path);
        for name in
            ["HashMap", "HashSet", "std::time", "SystemTime", "rand::", "std::net", "std::fs", "std::thread", "tokio"]
        {
            assert!(!code.contains(name), "{} has {name}", path.display());
        }
    }
}
