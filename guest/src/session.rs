//! One session with a server, from `open` to `close`.
//!
//! A session outlives its connection: after `exited` a new process may be
//! `started` for it. The handshake is made once per connection; calls that come
//! before it is complete wait. Over HTTP there is no connection to be told of, and
//! what the server forgets is made anew within `transport::http`.

use crate::boundary::{
    self, DisconnectCause, Effect, Event, ExitStatus, Fault, FaultKind, Limits, SessionInfo, TransportKind,
};
use crate::calls::Calls;
use crate::effects::{CallId, Effects, fault};
use crate::handshake::{Handshake, Verdict};
use crate::json;
use crate::jsonrpc::{self, Reply};
use crate::payload::Source;
use crate::revision::Revision;
use crate::server_requests::ServerRequests;
use crate::settings::Settings;
use crate::tally::{Nuisance, Tally};
use crate::transport::Transport;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A session that is open.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Session {
    pub(crate) settings: Settings,
    pub(crate) phase: Phase,
    pub(crate) calls: Calls,
    pub(crate) server_requests: ServerRequests,
    pub(crate) tally: Tally,
    #[serde(default)]
    pub(crate) transport: Transport,
}

/// Where the connection stands.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// There is none yet.
    Unconnected,
    /// The server has not answered `initialize`.
    Handshake(Handshake),
    /// The server has answered, but not accepted what follows. Only where that is
    /// told, which is over HTTP.
    Confirming {
        /// The revision that is agreed on.
        revision: Revision,
        /// What the server said of itself, for as long as the host is to be told.
        peer: String,
    },
    /// Calls reach the server.
    Ready(Revision),
    /// There is none any more, or none of any use.
    Disconnected,
}

impl Session {
    pub(crate) fn new(settings: Settings, transport: TransportKind) -> Self {
        Session {
            settings,
            phase: Phase::Unconnected,
            calls: Calls::new(),
            server_requests: ServerRequests::new(),
            tally: Tally::default(),
            transport: Transport::new(transport),
        }
    }

    /// Begins what needs nothing but a session: over HTTP, the handshake.
    pub(crate) fn opened(&mut self, effects: &mut Effects) {
        if self.transport.http().is_some() {
            let id = self.calls.next_id();
            self.offer(effects, Handshake::first(id, &self.settings));
        }
    }

    /// Takes an event other than `open` and `close`.
    pub(crate) fn handle(&mut self, effects: &mut Effects, index: u32, event: Event) {
        match event {
            Event::Frame(frame) => self.frame(effects, index, &frame),
            Event::Call(call) => self.call(effects, call),
            Event::CancelCall(call) => self.calls.cancel(effects, &mut self.transport, call),
            Event::Notify(notify) => self.notify(effects, index, &notify),
            Event::ServerResponse(response) => {
                let boundary::ServerResponse { id, answer } = response;
                self.server_requests.answer(effects, &mut self.transport, index, id, &answer, &self.settings);
            }
            Event::Started(_) | Event::Exited(_) if self.transport.http().is_some() => {
                self.misplaced(effects, "a process was told of, where there is none");
            }
            Event::Started(_) => self.started(effects),
            Event::Exited(status) => self.exited(effects, &status),
            Event::Timer(_)
            | Event::ResponseHead(_)
            | Event::ResponseBody(_)
            | Event::ServerSentEvent(_)
            | Event::ResponseEnd(_)
            | Event::ExchangeFailed(_) => self.exchange_event(effects, index, event),
            // None is announced.
            Event::Extension(_) => {}
            Event::Open(_) | Event::Close => self.misplaced(effects, "the session is open already"),
        }
    }

    /// Ends the session. The server learns of it by the end of its input, or by the
    /// request that the host has been given for the end.
    pub(crate) fn close(&mut self, effects: &mut Effects) {
        self.abandon(effects, &closed());
    }

    fn started(&mut self, effects: &mut Effects) {
        effects.settle();
        if matches!(self.phase, Phase::Handshake(_) | Phase::Ready(_)) {
            // Another process in place of one whose end was not told: it knows nothing
            // of what the old one was sent, and calls may have run there.
            let replaced = fault(FaultKind::Disconnected, "the server was replaced by a fresh one");
            self.calls.fail_sent(effects, &replaced);
            self.server_requests.withdraw_all(effects);
        }
        let id = self.calls.next_id();
        self.offer(effects, Handshake::first(id, &self.settings));
    }

    /// Sends `initialize`.
    pub(crate) fn offer(&mut self, effects: &mut Effects, handshake: Handshake) {
        let request = handshake.request(&self.settings);
        if request.len() > self.limits().max_frame {
            let message = "the handshake does not fit into a frame; allow larger frames, or \
                           shorten client info and capabilities";
            return self.give_up(effects, fault(FaultKind::TooLarge, message));
        }
        match &mut self.transport {
            Transport::Stream => self.transport.send(effects, request),
            Transport::Http(http) => http.open(effects, handshake.id, request),
        }
        self.phase = Phase::Handshake(handshake);
    }

    /// Takes the answer to `initialize`.
    pub(crate) fn initialized(
        &mut self,
        effects: &mut Effects,
        source: Source<'_>,
        verdict: Verdict,
        reply: Reply<'_>,
    ) {
        match (verdict, reply) {
            (Verdict::Agreed(revision), Reply::Result(result)) => {
                if let Transport::Http(http) = &mut self.transport {
                    http.confirm(effects, revision);
                    let peer = if http.is_announced() { String::new() } else { result.to_owned() };
                    self.phase = Phase::Confirming { revision, peer };
                    return;
                }
                self.transport.send(effects, Handshake::confirmation());
                self.phase = Phase::Ready(revision);
                effects.push(Effect::Ready(SessionInfo {
                    revision: revision.name().to_owned(),
                    peer: source.payload(Some(result)),
                }));
                self.calls.flush(effects, &mut self.transport, &self.settings.limits);
            }
            (Verdict::Offer(revision), _) => {
                let id = self.calls.next_id();
                self.offer(effects, Handshake::second(id, revision));
            }
            (Verdict::Refused, Reply::Error(error)) => {
                let cause = DisconnectCause::Refused(source.payload(Some(error)));
                let message = "the server refused to open the session";
                self.disconnect(effects, &fault(FaultKind::Disconnected, message), cause);
            }
            (Verdict::Failed(fault), _) => self.give_up(effects, fault),
            // A verdict that does not fit its reply; `Handshake::judge` gives none.
            (Verdict::Agreed(_) | Verdict::Refused, _) => {}
        }
    }

    fn exited(&mut self, effects: &mut Effects, status: &ExitStatus) {
        let how = match (status.code, status.signal) {
            (Some(code), _) => format!("the server exited with code {code}"),
            (None, Some(signal)) => format!("the server was ended by signal {signal}"),
            (None, None) => "the connection to the server ended".to_owned(),
        };
        match self.phase {
            // Nothing to be disconnected from, but nothing to wait for either.
            Phase::Unconnected => {
                self.abandon(effects, &fault(FaultKind::Disconnected, how));
            }
            Phase::Handshake(_) => {
                let message = format!("{how} before it had answered `initialize`");
                self.give_up(effects, fault(FaultKind::Disconnected, message));
            }
            Phase::Confirming { .. } | Phase::Ready(_) => self.give_up(effects, fault(FaultKind::Disconnected, how)),
            Phase::Disconnected => {}
        }
    }

    fn call(&mut self, effects: &mut Effects, call: boundary::Call) {
        if self.calls.is_open(call.id) {
            return self.misplaced(effects, "a call with the id of an open call was ignored");
        }
        if call.method == "initialize" {
            let message = "the session makes the handshake itself; leave `initialize` out";
            return effects.fail(call.id, fault(FaultKind::Invalid, message));
        }
        let ready = match self.phase {
            Phase::Ready(_) => true,
            Phase::Unconnected | Phase::Handshake(_) | Phase::Confirming { .. } => false,
            Phase::Disconnected => {
                let message = "the connection to the server has ended";
                return effects.fail(call.id, fault(FaultKind::Disconnected, message));
            }
        };
        self.calls.place(effects, &mut self.transport, call, ready, &self.settings.limits);
    }

    /// Passes a notification on. Before the session is ready there is nobody to
    /// hear it: what it could announce, the server asks for afterwards.
    fn notify(&mut self, effects: &mut Effects, index: u32, notify: &boundary::Notify) {
        if !matches!(self.phase, Phase::Ready(_)) {
            return self.misplaced(effects, "a notification outside a session was dropped");
        }
        if matches!(&*notify.method, "notifications/initialized" | "notifications/cancelled") {
            return self.misplaced(effects, "a notification that only the guest sends was dropped");
        }
        let mut message = jsonrpc::notification(&notify.method);
        if let Some(params) = &notify.params {
            let text = json::text(params).ok();
            let text = text.filter(|text| json::members(text, |_, _| Ok(())).is_ok());
            let Some(text) = text else {
                return self.misplaced(effects, "a notification was dropped: bad parameters");
            };
            message.text(r#","params":"#);
            if json::is_single_line(text) {
                message.source(Source::new(index, text), text);
            } else {
                message.text(&json::single_line(text));
            }
        }
        let message = jsonrpc::end(message);
        if message.len() > self.limits().max_frame {
            return self.misplaced(effects, "a notification was dropped: too large for a frame");
        }
        self.transport.send(effects, message);
    }

    /// Gives the connection up for a reason of this side.
    pub(crate) fn give_up(&mut self, effects: &mut Effects, fault: Fault) {
        self.disconnect(effects, &fault.clone(), DisconnectCause::Fault(fault));
    }

    /// Completes what is open, then disconnects: once disconnected, the host holds
    /// no calls that could be completed.
    pub(crate) fn disconnect(&mut self, effects: &mut Effects, fault: &Fault, cause: DisconnectCause) {
        self.abandon(effects, fault);
        self.phase = Phase::Disconnected;
        effects.disconnect(cause);
    }

    fn abandon(&mut self, effects: &mut Effects, fault: &Fault) {
        self.calls.fail_all(effects, fault);
        self.server_requests.withdraw_all(effects);
        if let Some(http) = self.transport.http() {
            http.clear();
        }
    }

    /// Compares with what the host holds, after a change of guest.
    pub(crate) fn reconcile(&mut self, effects: &mut Effects, held: &boundary::Outstanding) {
        let mut calls: BTreeSet<CallId> = BTreeSet::new();
        calls.extend(held.calls.iter().map(|call| call.id));
        self.calls.retain(&calls);
        for call in calls.into_iter().filter(|call| !self.calls.is_open(*call)) {
            effects.fail(call, unknown_to_the_state());
        }
        let mut requests = BTreeSet::new();
        requests.extend(&held.server_requests);
        self.server_requests.reconcile(effects, &mut self.transport, &requests, &self.settings);
        self.reconcile_exchanges(effects, held);
    }

    /// Rebuilds what a snapshot leaves out; false if it contradicts itself.
    pub(crate) fn index(&mut self) -> bool {
        let indexed = self.settings.is_sound() && self.calls.index() && self.server_requests.is_sound(&self.settings);
        let (sent, waiting) = self.calls.has_sent_and_waiting();
        let over_http = matches!(self.transport, Transport::Http(_));
        indexed
            && self.are_exchanges_sound()
            && match self.phase {
                Phase::Unconnected => !sent && self.server_requests.is_empty(),
                // What was sent to a session that the server has forgotten may be answered yet.
                Phase::Handshake(_) => (over_http || !sent) && self.server_requests.is_empty(),
                Phase::Confirming { .. } => over_http,
                Phase::Ready(_) => !waiting,
                Phase::Disconnected => !sent && !waiting && self.server_requests.is_empty(),
            }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    pub(crate) fn misplaced(&mut self, effects: &mut Effects, what: &str) {
        self.tally.log(effects, Nuisance::Misplaced, format_args!("{what}"));
    }
}

/// Why the calls of a session that is closed are completed.
pub(crate) fn closed() -> Fault {
    fault(FaultKind::Disconnected, "the session is closed")
}

/// Why the calls are completed that a snapshot does not know.
pub(crate) fn unknown_to_the_state() -> Fault {
    fault(FaultKind::Other, "the call is not known to the restored state")
}
