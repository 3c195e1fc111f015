//! The engine is one piece of code: built natively and as a component, it does the same.
//!
//! Scripts of random events, the same that the engine's own property test runs, are recorded natively and replayed in the
//! component, changes of guest included.

use innkeeper::{
    ComponentSource, Runtime,
    guest::{Instance, boundary as host},
};
use innkeeper_guest::{
    boundary::{self as guest, TransportKind},
    script::{self, Step},
};

/// Scripts that are replayed on each transport. Each has some hundred events.
const SCRIPTS: u32 = 300;

#[tokio::test]
async fn native_and_wasm_give_the_same_effects_for_the_same_events() {
    let runtime = Runtime::builder().start().await.unwrap();
    let component = runtime.load_component(ComponentSource::Embedded).await.unwrap();
    let format = component.info().snapshot_formats[0].clone();
    let mut batches = 0;
    let mut restores = 0;

    let transports = [TransportKind::Stream, TransportKind::Http];
    for (seed, transport) in (0..SCRIPTS).flat_map(|seed| transports.map(|transport| (seed, transport))) {
        let mut instance = Instance::new(&component).await.unwrap();
        for step in script::record(transport, &bytes(seed)).unwrap() {
            match step {
                Step::Handle { now, events, effects } => {
                    batches += 1;
                    let events: Vec<_> = events.into_iter().map(event).collect();
                    let got = instance.handle(now, &events).await.unwrap();
                    let expected: Vec<_> = effects.into_iter().map(effect).collect();
                    assert_eq!(got, expected, "script {seed}, events {events:?}");
                }
                Step::Restore { outstanding, effects } => {
                    restores += 1;
                    let state = instance.snapshot(&format).await.unwrap().unwrap();
                    instance = Instance::new(&component).await.unwrap();
                    let got = instance.restore(&state, &held(outstanding)).await.unwrap().unwrap();
                    let expected: Vec<_> = effects.into_iter().map(effect).collect();
                    assert_eq!(got, expected, "script {seed}, restore");
                }
            }
        }
    }

    assert!(batches > 10 * SCRIPTS && restores > 100, "{batches} batches, {restores} restores");
}

/// A script that is the same on every run.
pub(crate) fn bytes(seed: u32) -> Vec<u8> {
    let next = |state: &u32| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    // Spread, for the first byte says how a session begins, and is the highest of these.
    std::iter::successors(Some(seed.wrapping_mul(0x9e37_79b9) ^ 0x005e_ed00), next)
        .map(|state| state.to_be_bytes()[0])
        .take(400)
        .collect()
}

pub(crate) fn event(event: guest::Event) -> host::Event {
    match event {
        guest::Event::Open(settings) => host::Event::Open(host::Settings {
            transport: match settings.transport {
                TransportKind::Stream => host::TransportKind::Stream,
                TransportKind::Http => host::TransportKind::Http,
            },
            revision: settings.revision,
            client_info: settings.client_info.into(),
            capabilities: settings.capabilities.into(),
            shared: settings.shared,
            max_frame: settings.limits.max_frame,
            max_result: settings.limits.max_result,
            max_pages: settings.limits.max_pages,
            max_server_requests: settings.limits.max_server_requests,
        }),
        guest::Event::Started(incarnation) => host::Event::Started(incarnation),
        guest::Event::Exited(status) => {
            host::Event::Exited(host::ExitStatus { code: status.code, signal: status.signal })
        }
        guest::Event::Call(call) => host::Event::Call(host::Call {
            id: call.id,
            method: call.method,
            params: call.params.map(Into::into),
            progress: call.progress,
            all_pages: call.all_pages,
        }),
        guest::Event::CancelCall(id) => host::Event::CancelCall(id),
        guest::Event::Notify(notify) => {
            host::Event::Notify { method: notify.method, params: notify.params.map(Into::into) }
        }
        guest::Event::ServerResponse(response) => host::Event::ServerResponse {
            id: response.id,
            answer: match response.answer {
                guest::Answer::Result(result) => host::Answer::Result(result.into()),
                guest::Answer::Error(error) => host::Answer::Error(error.into()),
                guest::Answer::Refused => host::Answer::Refused,
            },
        },
        guest::Event::Frame(frame) => host::Event::Frame(frame.into()),
        guest::Event::Timer(id) => host::Event::Timer(id),
        guest::Event::Close => host::Event::Close,
        guest::Event::Extension(extension) => {
            host::Event::Extension(host::Extension { name: extension.name, body: extension.body.into() })
        }
        guest::Event::ResponseHead(head) => {
            host::Event::ResponseHead { exchange: head.exchange, status: head.status, headers: headers(head.headers) }
        }
        guest::Event::ResponseBody(body) => {
            host::Event::ResponseBody { exchange: body.exchange, bytes: body.bytes.into() }
        }
        guest::Event::ServerSentEvent(block) => host::Event::ServerSentEvent {
            exchange: block.exchange,
            event_type: block.event_type,
            data: block.data.into(),
            id: block.id,
            retry: block.retry,
        },
        guest::Event::ResponseEnd(exchange) => host::Event::ResponseEnd(exchange),
        guest::Event::ExchangeFailed(failed) => host::Event::ExchangeFailed {
            exchange: failed.exchange,
            failure: match failed.failure {
                guest::ExchangeFailure::Denied => host::ExchangeFailure::Denied,
                guest::ExchangeFailure::Connect => host::ExchangeFailure::Connect,
                guest::ExchangeFailure::Reset => host::ExchangeFailure::Reset,
                guest::ExchangeFailure::Timeout => host::ExchangeFailure::Timeout,
                guest::ExchangeFailure::TooLarge => host::ExchangeFailure::TooLarge,
                guest::ExchangeFailure::Malformed => host::ExchangeFailure::Malformed,
            },
            message: failed.message,
        },
    }
}

pub(crate) fn effect(effect: guest::Effect) -> host::Effect {
    match effect {
        guest::Effect::Write(write) => host::Effect::Write { frame: payload(write.frame), call: write.call },
        guest::Effect::FreshProcess => host::Effect::FreshProcess,
        guest::Effect::Complete(completion) => host::Effect::Complete {
            call: completion.call,
            outcome: match completion.outcome {
                guest::Outcome::Result(result) => host::Outcome::Result(payload(result)),
                guest::Outcome::Error(error) => host::Outcome::Error(payload(error)),
                guest::Outcome::Fault(reason) => host::Outcome::Fault(fault(reason)),
            },
        },
        guest::Effect::Progress(progress) => {
            host::Effect::Progress { call: progress.call, report: payload(progress.report) }
        }
        guest::Effect::Notification(notification) => {
            host::Effect::Notification { method: notification.method, params: payload(notification.params) }
        }
        guest::Effect::ServerRequest(request) => host::Effect::ServerRequest {
            id: request.id,
            call: request.call,
            method: request.method,
            params: payload(request.params),
        },
        guest::Effect::WithdrawServerRequest(id) => host::Effect::WithdrawServerRequest(id),
        guest::Effect::Ready(info) => host::Effect::Ready { revision: info.revision, peer: payload(info.peer) },
        guest::Effect::Disconnected(cause) => host::Effect::Disconnected(match cause {
            guest::DisconnectCause::Refused(error) => host::DisconnectCause::Refused(payload(error)),
            guest::DisconnectCause::Fault(reason) => host::DisconnectCause::Fault(fault(reason)),
        }),
        guest::Effect::SetTimer(timer) => host::Effect::SetTimer { id: timer.id, at: timer.at },
        guest::Effect::CancelTimer(id) => host::Effect::CancelTimer(id),
        guest::Effect::Log(line) => host::Effect::Log {
            level: match line.level {
                guest::LogLevel::Trace => host::LogLevel::Trace,
                guest::LogLevel::Debug => host::LogLevel::Debug,
                guest::LogLevel::Info => host::LogLevel::Info,
                guest::LogLevel::Warn => host::LogLevel::Warn,
                guest::LogLevel::Error => host::LogLevel::Error,
            },
            message: line.message,
        },
        guest::Effect::Request(wanted) => host::Effect::Request(request(wanted)),
        guest::Effect::Abort(exchange) => host::Effect::Abort(exchange),
        guest::Effect::OnCloseRequest(wanted) => host::Effect::OnCloseRequest(wanted.map(request)),
        guest::Effect::Extension(_) => panic!("the engine has no such effect"),
    }
}

fn request(request: guest::HttpRequest) -> host::HttpRequest {
    host::HttpRequest {
        exchange: request.exchange,
        call: request.call,
        method: request.method,
        target: match request.target {
            guest::Target::Server => host::Target::Server,
            guest::Target::Origin(path) => host::Target::Origin(path),
        },
        headers: headers(request.headers),
        body: request.body.map(payload),
    }
}

fn headers(headers: Vec<guest::Header>) -> Vec<host::Header> {
    headers.into_iter().map(|header| host::Header { name: header.name, value: header.value }).collect()
}

fn fault(fault: guest::Fault) -> host::Fault {
    let kind = match fault.kind {
        guest::FaultKind::Cancelled => host::FaultKind::Cancelled,
        guest::FaultKind::Disconnected => host::FaultKind::Disconnected,
        guest::FaultKind::Invalid => host::FaultKind::Invalid,
        guest::FaultKind::ProtocolViolation => host::FaultKind::ProtocolViolation,
        guest::FaultKind::TooLarge => host::FaultKind::TooLarge,
        guest::FaultKind::Unsupported => host::FaultKind::Unsupported,
        guest::FaultKind::Other => host::FaultKind::Other,
    };
    host::Fault { kind, message: fault.message }
}

fn payload(payload: guest::Payload) -> host::Payload {
    let segments = payload.into_iter().map(|segment| match segment {
        guest::Segment::Bytes(bytes) => host::Segment::Bytes(bytes.into()),
        guest::Segment::Event(range) => {
            host::Segment::Event { index: range.index, offset: range.offset, length: range.length }
        }
        guest::Segment::Params(range) => {
            host::Segment::Params { call: range.call, offset: range.offset, length: range.length }
        }
    });
    segments.collect()
}

pub(crate) fn held(outstanding: guest::Outstanding) -> host::Outstanding {
    host::Outstanding {
        calls: outstanding.calls.into_iter().map(|call| (call.id, call.method, call.sent)).collect(),
        server_requests: outstanding.server_requests,
        exchanges: outstanding.exchanges,
        timers: outstanding.timers.into_iter().map(|timer| (timer.id, timer.at)).collect(),
    }
}
