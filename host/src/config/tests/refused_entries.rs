//! What is said about an entry that cannot be used.

use super::*;

#[test]
fn an_entry_has_a_command_or_a_url() {
    assert_eq!(
        error_of_entry(r#""command": "a", "url": "http://b""#),
        ": has both \"command\" and \"url\"; remove the one that is not meant"
    );
    assert!(errors(&inspect_entry(r#""env": {}"#))[0].contains("s: has neither \"command\" nor \"url\"; add"));
}

#[test]
fn a_value_of_the_wrong_type_is_said_without_the_value() {
    let cases = [
        (r#""command": 1"#, ".command: is a number, but must be a string; put it in quotes"),
        (r#""command": ["npx"]"#, ".command: is an array, but must be a string; put it in quotes"),
        (
            r#""command": "a", "args": "--b""#,
            ".args: is a string, but must be an array of strings; write each argument as a string of its own: \
             [\"--name\", \"value\"]",
        ),
        (r#""command": "a", "args": ["b", 8080]"#, ".args[1]: is a number, but must be a string; put it in quotes"),
        (r#""command": "a", "env": ["A=b"]"#, ".env: is an array, but must be an object"),
        (r#""command": "a", "env": {"A": true}"#, ".env.A: is true or false, but must be a string; put it in quotes"),
        (r#""command": "a", "env": {"A": null}"#, ".env.A: is null, but must be a string; put it in quotes"),
        (r#""command": "a", "cwd": {}"#, ".cwd: is an object, but must be a string; put it in quotes"),
        (r#""command": "a", "disabled": "yes""#, ".disabled: is a string, but must be true or false"),
        (r#""command": "a", "type": 1"#, ".type: is a number, but must be a string"),
        (
            r#""command": "a", "timeout": true"#,
            ".timeout: is true or false, but must be a string; write one like \"30s\"",
        ),
        (r#""url": 1"#, ".url: is a number, but must be a string; put it in quotes"),
        (r#""url": "http://a", "headers": "X: y""#, ".headers: is a string, but must be an object"),
    ];

    for (inside, message) in cases {
        assert_eq!(error_of_entry(inside), message);
    }
}

#[test]
fn a_secret_can_stand_in_a_variable_of_the_server_only() {
    let message = ": a \"${secret:...}\" or \"${file:...}\" can stand in \"env\" and \"headers\" only; give it to the server as a variable of \"env\": other \
                   processes can read a command line";
    let cases = [
        (r#""command": "${secret:a}""#, ".command"),
        (r#""command": "a", "args": ["b", "--key=${secret:a}"]"#, ".args[1]"),
        (r#""command": "a", "cwd": "/${secret:a}""#, ".cwd"),
        (r#""url": "https://host/${secret:a}""#, ".url"),
        (r#""url": "https://host/", "proxy": "http://${secret:a}@proxy""#, ".proxy"),
        (r#""command": "a", "args": ["${file:/a}"]"#, ".args[0]"),
    ];

    for (inside, key) in cases {
        assert_eq!(error_of_entry(inside), format!("{key}{message}"));
    }
}

#[test]
fn a_secret_has_a_plain_name_and_no_default() {
    for value in ["${secret:}", "${secret:a:-b}", "${secret:a b}"] {
        let error = error_of_entry(&format!(r#""command": "a", "env": {{"A": "{value}"}}"#));
        assert!(error.starts_with(".env.A: a \"${secret:...}\" does not hold the name of a secret; write"), "{error}");
    }
}

#[test]
fn a_timeout_without_a_unit_is_refused_because_programs_differ() {
    let message = ".timeout: a bare number has no unit; write \"30s\" for seconds or \"30ms\" for milliseconds: some \
                   programs read it as the one, some as the other";

    assert_eq!(error_of_entry(r#""command": "a", "timeout": 30"#), message);
    assert_eq!(error_of_entry(r#""command": "a", "timeout": "30""#), message);
}

#[test]
fn a_timeout_is_more_than_nothing_and_less_than_a_day() {
    assert!(error_of_entry(r#""command": "a", "timeout": "0s""#).starts_with(".timeout: a duration of zero"));
    assert!(error_of_entry(r#""command": "a", "timeout": "48h""#).starts_with(".timeout: longer than a day"));
    assert!(error_of_entry(r#""command": "a", "timeout": 1.5"#).starts_with(".timeout: not a duration"));
    assert!(error_of_entry(r#""command": "a", "timeout": -1"#).starts_with(".timeout: not a duration"));
}

#[test]
fn a_type_must_be_known_and_agree() {
    assert!(error_of_entry(r#""command": "a", "type": "ws""#).starts_with(".type: is not a known type; write"));
    assert_eq!(
        error_of_entry(r#""command": "a", "type": "http""#),
        ".type: a server of type \"http\" has a \"url\", but this one has a \"command\"; remove the key"
    );
    assert_eq!(
        error_of_entry(r#""url": "http://a", "type": "stdio""#),
        ".type: a server of type \"stdio\" has a \"command\", but this one has a \"url\"; remove the key"
    );
}

#[test]
fn an_isolation_must_be_known_and_not_be_contradicted() {
    let unknown = error_of_entry(r#""command": "a", "isolation": "strict""#);
    let contradicted = error_of_entry(r#""command": "a", "isolation": "guarded", "allowPrivileges": true"#);

    assert!(unknown.contains("isolation: is not a known isolation; write \"guarded\" or \"basic\""), "{unknown}");
    assert!(contradicted.contains("isolation: a guarded server cannot be allowed privileges"), "{contradicted}");
}

/// The only error about the limits of an entry.
fn error_of_limits(inside: &str) -> String {
    let error = error_of_entry(&format!(r#""command": "a", "limits": {inside}"#));
    error.strip_prefix(".limits").unwrap_or(&error).to_owned()
}

#[test]
fn a_limit_of_the_wrong_type_is_said_without_the_value() {
    let cases = [
        ("5", ": is a number, but must be an object"),
        (r#"{"addressSpace": true}"#, ".addressSpace: is true or false, but must be a string; write one like \"4GiB\""),
        (r#"{"openFiles": "1024"}"#, ".openFiles: is a string, but must be a number; write one like 1024"),
        (r#"{"cpuTime": ["10m"]}"#, ".cpuTime: is an array, but must be a string; write one like \"10m\""),
        (r#"{"coreFiles": 1}"#, ".coreFiles: is a number, but must be true or false"),
    ];

    for (inside, message) in cases {
        assert_eq!(error_of_limits(inside), message);
    }
}

#[test]
fn a_limit_without_its_unit_is_refused_because_programs_differ() {
    for number in ["512", "\"512\""] {
        assert_eq!(
            error_of_limits(&format!(r#"{{"addressSpace": {number}}}"#)),
            ".addressSpace: a bare number has no unit; write one like \"512MiB\" or \"512GiB\""
        );
        assert_eq!(
            error_of_limits(&format!(r#"{{"cpuTime": {number}}}"#)),
            ".cpuTime: a bare number has no unit; write one like \"512s\" or \"512m\""
        );
    }
}

#[test]
fn a_limit_is_more_than_nothing_and_whole() {
    let cases = [
        (r#"{"addressSpace": "0MiB"}"#, ".addressSpace: a size of zero"),
        (r#"{"addressSpace": "4 GB"}"#, ".addressSpace: not a size"),
        (r#"{"addressSpace": 1.5}"#, ".addressSpace: not a size"),
        (r#"{"addressSpace": "16777216TiB"}"#, ".addressSpace: larger than any memory"),
        (r#"{"openFiles": 0}"#, ".openFiles: is not a whole number"),
        (r#"{"openFiles": -1}"#, ".openFiles: is not a whole number"),
        (r#"{"openFiles": 10.5}"#, ".openFiles: is not a whole number"),
        (r#"{"openFiles": 4294967296}"#, ".openFiles: is not a whole number"),
        (r#"{"cpuTime": "0s"}"#, ".cpuTime: a duration of zero"),
        (r#"{"cpuTime": "500ms"}"#, ".cpuTime: is not in whole seconds"),
        (r#"{"cpuTime": "1s500ms"}"#, ".cpuTime: is not in whole seconds"),
        (r#"{"cpuTime": "25h"}"#, ".cpuTime: longer than a day"),
    ];

    for (inside, message) in cases {
        let error = error_of_limits(inside);
        assert!(error.starts_with(message), "{inside}: {error}");
    }
}

#[test]
fn a_limit_has_file_line_and_key_in_its_error() {
    let text = "{\"mcpServers\": {\n\"s\": {\"command\": \"a\",\n\"limits\": {\n\"openFiles\": {}}}}}";

    assert_eq!(
        error_of(text),
        "mcp.json:4: mcpServers.s.limits.openFiles: is an object, but must be a number; write one like 1024"
    );
}

#[test]
fn a_command_is_not_empty_also_after_expansion() {
    for command in ["", "  ", "${EMPTY}"] {
        let inside = format!("\"command\": \"{command}\"");
        assert_eq!(error_of_entry(&inside), ".command: is empty; name the program to start");
    }
}

#[test]
fn an_unset_variable_is_named_with_its_place() {
    let message = "the variable NONE is not set; set it, or give a default: \"${NONE:-...}\"";
    let cases = [
        (r#""command": "${NONE}""#, ".command"),
        (r#""command": "a", "args": ["a", "${NONE}"]"#, ".args[1]"),
        (r#""command": "a", "env": {"B": "${NONE}"}"#, ".env.B"),
        (r#""command": "a", "cwd": "${env:NONE}""#, ".cwd"),
        (r#""url": "http://${NONE}""#, ".url"),
        (r#""url": "http://a", "headers": {"B": "${NONE}"}"#, ".headers.B"),
    ];

    for (inside, key) in cases {
        assert_eq!(error_of_entry(inside), format!("{key}: {message}"));
    }
}

#[test]
fn an_unclosed_variable_is_an_error() {
    assert_eq!(
        error_of_entry(r#""command": "${HOME""#),
        ".command: a \"${\" is not closed by a \"}\"; write \"${NAME}\" or \"${NAME:-default}\", and \"$${\" for a literal \
         \"${\""
    );
}

#[test]
fn texts_that_a_process_or_a_request_cannot_carry_are_refused() {
    let cases = [
        (r#""command": "${NUL}""#, ".command: contains a NUL character"),
        (r#""command": "a", "args": ["b", "${NUL}"]"#, ".args[1]: contains a NUL character"),
        (r#""command": "a", "env": {"A": "${NUL}"}"#, ".env.A: contains a NUL character"),
        (r#""command": "a", "env": {"A=B": "c"}"#, ".env.\"A=B\": is not a name"),
        (r#""command": "a", "cwd": "\u0000""#, ".cwd: contains a NUL character"),
        (r#""command": "a", "cwd": """#, ".cwd: is empty"),
        (r#""url": "example.com""#, ".url: is not an address that begins with http://"),
        (r#""url": "http://a", "headers": {"A": "${BREAK}"}"#, ".headers.A: contains a control character"),
        (r#""url": "http://a", "headers": {"A B": "c"}"#, ".headers.\"A B\": is not a name"),
    ];

    for (inside, message) in cases {
        let error = error_of_entry(inside);
        assert!(error.starts_with(message), "{inside}: {error}");
    }
}

#[test]
fn a_file_cannot_blow_up_a_variable_without_bound() {
    let args = vec!["\"${LARGE}\""; 100].join(",");

    let inspection = inspect_entry(&format!("\"command\": \"a\", \"args\": [{args}]"));

    assert_eq!(
        errors(&inspection),
        ["mcp.json:2: mcpServers.s.args[3]: with this text, the file comes to more than 4 MiB once its variables are \
          filled in; pass large values to the server in a file"]
    );
}

#[test]
fn rules_for_tools_of_the_wrong_type_are_refused() {
    let hint = "write the names of tools as strings: [\"get_*\", \"search\"]";
    let cases = [
        (r#""tools": "a""#, ".tools: is a string, but must be an object".to_owned()),
        (r#""tools": {"allow": "a"}"#, format!(".tools.allow: is a string, but must be an array of strings; {hint}")),
        (
            r#""tools": {"deny": {"a": true}}"#,
            format!(".tools.deny: is an object, but must be an array of strings; {hint}"),
        ),
        (r#""tools": ["a", 1]"#, ".tools[1]: is a number, but must be a string; put it in quotes".to_owned()),
        (r#""excludeTools": [null]"#, ".excludeTools[0]: is null, but must be a string; put it in quotes".to_owned()),
        (r#""tools": {"rename": ["a"]}"#, ".tools.rename: is an array, but must be an object".to_owned()),
        (
            r#""tools": {"trustIdempotenceHints": "yes"}"#,
            ".tools.trustIdempotenceHints: is a string, but must be true or false".to_owned(),
        ),
        (
            r#""tools": {"describe": {"a": 1}}"#,
            ".tools.describe.a: is a number, but must be a string; put it in quotes".to_owned(),
        ),
    ];

    for (inside, message) in cases {
        assert_eq!(error_of_entry(&format!("\"command\": \"a\", {inside}")), message);
    }
}

#[test]
fn two_lists_of_tools_that_say_the_same_are_refused() {
    let both = "which is there too; keep one of the two";

    assert_eq!(
        error_of_entry(r#""command": "a", "tools": ["a"], "includeTools": ["b"]"#),
        format!(".includeTools: says the same as \"tools\", {both}")
    );
    assert_eq!(
        error_of_entry(r#""command": "a", "tools": {"deny": ["a"]}, "disabledTools": ["b"]"#),
        format!(".disabledTools: says the same as \"tools.deny\", {both}")
    );
    assert_eq!(
        error_of_entry(r#""command": "a", "excludeTools": ["a"], "disabled_tools": ["b"]"#),
        format!(".disabled_tools: says the same as \"excludeTools\", {both}")
    );
}

#[test]
fn another_name_for_a_tool_must_be_one_that_every_model_takes() {
    assert_eq!(
        error_of_entry(r#""command": "a", "tools": {"rename": {"get": "a.b"}}"#),
        ".tools.rename.get: is not a name that every model takes; write 1 to 64 letters, digits, \"_\" and \"-\""
    );
}
