//! What an error of the HTTP client means to a guest, and to people.

use std::{error::Error as StdError, io};

use super::{body::Withdrawn, resolver::Refused};
use crate::transport::{ConnectError, ExchangeFailure, exchange::Failed};

/// Bytes of a message: a line for people.
const LONGEST: usize = 512;

/// A failure that says nothing of what to do.
pub(super) fn plain(failure: ExchangeFailure, message: impl Into<String>) -> Failed {
    Failed { failure, message: message.into(), error: None }
}

/// A rule of the host forbids it.
pub(super) fn denied(reason: impl Into<String>) -> Failed {
    let reason = reason.into();
    Failed { failure: ExchangeFailure::Denied, message: reason.clone(), error: Some(ConnectError::denied(reason)) }
}

/// What went wrong with a request or with its response.
pub(super) fn of(error: &reqwest::Error) -> Failed {
    let mut message = String::new();
    let mut failure = None;
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return denied(refused.to_string());
        }
        failure = failure.or_else(|| kind_of(error));
        // The sentence of an error often ends with that of its cause.
        let sentence = error.to_string();
        if !message.contains(&sentence) {
            message.push_str(if message.is_empty() { "" } else { ": " });
            message.push_str(&sentence);
        }
        cause = error.source();
    }
    if message.is_empty() {
        // That of the client itself has the URL in it, which may be a secret.
        "the request failed".clone_into(&mut message);
    }
    message.truncate(message.floor_char_boundary(LONGEST));
    if error.is_connect() {
        let reason = format!("no connection could be made: {message}");
        let error = Some(ConnectError::unavailable(reason.clone()));
        return Failed { failure: ExchangeFailure::Connect, message: reason, error };
    }
    plain(failure.unwrap_or(ExchangeFailure::Reset), message)
}

/// What one error in a chain says, if it says something.
fn kind_of(error: &(dyn StdError + 'static)) -> Option<ExchangeFailure> {
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return if error.is_parse() && error.to_string().contains("too large") {
            // There is no other way to know it of a client's error.
            Some(ExchangeFailure::TooLarge)
        } else if error.is_parse() {
            Some(ExchangeFailure::Malformed)
        } else if error.is_incomplete_message() {
            Some(ExchangeFailure::Reset)
        } else {
            None
        };
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return match error.kind() {
            // Of a chunk, or of what is compressed.
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Some(ExchangeFailure::Malformed),
            io::ErrorKind::TimedOut => Some(ExchangeFailure::Timeout),
            // It may only wrap what says more.
            io::ErrorKind::Other => None,
            _ => Some(ExchangeFailure::Reset),
        };
    }
    error.is::<Withdrawn>().then_some(ExchangeFailure::Reset)
}
