//! What the guest does with a call, by its method: `name`, or `name:number`
//! where a number makes sense.
//!
//! The first few are honest and do no more than they say. The others break one
//! duty each, so that a test knows which check of the host it has met.

use std::hint::black_box;

use super::State;
use crate::bindings::exports::innkeeper::guest::client::{
    Call, CallId, Completion, Effect, EventRange, Fault, FaultKind, HttpRequest, LogLevel, LogLine, Notification,
    Outcome, ParamsRange, Payload, Progress, Segment, ServerRequest, ServerRequestId, Target, Timer, Write,
};

/// An id of a call that no host gives in a test.
const UNKNOWN: CallId = u64::MAX;

const MIB: u64 = 1 << 20;

/// Does what the method of the call says.
pub(crate) fn perform(call: &Call, index: u32, state: &mut State, effects: &mut Vec<Effect>) {
    let id = call.id;
    let (name, number) = match call.method.split_once(':') {
        Some((name, number)) => (name, number.parse().ok()),
        None => (call.method.as_str(), None),
    };
    let number = |default: u64| number.unwrap_or(default);
    match name {
        // Completes with the params of the call.
        "echo" => effects.push(complete(id, echo(call))),
        // Completes after so many million rounds of work.
        "slow" => {
            work(number(1).saturating_mul(1_000_000));
            effects.push(complete(id, echo(call)));
        }
        // Completes, and keeps so many MiB of memory.
        "grow" => {
            state.kept.extend((0..number(1)).map(|_| vec![1; 1 << 20]));
            effects.push(complete(id, echo(call)));
        }
        // Stays open until it is cancelled or the session ends.
        "hold" => _ = state.held.insert(id),
        // Sends the params to the server, for this call, which stays open until it is cancelled or the session ends.
        "send" => {
            state.held.insert(id);
            effects.push(Effect::Write(Write { frame: echo(call), call: Some(id) }));
        }
        // Asks for a fresh process, and completes when it is there.
        "fresh-process" => {
            state.restarting.push(id);
            effects.push(Effect::FreshProcess);
        }
        // Asks the platform, by a request of that id, and completes with the answer.
        "ask" => {
            state.asking.insert(number(1), id);
            effects.push(ask(number(1), Some(id)));
        }
        // Withdraws the request of that id, and completes; the call that waited for the answer is cancelled.
        "withdraw" => {
            let asking = state.asking.remove(&number(1));
            effects.push(Effect::WithdrawServerRequest(number(1)));
            effects.extend(asking.map(|asking| fail(asking, FaultKind::Cancelled)));
            effects.push(complete(id, echo(call)));
        }

        // Is not completed, whatever happens.
        "never-answer" => {}
        // Never returns.
        "spin" => spin(),
        // Asks for memory without end.
        "allocate" => allocate(),
        // Traps.
        "trap" => trap(),
        // Calls itself without end.
        "recurse" => _ = recurse(0),

        // Completes a call that there is not.
        "garbage" => effects.push(complete(UNKNOWN, bytes("{}"))),
        // Reports progress of a call that there is not.
        "forged-progress" => effects.push(Effect::Progress(Progress { call: UNKNOWN, report: bytes("{}") })),
        // Writes for a call that there is not.
        "forged-write" => effects.push(Effect::Write(Write { frame: bytes("{}"), call: Some(UNKNOWN) })),
        // Withdraws a server request that there is not.
        "forged-withdrawal" => effects.push(Effect::WithdrawServerRequest(UNKNOWN)),
        // Refers to a byte after the end of the event.
        "forged-range" => {
            let length = call.params.as_ref().map_or(0, Vec::len) as u64 + 1;
            effects.push(complete(id, event(index, 0, u32::try_from(length).unwrap_or(u32::MAX))));
        }
        // Refers to a range whose end does not fit its type.
        "overflowing-range" => effects.push(complete(id, event(index, u32::MAX, u32::MAX))),
        // Refers to an event that is not in the batch.
        "forged-index" => effects.push(complete(id, event(u32::MAX, 0, 0))),
        // Refers to params of the call beyond their end.
        "forged-params-range" => effects.push(complete(id, params(id, u32::MAX, u32::MAX))),
        // Refers to the params of a call that there is not.
        "forged-params-call" => effects.push(complete(id, params(UNKNOWN, 0, 0))),
        // Completes the call twice.
        "complete-twice" => effects.extend([complete(id, echo(call)), complete(id, bytes("{}"))]),
        // Reports progress of a call that it has completed.
        "progress-after-complete" => {
            let report = Effect::Progress(Progress { call: id, report: bytes("{}") });
            effects.extend([complete(id, echo(call)), report]);
        }
        // Puts a second frame into one.
        "newline-in-frame" => effects.push(Effect::Write(Write { frame: bytes("{}\n{}"), call: Some(id) })),
        // Wants one process more than a session may have.
        "fresh-process-3" => effects.extend([Effect::FreshProcess, Effect::FreshProcess, Effect::FreshProcess]),
        // Is ready, as it has been all along.
        "ready-twice" => effects.push(state.ready()),
        // Is ready between two processes.
        "ready-without-connection" => effects.extend([Effect::FreshProcess, state.ready()]),
        // Gives two open requests to the platform one id.
        "request-id-twice" => effects.extend([ask(1, Some(id)), ask(1, Some(id))]),
        // Starts an HTTP exchange, where there is a stream.
        "http-on-stream" => effects.push(Effect::Request(http_request(id))),

        // Returns very many effects.
        "many-effects" => {
            let notification = || Effect::Notification(Notification { method: "flood".into(), params: Vec::new() });
            effects.extend((0..number(100_000)).map(|_| notification()));
            effects.push(complete(id, echo(call)));
        }
        // Completes with the params, so many times over.
        "repeated-result" => effects.push(complete(id, repeated(echo(call), number(1)))),
        // Says the params twice over in each of so many notifications.
        "repeated-notifications" => {
            let twice =
                || Effect::Notification(Notification { method: "flood".into(), params: repeated(echo(call), 2) });
            effects.extend((0..number(1)).map(|_| twice()));
            effects.push(complete(id, bytes("null")));
        }
        // Says the first eighth of the event in each of so many notifications.
        "repeated-slices" => {
            let eighth = call.params.as_ref().map_or(0, Vec::len) / 8;
            let eighth = event(index, 0, u32::try_from(eighth).unwrap_or(u32::MAX));
            let slice = || Effect::Notification(Notification { method: "flood".into(), params: eighth.clone() });
            effects.extend((0..number(1)).map(|_| slice()));
            effects.push(complete(id, bytes("null")));
        }
        // Sets very many timers, all far away.
        "many-timers" => {
            effects.extend((0..number(100_000)).map(|id| Effect::SetTimer(Timer { id, at: u64::MAX })));
            effects.push(complete(id, echo(call)));
        }
        // Asks the platform very many things at once.
        "many-server-requests" => effects.extend((0..number(100_000)).map(|id| ask(id, None))),
        // Logs one line of very many bytes.
        "huge-log" => {
            effects.push(Effect::Log(LogLine { level: LogLevel::Info, message: text(number(MIB)) }));
            effects.push(complete(id, echo(call)));
        }
        // Writes one frame of very many bytes.
        "huge-frame" => effects.push(Effect::Write(Write { frame: bytes(&text(number(17 * MIB))), call: Some(id) })),

        _ => effects.push(fail(id, FaultKind::Unsupported)),
    }
}

/// Takes about a nanosecond per round: each needs the product of the one before.
fn work(rounds: u64) {
    let factor = black_box(6_364_136_223_846_793_005_u64);
    black_box((0..rounds).fold(1_u64, |product, round| product.wrapping_mul(factor).wrapping_add(round)));
}

/// Takes time without end. The box keeps the compiler from concluding what may follow an endless loop.
pub(crate) fn spin() -> ! {
    loop {
        black_box(());
    }
}

pub(crate) fn trap() -> ! {
    std::process::abort()
}

/// Takes memory and leaves it untouched: to fill it would use up the time of a burst first, on a slow machine.
fn allocate() -> ! {
    let mut kept = Vec::new();
    loop {
        kept.push(Vec::<u8>::with_capacity(1 << 20));
        black_box(&kept);
    }
}

/// Returns only at a depth that no stack holds. The work after the call keeps it from becoming a loop.
fn recurse(depth: u64) -> u64 {
    match depth {
        u64::MAX => 0,
        depth => black_box(recurse(black_box(depth + 1))) + 1,
    }
}

/// A completion with a result.
pub(crate) fn complete(call: CallId, result: Payload) -> Effect {
    Effect::Complete(Completion { call, outcome: Outcome::Result(result) })
}

/// A completion with a fault.
pub(crate) fn fail(call: CallId, kind: FaultKind) -> Effect {
    Effect::Complete(Completion {
        call,
        outcome: Outcome::Fault(Fault { kind, message: "as it was asked for".into() }),
    })
}

/// A payload of these bytes.
pub(crate) fn bytes(text: &str) -> Payload {
    vec![Segment::Bytes(text.as_bytes().to_vec())]
}

/// The params of a call, from where the host keeps them; `null` if there are none.
fn echo(call: &Call) -> Payload {
    match &call.params {
        Some(given) => params(call.id, 0, u32::try_from(given.len()).unwrap_or(u32::MAX)),
        None => bytes("null"),
    }
}

fn params(call: CallId, offset: u32, length: u32) -> Payload {
    vec![Segment::Params(ParamsRange { call, offset, length })]
}

fn event(index: u32, offset: u32, length: u32) -> Payload {
    vec![Segment::Event(EventRange { index, offset, length })]
}

/// The same segments, so many times over.
fn repeated(payload: Payload, times: u64) -> Payload {
    (0..times).flat_map(|_| payload.clone()).collect()
}

fn ask(id: ServerRequestId, call: Option<CallId>) -> Effect {
    Effect::ServerRequest(ServerRequest { id, call, method: "ask".into(), params: Vec::new() })
}

fn text(length: u64) -> String {
    "x".repeat(usize::try_from(length).unwrap_or(usize::MAX))
}

fn http_request(call: CallId) -> HttpRequest {
    HttpRequest {
        exchange: 1,
        call: Some(call),
        method: "POST".into(),
        target: Target::Server,
        headers: Vec::new(),
        body: Some(bytes("{}")),
    }
}
