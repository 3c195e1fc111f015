//! What must never be shown.

use super::*;

#[test]
fn no_error_and_no_warning_shows_the_value_of_a_variable() {
    let insides = [
        r#""command": "${TOKEN} x", "args": ["${TOKEN}", "${NONE}"]"#,
        r#""command": "a", "cwd": "~/${TOKEN}", "timeout": "${TOKEN}", "env": {"A": "${TOKEN}\u0000"}"#,
        r#""url": "${TOKEN}", "headers": {"A": "${TOKEN}\n"}"#,
        r#""url": "http:// ${TOKEN}", "command": "${TOKEN}""#,
        r#""url": "http://${TOKEN}", "unknown": "${TOKEN}", "type": "${TOKEN}""#,
    ];

    for inside in insides {
        let inspection = inspect_entry(inside);

        assert!(!inspection.errors.is_empty(), "{inside}: the case shows nothing without an error");
        let said =
            format!("{:?} {:?} {:?} {:?}", errors(&inspection), warnings(&inspection), inspection, inspection.errors);
        assert!(!said.contains(SECRET), "{said}");
    }
}

#[test]
fn debug_hides_environment_and_headers_and_shows_the_rest_as_written() {
    let stdio = entry(r#""command": "a", "args": ["${TOKEN}"], "env": {"KEY": "literal-secret"}"#);
    let http = entry(r#""url": "https://a/${TOKEN}", "headers": {"X-Key": "literal-secret"}"#);

    let shown = format!("{stdio:?} {http:?}");

    assert!(shown.contains("args: [\"${TOKEN}\"]"), "{shown}");
    assert!(shown.contains("env: {\"KEY\": ***}") && shown.contains("headers: {\"X-Key\": ***}"), "{shown}");
    assert!(!shown.contains(SECRET) && !shown.contains("literal-secret"), "{shown}");
}
