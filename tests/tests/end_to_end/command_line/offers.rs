//! What servers offer beside tools: `resources`, `read`, `prompts`, `prompt`, `inspect`; and saving what is not text.

use std::{fs, path::PathBuf};

use innkeeper_tests::{
    artifacts,
    awkward::{
        Scenario,
        offers::{BROKEN, HOSTILE, HUGE, HUGE_BYTES, SCRIPT},
    },
    processes::Marker,
    remote::{Manner, Remote},
};
use serde_json::json;

use super::{Desk, Run, assert_says};

/// A desk with the reference server as `everything`, a hostile one, and one that has tools only.
fn desk() -> Desk {
    let desk = Desk::new();
    let hostile = artifacts::awkward_server(Scenario::HostileOffers);
    let plain = artifacts::awkward_server(Scenario::Plain);
    let servers = [("everything", artifacts::everything_server()), ("hostile", hostile), ("plain", plain)];
    desk.write("mcp.json", desk.mcp_json(servers));
    desk
}

/// The files in a folder of the desk, sorted.
fn files(desk: &Desk, folder: &str) -> Vec<String> {
    let found = fs::read_dir(desk.folder.join(folder)).into_iter().flatten();
    let mut names: Vec<_> = found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Everything below the desk but its configuration, as paths.
fn everything_below(folder: PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { everything_below(path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn resources_and_prompts_say_what_there_is_and_how_it_is_asked_for() {
    let desk = desk();

    let resources = desk.run(&["resources", "everything"]).await.text();
    let resources_json = desk.run(&["resources", "everything", "--json"]).await.json();
    let prompts = desk.run(&["prompts", "everything"]).await.text();
    let prompts_json = desk.run(&["--json", "prompts", "everything"]).await.json();

    assert_says(
        &resources,
        &[
            "everything\n  demo://resource/static/document/architecture.md  text/markdown",
            "  demo://resource/dynamic/text/{resourceId}  template, text/plain\n",
        ],
    );
    let server = &resources_json["servers"][0];
    assert_eq!(server["resources"][0]["name"], "architecture.md");
    assert_eq!(server["resource_templates"][1]["uriTemplate"], "demo://resource/dynamic/blob/{resourceId}");
    assert_says(
        &prompts,
        &["everything\n  simple-prompt\n", "  args-prompt city=STRING [state=STRING]\n      A prompt with"],
    );
    assert_eq!(prompts_json["servers"][0]["prompts"][1]["arguments"][0]["name"], "city");
}

#[tokio::test]
async fn a_server_that_offers_none_has_none_and_does_not_fail_beside_others() {
    let desk = desk();

    let resources = desk.run(&["resources"]).await;
    let prompts = desk.run(&["prompts", "plain", "--json"]).await;

    assert_eq!(resources.exit(), 0, "{resources:?}");
    assert_says(&resources.stdout, &["plain\n  no resources\n"].map(str::trim_end));
    assert_eq!(prompts.json(), json!({ "servers": [{ "name": "plain", "prompts": [] }] }));
}

#[tokio::test]
async fn read_gives_text_as_it_is_and_describes_the_rest() {
    let desk = desk();

    let text = desk.run(&["read", "everything", "demo://resource/dynamic/text/1"]).await.text();
    let blob = desk.run(&["read", "everything", "demo://resource/dynamic/blob/1"]).await.text();
    let json = desk.run(&["read", "everything", "demo://resource/dynamic/text/1", "--json"]).await.json();
    let nothing = desk.run(&["read", "everything", "demo://none"]).await.failure(3);
    let not_offered = desk.run(&["read", "plain", "a:b", "--json"]).await;

    assert!(text.starts_with("Resource 1: This is a plaintext"), "{text}");
    assert!(blob.starts_with("[resource demo://resource/dynamic/blob/1 text/plain, "), "{blob}");
    assert_eq!(json["uri"], "demo://resource/dynamic/text/1");
    assert_eq!(json["result"]["contents"][0]["mimeType"], "text/plain");
    assert_says(&nothing, &["the server answered with an error", "`innkeeper resources everything`"]);
    assert_eq!((not_offered.exit(), &not_offered.json()["error"]["code"]), (3, &json!("unsupported")));
    assert_says(&not_offered.stdout, &["does not offer resources; it offers tools, logging"]);
}

#[tokio::test]
async fn prompt_shows_who_says_what() {
    let desk = desk();

    let pairs = desk.run(&["prompt", "everything", "args-prompt", "city=Wien", "state=W"]).await.text();
    let source = ["prompt", "everything", "args-prompt", "--args", "-", "--json"];
    let source = desk.run_with_input(&source, br#"{"city": "Graz"}"#).await.json();
    let number = desk.run(&["prompt", "everything", "args-prompt", "city:=1"]).await.failure(2);
    let unknown = desk.run(&["prompt", "everything", "arg-prompt"]).await.failure(2);

    assert_eq!(pairs, "user\nWhat's weather in Wien, W?\n");
    assert_eq!(source["prompt"], "args-prompt");
    assert_eq!(source["result"]["messages"][0]["content"]["text"], "What's weather in Graz?");
    assert_says(&number, &["the argument `city` is not a text", "write city=..."]);
    assert_says(&unknown, &["no prompt of `everything` named `arg-prompt`", "did you mean `args-prompt`?"]);
}

#[tokio::test]
async fn a_server_after_two_hyphens_is_not_named_again() {
    let desk = Desk::new();
    let server = artifacts::awkward_server(Scenario::HostileOffers);
    let mark = format!("{}={}", Marker::VARIABLE, desk.marker.value());
    let command = ["--", "env", &mark, server.program.to_str().unwrap(), &server.args[0]];
    let run = async |words: &[&str]| desk.run(&[words, &command[..]].concat()).await;

    let read = run(&["read", SCRIPT]).await.text();
    let prompt = run(&["prompt", "any"]).await.text();
    let inspected = run(&["inspect", "--json"]).await.json();
    let one_too_many = run(&["read", "env", SCRIPT]).await.failure(2);

    assert_eq!(read, format!("[resource {SCRIPT} application/x-sh, 2 B]\n"));
    assert_says(&prompt, &["user\n[image image/png, 2 B]\n"]);
    assert_eq!(inspected["peer"]["serverInfo"]["name"], "awkward-server");
    assert_says(&one_too_many, &["one word too many", "read URI with a server after `--`"]);
}

#[tokio::test]
async fn a_server_at_a_url_is_inspected() {
    let desk = Desk::new();
    let remote = Remote::start(Manner::default()).await;

    let inspected = desk.run(&["inspect", "--url", &remote.url(), "--json"]).await.json();

    let steps: Vec<_> = inspected["steps"].as_array().unwrap().iter().map(|step| &step["step"]).collect();
    assert_eq!(steps[..2], ["connect", "handshake"]);
    assert_eq!((&inspected["process"], &inspected["isolation"]), (&json!(null), &json!(null)));
}

#[tokio::test]
async fn inspect_says_what_a_server_is_what_it_offers_and_how_long_each_step_takes() {
    let desk = desk();

    let text = desk.run(&["inspect", "everything"]).await.text();
    let json = desk.run(&["inspect", "everything", "--json"]).await.json();
    let unnamed = desk.run(&["inspect"]).await.failure(2);

    assert_says(
        &text,
        &[
            "everything\n  server ",
            "mcp-servers/everything",
            "2025-11-25",
            "innkeeper-mcp",
            "guarded",
            "resources (subscribe, listChanged)",
            "completions",
            "\n  connect ",
            "\n  handshake ",
            "\n  prompts ",
            " ms    4\n",
            "\n  instructions\n    ",
        ],
    );
    let steps: Vec<_> = json["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["connect", "handshake", "tools", "resources", "templates", "prompts"]);
    assert!(
        json["steps"].as_array().unwrap().iter().all(|step| step["milliseconds"].as_f64().unwrap() > 0.0),
        "{json}"
    );
    assert_eq!((&json["steps"][2]["count"], &json["steps"][4]["count"]), (&json!(13), &json!(2)));
    assert_eq!(json["revision"], "2025-11-25");
    assert_says(&unnamed, &["no server is named", "`everything`, `hostile`, `plain`"]);
}

#[tokio::test]
async fn images_are_saved_where_the_user_says_and_never_written_over() {
    let desk = desk();
    let call = ["call", "everything.get-tiny-image", "--out", "pictures/new"];

    let text = desk.run(&call).await.text();
    let json = desk.run(&[&call[..], &["--json"]].concat()).await.json();
    let resource =
        ["call", "everything.get-resource-reference", "resourceType=Blob", "resourceId:=3", "--out", "pictures/new"];
    let resource = desk.run(&resource).await.text();
    let read = ["read", "everything", "demo://resource/dynamic/blob/3", "--out", "pictures/new", "--json"];
    let read = desk.run(&read).await.json();

    assert_says(&text, &["[image image/png, ", "] pictures/new/get-tiny-image.png\n"]);
    let saved = &json["saved"][0];
    assert_eq!(saved["path"], "pictures/new/get-tiny-image-2.png");
    let image = fs::read(desk.folder.join("pictures/new/get-tiny-image.png")).unwrap();
    assert!(image.starts_with(b"\x89PNG\r\n"));
    assert_eq!(saved["bytes"], image.len());
    assert_says(&resource, &["] pictures/new/3.txt\n"]);
    assert_eq!(read["saved"][0]["path"], "pictures/new/3-2.txt");
    assert_eq!(files(&desk, "pictures/new"), ["3-2.txt", "3.txt", "get-tiny-image-2.png", "get-tiny-image.png"]);
}

#[tokio::test]
async fn a_hostile_name_leaves_neither_its_line_nor_its_folder() {
    let desk = desk();

    let resources = desk.run(&["resources", "hostile"]).await.text();
    let prompts = desk.run(&["prompts", "hostile"]).await.text();
    let read = desk.run(&["read", "hostile", HOSTILE, "--out", "out"]).await.text();
    let script = desk.run(&["read", "hostile", SCRIPT, "--out", "out"]).await.text();
    let prompt = desk.run(&["prompt", "hostile", HOSTILE, "--out", "out"]).await.text();

    for text in [&resources, &prompts, &read, &prompt] {
        let first_column = text.lines().filter(|line| line.starts_with('b')).count();
        assert_eq!(first_column, 0, "{text:?}");
    }
    // Below the server four resources, of which three have a description in a line of its own.
    assert_eq!(resources.lines().count(), 8, "{resources:?}");
    assert!(!resources.contains('\u{1b}') && !prompts.contains('\u{1b}'), "{resources:?} {prompts:?}");
    assert_says(&read, &["] out/outside.png\n"]);
    assert_says(&script, &["] out/run.bin\n"]);
    assert_eq!(files(&desk, "out"), ["outside-2.png", "outside.png", "run.bin"]);
    assert_eq!(everything_below(desk.folder.clone()).len(), 4);
    assert!(!desk.folder.join("../outside.png").exists());
}

#[tokio::test]
async fn what_is_huge_is_saved_and_what_is_broken_is_said_to_be() {
    let desk = desk();

    let described = desk.run(&["read", "hostile", HUGE]).await.text();
    let saved = desk.run(&["read", "hostile", HUGE, "--out", "out", "--json"]).await.json();
    let broken: Run = desk.run(&["read", "hostile", BROKEN, "--out", "out"]).await;
    let broken_json = desk.run(&["read", "hostile", BROKEN, "--out", "out", "--json"]).await.json();

    assert_eq!(described, format!("[resource {HUGE} video/mp4, 8.5 MiB]\n"));
    assert_eq!(
        (&saved["saved"][0]["path"], &saved["saved"][0]["bytes"]),
        (&json!("out/video.mp4"), &json!(HUGE_BYTES))
    );
    assert_eq!(fs::metadata(desk.folder.join("out/video.mp4")).unwrap().len(), HUGE_BYTES as u64);
    assert_eq!(broken.exit(), 3);
    assert_says(&broken.stdout, &["[resource broken:image image/png, ", "is not base64"]);
    assert_eq!(broken_json["saved"][0]["error"]["code"], "not_saved");
    assert_eq!(files(&desk, "out"), ["video.mp4"]);
}

#[tokio::test]
async fn what_is_no_folder_is_said_before_the_tool_runs() {
    let desk = desk();
    desk.write("file", "");

    let failure = desk.run(&["call", "plain.count", "--out", "file"]).await.failure(2);

    assert_says(&failure, &["file: cannot be a folder to save in"]);
}
