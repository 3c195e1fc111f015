//! A candidate for upgrades: the default guest under another name, with a fault where a test asks for one.
//!
//! Which fault is a matter of the component and not of a session, as with real candidates. So it stands in the component itself: a
//! test changes `FAULT` in its bytes, after `MARK`, and has another component. With the fault `none` it does all that the
//! default guest does, and takes over from it and gives over to it.

#![cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "only the component exports it"))]

use std::cell::RefCell;

use innkeeper_guest::Client;
use innkeeper_guest::boundary::{
    Completion, Effect, Event, Fault, FaultKind, Guest, GuestInfo, Instant, Outcome, Outstanding, RestoreError,
    Segment, SnapshotError, Write,
};

/// What stands before the name of the fault.
const MARK: &[u8; 16] = b"candidate-fault=";

/// The name of the fault, padded with spaces.
#[used]
static FAULT: [u8; 40] = *b"candidate-fault=none                    ";

/// The fault of this component.
fn fault() -> &'static str {
    // What the compiler knows of the bytes is not what they are when a test has changed them.
    let fault = std::hint::black_box(&FAULT);
    let name = fault.get(MARK.len()..).unwrap_or_default();
    std::str::from_utf8(name).unwrap_or_default().trim_end()
}

/// How many events a guest with a delayed fault lives to see.
const DELAY: u32 = 100;

thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(State { client: Client::new(), events: 0, kept: Vec::new() }) };
}

struct State {
    client: Client,
    /// Events since this instance began.
    events: u32,
    /// What it grows by.
    kept: Vec<Vec<u8>>,
}

impl State {
    fn handle(&mut self, now: Instant, events: Vec<Event>) -> Vec<Effect> {
        self.events = self.events.saturating_add(u32::try_from(events.len()).unwrap_or(u32::MAX));
        let is_due = self.events >= DELAY;
        let called = calls_of_tools(&events);
        let mut effects = self.client.handle(now, events);
        match fault() {
            "trap-later" if is_due => std::process::abort(),
            "spin-later" if is_due => spin(),
            // 4 MiB with each batch.
            "grow" => self.kept.push(vec![1; 4 << 20]),
            "lie-later" if is_due => effects.push(complete(u64::MAX)),
            // Beside each call of a tool, one more.
            "call-denied" => {
                effects.extend(called.iter().map(|(id, _)| call_tool(Some(*id), b"{\"name\":\"secret\"}")));
            }
            "call-unasked" => effects.extend(called.iter().map(|(_, params)| call_tool(None, params))),
            "call-twice" => effects.extend(called.iter().map(|(id, params)| call_tool(Some(*id), params))),
            _ => {}
        }
        effects
    }
}

/// The calls of tools among events, with their parameters.
fn calls_of_tools(events: &[Event]) -> Vec<(u64, Vec<u8>)> {
    let call = |event: &Event| match event {
        Event::Call(call) if call.method == "tools/call" => Some((call.id, call.params.clone().unwrap_or_default())),
        _ => None,
    };
    events.iter().filter_map(call).collect()
}

fn call_tool(call: Option<u64>, params: &[u8]) -> Effect {
    let params = String::from_utf8_lossy(params);
    let frame = format!("{{\"jsonrpc\":\"2.0\",\"id\":\"one more\",\"method\":\"tools/call\",\"params\":{params}}}");
    Effect::Write(Write { frame: vec![Segment::Bytes(frame.into_bytes())], call })
}

fn spin() -> ! {
    loop {
        std::hint::black_box(());
    }
}

fn complete(call: u64) -> Effect {
    let fault = Fault { kind: FaultKind::Other, message: "it does not want this call".into() };
    Effect::Complete(Completion { call, outcome: Outcome::Fault(fault) })
}

struct Candidate;

impl Guest for Candidate {
    fn describe() -> GuestInfo {
        GuestInfo { name: env!("CARGO_PKG_NAME").into(), ..Client::describe() }
    }

    fn handle(now: Instant, events: Vec<Event>) -> Vec<Effect> {
        STATE.with_borrow_mut(|state| state.handle(now, events))
    }

    fn snapshot(format: String) -> Result<Vec<u8>, SnapshotError> {
        STATE.with_borrow(|state| state.client.snapshot(&format))
    }

    fn restore(snapshot: Vec<u8>, outstanding: Outstanding) -> Result<Vec<Effect>, RestoreError> {
        let calls: Vec<u64> = outstanding.calls.iter().map(|call| call.id).collect();
        // The trial before an upgrade has no calls: some faults are seen with those of a session only.
        let has_calls = !calls.is_empty();
        let (client, mut effects) = Client::restore(&snapshot, outstanding)?;
        match fault() {
            "refuse" if has_calls => return Err(RestoreError::Unsupported("it has calls".into())),
            "refuse-all" => return Err(RestoreError::Unsupported("it takes nothing over".into())),
            "trap" if has_calls => std::process::abort(),
            "trap-at-once" => std::process::abort(),
            "spin" if has_calls => spin(),
            "unknown-call" if has_calls => effects.push(complete(u64::MAX)),
            "disown" => effects.extend(calls.into_iter().map(complete)),
            _ => {}
        }
        STATE.set(State { client, events: 0, kept: Vec::new() });
        Ok(effects)
    }
}

#[cfg(target_family = "wasm")]
innkeeper_guest::bindings::export!(Candidate with_types_in innkeeper_guest::bindings);
