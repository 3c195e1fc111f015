//! The command line.

use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Where nothing else is said: long enough for the table to show all that happens.
const SECONDS: u64 = 15;

/// Beyond this a mistyped number is likelier than a wish.
const MOST_SECONDS: u64 = 24 * 60 * 60;

pub(crate) struct Arguments {
    /// How long the agents work.
    pub(crate) time: Duration,
}

impl Arguments {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut seconds = SECONDS;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--seconds" => {
                    let number = arguments.next().and_then(|number| number.parse().ok());
                    seconds = number
                        .filter(|number| (1..=MOST_SECONDS).contains(number))
                        .with_context(|| format!("`--seconds` takes a number from 1 to {MOST_SECONDS}"))?;
                }
                other => bail!("`{other}` is not known; there is `--seconds N`"),
            }
        }
        Ok(Self { time: Duration::from_secs(seconds) })
    }
}
