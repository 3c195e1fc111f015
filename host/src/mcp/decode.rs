//! Reading the server's JSON with errors that say where it is not what it should be.

use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::task::{JoinError, JoinHandle};

/// Bytes of a result from which on it is read aside. Reading so many takes some hundred microseconds, about a session's turn on a
/// thread; handing them over takes some ten. A largest one takes tens of milliseconds, for which a thread of the embedder must not
/// stand still.
const LARGE: usize = 256 * 1024;

/// Begins to read a large result on a thread for work that blocks. None: it is to be read at once, because it is small, or
/// because this is no tokio runtime.
pub(super) fn aside<T: Send + 'static>(
    raw: &Bytes,
    read: fn(Bytes) -> Result<T, String>,
) -> Option<JoinHandle<Result<T, String>>> {
    let tokio = tokio::runtime::Handle::try_current().ok().filter(|_| raw.len() >= LARGE)?;
    let raw = raw.clone();
    Some(tokio.spawn_blocking(move || read(raw)))
}

/// What was read aside.
pub(super) fn joined<T>(read: Result<Result<T, String>, JoinError>) -> Result<T, String> {
    read.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Err("it was not read before the end of the tokio runtime".to_owned()),
    })
}

/// An object, or what is wrong.
pub(super) fn object(bytes: &[u8], what: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(format!("{what} is not an object")),
        Err(error) => Err(format!("{what} is not JSON: {error}")),
    }
}

/// A text that must be there.
pub(super) fn required_text(object: &Map<String, Value>, key: &str, what: &str) -> Result<String, String> {
    text(object, key).ok_or_else(|| format!("{what} has no text `{key}`"))
}

/// A text that may be there.
pub(super) fn text(object: &Map<String, Value>, key: &str) -> Option<String> {
    Some(object.get(key)?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn reader(_: Bytes) -> Result<thread::ThreadId, String> {
        Ok(thread::current().id())
    }

    fn zeros(count: usize) -> Bytes {
        vec![0; count].into()
    }

    #[tokio::test]
    async fn a_large_result_is_read_on_another_thread() {
        let reading = aside(&zeros(LARGE), reader).unwrap();

        assert_ne!(joined(reading.await), Ok(thread::current().id()));
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_large_result_is_said_as_of_a_small_one() {
        let reading = aside(&zeros(LARGE), |_| Err::<(), _>("it is no list".to_owned())).unwrap();

        assert_eq!(joined(reading.await), Err("it is no list".to_owned()));
    }

    #[tokio::test]
    async fn a_small_result_is_read_at_once() {
        assert!(aside(&zeros(LARGE - 1), reader).is_none());
    }

    #[test]
    fn outside_of_a_tokio_runtime_all_are_read_at_once() {
        assert!(aside(&zeros(LARGE), reader).is_none());
    }
}
