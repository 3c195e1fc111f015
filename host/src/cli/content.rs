//! What servers give, for people: results of tools, messages of prompts, contents of resources.
//!
//! Text is printed as it is, structured content as JSON that can be read, and everything else is described in a line, with the
//! file where it was saved: a terminal has no use for a picture in base64.

use innkeeper::mcp::{Content, Media, Resource, ResourceContents, ToolResult};
use serde_json::Value;

use crate::{
    exit::Exit,
    page::{Page, Style, bytes, harmless},
    save::Outcome,
};

/// Adds the result of a tool, with what became of each piece of it that was to be saved.
pub(crate) fn write(page: &mut Page, result: &ToolResult, saved: &[Option<Outcome>]) {
    let structured = result.structured_content.as_ref();
    for (index, content) in result.content.iter().enumerate() {
        // Servers give structured content as text too, for clients that know no other; once is enough.
        if !structured.is_some_and(|structured| repeats(content, structured)) {
            write_content(page, content, saved.get(index).and_then(Option::as_ref));
        }
    }
    if let Some(structured) = structured {
        page.block(&pretty(structured));
    }
    if result.content.is_empty() && structured.is_none() {
        write_nothing(page);
    }
}

/// Says that there is nothing, where something was expected.
pub(crate) fn write_nothing(page: &mut Page) {
    page.styled(Style::Dim, "(no content)").end_line();
}

/// The exit status that saving means.
pub(crate) fn exit_of(saved: &[Option<Outcome>]) -> Exit {
    let failure = saved.iter().flatten().find_map(|outcome| outcome.as_ref().err());
    failure.map_or(Exit::Success, |failure| failure.exit)
}

fn repeats(content: &Content, structured: &Value) -> bool {
    match content {
        Content::Text { text, .. } => serde_json::from_str::<Value>(text).is_ok_and(|value| value == *structured),
        _ => false,
    }
}

/// Adds a piece of content, with what became of it where it was to be saved.
pub(crate) fn write_content(page: &mut Page, content: &Content, saved: Option<&Outcome>) {
    match content {
        Content::Text { text, .. } => {
            page.block(text);
        }
        Content::Image { mime_type, .. } => {
            describe(page, &format!("image {mime_type}{}", size(content.media())), saved);
        }
        Content::Audio { mime_type, .. } => {
            describe(page, &format!("audio {mime_type}{}", size(content.media())), saved);
        }
        Content::Resource { resource, .. } => write_contents(page, resource, saved),
        Content::ResourceLink { resource: Resource { uri, name, .. } } => {
            let name = if name == uri { String::new() } else { format!(" {name:?}") };
            describe(page, &format!("link{name} {uri}"), saved);
        }
        Content::Other(value) => {
            page.block(&pretty(value));
        }
        _ => describe(page, "content of a kind that this program does not know", saved),
    }
}

/// Adds what is in a resource, with what became of it where it was to be saved.
pub(crate) fn write_contents(page: &mut Page, contents: &ResourceContents, saved: Option<&Outcome>) {
    let mime_type = contents.mime_type.as_ref().map(|mime_type| format!(" {mime_type}")).unwrap_or_default();
    describe(page, &format!("resource {}{mime_type}{}", contents.uri, size(contents.media())), saved);
    if let Some(text) = &contents.text {
        page.block(text);
    }
}

fn size(media: Option<Media<'_>>) -> String {
    media.map(|media| format!(", {}", bytes(media.size()))).unwrap_or_default()
}

/// A description is one line, also in a pipe, whatever a server put into it.
fn describe(page: &mut Page, description: &str, saved: Option<&Outcome>) {
    page.styled(Style::Dim, &format!("[{}]", harmless(description)));
    match saved {
        None => page.end_line(),
        Some(Ok(saved)) => page.push(&format!(" {}", saved.path.display())).end_line(),
        Some(Err(failure)) => page.push(" ").failure(failure),
    };
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(text: &str) -> Content {
        json!({ "type": "text", "text": text }).into()
    }

    fn shown(contents: &[Content]) -> String {
        let mut page = Page::new(false, false);
        contents.iter().for_each(|content| write_content(&mut page, content, None));
        page.text().to_owned()
    }

    #[test]
    fn text_is_shown_as_it_is_and_ends_its_line() {
        assert_eq!(shown(&[text("one\ntwo"), text("three\n")]), "one\ntwo\nthree\n");
    }

    #[test]
    fn what_is_not_text_is_described() {
        let contents = [
            json!({ "type": "image", "data": "A".repeat(16 * 1024), "mimeType": "image/png" }),
            json!({ "type": "audio", "data": "AA==", "mimeType": "audio/wav" }),
            json!({ "type": "resource", "resource": { "uri": "a:b", "text": "inside" } }),
            json!({ "type": "resource", "resource": { "uri": "a:c", "mimeType": "x/y", "blob": "AAAA" } }),
            json!({ "type": "resource_link", "uri": "a:d", "name": "the d" }),
            json!({ "type": "smell" }),
        ]
        .map(Content::from);

        assert_eq!(
            shown(&contents),
            "[image image/png, 12 KiB]\n[audio audio/wav, 1 B]\n[resource a:b]\ninside\n[resource a:c x/y, 3 B]\n\
             [link \"the d\" a:d]\n{\n  \"type\": \"smell\"\n}\n"
        );
    }

    #[test]
    fn a_description_is_one_line_whatever_a_server_put_into_it() {
        let link = json!({ "type": "resource_link", "uri": "a:\n[image image/png, 1 B]\u{1b}[2J", "name": "n" });

        assert_eq!(shown(&[link.into()]), "[link \"n\" a:\u{fffd}[image image/png, 1 B]\u{fffd}[2J]\n");
    }

    #[test]
    fn text_that_repeats_the_structured_content_is_known() {
        let structured = json!({ "a": 1 });

        assert!(repeats(&text("{\n  \"a\": 1}"), &structured));
        assert!(!repeats(&text("a is 1"), &structured));
    }
}
