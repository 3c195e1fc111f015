//! Durations that say their unit.
//!
//! Programs that read `mcp.json` differ in what a bare number means: some take seconds, some milliseconds. A number
//! that is wrong by a factor of a thousand is found late and far from its cause, so a duration here is a text with a
//! unit.

use std::time::Duration;

use thiserror::Error;

/// Longest duration that is accepted: one day.
///
/// What is longer is a mistaken unit more often than a wish, and far enough below the range of every clock that sums of
/// deadlines cannot overflow.
pub const MAX_DURATION: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DurationError {
    /// A number without a unit.
    #[error("a bare number has no unit; write one like \"30s\" or \"500ms\"")]
    NoUnit,
    /// A duration of nothing.
    #[error("a duration of zero leaves no time for anything; write one like \"30s\"")]
    Zero,
    /// Longer than [`MAX_DURATION`].
    #[error("longer than a day (24h); is the unit right?")]
    TooLong,
    /// Anything else.
    #[error("not a duration; write whole numbers with the units h, m, s and ms, like \"30s\", \"500ms\" or \"1m30s\"")]
    Malformed,
}

/// The units, largest first, with their length in milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration such as `30s`, `500ms`, `2m`, `1h` or `1m30s`.
///
/// Whole numbers, each followed by its unit (`h`, `m`, `s`, `ms`), larger units before smaller ones, without spaces.
///
/// # Errors
///
/// Anything else, a duration of zero, and one that is longer than [`MAX_DURATION`].
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DurationError::NoUnit);
    }

    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, tail) = split_where(rest, |byte| !byte.is_ascii_digit());
        let (unit, tail) = split_where(tail, |byte| byte.is_ascii_digit());
        if number.is_empty() {
            return Err(DurationError::Malformed);
        }
        // The iterator goes on from the last unit found: that is what keeps them in order and each of them single.
        let (_, length) = units.find(|(name, _)| *name == unit).ok_or(DurationError::Malformed)?;
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*length))
            .and_then(|part| total.checked_add(part))
            .ok_or(DurationError::TooLong)?;
        rest = tail;
    }

    match Duration::from_millis(total) {
        _ if text.is_empty() => Err(DurationError::Malformed),
        Duration::ZERO => Err(DurationError::Zero),
        duration if duration > MAX_DURATION => Err(DurationError::TooLong),
        duration => Ok(duration),
    }
}

fn split_where(text: &str, is_boundary: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(is_boundary).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_alone_and_together() {
        let cases = [
            ("500ms", 500),
            ("30s", 30_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1m30s", 90_000),
            ("1h2m3s4ms", 3_723_004),
            ("0m1s", 1_000),
            ("24h", 86_400_000),
        ];

        for (text, milliseconds) in cases {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_refused_for_its_missing_unit() {
        assert_eq!(parse_duration("30"), Err(DurationError::NoUnit));
        assert_eq!(parse_duration("0"), Err(DurationError::NoUnit));
    }

    #[test]
    fn a_duration_of_zero_is_refused() {
        assert_eq!(parse_duration("0s"), Err(DurationError::Zero));
        assert_eq!(parse_duration("0h0ms"), Err(DurationError::Zero));
    }

    #[test]
    fn more_than_a_day_is_refused_without_overflow() {
        for text in ["25h", "24h1ms", "99999999999999999999s", "18446744073709551615h"] {
            assert_eq!(parse_duration(text), Err(DurationError::TooLong), "{text}");
        }
    }

    #[test]
    fn anything_else_is_malformed() {
        let texts =
            ["", "s", "1.5s", "-1s", "1 s", " 1s", "1s ", "1s30", "30s1m", "1s1s", "1d", "1S", "1µs", "1sm", "eins"];

        for text in texts {
            assert_eq!(parse_duration(text), Err(DurationError::Malformed), "{text}");
        }
    }
}
