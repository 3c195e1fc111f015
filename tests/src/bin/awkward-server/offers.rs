//! What a server may offer beside tools, as a hostile one would: names that could break a line, a terminal or a path, bytes that
//! are none, and many of them.

use innkeeper_tests::awkward::offers::{BROKEN, HOSTILE, HUGE, HUGE_BYTES, SCRIPT};
use serde_json::{Value, json};

/// What it announces.
pub(crate) fn capabilities() -> Value {
    json!({ "tools": {}, "resources": {}, "prompts": {} })
}

/// The result of a method that is about what it offers.
pub(crate) fn answer(method: &str, params: &Value) -> Option<Value> {
    Some(match method {
        "resources/list" => {
            let resource =
                |uri: &str| json!({ "uri": uri, "name": HOSTILE, "mimeType": HOSTILE, "description": HOSTILE });
            let resources = [HOSTILE, HUGE, BROKEN, SCRIPT].map(resource);
            json!({ "resources": resources })
        }
        "resources/read" => {
            let uri = params["uri"].as_str().unwrap_or_default();
            let mut contents = match uri {
                HUGE => json!({ "mimeType": "video/mp4", "blob": "AAAA".repeat(HUGE_BYTES / 3) }),
                BROKEN => json!({ "mimeType": "image/png", "blob": "no base64!" }),
                SCRIPT => json!({ "mimeType": "application/x-sh", "blob": "aGk=" }),
                _ => json!({ "mimeType": "image/png", "blob": "aGk=" }),
            };
            contents["uri"] = uri.into();
            json!({ "contents": [contents] })
        }
        "prompts/list" => {
            let arguments = json!([{ "name": HOSTILE, "required": true }, { "name": "b" }]);
            json!({ "prompts": [{ "name": HOSTILE, "description": HOSTILE, "arguments": arguments }] })
        }
        "prompts/get" => json!({ "messages": [
            { "role": HOSTILE, "content": { "type": "resource_link", "uri": HOSTILE, "name": "link" } },
            { "role": "user", "content": { "type": "image", "mimeType": "image/png", "data": "aGk=" } },
        ] }),
        _ => return None,
    })
}
