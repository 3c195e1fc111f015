//! Reading the server's JSON with errors that say where it is not what it should be.

use serde_json::{Map, Value};

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

/// The objects of an array that must be there, each made into what it is.
pub(super) fn list<T>(
    mut result: Map<String, Value>,
    key: &str,
    what: &str,
    read: impl Fn(Map<String, Value>) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let Some(Value::Array(items)) = result.remove(key) else {
        return Err(format!("the answer of the server has no array `{key}`"));
    };
    let item = |item| match item {
        Value::Object(item) => read(item),
        _ => Err(format!("{what} is not an object")),
    };
    items.into_iter().map(item).collect()
}
