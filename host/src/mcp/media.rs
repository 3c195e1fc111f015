//! Bytes within JSON: pictures, sounds, files.
//!
//! They stay the base64 that they came as until somebody wants them: what only passes through is not decoded, and of what is
//! only listed the size is enough.

use base64::{
    DecodeError, Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// The standard alphabet, as the specification has it. Some servers leave the padding out, without which nothing is lost.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bytes that a server sent, as base64 (RFC 4648, section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Media<'a> {
    /// Media type, where the server says one. It is a claim: the bytes may be something else.
    pub mime_type: Option<&'a str>,
    /// The text that stands for the bytes.
    pub base64: &'a str,
}

/// A text is not the base64 of anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what the server sent is not base64: {0}")]
pub struct NotBase64(DecodeError);

impl<'a> Media<'a> {
    pub(super) fn new(mime_type: Option<&'a str>, base64: &'a str) -> Self {
        Self { mime_type, base64 }
    }

    /// How many bytes there are, without decoding them: exact where the text is base64.
    pub fn size(&self) -> usize {
        // Four characters stand for three bytes; at the end fewer do.
        let characters = self.base64.trim_end_matches('=').len();
        characters / 4 * 3 + characters % 4 * 3 / 4
    }

    /// The bytes.
    ///
    /// # Errors
    ///
    /// [`NotBase64`] where the text is not, with the place at which it is not.
    pub fn decode(&self) -> Result<Vec<u8>, NotBase64> {
        BASE64.decode(self.base64).map_err(NotBase64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(base64: &str) -> Media<'_> {
        Media::new(None, base64)
    }

    #[test]
    fn the_size_is_that_of_the_bytes() {
        for base64 in ["", "AA==", "AA", "AAA=", "AAA", "AAAA", "AAAAAA=="] {
            assert_eq!(media(base64).size(), media(base64).decode().unwrap().len(), "{base64}");
        }
    }

    #[test]
    fn bytes_are_had_with_padding_and_without() {
        for base64 in ["aGk=", "aGk"] {
            assert_eq!(media(base64).decode().unwrap(), b"hi");
        }
    }

    #[test]
    fn what_is_not_base64_says_where() {
        let error = media("aG k").decode().unwrap_err();

        assert_eq!(error.to_string(), "what the server sent is not base64: Invalid symbol 32, offset 2.");
    }
}
