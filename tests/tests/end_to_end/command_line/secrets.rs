//! Secrets on the command line: `${secret:NAME}` is the variable `INNKEEPER_SECRET_NAME`, and is never shown.

use innkeeper_tests::{artifacts, awkward::Scenario, processes::Marker};
use serde_json::json;

use super::{Desk, assert_says};

const VALUE: &str = "hush-\"hush\"-hush";

/// A desk with an awkward server that has a secret, inside of a longer value.
fn desk(scenario: Scenario) -> Desk {
    let desk = Desk::new();
    let found = artifacts::awkward_server(scenario);
    let env = json!({
        Marker::VARIABLE: desk.marker.value(),
        "AUTHORIZATION": "Bearer ${secret:TOKEN}",
        "PLAIN": "${PLAIN}",
    });
    let entry = json!({ "command": found.program, "args": found.args, "env": env });
    desk.write("mcp.json", json!({ "mcpServers": { "a": entry } }).to_string());
    desk
}

#[tokio::test]
async fn a_secret_comes_from_a_variable_with_a_prefix() {
    let desk = desk(Scenario::Plain);

    let mut call = desk.command(&["call", "a.environment"]);
    let output = call.env("INNKEEPER_SECRET_TOKEN", VALUE).env("PLAIN", "a-plain-value").output().await.unwrap();

    // What a server answers is data.
    let text = String::from_utf8(output.stdout).unwrap();
    assert_says(&text, &[&format!("AUTHORIZATION=Bearer {VALUE}\n"), "PLAIN=a-plain-value\n"]);
    assert!(!text.contains("INNKEEPER_SECRET"), "{text}");
}

#[tokio::test]
async fn a_secret_that_is_not_set_is_said_with_its_variable() {
    let desk = desk(Scenario::Plain);

    let output = desk.command(&["ping", "a"]).env("PLAIN", "a-plain-value").output().await.unwrap();

    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert_says(&text, &["its secret `TOKEN` cannot be had", "INNKEEPER_SECRET_TOKEN"]);
}

#[tokio::test]
async fn neither_a_secret_nor_a_variable_is_ever_shown() {
    // Everything is logged here, by all threads of the program.
    let runs: [(Scenario, &[&str]); 4] = [
        (Scenario::TellsEnvironment, &["call", "a.echo", "-vvv"]),
        (Scenario::TellsEnvironment, &["call", "a.sleep", "-vvv"]),
        (Scenario::TellsEnvironment, &["call", "a.sleep", "-vvv", "--json"]),
        (Scenario::RefusesWithEnvironment, &["ping", "a", "-vvv"]),
    ];

    for (scenario, arguments) in runs {
        let desk = desk(scenario);
        let mut run = desk.command(arguments);
        let output = run.env("INNKEEPER_SECRET_TOKEN", VALUE).env("PLAIN", "a-plain-value").output().await.unwrap();

        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert_says(&text, &["AUTHORIZATION=Bearer ***", "PLAIN=***"]);
        for hidden in ["hush-", "a-plain"] {
            assert!(!text.contains(hidden), "{arguments:?}: {text}");
        }
    }
}
