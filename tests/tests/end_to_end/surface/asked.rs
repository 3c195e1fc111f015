//! What servers ask of the platform, read and answered with types.

use std::sync::{Arc, Mutex};

use innkeeper::{
    Error, Runtime, ServerRequestHandler,
    mcp::{
        ClientFeatures, FormAnswer, Notification, Root, SamplingContent, SamplingRefusal, SamplingResult,
        SamplingSupport, ToolUse, UrlAnswer, UrlElicitation,
    },
};
use serde_json::{Map, Value, json};

use super::{House, Script, everything, next, result};

/// A server that asks what it is told to, and says what it is answered.
fn asking() -> Arc<Script> {
    Script::offering_all(|method, params| match method {
        "ask" => {
            vec![json!({ "method": params["method"], "id": "q1", "params": params["params"] }), json!({ "result": {} })]
        }
        _ => result(json!({})),
    })
}

/// What a platform with these features answers to a question.
async fn answer(features: ClientFeatures, method: &str, params: Value) -> Value {
    let script = asking();
    let house = House::with(Runtime::builder().server_requests(features), House::server(&script)).await;
    let mut events = house.runtime.events();

    house.lease.call("ask").params(&json!({ "method": method, "params": params })).start().await.unwrap();
    let answered = loop {
        match next(&mut events).await {
            Notification::Other { method, params } if method == "answered" => break params,
            _ => {}
        }
    };

    house.close().await;
    serde_json::from_slice(&answered).unwrap()
}

fn form(properties: Value) -> Value {
    json!({ "message": "who?", "requestedSchema": { "type": "object", "properties": properties } })
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

#[tokio::test]
async fn a_server_is_told_what_has_an_answer() {
    let features = ClientFeatures::new()
        .roots(async |_| vec![])
        .sampling(SamplingSupport::new().tools(), async |_, _| Err(SamplingRefusal::Rejected))
        .elicit_url(async |_, _| UrlAnswer::Cancel);
    let (announced, script) = (features.capabilities(), asking());
    let house = House::with(Runtime::builder().server_requests(features), House::server(&script)).await;

    assert_eq!(script.told(), announced);
    assert_eq!(
        announced,
        json!({ "roots": { "listChanged": true }, "sampling": { "tools": {} }, "elicitation": { "url": {} } })
    );
    house.close().await;
}

#[tokio::test]
async fn a_form_is_answered_with_the_defaults_of_what_is_left_out() {
    let features = ClientFeatures::new().elicit_form(async |request, form| {
        assert_eq!((request.server.as_str(), form.message.as_str()), ("real", "who?"));
        let names: Vec<_> = form.schema.fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["name", "age"]);
        FormAnswer::Accept(object(json!({ "name": "Ada" })))
    });
    let params =
        form(json!({ "name": { "type": "string", "default": "?" }, "age": { "type": "integer", "default": 36 } }));

    let answered = answer(features, "elicitation/create", params).await;

    assert_eq!(answered["result"], json!({ "action": "accept", "content": { "name": "Ada", "age": 36 } }));
}

#[tokio::test]
async fn who_declines_or_goes_away_gives_no_content() {
    let declines = ClientFeatures::new().elicit_form(async |_, _| FormAnswer::Decline);
    let goes = ClientFeatures::new().elicit_form(async |_, _| FormAnswer::Cancel);
    let params = || form(json!({ "age": { "type": "integer", "default": 36 } }));

    assert_eq!(answer(declines, "elicitation/create", params()).await["result"], json!({ "action": "decline" }));
    assert_eq!(answer(goes, "elicitation/create", params()).await["result"], json!({ "action": "cancel" }));
}

#[tokio::test]
async fn what_was_not_announced_or_cannot_be_read_is_refused_as_the_specification_has_it() {
    let forms = || ClientFeatures::new().elicit_form(async |_, _| panic!("nobody is asked"));
    let urls = || ClientFeatures::new().elicit_url(async |_, _| panic!("nobody is asked"));
    let model = || ClientFeatures::new().sampling(SamplingSupport::new(), async |_, _| panic!("nobody is asked"));
    let url = |url: &str| json!({ "mode": "url", "message": "pay", "url": url, "elicitationId": "e1" });

    for (features, method, params, code) in [
        (ClientFeatures::new(), "elicitation/create", form(json!({})), -32601),
        (ClientFeatures::new(), "roots/list", json!({}), -32601),
        (forms(), "sampling/createMessage", json!({ "messages": [] }), -32601),
        (forms(), "elicitation/create", url("https://example.com"), -32602),
        (forms(), "elicitation/create", json!({ "mode": "voice" }), -32602),
        (forms(), "elicitation/create", json!({ "message": "who?" }), -32602),
        (urls(), "elicitation/create", form(json!({})), -32602),
        (urls(), "elicitation/create", url("javascript:alert(1)"), -32602),
        (model(), "sampling/createMessage", json!({ "messages": [], "tools": [] }), -32602),
        (model(), "sampling/createMessage", json!({}), -32602),
    ] {
        let answered = answer(features, method, params.clone()).await;

        assert_eq!(answered["error"]["code"], code, "{method} {params}: {answered}");
    }
}

#[tokio::test]
async fn a_model_may_want_to_use_a_tool_that_the_server_gave_it() {
    let features = ClientFeatures::new().sampling(SamplingSupport::new().tools(), async |_, request| {
        let SamplingContent::ToolResult(last) = &request.messages[2].content[0] else { panic!("{request:?}") };
        assert_eq!((last.tool_use_id.as_str(), request.tools[0].name.as_str()), ("u1", "search"));
        Ok(SamplingResult::new("m", [ToolUse::new("u2", "search", json!({ "q": "b" })).into()]).stop_reason("toolUse"))
    });
    let params = json!({
        "messages": [
            { "role": "user", "content": { "type": "text", "text": "find a, then b" } },
            { "role": "assistant", "content": [{ "type": "tool_use", "id": "u1", "name": "search", "input": { "q": "a" } }] },
            { "role": "user", "content": [{ "type": "tool_result", "toolUseId": "u1", "content": [] }] },
        ],
        "maxTokens": 100,
        "tools": [{ "name": "search", "inputSchema": { "type": "object" } }],
    });

    let answered = answer(features, "sampling/createMessage", params).await;

    assert_eq!(
        answered["result"],
        json!({
            "role": "assistant",
            "content": { "type": "tool_use", "id": "u2", "name": "search", "input": { "q": "b" } },
            "model": "m",
            "stopReason": "toolUse",
        })
    );
}

#[tokio::test]
async fn a_person_who_does_not_want_a_model_asked_is_not_a_failure_of_the_model() {
    for (refusal, code) in [(SamplingRefusal::Rejected, -1), (SamplingRefusal::Failed("no credit".into()), -32603)] {
        let features = ClientFeatures::new().sampling(SamplingSupport::new(), move |_, _| {
            let refusal = refusal.clone();
            async move { Err(refusal) }
        });

        let answered = answer(features, "sampling/createMessage", json!({ "messages": [] })).await;

        assert_eq!(answered["error"]["code"], code, "{answered}");
    }
}

// -------------------------------------------------------------------------------------------- server-everything

/// The reference server, and a platform that answers all that it asks.
async fn house(roots: Arc<Mutex<Vec<Root>>>) -> House {
    let features = ClientFeatures::new()
        .roots(move |_| {
            let roots = roots.lock().unwrap().clone();
            async move { roots }
        })
        .sampling(SamplingSupport::new(), async |_, request| {
            assert_eq!(request.max_tokens, Some(100));
            Ok(SamplingResult::text("m", "42"))
        })
        .elicit_form(async |_, _| FormAnswer::Accept(object(json!({ "name": "Ada" }))))
        .elicit_url(async |_, page| {
            assert!(page.url.starts_with("https://example.com/"), "{page:?}");
            UrlAnswer::Accept
        });
    House::with(Runtime::builder().server_requests(features), everything::server()).await
}

#[tokio::test]
async fn everything_gets_an_answer_to_all_that_it_asks() {
    let house = house(Arc::default()).await;
    let call = async |tool: &str, arguments: Value| {
        let result = house.lease.call_tool(tool, &arguments).unwrap().start().await.unwrap();
        String::from_utf8(result.raw.to_vec()).unwrap()
    };

    let model = call("trigger-sampling-request", json!({ "prompt": "what is it?" })).await;
    let filled_in = call("trigger-elicitation-request", json!({})).await;
    let page = json!({ "url": "https://example.com/pay", "elicitationId": "e1" });
    let visited = call("trigger-url-elicitation", page).await;

    assert!(model.contains("42"), "{model}");
    for default in ["- Name: Ada", "hero-1", "fish-1", "pet-1"] {
        assert!(filled_in.contains(default), "{default} is not in {filled_in}");
    }
    assert!(visited.contains("User completed the URL elicitation flow"), "{visited}");
    house.close().await;
}

#[tokio::test]
async fn a_call_that_needs_a_visit_first_says_where() {
    let house = house(Arc::default()).await;
    let arguments = json!({ "url": "https://example.com/a", "errorPath": true });
    let call = async || house.lease.call_tool("trigger-url-elicitation", &arguments).unwrap().start().await;

    let first = call().await.unwrap_err();
    let second = call().await;

    let Error::Server(error) = &first else { panic!("{first}") };
    let required = UrlElicitation::required_by(error);
    assert_eq!(required.iter().map(|page| page.url.as_str()).collect::<Vec<_>>(), ["https://modelcontextprotocol.io"]);
    assert!(second.is_ok(), "{second:?}");
    house.close().await;
}

#[tokio::test]
async fn everything_asks_for_the_folders_again_when_it_is_told_that_they_are_others() {
    let roots = Arc::new(Mutex::new(vec![Root::new("file:///a")]));
    let house = house(roots.clone()).await;
    let mut events = house.runtime.events();
    // It listens once it has asked for them, which it has when it tells them.
    house.lease.call_tool("get-roots-list", &json!({})).unwrap().start().await.unwrap();

    roots.lock().unwrap().push(Root::new("file:///b").name("b"));
    house.lease.roots_changed().unwrap();

    loop {
        if let Notification::Log(message) = next(&mut events).await
            && message.data == "Roots updated: 2 root(s) received from client"
        {
            break;
        }
    }
    house.close().await;
}
