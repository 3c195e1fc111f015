//! What is masked in a session, and what is not. No wasm and no host: events in, effects out.

use innkeeper_guest::boundary::{Call, Limits, Settings, TransportKind};
use innkeeper_guest::checker::{Checker, Ended, Observed};

use super::*;

/// A client and a host around it, which checks that every duty is kept.
struct Session {
    client: Client,
    checker: Checker,
}

impl Session {
    fn ready() -> Self {
        let mut session = Self { client: Client::new(), checker: Checker::new() };
        session.tell(vec![
            Event::Open(Settings {
                transport: TransportKind::Stream,
                revision: None,
                client_info: br#"{"name":"test","version":"1"}"#.to_vec(),
                capabilities: br#"{"sampling":{}}"#.to_vec(),
                shared: false,
                limits: Limits { max_frame: 1 << 20, max_result: 1 << 20, max_pages: 10, max_server_requests: 2 },
            }),
            Event::Started(1),
            frame(r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{}}}"#),
        ]);
        session
    }

    fn tell(&mut self, events: Vec<Event>) -> Vec<Observed> {
        let effects = self.client.handle(0, events.clone());
        self.checker.apply(&events, &effects).unwrap()
    }

    /// Calls, and takes the answer: `reply` is `"result":…` or `"error":…`. The id on the wire is one more than the call's.
    fn call(&mut self, id: CallId, all_pages: bool, reply: &str) -> Vec<Observed> {
        let call = Call { id, method: "tools/list".to_owned(), params: None, progress: true, all_pages };
        self.tell(vec![Event::Call(call)]);
        self.tell(vec![frame(&format!(r#"{{"jsonrpc":"2.0","id":{},{reply}}}"#, id + 1))])
    }
}

fn frame(text: &str) -> Event {
    Event::Frame(text.as_bytes().to_vec())
}

fn result(call: CallId, text: &str) -> Observed {
    Observed::Complete { call, outcome: Ended::Result(text.as_bytes().to_vec()) }
}

fn log(message: &str) -> Observed {
    Observed::Log(LogLevel::Info, message.to_owned())
}

#[test]
fn secrets_in_results_are_masked_counted_and_logged() {
    let mut session = Session::ready();

    let first = session.call(1, false, r#""result":{ "text": "alice@example.com and bob@example.com" }"#);
    let second = session.call(2, false, r#""result":[4111111111111111]"#);

    let expected = result(1, r#"{ "text": "[mail] and [mail]" }"#);
    assert_eq!(first, [expected, log("masked 2 in the result of call 1, 2 in this session")]);
    assert_eq!(second, [result(2, "[0]"), log("masked 1 in the result of call 2, 3 in this session")]);
    assert_eq!(session.client.masked(), 3);
}

#[test]
fn a_result_gathered_from_pages_is_masked_as_one() {
    let mut session = Session::ready();

    session.call(1, true, r#""result":{"tools":["a@b.cc"],"nextCursor":"2"}"#);
    let last = session.tell(vec![frame(r#"{"jsonrpc":"2.0","id":3,"result":{"tools":["c@d.ee"]}}"#)]);

    let expected = result(1, r#"{"tools":["[mail]","[mail]"]}"#);
    assert_eq!(last, [expected, log("masked 2 in the result of call 1, 2 in this session")]);
}

#[test]
fn a_result_without_a_secret_stays_where_it_is() {
    let mut session = Session::ready();
    let call = Call { id: 1, method: "ping".to_owned(), params: None, progress: false, all_pages: false };
    session.tell(vec![Event::Call(call)]);

    let effects = session.client.handle(0, vec![frame(r#"{"jsonrpc":"2.0","id":2,"result":{"text":"none"}}"#)]);

    let [Effect::Complete(completion)] = &effects[..] else { panic!("{effects:?}") };
    let Outcome::Result(result) = &completion.outcome else { panic!("{completion:?}") };
    assert!(matches!(result[..], [Segment::Event(_)]), "{result:?}");
}

#[test]
fn all_but_results_passes() {
    let mut session = Session::ready();

    let error = session.call(1, false, r#""error":{"code":1,"message":"ask a@b.cc"}"#);
    let news = session.tell(vec![frame(r#"{"jsonrpc":"2.0","method":"x","params":{"from":"a@b.cc"}}"#)]);

    let outcome = Ended::Error(br#"{"code":1,"message":"ask a@b.cc"}"#.to_vec());
    assert_eq!(error, [Observed::Complete { call: 1, outcome }]);
    assert_eq!(news, [Observed::Notification { method: "x".to_owned(), params: br#"{"from":"a@b.cc"}"#.to_vec() }]);
}

#[test]
fn a_result_that_cannot_be_read_is_withheld() {
    let mut client = Client::new();
    let range = innkeeper_guest::boundary::ParamsRange { call: 1, offset: 0, length: 2 };
    let unreadable =
        innkeeper_guest::boundary::Completion { call: 1, outcome: Outcome::Result(vec![Segment::Params(range)]) };

    let effects = client.mask(vec![Effect::Complete(unreadable)], &Carried::default());

    let [Effect::Complete(completion)] = &effects[..] else { panic!("{effects:?}") };
    assert!(
        matches!(&completion.outcome, Outcome::Fault(fault) if fault.message.contains("withheld")),
        "{completion:?}"
    );
}
