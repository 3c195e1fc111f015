//! What a mutant does wrong.

use std::collections::BTreeMap;

use innkeeper_guest::boundary::{Answer, CallId, Completion, Effect, Event, Outcome, Payload, Segment, Write};

/// The things that may be wrong: what an engine would get wrong by an index, a branch or a line too few.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A result lacks one byte.
    ResultByteDropped,
    /// A call is answered with the result of the one before.
    ResultOfAnotherCall,
    /// The error of a server is given as a result.
    ErrorAsResult,
    /// The result of a server is given as its error.
    ResultAsError,
    /// A call is sent twice.
    CallRepeated,
    /// What a call names is not what its caller named.
    CallMisdirected,
    /// A report of progress is not passed on.
    ProgressDropped,
    /// A notification is not passed on.
    NotificationDropped,
    /// The platform's answer to the server is replaced by a refusal.
    AnswerRefused,
    /// What the server says of itself lacks one byte.
    PeerByteDropped,
    /// The server is not told what the platform can answer.
    CapabilitiesWithheld,
}

impl Kind {
    const ALL: [Self; 11] = [
        Self::ResultByteDropped,
        Self::ResultOfAnotherCall,
        Self::ErrorAsResult,
        Self::ResultAsError,
        Self::CallRepeated,
        Self::CallMisdirected,
        Self::ProgressDropped,
        Self::NotificationDropped,
        Self::AnswerRefused,
        Self::PeerByteDropped,
        Self::CapabilitiesWithheld,
    ];
}

/// How many opportunities may pass. Small, so that there is one in a short conversation.
const LATEST: u64 = 4;

/// What a call names, in the parameters of `tools/call` and `prompts/get`.
const NAME: &[u8] = br#""name":""#;

pub(crate) struct Mutation {
    kind: Kind,
    seed: u64,
    /// Opportunities to let pass; none when it is done.
    pass: Option<u64>,
    /// The result before.
    previous: Option<Vec<u8>>,
    params: BTreeMap<CallId, Vec<u8>>,
}

impl Mutation {
    /// Kinds go round with the seed, so that as many seeds as there are kinds have each once.
    pub(crate) fn new(seed: u64) -> Self {
        let kinds = Kind::ALL.len() as u64;
        let kind = usize::try_from(seed % kinds).map_or(Kind::ResultByteDropped, |index| Kind::ALL[index]);
        // There is one opening, and so one opportunity, for these two.
        let once = matches!(kind, Kind::PeerByteDropped | Kind::CapabilitiesWithheld);
        let pass = if once { 0 } else { seed / kinds % LATEST };
        Self { kind, seed, pass: Some(pass), previous: None, params: BTreeMap::new() }
    }

    pub(crate) fn change_events(&mut self, events: &mut [Event]) {
        for event in events {
            match event {
                Event::Open(settings) if self.is_due(Kind::CapabilitiesWithheld) => {
                    settings.capabilities = b"{}".to_vec();
                }
                Event::Call(call) => {
                    self.params.insert(call.id, call.params.clone().unwrap_or_default());
                }
                Event::ServerResponse(response) if self.is_due(Kind::AnswerRefused) => {
                    response.answer = Answer::Refused;
                }
                _ => {}
            }
        }
    }

    pub(crate) fn change_effects(&mut self, effects: Vec<Effect>, events: &[Event]) -> Vec<Effect> {
        effects.into_iter().flat_map(|effect| self.change_effect(effect, events)).collect()
    }

    fn change_effect(&mut self, effect: Effect, events: &[Event]) -> Vec<Effect> {
        match effect {
            Effect::Complete(Completion { call, outcome }) => {
                vec![Effect::Complete(Completion { call, outcome: self.change_outcome(outcome, events) })]
            }
            Effect::Write(write) if write.call.is_some() => self.change_call(write, events),
            Effect::Progress(_) if self.is_due(Kind::ProgressDropped) => Vec::new(),
            Effect::Notification(_) if self.is_due(Kind::NotificationDropped) => Vec::new(),
            Effect::Ready(mut info) if self.is_due(Kind::PeerByteDropped) => {
                info.peer = self.without_a_byte(&self.bytes(&info.peer, events));
                vec![Effect::Ready(info)]
            }
            other => vec![other],
        }
    }

    fn change_outcome(&mut self, outcome: Outcome, events: &[Event]) -> Outcome {
        match outcome {
            Outcome::Result(payload) => {
                let bytes = self.bytes(&payload, events);
                let previous = self.previous.replace(bytes.clone());
                if self.is_due(Kind::ResultByteDropped) {
                    return Outcome::Result(self.without_a_byte(&bytes));
                }
                if self.is_due(Kind::ResultAsError) {
                    return Outcome::Error(payload);
                }
                match previous.filter(|previous| *previous != bytes) {
                    Some(previous) if self.is_due(Kind::ResultOfAnotherCall) => {
                        Outcome::Result(vec![Segment::Bytes(previous)])
                    }
                    _ => Outcome::Result(payload),
                }
            }
            Outcome::Error(payload) if self.is_due(Kind::ErrorAsResult) => Outcome::Result(payload),
            other => other,
        }
    }

    fn change_call(&mut self, mut write: Write, events: &[Event]) -> Vec<Effect> {
        if self.is_due(Kind::CallRepeated) {
            return vec![Effect::Write(write.clone()), Effect::Write(write)];
        }
        let mut frame = self.bytes(&write.frame, events);
        let name = frame.windows(NAME.len()).position(|window| window == NAME);
        if let Some(first) =
            name.and_then(|at| frame.get_mut(at + NAME.len())).filter(|_| self.is_due(Kind::CallMisdirected))
        {
            *first = b'_';
            write.frame = vec![Segment::Bytes(frame)];
        }
        vec![Effect::Write(write)]
    }

    /// Whether this is what the mutation is about, and the time for it.
    fn is_due(&mut self, kind: Kind) -> bool {
        if kind != self.kind {
            return false;
        }
        let due = self.pass == Some(0);
        self.pass = self.pass.and_then(|pass| pass.checked_sub(1));
        due
    }

    fn without_a_byte(&self, bytes: &[u8]) -> Payload {
        // Any will do, and a different one for each seed: a multiplicative hash.
        let hash = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
        let at = usize::try_from(hash % (bytes.len() as u64).max(1)).unwrap_or_default();
        let kept = bytes.iter().enumerate().filter(|(index, _)| *index != at);
        vec![Segment::Bytes(kept.map(|(_, byte)| *byte).collect())]
    }

    /// What a payload says.
    fn bytes(&self, payload: &Payload, events: &[Event]) -> Vec<u8> {
        let part = |bytes: &[u8], offset: u32, length: u32| {
            let from = offset as usize;
            bytes.get(from..from + length as usize).unwrap_or_default().to_vec()
        };
        let segment = |segment: &Segment| match segment {
            Segment::Bytes(bytes) => bytes.clone(),
            Segment::Event(range) => match events.get(range.index as usize) {
                Some(Event::Frame(frame)) => part(frame, range.offset, range.length),
                _ => Vec::new(),
            },
            Segment::Params(range) => {
                self.params.get(&range.call).map_or_else(Vec::new, |params| part(params, range.offset, range.length))
            }
        };
        payload.iter().flat_map(segment).collect()
    }
}
