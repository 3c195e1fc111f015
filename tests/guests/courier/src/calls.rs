//! What the guest does with a call, by its method: `name`, or `name:number`
//! where a number makes sense.

use crate::State;
use crate::bindings::exports::innkeeper::guest::client::{
    Call, CallId, Completion, Effect, ExchangeId, Fault, FaultKind, Header, HttpRequest, Outcome, ParamsRange, Payload,
    Progress, Segment, Target, Write,
};

/// An id that nothing has.
const UNKNOWN: u64 = u64::MAX;

/// A call that waits for what comes of an exchange.
pub(crate) struct Errand {
    pub(crate) call: CallId,
    transcript: String,
    /// Events that are still wanted; none: all.
    wanted: Option<u64>,
    /// Whether to report each as progress.
    reports: bool,
    /// Whether what is no success is a fault.
    is_strict: bool,
}

impl Errand {
    fn new(call: CallId) -> Self {
        Self { call, transcript: String::new(), wanted: None, reports: false, is_strict: false }
    }

    /// Takes a line down. True: that was all that is wanted.
    pub(crate) fn tell(&mut self, line: &str, effects: &mut Vec<Effect>) -> bool {
        if self.reports {
            effects.push(Effect::Progress(Progress { call: self.call, report: bytes(line) }));
        } else {
            self.transcript.push_str(line);
        }
        match &mut self.wanted {
            Some(wanted) if line.starts_with("event") => {
                *wanted -= 1;
                *wanted == 0
            }
            _ => false,
        }
    }

    pub(crate) fn finish(self) -> Effect {
        if self.is_strict && !self.transcript.starts_with("head 2") {
            return fail(self.call, FaultKind::Other, "it came to nothing");
        }
        complete(self.call, bytes(&self.transcript))
    }
}

/// Does what the method of the call says.
pub(crate) fn perform(call: &Call, state: &mut State, effects: &mut Vec<Effect>) {
    let id = call.id;
    let (name, number) = match call.method.split_once(':') {
        Some((name, number)) => (name, number.parse().unwrap_or(1)),
        None => (call.method.as_str(), 1),
    };
    let text = String::from_utf8_lossy(call.params.as_deref().unwrap_or_default()).into_owned();
    match name {
        // Makes the exchange, and completes with all that was told of it.
        "fetch" => effects.push(Effect::Request(state.start(id, &text, Errand::new(id)))),
        // The same; what is no success completes with a fault.
        "need" => {
            let errand = Errand { is_strict: true, ..Errand::new(id) };
            effects.push(Effect::Request(state.start(id, &text, errand)));
        }
        // The same, and reports each event of it.
        "watch" => {
            let errand = Errand { reports: true, ..Errand::new(id) };
            effects.push(Effect::Request(state.start(id, &text, errand)));
        }
        // Completes after so many events, and ends the exchange.
        "take" => {
            let errand = Errand { wanted: Some(number), ..Errand::new(id) };
            effects.push(Effect::Request(state.start(id, &text, errand)));
        }
        // Makes an exchange with all of the params as its body, out of what the host keeps.
        "put" => {
            let length = u32::try_from(call.params.as_ref().map_or(0, Vec::len)).unwrap_or(u32::MAX);
            let mut request = state.start(id, "POST server", Errand::new(id));
            request.body = Some(vec![Segment::Params(ParamsRange { call: id, offset: 0, length })]);
            effects.push(Effect::Request(request));
        }
        // Makes so many exchanges that belong to no call, and completes.
        "scatter" => {
            for _ in 0..number {
                let exchange = state.new_exchange();
                effects.push(Effect::Request(request(&text, exchange, None)));
            }
            effects.push(complete(id, bytes("null")));
        }
        // Says what is to be sent at the end.
        "leave" => {
            let exchange = state.new_exchange();
            effects.push(Effect::OnCloseRequest(Some(request(&text, exchange, None))));
            effects.push(complete(id, bytes("null")));
        }
        // Nothing is, any more.
        "unleave" => effects.extend([Effect::OnCloseRequest(None), complete(id, bytes("null"))]),
        // Gives the connection up.
        "quit" => effects.push(crate::give_up("it has had enough")),
        "trap" => std::process::abort(),

        // Uses an id twice.
        "same-id" => {
            let exchange = state.new_exchange();
            effects.extend([
                Effect::Request(request(&text, exchange, None)),
                Effect::Request(request(&text, exchange, None)),
            ]);
        }
        // Ends what there is not.
        "forged-abort" => effects.push(Effect::Abort(UNKNOWN)),
        // Sends for a call that there is not.
        "forged-call" => effects.push(Effect::Request(request(&text, UNKNOWN, Some(UNKNOWN)))),
        // Writes a frame, where there are none.
        "frame" => effects.push(Effect::Write(Write { frame: bytes("{}"), call: Some(id) })),
        // Wants a process, where there is none.
        "process" => effects.push(Effect::FreshProcess),
        _ => effects.push(fail(id, FaultKind::Unsupported, "no such errand")),
    }
}

/// A request as it is written. What is missing is empty.
pub(crate) fn request(text: &str, exchange: ExchangeId, call: Option<CallId>) -> HttpRequest {
    let (head, body) = match text.split_once("\n\n") {
        Some((head, body)) => (head, Some(bytes(body))),
        None => (text, None),
    };
    let mut lines = head.split('\n');
    let (method, target) = lines.next().and_then(|line| line.split_once(' ')).unwrap_or_default();
    let headers = lines.filter_map(|line| line.split_once(": "));
    HttpRequest {
        exchange,
        call,
        method: method.into(),
        target: if target == "server" { Target::Server } else { Target::Origin(target.into()) },
        headers: headers.map(|(name, value)| Header { name: name.into(), value: value.into() }).collect(),
        body,
    }
}

pub(crate) fn complete(call: CallId, result: Payload) -> Effect {
    Effect::Complete(Completion { call, outcome: Outcome::Result(result) })
}

pub(crate) fn fail(call: CallId, kind: FaultKind, message: &str) -> Effect {
    Effect::Complete(Completion { call, outcome: Outcome::Fault(Fault { kind, message: message.into() }) })
}

pub(crate) fn bytes(text: &str) -> Payload {
    vec![Segment::Bytes(text.as_bytes().to_vec())]
}
