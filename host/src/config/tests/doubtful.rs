//! What is warned about.

use super::*;

#[test]
fn an_unknown_key_is_a_warning_with_the_nearest_known_one() {
    let cases = [
        (r#""comand": 1"#, ".comand: is not a known key, and ignored; did you mean \"command\"?"),
        (r#""transport": "stdio""#, ".transport: is not a known key, and ignored; write \"type\""),
        (r#""alwaysAllow": []"#, ".alwaysAllow: is not a known key, and ignored"),
        (
            r#""enabled": false"#,
            ".enabled: is not a known key, and ignored; write \"disabled\": true for a server that is to be left alone",
        ),
    ];

    for (inside, message) in cases {
        assert_eq!(warning_of_entry(&format!("\"command\": \"a\", {inside}")), message);
    }
}

#[test]
fn an_unknown_limit_is_a_warning_with_the_nearest_known_one() {
    let cases = [
        (r#""openfiles": 1"#, ".limits.openfiles: is not a known key, and ignored; did you mean \"openFiles\"?"),
        (r#""processes": 1"#, ".limits.processes: is not a known key, and ignored"),
        (r#""timeout_ms": 1"#, ".limits.timeout_ms: is not a known key, and ignored"),
    ];

    for (inside, message) in cases {
        assert_eq!(warning_of_entry(&format!("\"command\": \"a\", \"limits\": {{{inside}}}")), message);
    }
}

#[test]
fn keys_of_the_other_transport_are_warned_about() {
    assert_eq!(
        warning_of_entry(r#""command": "a", "headers": {}"#),
        ".headers: has no effect on a server that has a \"command\""
    );
    assert_eq!(
        warning_of_entry(r#""url": "http://a", "args": []"#),
        ".args: has no effect on a server that has a \"url\""
    );
    assert_eq!(
        warning_of_entry(r#""url": "http://a", "limits": {"openFiles": 1}"#),
        ".limits: has no effect on a server that has a \"url\""
    );
}

#[test]
fn what_only_a_shell_would_understand_is_warned_about() {
    assert!(warning_of_entry(r#""command": "npx -y server""#).contains("is taken as the name of one program"));
    assert!(warning_of_entry(r#""command": "~/bin/server""#).contains("\"~\" is not replaced"));
    assert!(warning_of_entry(r#""command": "a", "cwd": "~/work""#).contains("\"~\" is not replaced"));
    assert!(warnings(&inspect_entry(r#""command": "/opt/my server/run""#)).is_empty());
}

#[test]
fn keys_of_other_programs_beside_the_servers_are_left_alone() {
    let inspection = inspect(r#"{"$schema": "x", "theme": "dark", "mcpServers": {"a": {"command": "a"}}}"#);

    assert_eq!(inspection.errors, []);
    assert_eq!(inspection.config.warnings, []);
}

#[test]
fn a_file_with_no_server_or_two_lists_is_doubtful() {
    assert_eq!(warnings(&inspect(r#"{"mcpServers": {}}"#)), ["mcp.json:1: mcpServers: lists no server"]);
    assert_eq!(
        warnings(&inspect(r#"{"servers": {}, "mcpServers": {"a": {"command": "a"}}}"#)),
        ["mcp.json:1: servers: is ignored beside \"mcpServers\"; move its servers to \"mcpServers\""]
    );
}

#[test]
fn an_allow_list_that_allows_nothing_is_doubtful() {
    for (inside, list) in [
        (r#""tools": []"#, "tools"),
        (r#""tools": {"allow": []}"#, "tools.allow"),
        (r#""includeTools": []"#, "includeTools"),
    ] {
        assert_eq!(
            warning_of_entry(&format!("\"command\": \"a\", {inside}")),
            format!(": \"{list}\" allows no tool; remove the list to allow all, or write \"*\"")
        );
    }
}

#[test]
fn an_unknown_rule_for_tools_is_a_warning_with_the_nearest_known_one() {
    assert_eq!(
        warning_of_entry(r#""command": "a", "tools": {"allowed": ["a"]}"#),
        ".tools.allowed: is not a known key, and ignored; did you mean \"allow\"?"
    );
}
