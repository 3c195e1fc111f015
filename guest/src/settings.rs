//! What a session was opened with, checked.

use crate::boundary::{self, Fault, FaultKind, Limits};
use crate::effects::fault;
use crate::json;
use crate::revision::Revision;
use serde::{Deserialize, Serialize};

/// Settings that a session can be opened with.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Settings {
    /// The only revision to speak, where the operator fixed one.
    pub(crate) only: Option<Revision>,
    /// A JSON object on a single line.
    pub(crate) client_info: String,
    /// A JSON object on a single line.
    pub(crate) capabilities: String,
    /// Whether several users have the session.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) shared: bool,
    #[serde(with = "LimitsFormat")]
    pub(crate) limits: Limits,
}

/// How a snapshot writes the limits, whose type is generated.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Limits", deny_unknown_fields, rename_all = "kebab-case")]
struct LimitsFormat {
    max_frame: u64,
    max_result: u64,
    max_pages: u32,
    max_server_requests: u32,
}

impl Settings {
    /// The word for "whichever revision that has a handshake".
    const LEGACY: &str = "legacy";

    /// A frame that this is too small for could not even refuse a request: the
    /// longest id that is answered, and a short reason, fit with room to spare.
    const MIN_MAX_FRAME: u64 = 1024;

    /// Checks what the host gave.
    pub(crate) fn check(settings: boundary::Settings) -> Result<Self, Fault> {
        let unsupported = |message: String| Err(fault(FaultKind::Unsupported, message));

        let only = match settings.revision.as_deref() {
            None | Some(Self::LEGACY) => None,
            Some(name) => match Revision::from_name(name) {
                Some(revision) => Some(revision),
                None => {
                    return unsupported(format!(
                        "the configured revision \"{}\" is none that this guest speaks; try {} or \
                         \"{}\"",
                        json::excerpt(name),
                        Revision::ALL.map(Revision::name).join(", "),
                        Self::LEGACY
                    ));
                }
            },
        };
        if settings.limits.max_frame < Self::MIN_MAX_FRAME {
            return unsupported(format!(
                "frames of {} bytes are too small for the protocol; allow {} or more",
                settings.limits.max_frame,
                Self::MIN_MAX_FRAME
            ));
        }
        Ok(Settings {
            only,
            client_info: object("client info", &settings.client_info)?,
            capabilities: object("capabilities", &settings.capabilities)?,
            shared: settings.shared,
            limits: settings.limits,
        })
    }

    /// Whether the platform can answer requests of this kind.
    pub(crate) fn declares(&self, capability: &str) -> bool {
        let mut declared = false;
        let walked = json::members(&self.capabilities, |name, value| {
            declared |= name == capability && value != "null";
            Ok(())
        });
        walked.is_ok() && declared
    }

    /// Whether what a snapshot says could have passed the check.
    pub(crate) fn is_sound(&self) -> bool {
        [&self.client_info, &self.capabilities]
            .into_iter()
            .all(|text| json::is_single_line(text) && json::members(text, |_, _| Ok(())).is_ok())
            && self.limits.max_frame >= Self::MIN_MAX_FRAME
    }
}

fn object(what: &str, bytes: &[u8]) -> Result<String, Fault> {
    json::text(bytes)
        .and_then(|text| json::members(text, |_, _| Ok(())).map(|()| text))
        .map(|text| json::single_line(text).into_owned())
        .map_err(|reason| fault(FaultKind::Invalid, format!("the {what} of the platform cannot be sent: {reason}")))
}
