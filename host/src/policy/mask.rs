//! Hiding secrets in what people see of a session.
//!
//! A server may write its secrets to its standard error, and into whatever else it says; a guest may repeat them in what it
//! reports. So every text that the host shows of a session goes through its mask, which knows the values that the host has
//! resolved for it. What a server answers is data and does not.
//!
//! What is not found is a value that was changed beyond recognition: encoded, cut in pieces by the server, or in other letters.

use std::{
    borrow::Cow,
    sync::{Arc, PoisonError, RwLock},
};

use zeroize::Zeroizing;

use super::patterns::Patterns;

/// Values of earlier connections that a session remembers, and their bytes. A server may repeat an old one long after; but a
/// store may make a new one for each connection, and there is no bound to these.
const MOST_EARLIER: usize = 256;
const MOST_EARLIER_BYTES: usize = 256 * 1024;

/// What one session never shows. It learns with each connection.
#[derive(Default)]
pub(crate) struct Mask {
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    /// The newest first.
    values: Vec<Zeroizing<String>>,
    patterns: Arc<Patterns>,
}

impl Mask {
    /// Adds the values of a connection.
    pub(crate) fn learn(&self, values: Vec<Zeroizing<String>>) -> Arc<Patterns> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if values.iter().any(|value| !known.values.contains(value)) {
            let mut room = MOST_EARLIER_BYTES;
            let mut earlier = std::mem::replace(&mut known.values, values);
            earlier.retain(|value| !known.values.contains(value));
            let kept = earlier.into_iter().take(MOST_EARLIER).take_while(|value| {
                let fits = value.len() <= room;
                room = room.saturating_sub(value.len());
                fits
            });
            known.values.extend(kept);
            known.patterns = Arc::new(Patterns::of(known.values.iter().map(|value| value.as_str())));
        }
        known.patterns.clone()
    }

    /// A text as people may see it.
    pub(crate) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.patterns().text(text)
    }

    /// A JSON document with its texts as people may see them; whatever is not JSON as a text. As it is, where nothing of it is
    /// hidden.
    pub(crate) fn json<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let patterns = self.patterns();
        if patterns.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let Ok(mut value) = serde_json::from_slice(bytes) else { return patterns.bytes(bytes) };
        if patterns.hide_in(&mut value) { Cow::Owned(value.to_string().into_bytes()) } else { Cow::Borrowed(bytes) }
    }

    fn patterns(&self) -> Arc<Patterns> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).patterns.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_stays_one() {
        let mask = Mask::default();
        mask.learn(vec![Zeroizing::new("12345678".into()), Zeroizing::new("with \"quotes\"".into())]);

        let document = br#"{"code": 12345678, "message": "with \u0022quotes\u0022", "data": [{"12345678": null}]}"#;
        let shown: serde_json::Value = serde_json::from_slice(&mask.json(document)).unwrap();

        assert_eq!(shown, serde_json::json!({ "code": "***", "message": "***", "data": [{ "***": null }] }));
        let verbatim = br#"{ "code" : 5 }"#;
        assert!(matches!(mask.json(verbatim), Cow::Borrowed(same) if same == verbatim));
        assert_eq!(&*mask.json(b"no JSON: 12345678"), b"no JSON: ***");
    }

    #[test]
    fn a_session_remembers_what_earlier_connections_had() {
        let mask = Mask::default();
        mask.learn(vec![Zeroizing::new("first-value".into())]);
        mask.learn(vec![Zeroizing::new("second-value".into())]);

        assert_eq!(mask.text("first-value second-value"), "*** ***");
    }

    #[test]
    fn what_a_session_remembers_is_bounded_and_never_the_present() {
        let mask = Mask::default();
        for connection in 0..2 * MOST_EARLIER {
            mask.learn(vec![Zeroizing::new(format!("value-{connection:06}"))]);
        }
        let all: Vec<_> = (0..2 * MOST_EARLIER).map(|index| Zeroizing::new(format!("now-{index:06}"))).collect();
        mask.learn(all);

        let known = mask.known.read().unwrap().values.len();
        assert_eq!(known, 3 * MOST_EARLIER);
        assert_eq!(mask.text("value-000000 now-000000 now-000511"), "value-000000 *** ***");
    }
}
