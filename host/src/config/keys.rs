//! The keys of an entry, and what was probably meant by others.
//!
//! An `mcp.json` travels between programs that do not agree on its keys. A key that is not known here is ignored, so
//! the warning about it is the only chance to say what to write instead.

/// The keys that an entry may have.
const KEYS: [&str; 9] = ["command", "args", "env", "cwd", "url", "headers", "type", "timeout", "disabled"];

/// The keys that belong to one way of reaching a server only.
pub(super) const STDIO_KEYS: [&str; 3] = ["args", "env", "cwd"];
pub(super) const HTTP_KEYS: [&str; 1] = ["headers"];

/// Keys of other programs that say the same as one of ours, with what to do.
const FOREIGN_KEYS: [(&str, &str); 12] = [
    ("transport", "write \"type\""),
    ("transportType", "write \"type\""),
    ("cmd", "write \"command\""),
    ("envs", "write \"env\""),
    ("baseUrl", "write \"url\""),
    ("serverUrl", "write \"url\""),
    ("httpUrl", "write \"url\""),
    ("endpoint", "write \"url\""),
    ("http_headers", "write \"headers\""),
    ("timeout_ms", "write \"timeout\" with a unit, like \"500ms\""),
    ("enabled", DISABLE),
    ("isActive", DISABLE),
];
const DISABLE: &str = "write \"disabled\": true for a server that is to be left alone";

/// How alike an unknown key must be to a known one to be taken for it, where 1 is equal: so high that the keys of other
/// programs are not "corrected".
const SIMILAR: f64 = 0.8;

pub(super) fn is_known(name: &str) -> bool {
    KEYS.contains(&name)
}

/// What to do about a key that is not known; empty where there is nothing to say.
pub(super) fn hint_for_unknown(name: &str) -> String {
    if let Some((_, hint)) = FOREIGN_KEYS.iter().find(|(foreign, _)| *foreign == name) {
        return (*hint).to_owned();
    }
    nearest(name).map(|known| format!("did you mean {known:?}?")).unwrap_or_default()
}

/// The known key that a misspelled one was probably meant to be.
fn nearest(name: &str) -> Option<&'static str> {
    let likeness = |known: &str| strsim::jaro_winkler(&name.to_lowercase(), known);
    let nearest = KEYS.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(nearest) >= SIMILAR).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_misspelled_keys_are_corrected() {
        let cases = [
            ("comand", Some("command")),
            ("Command", Some("command")),
            ("arg", Some("args")),
            ("timout", Some("timeout")),
            ("header", Some("headers")),
            ("disable", Some("disabled")),
            ("alwaysAllow", None),
            ("description", None),
            ("dev", None),
            ("oauth", None),
            ("sandbox", None),
        ];

        for (written, meant) in cases {
            assert_eq!(nearest(written), meant, "{written}");
        }
    }
}
