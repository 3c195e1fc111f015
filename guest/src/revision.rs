//! The revisions of MCP that this guest speaks.

use serde::{Deserialize, Serialize};

/// A revision of the protocol, by the date that names it on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Revision {
    #[serde(rename = "2024-11-05")]
    R2024_11_05,
    #[serde(rename = "2025-03-26")]
    R2025_03_26,
    #[serde(rename = "2025-06-18")]
    R2025_06_18,
    #[serde(rename = "2025-11-25")]
    R2025_11_25,
}

impl Revision {
    /// All of them, newest first.
    pub(crate) const ALL: [Revision; 4] =
        [Revision::R2025_11_25, Revision::R2025_06_18, Revision::R2025_03_26, Revision::R2024_11_05];

    /// What a client offers that is free to choose: the newest (2025-11-25,
    /// basic/lifecycle, "Version Negotiation").
    pub(crate) const NEWEST: Revision = Self::ALL[0];

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.name() == name)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Revision::R2024_11_05 => "2024-11-05",
            Revision::R2025_03_26 => "2025-03-26",
            Revision::R2025_06_18 => "2025-06-18",
            Revision::R2025_11_25 => "2025-11-25",
        }
    }

    /// Whether a peer may put several messages into one frame or body. 2025-03-26 brought
    /// that in ("MUST support receiving JSON-RPC batches"), 2025-06-18 took it
    /// out again.
    pub(crate) const fn has_batches(self) -> bool {
        matches!(self, Revision::R2025_03_26)
    }

    /// Whether requests over HTTP name the revision in a header, which 2025-06-18
    /// brought in ("Protocol Version Header").
    pub(crate) fn has_version_header(self) -> bool {
        self >= Revision::R2025_06_18
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_listed_newest_first_and_found_by_their_names() {
        assert!(Revision::ALL.is_sorted_by(|newer, older| newer > older));
        for revision in Revision::ALL {
            assert_eq!(Revision::from_name(revision.name()), Some(revision));
            assert_eq!(serde_json::to_string(&revision).unwrap(), format!("{:?}", revision.name()));
        }
        assert_eq!(Revision::from_name("2026-07-28"), None);
    }
}
