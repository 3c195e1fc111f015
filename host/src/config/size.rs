//! Sizes that say their unit.
//!
//! For the same reason as [durations](super::duration) do: of two programs one takes a bare number as bytes and the other as
//! megabytes, and a limit that is wrong by a factor of a million either ends every server or none.

use thiserror::Error;

/// Why a text is not a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum SizeError {
    #[error("a bare number has no unit")]
    NoUnit,
    #[error("a size of zero leaves no room for anything; write one like \"4GiB\"")]
    Zero,
    #[error("larger than any memory; is the unit right?")]
    TooLarge,
    #[error(
        "not a size; write a whole number with one of the units KiB, MiB, GiB, TiB, kB, MB, GB and TB, like \"4GiB\" or \
         \"512MiB\""
    )]
    Malformed,
}

/// The units with their bytes: binary ones (IEC 80000-13), and those of the SI. Written as they are there, because a program
/// that takes `mb` cannot know which of the two is meant, or whether it is bits.
const UNITS: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// Reads a size such as `4GiB`, `512MiB` or `1GB`, in bytes: a whole number and its unit, without a space.
pub(super) fn parse_size(text: &str) -> Result<u64, SizeError> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    match (number.is_empty(), unit.is_empty()) {
        (true, _) => return Err(SizeError::Malformed),
        (false, true) => return Err(SizeError::NoUnit),
        (false, false) => {}
    }
    let (_, bytes) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(SizeError::Malformed)?;
    let size = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*bytes)).ok_or(SizeError::TooLarge)?;
    if size == 0 { Err(SizeError::Zero) } else { Ok(size) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_binary_or_decimal_as_they_are_written() {
        let cases = [
            ("1KiB", 1_024),
            ("512MiB", 536_870_912),
            ("4GiB", 4_294_967_296),
            ("2TiB", 2_199_023_255_552),
            ("64kB", 64_000),
            ("1MB", 1_000_000),
            ("1GB", 1_000_000_000),
            ("3TB", 3_000_000_000_000),
            ("08GiB", 8_589_934_592),
        ];

        for (text, bytes) in cases {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_refused_for_its_missing_unit() {
        assert_eq!(parse_size("4096"), Err(SizeError::NoUnit));
        assert_eq!(parse_size("0"), Err(SizeError::NoUnit));
    }

    #[test]
    fn a_size_of_zero_is_refused() {
        assert_eq!(parse_size("0GiB"), Err(SizeError::Zero));
    }

    #[test]
    fn what_no_number_of_bytes_holds_is_refused_without_overflow() {
        for text in ["16777216TiB", "18446745TB", "99999999999999999999kB"] {
            assert_eq!(parse_size(text), Err(SizeError::TooLarge), "{text}");
        }
    }

    #[test]
    fn anything_else_is_malformed() {
        let texts =
            ["", "GiB", "4 GiB", " 4GiB", "4GiB ", "1.5GiB", "-1GiB", "4G", "4gib", "4gb", "4Gb", "1GiB512MiB", "vier"];

        for text in texts {
            assert_eq!(parse_size(text), Err(SizeError::Malformed), "{text}");
        }
    }
}
