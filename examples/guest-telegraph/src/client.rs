//! The client of one session: a state machine that is fed events.
//!
//! It holds what it must know to understand the next frame, and nothing else.
//! Params stay with the host until a call is completed, bodies of frames are
//! passed on as ranges, and deadlines are not its concern.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::boundary::{
    Answer, Call as CallEvent, CallId, Completion, DisconnectCause, Effect, Event, EventRange, Fault, FaultKind,
    LogLevel, LogLine, Notification, Notify, Outcome, ParamsRange, Payload, Progress, Segment, ServerRequest,
    ServerRequestId, ServerResponse, SessionInfo, Settings, TransportKind, Write,
};
use crate::wire::{self, Kind, Message};

/// The client logic of one session.
#[derive(Debug, Default, PartialEq)]
pub struct Client {
    pub(crate) line: Line,
    pub(crate) max_frame: u64,
    pub(crate) max_questions: u32,
    /// Open calls. A call's id is its tag on the wire: the host never gives one twice.
    pub(crate) calls: BTreeMap<CallId, Call>,
    /// What the server asked and the platform has not answered, with the server's tag.
    pub(crate) questions: BTreeMap<ServerRequestId, String>,
    pub(crate) next_question: ServerRequestId,
}

/// The state of the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Line {
    /// Nobody has been greeted: calls wait.
    #[default]
    Silent,
    /// The server has been greeted and has not answered: calls wait.
    Greeted,
    /// Calls go out.
    Open,
    /// It was open, or might have been, and is gone for good.
    Closed,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) verb: String,
    /// How many bytes of params the host keeps for it.
    pub(crate) params: Option<u32>,
    pub(crate) progress: bool,
    pub(crate) sent: bool,
}

impl Client {
    /// Takes events in order and gives what the host is to do.
    pub fn handle(&mut self, events: &[Event]) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (index, event) in events.iter().enumerate() {
            match event {
                Event::Open(settings) => self.open(settings, &mut effects),
                Event::Started(_) => {
                    self.line = Line::Greeted;
                    effects.push(write(format!("HELLO {}", wire::REVISION), Vec::new(), None));
                }
                Event::Call(call) => self.call(call, &mut effects),
                Event::CancelCall(id) => self.cancel(*id, &mut effects),
                Event::Notify(notify) => self.notify(notify, index, &mut effects),
                Event::ServerResponse(response) => self.answer(response, index, &mut effects),
                Event::Frame(frame) => self.frame(frame, index, &mut effects),
                Event::Exited(_) => self.end("the server is gone", &mut effects),
                Event::Close => {
                    if self.line == Line::Open {
                        effects.push(write("BYE".into(), Vec::new(), None));
                    }
                    self.end("the session was closed", &mut effects);
                }
                // Of HTTP and timers nothing was asked for. Extensions that are not known are to be ignored.
                Event::Timer(_)
                | Event::ResponseHead(_)
                | Event::ResponseBody(_)
                | Event::ServerSentEvent(_)
                | Event::ResponseEnd(_)
                | Event::ExchangeFailed(_)
                | Event::Extension(_) => {}
            }
        }
        effects
    }

    fn open(&mut self, settings: &Settings, effects: &mut Vec<Effect>) {
        self.max_frame = settings.limits.max_frame;
        self.max_questions = settings.limits.max_server_requests;
        let revision = settings.revision.as_deref().unwrap_or(wire::REVISION);
        if settings.transport == TransportKind::Http {
            self.give_up(FaultKind::Unsupported, "the telegraph has no HTTP", effects);
        } else if revision != wire::REVISION {
            self.give_up(FaultKind::Unsupported, "the telegraph has revision 1 only", effects);
        }
    }

    fn call(&mut self, event: &CallEvent, effects: &mut Vec<Effect>) {
        let id = event.id;
        if !wire::is_word(&event.method) {
            return effects.push(fail(id, FaultKind::Invalid, "a verb of the telegraph is one word"));
        }
        if self.line == Line::Closed {
            return effects.push(fail(id, FaultKind::Disconnected, "the server is gone"));
        }
        let call = Call {
            verb: event.method.clone(),
            params: event.params.as_ref().map(|params| length(params.len())),
            progress: event.progress,
            sent: false,
        };
        if frame_length(id, &call) > self.max_frame {
            return effects.push(fail(id, FaultKind::TooLarge, "the params are larger than a frame"));
        }
        self.calls.insert(id, call);
        self.send_waiting(effects);
    }

    /// Sends the calls that wait for the line to open, in the order in which they came: ids grow.
    fn send_waiting(&mut self, effects: &mut Vec<Effect>) {
        if self.line != Line::Open {
            return;
        }
        for (&id, call) in self.calls.iter_mut().filter(|(_, call)| !call.sent) {
            call.sent = true;
            let body = call.params.map(|length| Segment::Params(ParamsRange { call: id, offset: 0, length }));
            effects.push(write(format!("ASK {id} {}", call.verb), body.into_iter().collect(), Some(id)));
        }
    }

    fn cancel(&mut self, id: CallId, effects: &mut Vec<Effect>) {
        let Some(call) = self.calls.remove(&id) else { return };
        if call.sent {
            effects.push(write(format!("STOP {id}"), Vec::new(), None));
        }
        effects.push(fail(id, FaultKind::Cancelled, "cancelled"));
    }

    fn notify(&self, notify: &Notify, index: usize, effects: &mut Vec<Effect>) {
        if self.line != Line::Open || !wire::is_word(&notify.method) {
            return effects.push(log("news of the platform dropped: no open line, or a topic of several words"));
        }
        let body = notify.params.as_ref().map(|params| range(index, 0..params.len()));
        effects.push(write(format!("NEWS {}", notify.method), body.into_iter().collect(), None));
    }

    fn answer(&mut self, response: &ServerResponse, index: usize, effects: &mut Vec<Effect>) {
        // Withdrawn meanwhile, if it is not there.
        let Some(tag) = self.questions.remove(&response.id) else { return };
        effects.push(match &response.answer {
            Answer::Result(body) => write(format!("SAY {tag}"), vec![range(index, 0..body.len())], None),
            Answer::Error(body) => write(format!("NO {tag}"), vec![range(index, 0..body.len())], None),
            Answer::Refused => refuse(&tag, "nobody here answers that"),
        });
    }

    fn frame(&mut self, frame: &[u8], index: usize, effects: &mut Vec<Effect>) {
        if self.line == Line::Closed {
            // The rest of a batch, after a frame with which the line ended.
            return;
        }
        let Some(Message { kind, body }) = wire::read(frame) else {
            return self.give_up(FaultKind::ProtocolViolation, "the server sent no message of the telegraph", effects);
        };
        let body: Payload = vec![range(index, body..frame.len())];
        match (self.line, kind) {
            (Line::Greeted, Kind::Welcome { revision }) if revision == wire::REVISION => {
                self.line = Line::Open;
                effects.push(Effect::Ready(SessionInfo { revision: revision.into(), peer: body }));
                self.send_waiting(effects);
            }
            (Line::Greeted, Kind::Sorry) => {
                self.line = Line::Closed;
                effects.push(Effect::Disconnected(DisconnectCause::Refused(body)));
            }
            (Line::Open, Kind::Say { tag }) => self.complete(tag, Outcome::Result(body), effects),
            (Line::Open, Kind::No { tag }) => self.complete(tag, Outcome::Error(body), effects),
            (Line::Open, Kind::Still { tag }) => {
                if self.calls.get(&tag).is_some_and(|call| call.sent && call.progress) {
                    effects.push(Effect::Progress(Progress { call: tag, report: body }));
                }
            }
            (Line::Open, Kind::News { topic }) => {
                effects.push(Effect::Notification(Notification { method: topic.into(), params: body }));
            }
            (Line::Open, Kind::Ask { tag, verb }) => self.ask(tag, verb, body, effects),
            (Line::Open, Kind::Stop { tag }) => {
                let withdrawn = self.questions.extract_if(.., |_, theirs| theirs == tag);
                effects.extend(withdrawn.map(|(id, _)| Effect::WithdrawServerRequest(id)));
            }
            _ => self.give_up(FaultKind::ProtocolViolation, "the server sent a message out of turn", effects),
        }
    }

    fn complete(&mut self, tag: CallId, outcome: Outcome, effects: &mut Vec<Effect>) {
        match self.calls.remove(&tag) {
            Some(_) => effects.push(Effect::Complete(Completion { call: tag, outcome })),
            // Cancelled, and the two messages crossed on the way.
            None => effects.push(log("an answer for no open call")),
        }
    }

    fn ask(&mut self, tag: &str, verb: &str, params: Payload, effects: &mut Vec<Effect>) {
        if self.questions.len() >= self.max_questions as usize {
            return effects.push(refuse(tag, "too many open questions"));
        }
        let id = self.next_question;
        self.next_question += 1;
        self.questions.insert(id, tag.into());
        // The telegraph does not say for which call a question is. With one call open there is no doubt.
        let call = match self.calls.len() {
            1 => self.calls.keys().next().copied(),
            _ => None,
        };
        effects.push(Effect::ServerRequest(ServerRequest { id, call, method: verb.into(), params }));
    }

    /// The connection ended: completes what is open.
    fn end(&mut self, reason: &str, effects: &mut Vec<Effect>) {
        self.line = Line::Closed;
        self.questions.clear();
        let open = std::mem::take(&mut self.calls);
        effects.extend(open.into_keys().map(|id| fail(id, FaultKind::Disconnected, reason)));
    }

    /// The connection is of no use: the host ends it and completes what is open.
    fn give_up(&mut self, kind: FaultKind, message: &str, effects: &mut Vec<Effect>) {
        self.line = Line::Closed;
        self.calls.clear();
        self.questions.clear();
        effects.push(Effect::Disconnected(DisconnectCause::Fault(Fault { kind, message: message.into() })));
    }
}

/// Writes a header and, if there is one, its body.
fn write(mut header: String, body: Payload, call: Option<CallId>) -> Effect {
    if !body.is_empty() {
        header.push('\n');
    }
    let mut frame = vec![Segment::Bytes(header.into_bytes())];
    frame.extend(body);
    Effect::Write(Write { frame, call })
}

fn refuse(tag: &str, reason: &str) -> Effect {
    write(format!("NO {tag}"), vec![Segment::Bytes(format!("\"{reason}\"").into_bytes())], None)
}

pub(crate) fn fail(call: CallId, kind: FaultKind, message: &str) -> Effect {
    Effect::Complete(Completion { call, outcome: Outcome::Fault(Fault { kind, message: message.into() }) })
}

fn log(message: &str) -> Effect {
    Effect::Log(LogLine { level: LogLevel::Debug, message: message.into() })
}

/// How long the frame of a call is.
fn frame_length(id: CallId, call: &Call) -> u64 {
    let header = format!("ASK {id} {}\n", call.verb).len() as u64;
    header + u64::from(call.params.unwrap_or(0))
}

/// A part of an event of this batch.
fn range(index: usize, bytes: Range<usize>) -> Segment {
    Segment::Event(EventRange { index: length(index), offset: length(bytes.start), length: length(bytes.len()) })
}

/// A length as the boundary has it. None is larger where this runs, in a memory of 32 bits; a native host that passed
/// more would get a range that does not fit, which is a fault and no wrong content.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
