//! How often a peer did what is only worth a line in the log.
//!
//! A server may repeat its mistakes for ever. The first few of each kind are
//! logged, then every power of two: enough to see that it goes on and how fast,
//! and logarithmic in what it costs.

use crate::boundary::LogLevel;
use crate::effects::Effects;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What may go on for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nuisance {
    /// A frame that is no message.
    Garbage,
    /// A message that came while there was no connection.
    Stray,
    /// A response to a request that is not open.
    UnknownResponse,
    /// Progress of a request that is not open, or that wanted none.
    UnknownProgress,
    /// A request of the server that was answered with an error at once.
    RefusedRequest,
    /// An event of the host that makes no sense in this state.
    Misplaced,
}

/// How many of each kind there were.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Tally {
    garbage: Counter,
    stray: Counter,
    unknown_response: Counter,
    unknown_progress: Counter,
    refused_request: Counter,
    misplaced: Counter,
}

/// How many there were of one kind.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Counter(u64);

impl Counter {
    /// So many of one kind are logged one by one.
    const VERBATIM: u64 = 8;

    /// Counts one more, and logs it if it is one of the first or a round number.
    pub(crate) fn log(&mut self, effects: &mut Effects, level: LogLevel, message: fmt::Arguments<'_>) {
        let Counter(count) = self;
        *count = count.saturating_add(1);
        if *count <= Self::VERBATIM {
            effects.log(level, message.to_string());
        } else if count.is_power_of_two() {
            effects.log(level, format!("{message} ({count} of this kind so far)"));
        }
    }
}

impl Tally {
    /// Counts one more, and logs it if it is one of the first or a round number.
    pub(crate) fn log(&mut self, effects: &mut Effects, nuisance: Nuisance, message: fmt::Arguments<'_>) {
        let (counter, level) = match nuisance {
            Nuisance::Garbage => (&mut self.garbage, LogLevel::Warn),
            // A server may well answer what was cancelled a moment ago, and a host may
            // hold frames of a process that was given up.
            Nuisance::Stray => (&mut self.stray, LogLevel::Debug),
            Nuisance::UnknownResponse => (&mut self.unknown_response, LogLevel::Debug),
            Nuisance::UnknownProgress => (&mut self.unknown_progress, LogLevel::Debug),
            Nuisance::RefusedRequest => (&mut self.refused_request, LogLevel::Warn),
            Nuisance::Misplaced => (&mut self.misplaced, LogLevel::Warn),
        };
        counter.log(effects, level, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_eight_and_then_every_power_of_two_are_logged() {
        let mut tally = Tally::default();

        let logged: Vec<u64> = (1..=1000)
            .filter(|_| {
                let mut effects = Effects::new(0);
                tally.log(&mut effects, Nuisance::Garbage, format_args!("again"));
                !effects.into_list().is_empty()
            })
            .collect();

        assert_eq!(logged, [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64, 128, 256, 512]);
    }
}
