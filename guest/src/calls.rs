//! The calls of the platform, from the first event to the completion.
//!
//! Every call is in this table exactly as long as it is open, so "completed
//! exactly once" means: what leaves the table is completed, and nothing else is.
//! A call gets its request id when it comes, and its turn by that id.
//!
//! How many calls may be open is a bound of the host, which also holds their
//! parameters; what is kept here for each is small, but for parameters that had to
//! be rewritten and for pages, which are bounded.

use crate::boundary::{self, Fault, FaultKind, Limits, Outcome};
use crate::effects::{CallId, Effects, fault};
use crate::jsonrpc::{self, Reply, RequestId};
use crate::pages::{Pages, Step};
use crate::params::{Additions, Params};
use crate::payload::{Builder, Source};
use crate::transport::Transport;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The open calls.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Calls {
    next: RequestId,
    open: BTreeMap<RequestId, Request>,
    /// The same, by the id of the host.
    #[serde(skip)]
    by_call: BTreeMap<CallId, RequestId>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Request {
    call: CallId,
    /// Whether the caller wants to hear of progress.
    progress: bool,
    /// Whether the server refused to read it once. It is not sent a third time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    repeated: bool,
    stage: Stage,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", rename_all_fields = "kebab-case")]
enum Stage {
    /// Not sent yet: there is no session to send it in.
    Waiting { template: Box<Template>, all_pages: bool },
    /// Sent, and the answer completes it.
    Sent,
    /// The same, by a transport that may say that the server did not read it.
    Refusable { template: Box<Template> },
    /// Sent, and the answer is a page.
    Paged { template: Box<Template>, pages: Pages },
}

/// What it takes to send a request later, or again for the next page.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Template {
    method: String,
    params: Option<Params>,
}

impl Calls {
    pub(crate) const fn new() -> Self {
        Calls { next: RequestId(1), open: BTreeMap::new(), by_call: BTreeMap::new() }
    }

    /// An id that no request has had.
    pub(crate) fn next_id(&mut self) -> RequestId {
        let id = self.next;
        self.next = RequestId(id.0.saturating_add(1));
        id
    }

    pub(crate) fn is_open(&self, call: CallId) -> bool {
        self.by_call.contains_key(&call)
    }

    /// The call, if there is only one.
    pub(crate) fn only(&self) -> Option<CallId> {
        let mut calls = self.by_call.keys();
        calls.next().copied().filter(|_| calls.next().is_none())
    }

    /// Takes a new call: sends it if there is a session, keeps it for later if not.
    pub(crate) fn place(
        &mut self,
        effects: &mut Effects,
        transport: &mut Transport,
        call: boundary::Call,
        ready: bool,
        limits: &Limits,
    ) {
        let boundary::Call { id: call, method, params, progress, all_pages } = call;
        let has_lines = transport.has_lines();
        let checked = params.as_deref().map(|params| Params::check(params, all_pages, has_lines, limits));
        let params = match checked.transpose() {
            Ok(params) => params,
            Err(reason) => {
                let message = format!("the parameters of the call cannot be sent: {reason}");
                return effects.fail(call, fault(FaultKind::Invalid, message));
            }
        };
        let id = self.next_id();

        // What most calls are, so it costs no more than it has to.
        if ready && !all_pages && !transport.may_refuse() {
            let frame = request(id, call, &method, params.as_ref(), progress, None);
            if send(effects, transport, call, id, frame, limits) {
                self.insert(id, Request { call, progress, repeated: false, stage: Stage::Sent });
            }
            return;
        }

        let kept = params.as_ref().map_or(0, Params::retained);
        if kept > 0 && self.retained().saturating_add(kept) > limits.max_frame {
            let message = "the parameters of waiting calls come to more than a frame may hold; \
                           write them without line breaks, or wait until the session is open";
            return effects.fail(call, fault(FaultKind::TooLarge, message));
        }
        let template = Box::new(Template { method, params });
        let stage = Stage::Waiting { template, all_pages };
        self.insert(id, Request { call, progress, repeated: false, stage });
        if ready {
            self.send_waiting(effects, transport, id, limits);
        }
    }

    /// Sends what waited for the session, in the order in which it came.
    pub(crate) fn flush(&mut self, effects: &mut Effects, transport: &mut Transport, limits: &Limits) {
        let waiting: Vec<RequestId> = self
            .open
            .iter()
            .filter(|(_, request)| matches!(request.stage, Stage::Waiting { .. }))
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            self.send_waiting(effects, transport, id, limits);
        }
    }

    fn send_waiting(&mut self, effects: &mut Effects, transport: &mut Transport, id: RequestId, limits: &Limits) {
        let Some(Request { call, progress, repeated, stage }) = self.remove(id) else { return };
        let Stage::Waiting { template, all_pages } = stage else {
            return self.insert(id, Request { call, progress, repeated, stage });
        };
        let frame = request(id, call, &template.method, template.params.as_ref(), progress, None);
        if send(effects, transport, call, id, frame, limits) {
            let stage = if all_pages {
                Stage::Paged { template, pages: Pages::default() }
            } else if transport.may_refuse() {
                Stage::Refusable { template }
            } else {
                Stage::Sent
            };
            self.insert(id, Request { call, progress, repeated, stage });
        }
    }

    /// Whether a request that the server did not read may be sent again.
    pub(crate) fn is_repeatable(&self, id: RequestId) -> bool {
        self.open.get(&id).is_some_and(|request| {
            !request.repeated && matches!(request.stage, Stage::Refusable { .. } | Stage::Paged { .. })
        })
    }

    /// Puts a request that the server did not read back among those that wait, pages
    /// from the first on.
    pub(crate) fn requeue(&mut self, id: RequestId) {
        let Some(Request { call, progress, repeated, stage }) = self.remove(id) else { return };
        let (id, stage) = match stage {
            Stage::Refusable { template } => (self.next_id(), Stage::Waiting { template, all_pages: false }),
            Stage::Paged { template, .. } => (self.next_id(), Stage::Waiting { template, all_pages: true }),
            stage @ (Stage::Waiting { .. } | Stage::Sent) => {
                return self.insert(id, Request { call, progress, repeated, stage });
            }
        };
        self.insert(id, Request { call, progress, repeated: true, stage });
    }

    /// Takes the answer of the server. False if no such request is open. One of a
    /// session that has been replaced may leave its call waiting.
    pub(crate) fn answer(
        &mut self,
        effects: &mut Effects,
        transport: &mut Transport,
        source: Source<'_>,
        id: RequestId,
        reply: Reply<'_>,
        limits: &Limits,
    ) -> bool {
        if !self.is_sent(id) {
            return false;
        }
        let Some(Request { call, progress, repeated, stage }) = self.remove(id) else { return false };
        let outcome = match (reply, stage) {
            (Reply::Result(result), Stage::Paged { template, mut pages }) => {
                match pages.take(&template.method, source, result, limits) {
                    Ok(Step::Complete(result)) => Outcome::Result(result),
                    // A cursor is good for the session that it was given in.
                    Ok(Step::Next(_)) if !transport.reaches(id) => {
                        if repeated {
                            let message = "the server forgot the session again between two pages";
                            Outcome::Fault(fault(FaultKind::Disconnected, message))
                        } else {
                            let id = self.next_id();
                            let stage = Stage::Waiting { template, all_pages: true };
                            self.insert(id, Request { call, progress, repeated: true, stage });
                            return true;
                        }
                    }
                    Ok(Step::Next(cursor)) => {
                        let id = self.next_id();
                        let frame =
                            request(id, call, &template.method, template.params.as_ref(), progress, Some(&cursor));
                        if send(effects, transport, call, id, frame, limits) {
                            let stage = Stage::Paged { template, pages };
                            self.insert(id, Request { call, progress, repeated, stage });
                        }
                        return true;
                    }
                    Err(fault) => Outcome::Fault(fault),
                }
            }
            (Reply::Result(result), _) => Outcome::Result(source.payload(Some(result))),
            (Reply::Error(error), _) => Outcome::Error(source.payload(Some(error))),
            (Reply::Both, _) => violation("both a result and an error"),
            (Reply::Neither, _) => violation("neither a result nor an error"),
        };
        effects.complete(call, outcome);
        true
    }

    /// The call that a progress report under this token is for.
    pub(crate) fn wants_progress(&self, token: RequestId) -> Option<CallId> {
        let request = self.open.get(&token)?;
        (request.progress && self.is_sent(token)).then_some(request.call)
    }

    /// The call that a request which has been sent is one of.
    pub(crate) fn call_of(&self, id: RequestId) -> Option<CallId> {
        self.open.get(&id).filter(|_| self.is_sent(id)).map(|request| request.call)
    }

    /// Ends the call that a request is one of.
    pub(crate) fn fail(&mut self, effects: &mut Effects, id: RequestId, fault: Fault) {
        if let Some(request) = self.remove(id) {
            effects.fail(request.call, fault);
        }
    }

    /// Ends a call that the platform does not want any more. One that has been
    /// completed is ignored.
    pub(crate) fn cancel(&mut self, effects: &mut Effects, transport: &mut Transport, call: CallId) {
        let Some(id) = self.by_call.get(&call).copied() else { return };
        let sent = self.is_sent(id);
        self.remove(id);
        if sent && transport.reaches(id) {
            let mut message = jsonrpc::notification("notifications/cancelled");
            message
                .text(r#","params":{"requestId":"#)
                .number(id.0)
                .text(r#","reason":"the caller no longer wants the result"}"#);
            transport.send(effects, jsonrpc::end(message));
        }
        transport.forget(effects, id);
        effects.fail(call, fault(FaultKind::Cancelled, "the call was cancelled"));
    }

    /// Ends every call.
    pub(crate) fn fail_all(&mut self, effects: &mut Effects, fault: &Fault) {
        self.by_call.clear();
        for request in std::mem::take(&mut self.open).into_values() {
            effects.fail(request.call, fault.clone());
        }
    }

    /// Ends every call that the server knows of.
    pub(crate) fn fail_sent(&mut self, effects: &mut Effects, fault: &Fault) {
        let sent: Vec<RequestId> = self.sent().collect();
        for request in sent.into_iter().filter_map(|id| self.remove(id)) {
            effects.fail(request.call, fault.clone());
        }
    }

    /// Forgets the calls that the host does not hold.
    pub(crate) fn retain(&mut self, held: &BTreeSet<CallId>) {
        self.open.retain(|_, request| held.contains(&request.call));
        self.by_call.retain(|call, _| held.contains(call));
    }

    /// Rebuilds what a snapshot leaves out; false if it contradicts itself.
    pub(crate) fn index(&mut self) -> bool {
        self.by_call.clear();
        self.by_call.extend(self.open.iter().map(|(id, request)| (request.call, *id)));
        self.by_call.len() == self.open.len()
            && self.open.keys().all(|id| *id < self.next)
            && self.open.values().all(Request::is_sound)
    }

    /// Whether there are calls that the server knows of, and calls that it does not.
    pub(crate) fn has_sent_and_waiting(&self) -> (bool, bool) {
        let sent = self.sent().next().is_some();
        let waiting = self.open.keys().any(|id| !self.is_sent(*id));
        (sent, waiting)
    }

    /// The requests that the server knows of.
    pub(crate) fn sent(&self) -> impl Iterator<Item = RequestId> {
        self.open.keys().copied().filter(|id| self.is_sent(*id))
    }

    /// Whether this is one of them.
    pub(crate) fn is_sent(&self, id: RequestId) -> bool {
        let request = self.open.get(&id);
        request.is_some_and(|request| !matches!(request.stage, Stage::Waiting { .. }))
    }

    fn insert(&mut self, id: RequestId, request: Request) {
        self.by_call.insert(request.call, id);
        self.open.insert(id, request);
    }

    fn remove(&mut self, id: RequestId) -> Option<Request> {
        let request = self.open.remove(&id)?;
        self.by_call.remove(&request.call);
        Some(request)
    }

    /// Bytes of parameters that are kept.
    fn retained(&self) -> u64 {
        self.open.values().map(Request::retained).fold(0, u64::saturating_add)
    }
}

impl Request {
    fn template(&self) -> Option<&Template> {
        match &self.stage {
            Stage::Waiting { template, .. } | Stage::Refusable { template } | Stage::Paged { template, .. } => {
                Some(template)
            }
            Stage::Sent => None,
        }
    }

    fn retained(&self) -> u64 {
        let params = self.template().and_then(|template| template.params.as_ref());
        params.map_or(0, Params::retained)
    }

    fn is_sound(&self) -> bool {
        let params = self.template().and_then(|template| template.params.as_ref());
        params.is_none_or(Params::is_sound)
    }
}

fn request(
    id: RequestId,
    call: CallId,
    method: &str,
    params: Option<&Params>,
    progress: bool,
    cursor: Option<&str>,
) -> Builder {
    let mut frame = jsonrpc::request(id, method);
    let additions = Additions { cursor, progress: progress.then_some(id) };
    Params::write(params, &mut frame, call, additions);
    jsonrpc::end(frame)
}

/// Sends a request, or completes the call if it cannot be sent: then it must not be
/// in the table any more.
fn send(
    effects: &mut Effects,
    transport: &mut Transport,
    call: CallId,
    id: RequestId,
    frame: Builder,
    limits: &Limits,
) -> bool {
    let fits = frame.len() <= limits.max_frame;
    if fits {
        transport.send_for(effects, call, id, frame);
    } else {
        let message = format!("the request comes to {} bytes, and a frame may have {}", frame.len(), limits.max_frame);
        effects.fail(call, fault(FaultKind::TooLarge, message));
    }
    fits
}

fn violation(what: &str) -> Outcome {
    let message = format!("the server's response has {what}");
    Outcome::Fault(fault(FaultKind::ProtocolViolation, message))
}
