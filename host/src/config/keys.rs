//! The keys of an entry, and what was probably meant by others.
//!
//! An `mcp.json` travels between programs that do not agree on its keys. A key that is not known here is ignored, so
//! the warning about it is the only chance to say what to write instead.

use super::context::{Context, KeyPath, Members};

/// The keys that an object may have.
pub(super) struct Vocabulary {
    known: &'static [&'static str],
    /// Keys of other programs that say the same as a known one, with what to do.
    foreign: &'static [(&'static str, &'static str)],
}

/// That of an entry.
pub(super) const OF_ENTRIES: Vocabulary = Vocabulary { known: &KEYS, foreign: &FOREIGN_KEYS };

/// That of the limits of an entry.
pub(super) const OF_LIMITS: Vocabulary = Vocabulary { known: &LIMITS, foreign: &[] };

/// That of the rules for tools of an entry.
pub(super) const OF_TOOLS: Vocabulary = Vocabulary { known: &TOOLS, foreign: &[] };

const KEYS: [&str; 24] = [
    "command",
    "args",
    "env",
    "cwd",
    "isolation",
    "allowPrivileges",
    "inheritHome",
    "limits",
    "url",
    "headers",
    "proxy",
    "caCertificates",
    "clientCertificate",
    "privateAddresses",
    "type",
    "timeout",
    "disabled",
    "tools",
    "includeTools",
    "enabledTools",
    "enabled_tools",
    "excludeTools",
    "disabledTools",
    "disabled_tools",
];

/// What other programs call an allow list of tools, and a deny list.
pub(super) const ALLOW_KEYS: [&str; 3] = ["includeTools", "enabledTools", "enabled_tools"];
pub(super) const DENY_KEYS: [&str; 3] = ["excludeTools", "disabledTools", "disabled_tools"];

/// Whether hints of a server are trusted.
pub(super) const TRUST_KEY: &str = "trustIdempotenceHints";

const TOOLS: [&str; 5] = ["allow", "deny", "rename", "describe", TRUST_KEY];

/// The keys that belong to one way of reaching a server only.
pub(super) const STDIO_KEYS: [&str; 7] =
    ["args", "env", "cwd", "isolation", "allowPrivileges", "inheritHome", "limits"];
pub(super) const HTTP_KEYS: [&str; 5] = ["headers", "proxy", "caCertificates", "clientCertificate", "privateAddresses"];

const LIMITS: [&str; 4] = ["addressSpace", "openFiles", "cpuTime", "coreFiles"];

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

impl Vocabulary {
    /// Warns of the members of an object that are not known.
    pub(super) fn warn_of_others(&self, context: &mut Context<'_>, key: &KeyPath, members: &Members<'_>) {
        for (name, property) in members {
            if !self.known.contains(name) {
                let hint = self.hint_for(name);
                context.warn(*property, &key.member(name), "is not a known key, and ignored", &hint);
            }
        }
    }

    /// What to do about a key that is not known; empty where there is nothing to say.
    fn hint_for(&self, name: &str) -> String {
        if let Some((_, hint)) = self.foreign.iter().find(|(foreign, _)| *foreign == name) {
            return (*hint).to_owned();
        }
        self.nearest(name).map(|known| format!("did you mean {known:?}?")).unwrap_or_default()
    }

    /// The known key that a misspelled one was probably meant to be.
    fn nearest(&self, name: &str) -> Option<&'static str> {
        let likeness = |known: &str| strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase());
        let nearest = self.known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
        (likeness(nearest) >= SIMILAR).then_some(nearest)
    }
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
            ("limit", Some("limits")),
            ("inherithome", Some("inheritHome")),
        ];

        for (written, meant) in cases {
            assert_eq!(OF_ENTRIES.nearest(written), meant, "{written}");
        }
    }
}
