//! A guest that makes the HTTP exchanges that it is told to, for the tests of
//! the host.
//!
//! It speaks no protocol. The params of a call are a request, written as one
//! writes HTTP:
//!
//! ```text
//! POST server
//! x-test: 1
//!
//! the body
//! ```
//!
//! with `server` for the configured URL, or a path at its origin. The result is
//! what the host told of the exchange, a line for each event. What is done
//! besides is said by the *method* of the call, see `calls`, and what is done
//! without one by the *revision* in the settings, see `Mode`.

mod calls;
mod transcript;

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::bindings::exports::innkeeper::guest::client::{
    CallId, DisconnectCause, Effect, Event, ExchangeId, Fault, FaultKind, Guest, GuestInfo, HttpRequest, Instant,
    Outstanding, RestoreError, SessionInfo, SnapshotError,
};
use crate::calls::Errand;

mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "guest" });
}

/// What it does without a call.
#[derive(Clone, Copy, Default, PartialEq)]
enum Mode {
    /// Is ready at once.
    #[default]
    Ready,
    /// Asks the server first, and is ready if it answers with success.
    Handshake,
    /// Asks as the first, and never is ready.
    Endless,
    /// Is ready at once, and sends something when the session ends.
    Farewell,
}

#[derive(Default)]
struct State {
    mode: Mode,
    errands: BTreeMap<ExchangeId, Errand>,
    handshake: Option<ExchangeId>,
    next_exchange: ExchangeId,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

impl State {
    fn handle(&mut self, event: &Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Open(settings) => self.open(settings.revision.as_deref(), effects),
            Event::Call(call) => calls::perform(call, self, effects),
            Event::CancelCall(id) => self.cancel(*id, effects),
            Event::Close => self.close(effects),
            Event::ResponseHead(head) => {
                if self.handshake == Some(head.exchange) {
                    self.greeted(head.status, effects);
                }
                self.tell(head.exchange, transcript::head(head), effects);
            }
            Event::ResponseBody(body) => self.tell(body.exchange, transcript::body(&body.bytes), effects),
            Event::ServerSentEvent(event) => self.tell(event.exchange, transcript::event(event), effects),
            Event::ResponseEnd(id) => self.end(*id, "end\n".into(), effects),
            Event::ExchangeFailed(failed) => {
                if self.handshake.take_if(|id| *id == failed.exchange).is_some() {
                    effects.push(give_up("the greeting failed"));
                }
                self.end(failed.exchange, transcript::failed(failed), effects);
            }
            _ => {}
        }
    }

    fn open(&mut self, revision: Option<&str>, effects: &mut Vec<Effect>) {
        self.mode = match revision {
            Some("handshake") => Mode::Handshake,
            Some("endless") => Mode::Endless,
            Some("farewell") => Mode::Farewell,
            _ => Mode::Ready,
        };
        match self.mode {
            Mode::Handshake => {
                let id = self.new_exchange();
                self.handshake = Some(id);
                effects.push(Effect::Request(calls::request("GET server", id, None)));
            }
            Mode::Endless => {
                let id = self.new_exchange();
                effects.push(Effect::Request(calls::request("GET server", id, None)));
            }
            Mode::Ready | Mode::Farewell => effects.push(ready()),
        }
    }

    fn greeted(&mut self, status: u16, effects: &mut Vec<Effect>) {
        self.handshake = None;
        effects.push(if (200..300).contains(&status) { ready() } else { give_up("the server does not greet") });
    }

    fn close(&mut self, effects: &mut Vec<Effect>) {
        let errands = std::mem::take(&mut self.errands).into_values();
        effects.extend(errands.map(|errand| calls::fail(errand.call, FaultKind::Disconnected, "closed")));
        if self.mode == Mode::Farewell {
            let id = self.new_exchange();
            effects.push(Effect::Request(calls::request("POST server\n\nfarewell", id, None)));
        }
    }

    fn cancel(&mut self, call: CallId, effects: &mut Vec<Effect>) {
        let exchange = self.errands.iter().find(|(_, errand)| errand.call == call).map(|(id, _)| *id);
        if let Some(exchange) = exchange {
            self.errands.remove(&exchange);
            effects.push(Effect::Abort(exchange));
            effects.push(calls::fail(call, FaultKind::Cancelled, "cancelled"));
        }
    }

    fn tell(&mut self, exchange: ExchangeId, line: String, effects: &mut Vec<Effect>) {
        let Some(errand) = self.errands.get_mut(&exchange) else { return };
        if errand.tell(&line, effects) {
            let errand = self.errands.remove(&exchange);
            effects.push(Effect::Abort(exchange));
            effects.extend(errand.map(Errand::finish));
        }
    }

    fn end(&mut self, exchange: ExchangeId, line: String, effects: &mut Vec<Effect>) {
        let Some(mut errand) = self.errands.remove(&exchange) else { return };
        errand.tell(&line, effects);
        effects.push(errand.finish());
    }

    fn new_exchange(&mut self) -> ExchangeId {
        self.next_exchange += 1;
        self.next_exchange
    }

    fn start(&mut self, call: CallId, text: &str, errand: Errand) -> HttpRequest {
        let id = self.new_exchange();
        self.errands.insert(id, errand);
        calls::request(text, id, Some(call))
    }
}

fn ready() -> Effect {
    Effect::Ready(SessionInfo { revision: "courier".into(), peer: calls::bytes("{}") })
}

fn give_up(message: &str) -> Effect {
    Effect::Disconnected(DisconnectCause::Fault(Fault { kind: FaultKind::Other, message: message.into() }))
}

struct Courier;

impl Guest for Courier {
    fn describe() -> GuestInfo {
        GuestInfo {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            revisions: Vec::new(),
            snapshot_formats: Vec::new(),
            restorable_formats: Vec::new(),
            // The last one is the host's, whoever declares it.
            headers: ["accept", "content-type", "x-test", "cookie"].map(String::from).into(),
            extensions: Vec::new(),
        }
    }

    fn handle(_now: Instant, events: Vec<Event>) -> Vec<Effect> {
        let mut effects = Vec::new();
        STATE.with_borrow_mut(|state| {
            for event in &events {
                state.handle(event, &mut effects);
            }
        });
        effects
    }

    fn snapshot(_format: String) -> Result<Vec<u8>, SnapshotError> {
        Err(SnapshotError::UnknownFormat)
    }

    fn restore(_state: Vec<u8>, _outstanding: Outstanding) -> Result<Vec<Effect>, RestoreError> {
        Err(RestoreError::UnknownFormat)
    }
}

#[cfg(target_family = "wasm")]
bindings::export!(Courier with_types_in bindings);
