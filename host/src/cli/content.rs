//! The result of a tool for people.
//!
//! Text is printed as it is, structured content as JSON that can be read, and everything else is described in a line: a
//! terminal has no use for a picture in base64.

use innkeeper::mcp::{Content, ToolResult};
use serde_json::{Map, Value};

use crate::page::{Page, Style, bytes};

/// Adds the result of a tool.
pub(crate) fn write(page: &mut Page, result: &ToolResult) {
    let structured = result.structured_content.as_ref();
    for content in &result.content {
        // Servers give structured content as text too, for clients that know no other; once is enough.
        if !structured.is_some_and(|structured| repeats(content, structured)) {
            write_content(page, content);
        }
    }
    if let Some(structured) = structured {
        page.block(&pretty(structured));
    }
    if result.content.is_empty() && structured.is_none() {
        page.styled(Style::Dim, "(no content)").end_line();
    }
}

fn repeats(content: &Content, structured: &Value) -> bool {
    match content {
        Content::Text { text, .. } => serde_json::from_str::<Value>(text).is_ok_and(|value| value == *structured),
        _ => false,
    }
}

fn write_content(page: &mut Page, content: &Content) {
    match content {
        Content::Text { text, .. } => {
            page.block(text);
        }
        Content::Image { data, mime_type, .. } => describe(page, &encoded("image", mime_type, data)),
        Content::Audio { data, mime_type, .. } => describe(page, &encoded("audio", mime_type, data)),
        Content::Resource { uri, mime_type, text, raw } => {
            describe(page, &resource(uri, mime_type.as_deref(), raw));
            if let Some(text) = text {
                page.block(text);
            }
        }
        Content::ResourceLink { uri, name, .. } => {
            let name = name.as_ref().map(|name| format!(" {name:?}")).unwrap_or_default();
            describe(page, &format!("link{name} {uri}"));
        }
        Content::Other(value) => {
            page.block(&pretty(value));
        }
        _ => describe(page, "content of a kind that this program does not know"),
    }
}

fn resource(uri: &str, mime_type: Option<&str>, raw: &Map<String, Value>) -> String {
    let mime_type = mime_type.map(|mime_type| format!(" {mime_type}")).unwrap_or_default();
    let blob = raw.get("resource").and_then(|resource| resource.get("blob")).and_then(Value::as_str);
    let size = blob.map(|blob| format!(", {}", bytes(decoded_length(blob)))).unwrap_or_default();
    format!("resource {uri}{mime_type}{size}")
}

fn encoded(kind: &str, mime_type: &str, data: &str) -> String {
    format!("{kind} {mime_type}, {}", bytes(decoded_length(data)))
}

fn describe(page: &mut Page, description: &str) {
    page.styled(Style::Dim, &format!("[{description}]")).end_line();
}

/// How many bytes a base64 text (RFC 4648, section 4) stands for.
fn decoded_length(base64: &str) -> usize {
    base64.trim_end_matches('=').len() * 3 / 4
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(text: &str) -> Content {
        Content::Text { text: text.into(), raw: Map::new() }
    }

    fn shown(contents: &[Content]) -> String {
        let mut page = Page::new(false, false);
        contents.iter().for_each(|content| write_content(&mut page, content));
        page.text().to_owned()
    }

    #[test]
    fn text_is_shown_as_it_is_and_ends_its_line() {
        assert_eq!(shown(&[text("one\ntwo"), text("three\n")]), "one\ntwo\nthree\n");
    }

    #[test]
    fn what_is_not_text_is_described() {
        let raw = Map::new;
        let blob = json!({ "resource": { "blob": "AAAA" } }).as_object().cloned().unwrap_or_default();
        let contents = [
            Content::Image { data: "A".repeat(16 * 1024), mime_type: "image/png".into(), raw: raw() },
            Content::Audio { data: "AA==".into(), mime_type: "audio/wav".into(), raw: raw() },
            Content::Resource { uri: "a:b".into(), mime_type: None, text: Some("inside".into()), raw: raw() },
            Content::Resource { uri: "a:c".into(), mime_type: Some("x/y".into()), text: None, raw: blob },
            Content::ResourceLink { uri: "a:d".into(), name: Some("the d".into()), raw: raw() },
            Content::Other(json!({ "type": "smell" })),
        ];

        assert_eq!(
            shown(&contents),
            "[image image/png, 12 KiB]\n[audio audio/wav, 1 B]\n[resource a:b]\ninside\n[resource a:c x/y, 3 B]\n\
             [link \"the d\" a:d]\n{\n  \"type\": \"smell\"\n}\n"
        );
    }

    #[test]
    fn text_that_repeats_the_structured_content_is_known() {
        let structured = json!({ "a": 1 });

        assert!(repeats(&text("{\n  \"a\": 1}"), &structured));
        assert!(!repeats(&text("a is 1"), &structured));
    }
}
