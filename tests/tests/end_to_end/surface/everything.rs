//! The reference server "everything", over stdio.

use innkeeper::{
    Command, Error, Events, Runtime, Server,
    mcp::{CompletionReference, Content, LoggingLevel, Notification, Role},
};
use innkeeper_tests::artifacts;

use super::{House, next};

pub(super) fn server() -> Server {
    let command = artifacts::everything_server();
    Server::command(Command::new(command.program.to_str().unwrap()).args(command.args))
}

async fn house() -> House {
    House::with(Runtime::builder(), server()).await
}

/// The next thing that it says by itself, less that its lists are others, which it says whenever it likes.
async fn next_but_changes(events: &mut Events) -> Notification {
    loop {
        match next(events).await {
            Notification::ToolsChanged | Notification::ResourcesChanged | Notification::PromptsChanged => {}
            other => return other,
        }
    }
}

#[tokio::test]
async fn it_says_who_it_is_and_what_it_offers() {
    let house = house().await;

    let peer = house.lease.peer().await.unwrap();

    assert_eq!(peer.name.as_deref(), Some("mcp-servers/everything"));
    assert_eq!(peer.revision, "2025-11-25");
    assert!(peer.instructions.is_some_and(|text| text.contains("Everything")));
    let offered: Vec<_> = peer.capabilities.unwrap().keys().cloned().collect();
    for feature in ["tools", "resources", "prompts", "completions", "logging"] {
        assert!(offered.contains(&feature.to_owned()), "{offered:?}");
    }
    house.close().await;
}

#[tokio::test]
async fn its_resources_are_listed_and_read() {
    let house = house().await;

    let resources = house.lease.resources().await.unwrap();
    let templates = house.lease.resource_templates().await.unwrap();
    let file = house.lease.read_resource(&resources[0].uri).await.unwrap();
    let text = house.lease.read_resource("demo://resource/dynamic/text/1").await.unwrap();
    let blob = house.lease.read_resource("demo://resource/dynamic/blob/7").await.unwrap();
    let nothing = house.lease.read_resource("demo://resource/none").await.unwrap_err();

    assert!(resources[0].uri.ends_with("architecture.md"), "{resources:?}");
    let templates: Vec<_> = templates.iter().map(|template| template.uri_template.as_str()).collect();
    assert_eq!(templates, ["demo://resource/dynamic/text/{resourceId}", "demo://resource/dynamic/blob/{resourceId}"]);
    assert!(file.contents[0].text.as_ref().is_some_and(|text| text.contains("Architecture")), "{file:?}");
    assert!(text.contents[0].text.as_ref().is_some_and(|text| text.starts_with("Resource 1:")), "{text:?}");
    let bytes = blob.contents[0].media().unwrap().decode().unwrap();
    assert!(bytes.starts_with(b"Resource 7:"), "{blob:?}");
    assert!(matches!(&nothing, Error::Server(_)), "{nothing}");
    house.close().await;
}

#[tokio::test]
async fn its_prompts_are_listed_and_filled_in() {
    let house = house().await;

    let prompts = house.lease.prompts().await.unwrap();
    let plain = house.lease.get_prompt("simple-prompt", &[]).await.unwrap();
    let weather = house.lease.get_prompt("args-prompt", &[("city", "Wien"), ("state", "漢字")]).await.unwrap();
    let resource = [("resourceType", "Text"), ("resourceId", "3")];
    let with_resource = house.lease.get_prompt("resource-prompt", &resource).await.unwrap();
    let without_city = house.lease.get_prompt("args-prompt", &[]).await.unwrap_err();

    let names: Vec<_> = prompts.iter().map(|prompt| prompt.name.as_str()).collect();
    assert_eq!(names, ["simple-prompt", "args-prompt", "completable-prompt", "resource-prompt"]);
    let arguments: Vec<_> = prompts[1].arguments.iter().map(|x| (x.name.as_str(), x.required)).collect();
    assert_eq!(arguments, [("city", true), ("state", false)]);
    assert!(matches!(&plain.messages[0].content, Content::Text { .. }), "{plain:?}");
    assert_eq!(weather.messages[0].role, Role::User);
    assert!(
        matches!(&weather.messages[0].content, Content::Text { text, .. } if text == "What's weather in Wien, 漢字?"),
        "{weather:?}"
    );
    let embedded = with_resource.messages.iter().find_map(|message| match &message.content {
        Content::Resource { resource, .. } => Some(resource),
        _ => None,
    });
    assert_eq!(embedded.unwrap().uri, "demo://resource/dynamic/text/3");
    assert!(matches!(&without_city, Error::Server(_)), "{without_city}");
    house.close().await;
}

#[tokio::test]
async fn it_completes_arguments_of_prompts_and_templates_and_knows_what_is_typed_already() {
    let house = house().await;
    let prompt = CompletionReference::Prompt("completable-prompt".into());
    let template = CompletionReference::ResourceTemplate("demo://resource/dynamic/text/{resourceId}".into());

    let departments = house.lease.complete(&prompt, "department", "S", &[]).await.unwrap();
    let people = house.lease.complete(&prompt, "name", "", &[("department", "Sales")]).await.unwrap();
    let ids = house.lease.complete(&template, "resourceId", "12", &[]).await.unwrap();

    assert_eq!(departments.values, ["Sales", "Support"]);
    assert_eq!(people.values, ["David", "Eve", "Frank"]);
    assert_eq!((ids.values, ids.has_more), (vec!["12".to_owned()], false));
    house.close().await;
}

#[tokio::test]
async fn news_of_a_resource_come_to_whoever_subscribed_and_log_messages_from_the_level_on() {
    const URI: &str = "demo://resource/dynamic/text/5";
    let house = house().await;
    let mut events = house.runtime.events();

    // It logs each subscription at the level `info`, before it answers.
    house.lease.set_logging_level(LoggingLevel::Info).await.unwrap();
    house.lease.subscribe(URI).await.unwrap();
    let logged = next_but_changes(&mut events).await;
    house.lease.set_logging_level(LoggingLevel::Error).await.unwrap();
    house.lease.unsubscribe(URI).await.unwrap();
    house.lease.subscribe(URI).await.unwrap();
    house.lease.call_tool("toggle-subscriber-updates", &serde_json::json!({})).unwrap().start().await.unwrap();
    let updated = next_but_changes(&mut events).await;

    let Notification::Log(message) = logged else { panic!("{logged:?}") };
    assert_eq!(message.level, LoggingLevel::Info);
    assert!(message.data.as_str().is_some_and(|text| text.contains(URI)), "{message:?}");
    // And nothing was logged in between.
    assert_eq!(updated, Notification::ResourceUpdated { uri: URI.into() });
    house.close().await;
}

#[tokio::test]
async fn its_tools_link_to_resources_and_embed_them() {
    let house = house().await;
    let call = async |tool: &str, arguments| house.lease.call_tool(tool, &arguments).unwrap().start().await.unwrap();

    let links = call("get-resource-links", serde_json::json!({ "count": 2 })).await;
    let embedded = call("get-resource-reference", serde_json::json!({ "resourceType": "Blob", "resourceId": 2 })).await;
    let structured = call("get-structured-content", serde_json::json!({ "location": "Chicago" })).await;

    let uris: Vec<_> = links
        .content
        .iter()
        .filter_map(|content| match content {
            Content::ResourceLink { resource } => Some(resource.uri.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(uris.len(), 2, "{links:?}");
    assert!(house.lease.read_resource(&uris[0]).await.is_ok());
    let media: Vec<_> = embedded.content.iter().filter_map(Content::media).collect();
    assert!(media[0].decode().unwrap().starts_with(b"Resource 2:"), "{embedded:?}");
    assert!(structured.structured_content.is_some_and(|content| content["temperature"].is_number()));
    house.close().await;
}
