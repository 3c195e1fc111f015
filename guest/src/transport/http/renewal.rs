//! Another session, after the server has forgotten the present one.
//!
//! A server may end a session whenever it likes; then it refuses what names that
//! session, and the client opens another (2025-11-25, basic/transports, "Session
//! Management"). What was refused for this reason was not run, so it is sent again:
//! once, since a server that refuses it in the new session too has another reason.
//! What has been accepted is not sent again. It may still be answered by the
//! exchange that it is in; if that breaks, its call fails.
//!
//! A session that is lost before it has been of any use is not replaced by a third:
//! then the connection is given up, and the host decides when to try again.

use super::{LISTENING_TIMER, Route, exchange::Purpose};
use crate::boundary::{Effect, FaultKind};
use crate::effects::{Effects, fault};
use crate::handshake::Handshake;
use crate::jsonrpc::RequestId;
use crate::session::{Phase, Session};

impl Session {
    /// The server refused a request, as it seems for its session. True if that has
    /// been dealt with; otherwise the refusal is of the request.
    pub(super) fn refused_for_its_session(
        &mut self,
        effects: &mut Effects,
        id: RequestId,
        session: u32,
        status: u16,
    ) -> bool {
        let repeatable = self.calls.is_repeatable(id);
        let Some(http) = self.transport.http() else { return false };
        if session == http.session.number {
            if http.session.id.is_none() {
                return false;
            }
            if status != 404 {
                // What looks like a lost session in one that has only just begun, or to a
                // call that had been sent to another, is an error after all.
                let proven = std::mem::replace(&mut http.session.proven, true);
                if !proven || !repeatable {
                    return false;
                }
            }
            self.session_forgotten(effects, session);
            if matches!(self.phase, Phase::Disconnected) {
                return true;
            }
        }
        if !repeatable {
            return false;
        }
        self.calls.requeue(id);
        if matches!(self.phase, Phase::Ready(_)) {
            self.calls.flush(effects, &mut self.transport, &self.settings.limits);
        }
        true
    }

    /// The server does not know the session of this number any more. News of one that
    /// has been replaced already is none.
    pub(super) fn session_forgotten(&mut self, effects: &mut Effects, session: u32) {
        let Some(http) = self.transport.http() else { return };
        let known = http.session.id.is_some() && matches!(http.route, Route::Streamable);
        if session != http.session.number || !known || !matches!(self.phase, Phase::Ready(_)) {
            return;
        }
        if !http.session.proven {
            let message = "the server forgot one session right after another";
            return self.give_up(effects, fault(FaultKind::Disconnected, message));
        }
        http.session.number = http.session.number.saturating_add(1);
        http.session.proven = false;

        let listening = http.exchanges.iter().find(|(_, exchange)| exchange.purpose == Purpose::Listening);
        if let Some(number) = listening.map(|(number, _)| *number) {
            http.abort(effects, number);
        }
        if std::mem::take(&mut http.listening).cursor.awaken() {
            effects.push(Effect::CancelTimer(LISTENING_TIMER));
        }
        let interrupted: Vec<RequestId> =
            http.replies.iter().filter(|(_, cursor)| cursor.wake().is_some()).map(|(id, _)| *id).collect();
        for id in interrupted {
            let message = "the server forgot the session while the call was waiting for its reply";
            self.fail_call(effects, id, fault(FaultKind::Disconnected, message));
        }
        self.server_requests.withdraw_all(effects);

        let id = self.calls.next_id();
        self.offer(effects, Handshake::first(id, &self.settings));
    }
}
