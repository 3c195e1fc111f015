//! What was told of an exchange, as lines.

use crate::bindings::exports::innkeeper::guest::client::{
    ExchangeFailed, ExchangeFailure, ResponseHead, ServerSentEvent,
};

/// Bytes of a body or of data that are repeated. Of more, only the length is.
const REPEATED: usize = 4096;

pub(crate) fn head(head: &ResponseHead) -> String {
    let headers = head.headers.iter().map(|header| format!("{}: {}\n", header.name, header.value));
    format!("head {}\n{}", head.status, headers.collect::<String>())
}

pub(crate) fn body(bytes: &[u8]) -> String {
    format!("body {}\n", text(bytes))
}

pub(crate) fn event(event: &ServerSentEvent) -> String {
    let event_type = event.event_type.as_ref().map(|word| format!(" type={word}")).unwrap_or_default();
    let id = event.id.as_ref().map(|id| format!(" id={id}")).unwrap_or_default();
    let retry = event.retry.map(|retry| format!(" retry={retry}")).unwrap_or_default();
    format!("event{event_type}{id}{retry} {}\n", text(&event.data))
}

pub(crate) fn failed(failed: &ExchangeFailed) -> String {
    let kind = match failed.failure {
        ExchangeFailure::Denied => "denied",
        ExchangeFailure::Connect => "connect",
        ExchangeFailure::Reset => "reset",
        ExchangeFailure::Timeout => "timeout",
        ExchangeFailure::TooLarge => "too-large",
        ExchangeFailure::Malformed => "malformed",
    };
    format!("failed {kind}: {}\n", failed.message)
}

fn text(bytes: &[u8]) -> String {
    if bytes.len() > REPEATED {
        return format!("of {} bytes", bytes.len());
    }
    String::from_utf8_lossy(bytes).into_owned()
}
