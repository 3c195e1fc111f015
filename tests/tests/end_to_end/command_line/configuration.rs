//! Which file is read, and what is said of one that cannot be used: always status 2, with file, line and key.

use std::fs;

use serde_json::json;

use super::{Desk, assert_says};

const EMPTY: &str = r#"{"mcpServers": {}}"#;

#[tokio::test]
async fn the_nearest_file_is_read() {
    let desk = Desk::new();
    let folder = desk.folder.display();
    let user = format!("{folder}/user/innkeeper/mcp.json");
    let home = format!("{folder}/.config/innkeeper/mcp.json");
    let nearest_first = ["./mcp.json", "./.mcp.json", &user, &home];
    for place in nearest_first {
        desk.write(place, EMPTY);
    }

    for place in nearest_first {
        let mut list = desk.command(&["list"]);
        if place != home {
            list.env("XDG_CONFIG_HOME", desk.folder.join("user"));
        }
        let output = list.output().await.unwrap();

        assert_eq!(output.status.code(), Some(0), "{place}: {output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap().lines().next(), Some(place));
        fs::remove_file(desk.folder.join(place)).unwrap();
    }
}

#[tokio::test]
async fn without_a_file_one_is_told_where_they_are_looked_for() {
    let desk = Desk::new();

    for verb in [&["list"][..], &["tools"], &["ping"], &["call", "a.b"], &["config", "check"]] {
        let text = desk.run(verb).await.failure(2);
        assert_says(&text, &["./mcp.json, ./.mcp.json, ", "/.config/innkeeper/mcp.json", "--config FILE"]);

        let document = desk.run(&[verb, &["--json"]].concat()).await.json();
        assert_eq!(document["error"]["code"], "bad_configuration");
    }
}

#[tokio::test]
async fn a_file_can_be_named_before_the_verb_and_after_it() {
    let desk = Desk::new();
    desk.write("mcp.json", "not read");
    desk.write("other.json", EMPTY);

    for arguments in [["--config", "other.json", "list"], ["list", "--config", "other.json"]] {
        assert_says(&desk.run(&arguments).await.text(), &["other.json\nno servers\n"]);
    }
    assert_says(&desk.run(&["list", "--config", "none.json"]).await.failure(2), &["none.json: cannot be read"]);
}

/// A faulty file, the line and the key of the fault, and words of what is said.
type Fault = (&'static str, Option<usize>, Option<&'static str>, &'static [&'static str]);

const FAULTS: [Fault; 17] = [
    ("", None, None, &["is empty", r#"{"mcpServers": {}}"#]),
    ("servers: none", Some(1), None, &["is not JSON"]),
    ("{\n\"mcpServers\": {\n\"a\": }}", Some(3), None, &["is not JSON"]),
    ("[]", Some(1), None, &["is an array", "must be an object"]),
    ("{\"servers\":\n{}}", Some(1), None, &["rename \"servers\" to \"mcpServers\""]),
    ("{\n\"mcpServers\": []}", Some(2), Some("mcpServers"), &["must be an object"]),
    (
        "{\"mcpServers\": {\n\"a\": {\"command\": \"${NO_SUCH}\"}}}",
        Some(2),
        Some("mcpServers.a.command"),
        &["NO_SUCH is not set", "${NO_SUCH:-...}"],
    ),
    (
        "{\"mcpServers\": {\n\"a\": {\"command\": \"x\",\n\"args\": [\"${env:NO_SUCH}\"]}}}",
        Some(3),
        Some("mcpServers.a.args[0]"),
        &["NO_SUCH is not set"],
    ),
    (
        "{\"mcpServers\": {\n\"a\": {\"command\": \"${OPEN\"}}}",
        Some(2),
        Some("mcpServers.a.command"),
        &["is not closed", "${NAME}"],
    ),
    (
        "{\"mcpServers\": {\n\"a\": {\"command\": 5}}}",
        Some(2),
        Some("mcpServers.a.command"),
        &["is a number", "put it in quotes"],
    ),
    (
        "{\"mcpServers\": {\n\"a\": {\"command\": \"x\",\n\"args\": \"y\"}}}",
        Some(3),
        Some("mcpServers.a.args"),
        &["must be an array"],
    ),
    (
        "{\"mcpServers\": {\n\"a\": {\"command\": \"x\",\n\"env\": {\"PORT\": 1}}}}",
        Some(3),
        Some("mcpServers.a.env.PORT"),
        &["is a number"],
    ),
    (
        "{\"mcpServers\": {\n\"a\": {\"command\": \"x\",\n\"url\": \"http://y\"}}}",
        Some(3),
        Some("mcpServers.a"),
        &["both \"command\" and \"url\""],
    ),
    ("{\"mcpServers\": {\n\"a\": {}}}", Some(2), Some("mcpServers.a"), &["neither \"command\" nor \"url\""]),
    (
        "{\"mcpServers\": {\n\"a\": {\"command\": \"x\",\n\"timeout\": 30}}}",
        Some(3),
        Some("mcpServers.a.timeout"),
        &["no unit", "\"30s\"", "\"30ms\""],
    ),
    (
        "{\"mcpServers\": {\n\"a\": {\"command\": \"x\", \"limits\": {\n\"addressSpace\": 4}}}}",
        Some(3),
        Some("mcpServers.a.limits.addressSpace"),
        &["no unit", "\"4GiB\""],
    ),
    (
        "{\"mcpServers\": {\n\"a\": {\"command\": \"x\"},\n\"a\": {\"command\": \"y\"}}}",
        Some(3),
        Some("mcpServers.a"),
        &["a second time"],
    ),
];

#[tokio::test]
async fn a_fault_of_the_file_is_status_2_with_file_line_and_key() {
    let desk = Desk::new();

    for (content, line, key, said) in FAULTS {
        desk.write("mcp.json", content);
        let place =
            [Some("./mcp.json".to_owned()), line.map(|line| format!(":{line}")), key.map(|key| format!(": {key}"))];
        let place = format!("error: {}: ", place.into_iter().flatten().collect::<String>());

        for verb in [&["list"][..], &["call", "a.b"]] {
            let text = desk.run(verb).await.failure(2);
            assert!(text.starts_with(&place), "{place:?} does not begin {text:?}");
            assert_says(&text, said);
        }
        let run = desk.run(&["list", "--json"]).await;
        let error = &run.json()["error"];
        assert_eq!((run.exit(), &error["code"]), (2, &json!("bad_configuration")));
        let problem = &error["problems"][0];
        assert_eq!(problem["file"], "./mcp.json");
        assert_eq!((&problem["line"], &problem["key"]), (&json!(line), &json!(key)), "{content}");
    }
}

#[tokio::test]
async fn check_shows_all_faults_and_doubts_at_once() {
    let desk = Desk::new();
    desk.write(
        "mcp.json",
        "{\"mcpServers\": {\n\"a\": {\"command\": \"${X}\"},\n\"b\": {},\n\"c\": {\"command\": \"x\", \"arg\": []}}}",
    );

    let run = desk.run(&["config", "check"]).await;
    let json = desk.run(&["config", "check", "--json"]).await;

    assert_eq!((run.exit(), json.exit()), (2, 2));
    assert_says(
        &run.stdout,
        &["json:2: mcpServers.a.command", "json:3: mcpServers.b", "warning: ./mcp.json:4", "2 errors, 1 warning"],
    );
    let document = json.json();
    assert_eq!((document["errors"].as_array().unwrap().len(), document["warnings"].as_array().unwrap().len()), (2, 1));
    assert_eq!(document["error"]["code"], "bad_configuration");
}

#[tokio::test]
async fn the_value_of_a_variable_is_never_shown() {
    let desk = Desk::new();
    let entry = json!({ "command": "no-such-${SECRET}", "args": ["--key=${SECRET}"], "env": { "KEY": "${SECRET}" } });
    desk.write("mcp.json", json!({ "mcpServers": { "a": entry } }).to_string());

    for verb in [&["list"][..], &["config", "check", "--json"], &["ping", "-vvv"], &["call", "a.b", "--json", "-vvv"]] {
        let output = desk.command(verb).env("SECRET", "hush-hush").output().await.unwrap();

        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(text.contains("${SECRET}"), "{verb:?}: {text}");
        assert!(!text.contains("hush-hush"), "{verb:?}: {text}");
    }
}

#[tokio::test]
async fn what_cannot_be_followed_is_status_2() {
    let desk = Desk::with(&[]);
    let cases: [(&[&str], &str); 11] = [
        (&["lst"], "'list'"),
        (&["call"], "<TOOL>"),
        (&["config"], "check"),
        (&["list", "--timeout", "30"], "no unit"),
        (&["list", "--timeout", "0s"], "zero"),
        (&["call", "add"], "SERVER.TOOL"),
        (&["call", "demo.echo", "text"], "key=value"),
        (&["call", "demo.echo", "text:=text"], "is not JSON"),
        (&["call", "demo.echo", "--args", "[1]"], "not a JSON object"),
        (&["call", "demo.echo", "--args", "@none.json"], "none.json: cannot be read"),
        (&["tools", "demo", "--", "server"], "cannot be used with"),
    ];

    for (arguments, said) in cases {
        let text = desk.run(arguments).await.failure(2);
        if arguments != ["config"] {
            assert!(text.starts_with("error: "), "{text}");
        }
        assert_says(&text, &[said]);

        let run = desk.run(&[&["--json"], arguments].concat()).await;
        let document = run.json();
        assert_eq!((run.exit(), run.stderr.as_str()), (2, ""), "{arguments:?}");
        assert_eq!(document["error"]["code"], "usage", "{document}");
    }
    let nothing = desk.run(&["--json"]).await;
    assert_eq!((nothing.exit(), &nothing.json()["error"]["code"]), (2, &json!("usage")));
}
