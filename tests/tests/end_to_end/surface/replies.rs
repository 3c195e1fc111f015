//! What comes back: whole, in pages, broken, huge, and with what does not belong into a URI; and what is said unasked.

use innkeeper::{
    Error, MayHaveRun,
    mcp::{CompletionReference, LoggingLevel, Notification},
};
use serde_json::{Value, json};

use super::{House, Script, next, result};

/// A URI with all that could break a line, a terminal, a text of JSON or a path.
const HOSTILE: &str = "file:///a\n\u{1b}[2J\u{9b}\"\\\u{202e}/../../../etc/passwd\u{0}漢字?x={y}";

#[tokio::test]
async fn all_pages_of_a_list_are_one_list() {
    let script = Script::offering_all(|method, params| {
        let page = params["cursor"].as_str().map_or(1, |cursor| cursor.parse().unwrap());
        let item =
            json!([{ "uri": format!("a:{page}"), "uriTemplate": format!("a:{{{page}}}"), "name": page.to_string() }]);
        let list = match method {
            "resources/list" => "resources",
            "resources/templates/list" => "resourceTemplates",
            _ => "prompts",
        };
        let mut answer = json!({ list: item });
        if page < 3 {
            answer["nextCursor"] = (page + 1).to_string().into();
        }
        result(answer)
    });
    let house = House::of(&script).await;

    let resources = house.lease.resources().await.unwrap();
    let templates = house.lease.resource_templates().await.unwrap();
    let prompts = house.lease.prompts().await.unwrap();

    assert_eq!(resources.iter().map(|resource| &resource.uri).collect::<Vec<_>>(), ["a:1", "a:2", "a:3"]);
    assert_eq!(
        templates.iter().map(|template| &template.uri_template).collect::<Vec<_>>(),
        ["a:{1}", "a:{2}", "a:{3}"]
    );
    assert_eq!(prompts.iter().map(|prompt| &prompt.name).collect::<Vec<_>>(), ["1", "2", "3"]);
    house.close().await;
}

#[tokio::test]
async fn an_answer_that_is_none_breaks_the_protocol_and_no_session() {
    let script = Script::offering_all(|_, _| result(json!({ "resources": 1, "prompts": ["a"], "contents": [{}] })));
    let house = House::of(&script).await;
    let lease = &house.lease;
    let prompt = CompletionReference::Prompt("a".into());

    let errors = [
        (lease.resources().await.unwrap_err(), "no array `resources`"),
        (lease.resource_templates().await.unwrap_err(), "no array `resourceTemplates`"),
        (lease.read_resource("a:b").await.unwrap_err(), "a resource has no text `uri`"),
        (lease.prompts().await.unwrap_err(), "a prompt is not an object"),
        (lease.get_prompt("a", &[]).await.unwrap_err(), "no array `messages`"),
        (lease.complete(&prompt, "a", "", &[]).await.unwrap_err(), "no `completion`"),
    ];

    for (error, expected) in errors {
        assert!(matches!(&error, Error::Protocol { may_have_run: MayHaveRun::Yes, .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert_eq!(lease.info().incarnation, 1);
    lease.ping().await.unwrap();
    house.close().await;
}

#[tokio::test]
async fn what_is_huge_is_read_and_what_is_more_than_a_frame_is_an_error() {
    let script = Script::offering_all(|_, params| {
        let length: usize = params["uri"].as_str().unwrap().trim_start_matches("zeros:").parse().unwrap();
        result(json!({ "contents": [{ "uri": params["uri"], "blob": "AAAA".repeat(length / 3) }] }))
    });
    let house = House::of(&script).await;

    let huge = house.lease.read_resource("zeros:9000000").await.unwrap();
    let too_large = house.lease.read_resource("zeros:15000000").await.unwrap_err();
    let after = house.lease.read_resource("zeros:3").await.unwrap();

    let media = huge.contents[0].media().unwrap();
    assert_eq!((media.size(), media.decode().unwrap().len()), (9_000_000, 9_000_000));
    assert_eq!(too_large.code(), "too_large", "{too_large}");
    assert_eq!(after.contents[0].media().unwrap().decode().unwrap(), [0; 3]);
    house.close().await;
}

#[tokio::test]
async fn names_and_uris_are_said_as_they_are() {
    let script = Script::offering_all(|method, params| match method {
        "resources/read" => result(json!({ "contents": [{ "uri": params["uri"], "text": "" }] })),
        "prompts/get" => result(json!({ "messages": [] })),
        "completion/complete" => result(json!({ "completion": { "values": [HOSTILE] } })),
        _ => result(json!({})),
    });
    let house = House::of(&script).await;
    let lease = &house.lease;

    let read = lease.read_resource(HOSTILE).await.unwrap();
    lease.subscribe(HOSTILE).await.unwrap();
    lease.get_prompt(HOSTILE, &[(HOSTILE, HOSTILE)]).await.unwrap();
    let template = CompletionReference::ResourceTemplate(HOSTILE.into());
    let completion = lease.complete(&template, HOSTILE, HOSTILE, &[(HOSTILE, HOSTILE)]).await.unwrap();

    assert_eq!(read.contents[0].uri, HOSTILE);
    assert_eq!(completion.values, [HOSTILE]);
    let mut received: Vec<Value> = script.received().into_iter().map(|mut message| message["params"].take()).collect();
    // A progress token is the guest's to choose.
    received.iter_mut().for_each(|params| drop(params.as_object_mut().unwrap().remove("_meta")));
    assert_eq!(
        received,
        [
            json!({ "uri": HOSTILE }),
            json!({ "uri": HOSTILE }),
            json!({ "name": HOSTILE, "arguments": { HOSTILE: HOSTILE } }),
            json!({
                "ref": { "type": "ref/resource", "uri": HOSTILE },
                "argument": { "name": HOSTILE, "value": HOSTILE },
                "context": { "arguments": { HOSTILE: HOSTILE } },
            }),
        ]
    );
    house.close().await;
}

#[tokio::test]
async fn what_is_said_unasked_reaches_the_subscriber_with_its_type_and_in_order() {
    let script = Script::offering_all(|method, _| {
        let say = |method: &str, params: Value| json!({ "method": method, "params": params });
        match method {
            "logging/setLevel" => vec![
                say("notifications/resources/list_changed", json!({})),
                say("notifications/resources/updated", json!({ "uri": HOSTILE })),
                say("notifications/prompts/list_changed", json!({})),
                say("notifications/message", json!({ "level": "alert", "data": [1] })),
                say("notifications/message", json!({ "level": "loud", "data": [1] })),
                say("notifications/elicitation/complete", json!({ "elicitationId": "e1" })),
                json!({ "result": {} }),
            ],
            _ => result(json!({})),
        }
    });
    let house = House::of(&script).await;
    let mut events = house.runtime.events();

    house.lease.set_logging_level(LoggingLevel::Debug).await.unwrap();

    assert_eq!(next(&mut events).await, Notification::ResourcesChanged);
    assert_eq!(next(&mut events).await, Notification::ResourceUpdated { uri: HOSTILE.into() });
    assert_eq!(next(&mut events).await, Notification::PromptsChanged);
    assert!(matches!(next(&mut events).await, Notification::Log(message) if message.level == LoggingLevel::Alert));
    assert!(matches!(next(&mut events).await, Notification::Other { method, .. } if method == "notifications/message"));
    assert_eq!(next(&mut events).await, Notification::ElicitationComplete { elicitation_id: "e1".into() });
    house.close().await;
}
