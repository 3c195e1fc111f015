//! `innkeeper:guest@0.1.0`.

use bytes::Bytes;
use wasmtime::AsContextMut;

use crate::guest::boundary as b;

/// The generated bindings, kept apart because generated code keeps none of our lints.
mod generated {
    #![allow(unreachable_pub, missing_docs, clippy::all, reason = "generated code")]
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "innkeeper:guest/guest@0.1.0",
        exports: { default: async },
        // Events borrow their bytes, so that the only copy of a frame is the one into the guest's memory.
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

use generated::exports::innkeeper::guest::client as w;
pub(in crate::guest) use generated::{Guest, GuestPre};

pub(super) async fn describe<S: AsContextMut>(guest: &Guest, store: S) -> wasmtime::Result<b::GuestInfo>
where
    S::Data: Send,
{
    let info = guest.innkeeper_guest_client().call_describe(store).await?;
    Ok(b::GuestInfo {
        name: info.name,
        version: info.version,
        revisions: info.revisions,
        snapshot_formats: info.snapshot_formats,
        restorable_formats: info.restorable_formats,
        headers: info.headers,
        extensions: info.extensions,
    })
}

pub(super) async fn handle<S: AsContextMut>(
    guest: &Guest,
    store: S,
    now: u64,
    events: &[b::Event],
) -> wasmtime::Result<Vec<b::Effect>>
where
    S::Data: Send,
{
    let header_lists: Vec<Vec<w::HeaderParam<'_>>> = events.iter().map(headers).collect();
    let lowered: Vec<w::Event<'_>> =
        events.iter().zip(&header_lists).map(|(event, headers)| lower(event, headers)).collect();
    let effects = guest.innkeeper_guest_client().call_handle(store, now, &lowered).await?;
    Ok(effects.into_iter().map(lift).collect())
}

pub(super) async fn snapshot<S: AsContextMut>(
    guest: &Guest,
    store: S,
    format: &str,
) -> wasmtime::Result<Result<Vec<u8>, b::SnapshotError>>
where
    S::Data: Send,
{
    let snapshot = guest.innkeeper_guest_client().call_snapshot(store, format).await?;
    Ok(snapshot.map_err(|error| match error {
        w::SnapshotError::NotNow(why) => b::SnapshotError::NotNow(why),
        w::SnapshotError::UnknownFormat => b::SnapshotError::UnknownFormat,
        w::SnapshotError::Unsupported(why) => b::SnapshotError::Unsupported(why),
    }))
}

pub(super) async fn restore<S: AsContextMut>(
    guest: &Guest,
    store: S,
    state: &[u8],
    outstanding: &b::Outstanding,
) -> wasmtime::Result<Result<Vec<b::Effect>, b::RestoreError>>
where
    S::Data: Send,
{
    let calls: Vec<_> = outstanding
        .calls
        .iter()
        .map(|(id, method, sent)| w::OutstandingCall { id: *id, method, sent: *sent })
        .collect();
    let timers: Vec<_> = outstanding.timers.iter().map(|(id, at)| w::Timer { id: *id, at: *at }).collect();
    let outstanding = w::Outstanding {
        calls: &calls,
        server_requests: &outstanding.server_requests,
        exchanges: &outstanding.exchanges,
        timers: &timers,
    };
    let effects = guest.innkeeper_guest_client().call_restore(store, state, outstanding).await?;
    Ok(match effects {
        Ok(effects) => Ok(effects.into_iter().map(lift).collect()),
        Err(w::RestoreError::UnknownFormat) => Err(b::RestoreError::UnknownFormat),
        Err(w::RestoreError::Malformed(why)) => Err(b::RestoreError::Malformed(why)),
        Err(w::RestoreError::Unsupported(why)) => Err(b::RestoreError::Unsupported(why)),
    })
}

/// The header lists of an event, which its lowered form borrows.
fn headers(event: &b::Event) -> Vec<w::HeaderParam<'_>> {
    match event {
        b::Event::ResponseHead { headers, .. } => {
            headers.iter().map(|header| w::HeaderParam { name: &header.name, value: &header.value }).collect()
        }
        _ => Vec::new(),
    }
}

fn lower<'a>(event: &'a b::Event, headers: &'a [w::HeaderParam<'a>]) -> w::Event<'a> {
    match event {
        b::Event::Open(settings) => w::Event::Open(w::Settings {
            transport: match settings.transport {
                b::TransportKind::Stream => w::TransportKind::Stream,
                b::TransportKind::Http => w::TransportKind::Http,
            },
            revision: settings.revision.as_deref(),
            client_info: &settings.client_info,
            capabilities: &settings.capabilities,
            shared: settings.shared,
            limits: w::Limits {
                max_frame: settings.max_frame,
                max_result: settings.max_result,
                max_pages: settings.max_pages,
                max_server_requests: settings.max_server_requests,
            },
        }),
        b::Event::Started(incarnation) => w::Event::Started(*incarnation),
        b::Event::Exited(status) => w::Event::Exited(w::ExitStatus { code: status.code, signal: status.signal }),
        b::Event::Call(call) => w::Event::Call(w::Call {
            id: call.id,
            method: &call.method,
            params: call.params.as_deref(),
            progress: call.progress,
            all_pages: call.all_pages,
        }),
        b::Event::CancelCall(call) => w::Event::CancelCall(*call),
        b::Event::Notify { method, params } => w::Event::Notify(w::Notify { method, params: params.as_deref() }),
        b::Event::ServerResponse { id, answer } => w::Event::ServerResponse(w::ServerResponse {
            id: *id,
            answer: match answer {
                b::Answer::Result(result) => w::Answer::Result(result),
                b::Answer::Error(error) => w::Answer::Error(error),
                b::Answer::Refused => w::Answer::Refused,
            },
        }),
        b::Event::Frame(frame) => w::Event::Frame(frame),
        b::Event::Timer(timer) => w::Event::Timer(*timer),
        b::Event::ResponseHead { exchange, status, .. } => {
            w::Event::ResponseHead(w::ResponseHead { exchange: *exchange, status: *status, headers })
        }
        b::Event::ResponseBody { exchange, bytes } => {
            w::Event::ResponseBody(w::ResponseBody { exchange: *exchange, bytes })
        }
        b::Event::ServerSentEvent { exchange, event_type, data, id, retry } => {
            w::Event::ServerSentEvent(w::ServerSentEvent {
                exchange: *exchange,
                event_type: event_type.as_deref(),
                data,
                id: id.as_deref(),
                retry: *retry,
            })
        }
        b::Event::ResponseEnd(exchange) => w::Event::ResponseEnd(*exchange),
        b::Event::ExchangeFailed { exchange, failure, message } => w::Event::ExchangeFailed(w::ExchangeFailed {
            exchange: *exchange,
            failure: match failure {
                b::ExchangeFailure::Denied => w::ExchangeFailure::Denied,
                b::ExchangeFailure::Connect => w::ExchangeFailure::Connect,
                b::ExchangeFailure::Reset => w::ExchangeFailure::Reset,
                b::ExchangeFailure::Timeout => w::ExchangeFailure::Timeout,
                b::ExchangeFailure::TooLarge => w::ExchangeFailure::TooLarge,
                b::ExchangeFailure::Malformed => w::ExchangeFailure::Malformed,
            },
            message,
        }),
        b::Event::Close => w::Event::Close,
        b::Event::Extension(extension) => {
            w::Event::Extension(w::ExtensionParam { name: &extension.name, body: &extension.body })
        }
    }
}

fn lift(effect: w::Effect) -> b::Effect {
    match effect {
        w::Effect::Write(write) => b::Effect::Write { frame: payload(write.frame), call: write.call },
        w::Effect::FreshProcess => b::Effect::FreshProcess,
        w::Effect::Request(request) => b::Effect::Request(lift_request(request)),
        w::Effect::Abort(exchange) => b::Effect::Abort(exchange),
        w::Effect::OnCloseRequest(request) => b::Effect::OnCloseRequest(request.map(lift_request)),
        w::Effect::Complete(completion) => b::Effect::Complete {
            call: completion.call,
            outcome: match completion.outcome {
                w::Outcome::Result(result) => b::Outcome::Result(payload(result)),
                w::Outcome::Error(error) => b::Outcome::Error(payload(error)),
                w::Outcome::Fault(fault) => b::Outcome::Fault(lift_fault(fault)),
            },
        },
        w::Effect::Progress(progress) => b::Effect::Progress { call: progress.call, report: payload(progress.report) },
        w::Effect::Notification(notification) => {
            b::Effect::Notification { method: notification.method, params: payload(notification.params) }
        }
        w::Effect::ServerRequest(request) => b::Effect::ServerRequest {
            id: request.id,
            call: request.call,
            method: request.method,
            params: payload(request.params),
        },
        w::Effect::WithdrawServerRequest(id) => b::Effect::WithdrawServerRequest(id),
        w::Effect::Ready(info) => b::Effect::Ready { revision: info.revision, peer: payload(info.peer) },
        w::Effect::Disconnected(cause) => b::Effect::Disconnected(match cause {
            w::DisconnectCause::Refused(error) => b::DisconnectCause::Refused(payload(error)),
            w::DisconnectCause::Fault(fault) => b::DisconnectCause::Fault(lift_fault(fault)),
        }),
        w::Effect::SetTimer(timer) => b::Effect::SetTimer { id: timer.id, at: timer.at },
        w::Effect::CancelTimer(id) => b::Effect::CancelTimer(id),
        w::Effect::Log(line) => b::Effect::Log {
            level: match line.level {
                w::LogLevel::Trace => b::LogLevel::Trace,
                w::LogLevel::Debug => b::LogLevel::Debug,
                w::LogLevel::Info => b::LogLevel::Info,
                w::LogLevel::Warn => b::LogLevel::Warn,
                w::LogLevel::Error => b::LogLevel::Error,
            },
            message: line.message,
        },
        w::Effect::Extension(extension) => {
            b::Effect::Extension(b::Extension { name: extension.name, body: extension.body.into() })
        }
    }
}

fn lift_request(request: w::HttpRequest) -> b::HttpRequest {
    b::HttpRequest {
        exchange: request.exchange,
        call: request.call,
        method: request.method,
        target: match request.target {
            w::Target::Server => b::Target::Server,
            w::Target::Origin(path) => b::Target::Origin(path),
        },
        headers: request
            .headers
            .into_iter()
            .map(|header| b::Header { name: header.name, value: header.value })
            .collect(),
        body: request.body.map(payload),
    }
}

fn lift_fault(fault: w::Fault) -> b::Fault {
    b::Fault {
        kind: match fault.kind {
            w::FaultKind::Cancelled => b::FaultKind::Cancelled,
            w::FaultKind::Disconnected => b::FaultKind::Disconnected,
            w::FaultKind::Invalid => b::FaultKind::Invalid,
            w::FaultKind::ProtocolViolation => b::FaultKind::ProtocolViolation,
            w::FaultKind::TooLarge => b::FaultKind::TooLarge,
            w::FaultKind::Unsupported => b::FaultKind::Unsupported,
            w::FaultKind::Other => b::FaultKind::Other,
        },
        message: fault.message,
    }
}

fn payload(segments: Vec<w::Segment>) -> b::Payload {
    segments
        .into_iter()
        .map(|segment| match segment {
            w::Segment::Bytes(bytes) => b::Segment::Bytes(Bytes::from(bytes)),
            w::Segment::Event(range) => {
                b::Segment::Event { index: range.index, offset: range.offset, length: range.length }
            }
            w::Segment::Params(range) => {
                b::Segment::Params { call: range.call, offset: range.offset, length: range.length }
            }
        })
        .collect()
}
