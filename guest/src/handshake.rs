//! The era of the handshake: how the revisions up to 2025-11-25 begin.
//!
//! The client offers a revision with `initialize`, the server answers with the
//! one that will be spoken, and the client says `notifications/initialized`. The
//! order matters: a server that reads the notification before it has answered
//! has been seen to set itself up without the client's capabilities. So nothing
//! but the answer to a ping is sent between the two.
//!
//! The request is never cancelled (basic/utilities/cancellation) and has no
//! deadline here: deadlines are the host's.

use crate::boundary::{Fault, FaultKind};
use crate::effects::fault;
use crate::json::{self, Malformed, set};
use crate::jsonrpc::{self, Reply, RequestId};
use crate::payload::Builder;
use crate::revision::Revision;
use crate::settings::Settings;
use serde::{Deserialize, Serialize};

/// An `initialize` that is not answered yet.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Handshake {
    pub(crate) id: RequestId,
    offered: Revision,
    /// Whether this is the second offer. There is no third.
    again: bool,
}

/// What the answer to `initialize` means.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// This revision is spoken from now on.
    Agreed(Revision),
    /// The server named another revision that we speak: offer that.
    Offer(Revision),
    /// The server does not want to.
    Refused,
    /// What the server said cannot be gone on with.
    Failed(Fault),
}

impl Handshake {
    pub(crate) fn first(id: RequestId, settings: &Settings) -> Self {
        Handshake { id, offered: settings.only.unwrap_or(Revision::NEWEST), again: false }
    }

    pub(crate) fn second(id: RequestId, offered: Revision) -> Self {
        Handshake { id, offered, again: true }
    }

    pub(crate) fn request(&self, settings: &Settings) -> Builder {
        let mut frame = jsonrpc::request(self.id, "initialize");
        frame
            .text(r#","params":{"protocolVersion":"#)
            .string(self.offered.name())
            .text(r#","capabilities":"#)
            .text(&settings.capabilities)
            .text(r#","clientInfo":"#)
            .text(&settings.client_info)
            .text("}");
        jsonrpc::end(frame)
    }

    /// Says what follows `initialize`.
    pub(crate) fn confirmation() -> Builder {
        jsonrpc::end(jsonrpc::notification("notifications/initialized"))
    }

    pub(crate) fn judge(&self, reply: Reply<'_>, settings: &Settings) -> Verdict {
        match reply {
            Reply::Result(result) => match agreed(result, settings) {
                Ok(revision) => Verdict::Agreed(revision),
                Err(fault) => Verdict::Failed(fault),
            },
            Reply::Error(error) => match self.alternative(error, settings) {
                Some(revision) => Verdict::Offer(revision),
                None => Verdict::Refused,
            },
            Reply::Both => malformed(Malformed::Because("both a result and an error")),
            Reply::Neither => malformed(Malformed::Because("neither a result nor an error")),
        }
    }

    /// The newest revision that the server says it has, we have, and was not offered
    /// yet. An operator who fixed a revision wants that one or none.
    fn alternative(&self, error: &str, settings: &Settings) -> Option<Revision> {
        if self.again || settings.only.is_some() {
            return None;
        }
        let supported = json::member(json::member(error, "data")?, "supported")?;
        let mut best = None;
        let walked = json::elements(supported, |name| {
            let revision = json::string(name).and_then(|name| Revision::from_name(&name));
            best = best.max(revision.filter(|revision| *revision != self.offered));
            Ok(())
        });
        best.filter(|_| walked.is_ok())
    }
}

fn agreed(result: &str, settings: &Settings) -> Result<Revision, Fault> {
    let mut version = None;
    json::members(result, |name, value| match &*name {
        "protocolVersion" => set(&mut version, value, "two protocol versions"),
        _ => Ok(()),
    })
    .map_err(violation)?;
    let Some(name) = version.and_then(json::string) else {
        return Err(violation(Malformed::Because("no `protocolVersion` that is a string")));
    };
    let unsupported = |wanted: String| {
        let message = format!("the server speaks revision \"{}\"; {wanted}", json::excerpt(&name));
        fault(FaultKind::Unsupported, message)
    };
    match (Revision::from_name(&name), settings.only) {
        (Some(revision), None) => Ok(revision),
        (Some(revision), Some(only)) if revision == only => Ok(revision),
        (_, Some(only)) => Err(unsupported(format!("the configuration allows {} only", only.name()))),
        (None, None) => Err(unsupported(format!("this guest speaks {}", Revision::ALL.map(Revision::name).join(", ")))),
    }
}

fn violation(reason: Malformed) -> Fault {
    let message = format!("the server's answer to `initialize` is malformed: {reason}");
    fault(FaultKind::ProtocolViolation, message)
}

fn malformed(reason: Malformed) -> Verdict {
    Verdict::Failed(violation(reason))
}
