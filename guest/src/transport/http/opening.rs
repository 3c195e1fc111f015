//! The way into a session over HTTP.
//!
//! As on a stream, nothing follows `initialize` before its answer, and no call
//! follows `notifications/initialized` before the server has accepted that: two
//! exchanges may overtake each other.

use super::Http;
use super::exchange::Purpose;
use crate::boundary::{Effect, FaultKind, ResponseHead, SessionInfo};
use crate::effects::{Effects, fault};
use crate::handshake::Handshake;
use crate::jsonrpc::RequestId;
use crate::payload::Builder;
use crate::revision::Revision;
use crate::session::{Phase, Session};

impl Http {
    /// Sends `initialize`, without the traces of an earlier session.
    pub(crate) fn open(&mut self, effects: &mut Effects, id: RequestId, request: Builder) {
        self.session.revision = None;
        if self.session.id.take().is_some() {
            self.arrange_goodbye(effects);
        }
        self.post(effects, Purpose::Initialize(id), None, request);
    }

    /// Says what follows `initialize`, now that the revision is agreed on.
    pub(crate) fn confirm(&mut self, effects: &mut Effects, revision: Revision) {
        self.session.revision = Some(revision);
        if self.session.id.is_some() && revision.has_version_header() {
            self.arrange_goodbye(effects);
        }
        self.post(effects, Purpose::Confirmation, None, Handshake::confirmation());
    }

    /// Whether the host has been told that the session is open.
    pub(crate) const fn is_announced(&self) -> bool {
        self.announced
    }
}

impl Session {
    /// The response to `initialize` begins, and names the session.
    pub(super) fn initialize_accepted(&mut self, effects: &mut Effects, head: &ResponseHead) {
        let Some(http) = self.transport.http() else { return };
        match super::headers::session_id(&head.headers) {
            Ok(None) => {}
            Ok(Some(id)) => {
                http.session.id = Some(id.to_owned());
                http.arrange_goodbye(effects);
            }
            Err(()) => {
                let message = "the server gave the session an id that is not visible ascii, or is too long";
                return self.give_up(effects, fault(FaultKind::ProtocolViolation, message));
            }
        }
        self.reply_begins(effects, head);
    }

    /// The server has accepted `notifications/initialized`.
    pub(super) fn confirmed(&mut self, effects: &mut Effects) {
        let Phase::Confirming { revision, peer } = &mut self.phase else { return };
        let (revision, peer) = (*revision, std::mem::take(peer));
        self.phase = Phase::Ready(revision);
        if let Some(http) = self.transport.http()
            && !std::mem::replace(&mut http.announced, true)
        {
            let mut info = Builder::default();
            info.text(&peer);
            effects.push(Effect::Ready(SessionInfo { revision: revision.name().to_owned(), peer: info.finish() }));
        }
        self.calls.flush(effects, &mut self.transport, &self.settings.limits);
        self.listen(effects);
    }
}
