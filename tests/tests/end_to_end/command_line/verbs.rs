//! What each verb does when all is well, for people and for programs.

use innkeeper_tests::{artifacts, awkward::Scenario, processes::Marker};
use serde_json::json;

use super::{Desk, assert_says};

#[tokio::test]
async fn list_and_check_show_the_servers_and_open_none() {
    let desk = Desk::new();
    let web = json!({ "url": "http://localhost:1", "disabled": true });
    let opened = json!({ "command": "touch", "args": ["opened"] });
    desk.write("mcp.json", json!({ "mcpServers": { "web": web, "opened": opened } }).to_string());
    let opened = || desk.folder.join("opened").exists();

    for verb in [&["list"][..], &["config", "check"]] {
        let text = desk.run(verb).await.text();
        assert_says(
            &text,
            &["./mcp.json", "opened  stdio  enabled   touch opened\n", "web     http   disabled  http://localhost:1\n"],
        );

        let document = desk.run(&[verb, &["--json"]].concat()).await.json();
        assert_eq!(document["servers"][0]["args"], json!(["opened"]));
        assert_eq!(document["servers"][1]["disabled"], true);
    }
    assert!(!opened());

    // The same server does leave a trace once it is opened.
    assert_eq!(desk.run(&["ping", "opened"]).await.exit(), 3);
    assert!(opened());
}

#[tokio::test]
async fn tools_says_how_each_tool_is_called() {
    let desk = Desk::with(&[]);

    let text = desk.run(&["tools", "demo"]).await.text();
    let document = desk.run(&["tools", "demo", "--json"]).await.json();

    assert_says(&text, &["demo\n", "  add a:=INTEGER b:=INTEGER\n      Add two integers.", "  echo text=STRING\n"]);
    assert_eq!(document["servers"][0]["name"], "demo");
    assert_eq!(document["servers"][0]["tools"][0]["inputSchema"]["required"], json!(["a", "b"]));
}

#[tokio::test]
async fn tools_of_all_servers_shows_a_failure_beside_the_others() {
    let desk = Desk::with(&[Scenario::Plain, Scenario::ExitOnStart]);

    let run = desk.run(&["tools"]).await;
    let json = desk.run(&["tools", "--json"]).await;

    assert_eq!((run.exit(), json.exit()), (3, 3));
    assert_says(
        &run.stdout,
        &["demo\n  add", "plain\n  echo", "exit-on-start\nerror: server `exit-on-start` exited with status 7"],
    );
    let document = json.json();
    assert_eq!(document["error"]["message"], "1 of 3 servers failed");
    assert_eq!(document["servers"][1]["error"]["code"], "server_exited");
    assert_eq!(document["servers"][2]["tools"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn ping_says_what_answered() {
    let desk = Desk::with(&[Scenario::Plain]);

    let text = desk.run(&["ping"]).await.text();
    let document = desk.run(&["--json", "ping", "plain"]).await.json();

    assert_says(&text, &["demo ", "plain ", " ms ", "2025-11-25", "awkward-server"]);
    assert_eq!(document["servers"][0]["peer"]["serverInfo"]["name"], "awkward-server");
    assert!(document["servers"][0]["milliseconds"].is_f64());
}

#[tokio::test]
async fn call_shows_text_as_it_is_and_structure_as_json() {
    let desk = Desk::with(&[]);

    assert_eq!(desk.run(&["call", "demo.echo", "text=a b"]).await.text(), "a b\n");
    assert_eq!(desk.run(&["call", "demo.add", "a:=1", "b:=2"]).await.text(), "{\n  \"sum\": 3\n}\n");
}

#[tokio::test]
async fn call_gives_programs_the_result_byte_for_byte() {
    let desk = Desk::with(&[]);

    let result = desk.run(&["call", "demo.add", "a:=1", "b:=2", "--json"]).await.text();

    // The order is that of the server, and neither alphabetical nor that of this program.
    let content = r#"[{"type":"text","text":"{\"sum\":3}"}]"#;
    let expected = format!(r#"{{"content":{content},"structuredContent":{{"sum":3}},"isError":false}}"#);
    assert_eq!(result, format!("{{\"server\":\"demo\",\"tool\":\"add\",\"result\":{expected}}}\n"));
}

#[tokio::test]
async fn arguments_come_from_pairs_text_file_or_standard_input() {
    let desk = Desk::with(&[]);
    let object = r#"{"a": 20, "b": 22}"#;
    desk.write("arguments.json", object);
    let sources: [(&[&str], &str); 4] = [
        (&["a:=20", "b:=22"], ""),
        (&["--args", object], ""),
        (&["--args", "@arguments.json"], ""),
        (&["--args", "-"], object),
    ];

    for (source, input) in sources {
        let run = desk.run_with_input(&[&["call", "demo.add"], source].concat(), input.as_bytes()).await;

        assert_says(&run.text(), &["\"sum\": 42"]);
    }
}

#[tokio::test]
async fn a_tool_that_reports_an_error_is_status_1_with_its_text() {
    let desk = Desk::with(&[]);

    let run = desk.run(&["call", "demo.fail", "text=no paper"]).await;
    let json = desk.run(&["call", "demo.fail", "text=no paper", "--json"]).await;

    assert_eq!((run.exit(), run.stdout.as_str()), (1, "no paper\n"));
    assert_says(&run.stderr, &["the tool reports an error"]);
    assert_eq!(json.exit(), 1);
    assert_eq!(json.json()["result"]["isError"], true);
}

#[tokio::test]
async fn a_server_after_two_hyphens_needs_no_file() {
    let desk = Desk::new();
    let server = artifacts::awkward_server(Scenario::Plain);
    let mark = format!("{}={}", Marker::VARIABLE, desk.marker.value());
    let command = ["--", "env", &mark, server.program.to_str().unwrap(), &server.args[0]];

    assert_says(&desk.run(&[&["tools"], &command[..]].concat()).await.text(), &["env\n  echo"]);
    assert_says(&desk.run(&[&["ping"], &command[..]].concat()).await.text(), &[" ms ", "awkward-server"]);
    assert_eq!(desk.run(&[&["call", "echo", "text=hi"], &command[..]].concat()).await.text(), "hi\n");
}

#[tokio::test]
async fn a_server_whose_name_has_dots_is_told_from_its_tool() {
    let desk = Desk::new();
    let plain = || artifacts::awkward_server(Scenario::Plain);
    desk.write("mcp.json", desk.mcp_json([("my", plain()), ("my.server", artifacts::demo_server())]));

    assert_eq!(desk.run(&["call", "my.echo", "text=short"]).await.text(), "short\n");
    assert_says(&desk.run(&["call", "my.server.add", "a:=1", "b:=1"]).await.text(), &["\"sum\": 2"]);
}

#[tokio::test]
async fn a_name_that_is_not_there_gets_the_nearest_and_all() {
    let desk = Desk::with(&[Scenario::Plain]);
    let cases: [(&[&str], &[&str]); 6] = [
        (&["ping", "plian"], &["no server `plian`", "did you mean `plain`?", "`demo`, `plain`"]),
        (&["tools", "zzz"], &["no server `zzz`", "there are `demo`, `plain`"]),
        (&["call", "dmo.add"], &["no server `dmo`", "did you mean `demo`?", "`demo`, `plain`"]),
        (&["call", "demo.ad"], &["no tool of `demo` named `ad`", "did you mean `add`?", "`countdown`"]),
        (&["call", "plain.zzz"], &["no tool of `plain` named `zzz`", "there are `echo`, `sleep`"]),
        (&["call", "demo"], &["`demo` is a server", "`innkeeper tools demo`"]),
    ];

    for (arguments, said) in cases {
        let text = desk.run(arguments).await.failure(2);
        assert_says(&text, said);
        assert!(text.starts_with("error: "), "{text}");
    }
    let document = desk.run(&["call", "demo.ad", "--json"]).await.json();
    assert_eq!(document["error"]["known"], json!(["add", "ask_name", "countdown", "echo", "fail"]));
}

#[tokio::test]
async fn rules_for_tools_of_the_file_are_kept() {
    let desk = Desk::new();
    let artifacts::ServerCommand { program, args } = artifacts::demo_server();
    let env = json!({ Marker::VARIABLE: desk.marker.value() });
    let tools = json!({ "allow": ["e*", "add"], "deny": ["ech*"] });
    let entry = json!({ "command": program, "args": args, "env": env, "tools": tools });
    desk.write("mcp.json", json!({ "mcpServers": { "demo": entry } }).to_string());

    let listed = desk.run(&["tools", "--json"]).await.json();
    let denied = desk.run(&["call", "demo.echo", "text=hi"]).await.failure(4);
    let not_allowed = desk.run(&["call", "demo.fail", "text=hi", "--json"]).await;

    let names: Vec<_> = listed["servers"][0]["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names, ["add"]);
    assert_says(&denied, &["tool `echo` of server `demo`", "deny `ech*`"]);
    assert_eq!((not_allowed.exit(), &not_allowed.json()["error"]["code"]), (4, &json!("denied")));
    assert_says(&desk.run(&["call", "demo.add", "a:=1", "b:=2"]).await.text(), &["\"sum\": 3"]);
}
