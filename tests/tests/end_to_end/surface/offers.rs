//! What a server offers, and what is not asked of it for that it does not.

use innkeeper::{
    Error, Lease, Runtime,
    mcp::{CompletionReference, LoggingLevel, ServerFeature},
};
use serde_json::{Value, json};

use super::{House, Script, result};

/// All typed calls of what a server may not offer, with their errors.
async fn errors(lease: &Lease) -> Vec<(ServerFeature, Option<Error>)> {
    let prompt = CompletionReference::Prompt("a".into());
    vec![
        (ServerFeature::Resources, lease.resources().await.err()),
        (ServerFeature::Resources, lease.resource_templates().await.err()),
        (ServerFeature::Resources, lease.read_resource("a:b").await.err()),
        (ServerFeature::ResourceSubscriptions, lease.subscribe("a:b").await.err()),
        (ServerFeature::ResourceSubscriptions, lease.unsubscribe("a:b").await.err()),
        (ServerFeature::Prompts, lease.prompts().await.err()),
        (ServerFeature::Prompts, lease.get_prompt("a", &[]).await.err()),
        (ServerFeature::Completions, lease.complete(&prompt, "b", "c", &[]).await.err()),
        (ServerFeature::Logging, lease.set_logging_level(LoggingLevel::Info).await.err()),
    ]
}

/// Answers to all of them.
fn answer(method: &str, _params: &Value) -> Vec<Value> {
    result(match method {
        "resources/list" => json!({ "resources": [] }),
        "resources/templates/list" => json!({ "resourceTemplates": [] }),
        "resources/read" => json!({ "contents": [] }),
        "prompts/list" => json!({ "prompts": [] }),
        "prompts/get" => json!({ "messages": [] }),
        "completion/complete" => json!({ "completion": { "values": [] } }),
        _ => json!({}),
    })
}

#[tokio::test]
async fn what_a_server_does_not_offer_is_not_asked_for_and_what_it_offers_is_said() {
    let introduction = json!({ "capabilities": { "tools": {}, "logging": null, "resources": { "subscribe": false } } });
    let script = Script::new(introduction, answer);
    let house = House::of(&script).await;

    let errors = errors(&house.lease).await;

    for (feature, error) in errors {
        match (feature, error) {
            (ServerFeature::Resources, error) => assert!(error.is_none(), "{error:?}"),
            (feature, Some(Error::Unsupported { detail })) => {
                let expected = format!("server `real` does not offer {feature}; it offers tools, resources");
                assert_eq!(detail, expected);
            }
            (feature, error) => panic!("{feature}: {error:?}"),
        }
    }
    assert_eq!(script.asked(), ["resources/list", "resources/templates/list", "resources/read"]);
    house.close().await;
}

#[tokio::test]
async fn a_raw_call_is_made_of_what_a_server_does_not_offer() {
    let script = Script::new(json!({ "capabilities": {} }), answer);
    let house = House::of(&script).await;

    let typed = house.lease.prompts().await.unwrap_err();
    house.lease.call("prompts/list").start().await.unwrap();

    assert_eq!(typed.code(), "unsupported");
    assert!(typed.to_string().ends_with("it offers nothing that this version knows"), "{typed}");
    assert_eq!(script.asked(), ["prompts/list"]);
    house.close().await;
}

#[tokio::test]
async fn a_server_that_does_not_say_what_it_offers_is_asked() {
    let script = Script::new(json!({}), answer);
    let house = House::of(&script).await;

    let errors = errors(&house.lease).await;

    assert!(errors.iter().all(|(_, error)| error.is_none()), "{errors:?}");
    assert_eq!(script.asked().len(), 9);
    house.close().await;
}

#[tokio::test]
async fn completion_is_asked_for_in_the_revision_that_cannot_announce_it() {
    let prompt = CompletionReference::Prompt("a".into());
    for (revision, is_asked) in [("2024-11-05", true), ("2025-03-26", false)] {
        let script = Script::new(json!({ "capabilities": { "prompts": {} } }), answer);
        let house = House::with(Runtime::builder(), House::server(&script).revision(revision)).await;

        let completion = house.lease.complete(&prompt, "b", "c", &[]).await;

        assert_eq!(completion.is_ok(), is_asked, "{revision}: {completion:?}");
        house.close().await;
    }
}
