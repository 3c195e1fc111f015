//! What is said about a file that cannot be used as a whole.

use super::*;

#[test]
fn an_empty_file_says_what_to_write() {
    let message = "mcp.json: is empty; write at least {\"mcpServers\": {}}";

    assert_eq!(error_of(""), message);
    assert_eq!(error_of("  // later\n"), message);
}

#[test]
fn what_is_not_json_has_line_and_column() {
    assert_eq!(
        error_of("{\n  \"mcpServers\": {\n    oops\n  }\n}"),
        "mcp.json:3: is not JSON: expected string for object property at column 5"
    );
}

#[test]
fn what_is_not_utf8_has_a_line() {
    let inspection = McpJson::parse(Path::new("mcp.json"), b"{\n\"\xff\": 1}", &environment);

    assert_eq!(errors(&inspection), ["mcp.json:2: is not UTF-8 text; save it as UTF-8"]);
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let text = " ".repeat(MAX_FILE_BYTES + 1);

    assert_eq!(error_of(&text), "mcp.json: is larger than 1 MiB; is it the right file?");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let inspection = McpJson::inspect(Path::new("/nonexistent/mcp.json"), &environment);

    let errors = errors(&inspection);
    assert_eq!(errors.len(), 1);
    assert!(errors[0].starts_with("/nonexistent/mcp.json: cannot be read: "), "{errors:?}");
    assert!(errors[0].ends_with("; is the path right?"), "{errors:?}");
}

#[test]
fn the_top_must_be_an_object() {
    assert_eq!(error_of("\n[]"), "mcp.json:2: is an array, but must be an object");
    assert_eq!(error_of("null"), "mcp.json:1: is null, but must be an object");
}

#[test]
fn a_file_without_mcp_servers_says_what_it_has_instead() {
    let cases = [
        (
            "{}",
            "mcp.json:1: there is no \"mcpServers\"; list the servers under that key: {\"mcpServers\": {\"NAME\": \
             {\"command\": ...}}}",
        ),
        (
            "{\n\"servers\": {}}",
            "mcp.json:2: there is \"servers\", but no \"mcpServers\"; rename \"servers\" to \"mcpServers\"",
        ),
        (
            "{\"command\": \"a\"}",
            "mcp.json:1: there is a single server without a name; wrap it in {\"mcpServers\": {\"NAME\": ...}}",
        ),
        (
            "{\"a\": {\"command\": \"a\"}, \"b\": {\"url\": \"http://b\"}}",
            "mcp.json:1: there are servers, but not under \"mcpServers\"; wrap them in {\"mcpServers\": ...}",
        ),
        ("{\n\"mcp_servers\": {}}", "mcp.json:2: mcp_servers: is not a known key; rename it to \"mcpServers\""),
    ];

    for (text, message) in cases {
        assert_eq!(error_of(text), message);
    }
}

#[test]
fn servers_must_be_an_object_of_objects() {
    assert_eq!(error_of(r#"{"mcpServers": []}"#), "mcp.json:1: mcpServers: is an array, but must be an object");
    assert_eq!(
        error_of(r#"{"mcpServers": {"a": "npx a"}}"#),
        "mcp.json:1: mcpServers.a: is a string, but must be an object"
    );
}

#[test]
fn two_servers_of_one_name_are_an_error() {
    let text = "{\"mcpServers\": {\n\"a\": {\"command\": \"x\"},\n\"a\": {\"command\": \"y\"}}}";

    assert_eq!(
        error_of(text),
        "mcp.json:3: mcpServers.a: stands here a second time, after line 2; remove or rename one of the two"
    );
}

#[test]
fn a_key_that_stands_twice_is_an_error_everywhere() {
    let message = "mcp.json:1: mcpServers: stands here a second time, after line 1; remove or rename one of the two";

    assert_eq!(error_of(r#"{"mcpServers": {}, "mcpServers": {}}"#), message);
    assert!(error_of_entry(r#""command": "a", "command": "b""#).starts_with(".command: stands here a second time"));
    assert!(error_of_entry(r#""command": "a", "env": {"A": "1", "A": "2"}"#).starts_with(".env.A: stands here"));
}

#[test]
fn a_server_needs_a_name_that_can_be_shown() {
    assert_eq!(
        error_of(r#"{"mcpServers": {"": {"command": "a"}}}"#),
        "mcp.json:1: mcpServers.\"\": the name of the server is empty; give it a name of letters, digits and hyphens"
    );
    assert!(
        error_of(r#"{"mcpServers": {"a\u001b[31m": {"command": "a"}}}"#).starts_with(
            "mcp.json:1: mcpServers.\"a\\u{1b}[31m\": the name of the server contains a control character"
        )
    );
}

#[test]
fn all_that_is_wrong_is_said_at_once_and_in_order() {
    let inspection = inspect(
        "{\"mcpServers\": {\n\"z\": {\"command\": 1, \"timeout\": 5},\n\"a\": {},\n\"fine\": {\"command\": \"a\"},\n\"z\": 0}}",
    );

    let lines: Vec<_> = inspection.errors.iter().map(|error| error.line).collect();
    assert_eq!(lines, [Some(2), Some(2), Some(3), Some(5)]);
    assert_eq!(inspection.config.servers.keys().collect::<Vec<_>>(), ["fine"]);
}
