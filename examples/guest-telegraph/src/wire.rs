//! The messages of the telegraph: one per frame, a header line and a body.
//!
//! Only headers are read and written here. A body is JSON that the guest never
//! looks at: it stays where it is, and [`Message`] says from which byte of the
//! frame on.

/// The one revision that there is.
pub(crate) const REVISION: &str = "1";

/// A message of the server, with where its body begins.
#[derive(Debug, PartialEq)]
pub(crate) struct Message<'a> {
    pub(crate) kind: Kind<'a>,
    /// First byte of the body. The length of the frame, if there is no body.
    pub(crate) body: usize,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Kind<'a> {
    /// The server takes the session, in this revision. Body: who it is.
    Welcome { revision: &'a str },
    /// The server does not take the session. Body: why.
    Sorry,
    /// The result of a call.
    Say { tag: u64 },
    /// The error of a call.
    No { tag: u64 },
    /// A call goes on.
    Still { tag: u64 },
    /// Something that needs no answer.
    News { topic: &'a str },
    /// The server calls us. Its tags are its own and may be any word.
    Ask { tag: &'a str, verb: &'a str },
    /// The server does not want an answer any more.
    Stop { tag: &'a str },
}

/// Reads a frame. None if it is not a message of the telegraph.
pub(crate) fn read(frame: &[u8]) -> Option<Message<'_>> {
    let end = frame.iter().position(|&byte| byte == b'\n');
    let header = std::str::from_utf8(&frame[..end.unwrap_or(frame.len())]).ok()?;
    let mut words = header.split(' ');
    let kind = match (words.next()?, words.next(), words.next(), words.next()) {
        ("WELCOME", Some(revision), None, None) => Kind::Welcome { revision },
        ("SORRY", None, None, None) => Kind::Sorry,
        ("SAY", Some(tag), None, None) => Kind::Say { tag: tag.parse().ok()? },
        ("NO", Some(tag), None, None) => Kind::No { tag: tag.parse().ok()? },
        ("STILL", Some(tag), None, None) => Kind::Still { tag: tag.parse().ok()? },
        ("NEWS", Some(topic), None, None) if is_word(topic) => Kind::News { topic },
        ("ASK", Some(tag), Some(verb), None) if is_word(tag) && is_word(verb) => Kind::Ask { tag, verb },
        ("STOP", Some(tag), None, None) if is_word(tag) => Kind::Stop { tag },
        _ => return None,
    };
    Some(Message { kind, body: end.map_or(frame.len(), |end| end + 1) })
}

/// Whether a text can stand as one word of a header: printable ASCII.
pub(crate) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_begins_after_the_first_line() {
        let message = read(b"SAY 7\n{\"a\":\n1}");

        assert_eq!(message, Some(Message { kind: Kind::Say { tag: 7 }, body: 6 }));
    }

    #[test]
    fn a_message_without_a_body_ends_with_its_header() {
        let message = read(b"STOP q1");

        assert_eq!(message, Some(Message { kind: Kind::Stop { tag: "q1" }, body: 7 }));
    }

    #[test]
    fn what_is_not_a_message_is_not_read_as_one() {
        let frames: [&[u8]; 9] =
            [b"", b"\n", b"SAY", b"SAY x", b"SAY 1 2", b"ASK 1 ", b"NEWS a\r", b"say 1", b"SAY \xff"];

        for frame in frames {
            assert_eq!(read(frame), None, "{}", frame.escape_ascii());
        }
    }
}
