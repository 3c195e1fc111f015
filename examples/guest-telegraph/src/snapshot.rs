//! What a successor must know, as text.
//!
//! A guest may be replaced between any two events, also by a later version of
//! itself, so the format has a name, and all that is in it is what the wire and
//! the host's tables cannot tell. The first line is the format; each further
//! line is one fact. Free text stands last on its line.

use crate::boundary::{Effect, FaultKind, Outstanding, RestoreError};
use crate::client::{Call, Client, Line, fail};
use crate::wire::is_word;

/// The one format that there is.
pub(crate) const FORMAT: &str = "telegraph/1";

impl Client {
    /// The whole state.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut text = format!("{FORMAT}\n");
        text += &format!("line {}\n", self.line.name());
        text += &format!("limits {} {}\n", self.max_frame, self.max_questions);
        for (id, Call { verb, params, progress, sent }) in &self.calls {
            let params = params.map_or_else(|| "none".to_owned(), |length| length.to_string());
            text += &format!("call {id} {params} {progress} {sent} {verb}\n");
        }
        text += &format!("next-question {}\n", self.next_question);
        for (id, tag) in &self.questions {
            text += &format!("question {id} {tag}\n");
        }
        text.into_bytes()
    }

    /// Continues from a snapshot, together with what the host holds for the session.
    pub fn restore(state: &[u8], outstanding: &Outstanding) -> Result<(Self, Vec<Effect>), RestoreError> {
        let text = std::str::from_utf8(state).map_err(|_| RestoreError::UnknownFormat)?;
        let mut lines = text.lines();
        if lines.next() != Some(FORMAT) {
            return Err(RestoreError::UnknownFormat);
        }
        let mut client = Self::default();
        for line in lines {
            client.learn(line).ok_or_else(|| RestoreError::Malformed(format!("not understood: {line}")))?;
        }

        // What ended between snapshot and restore is gone from the host's tables.
        client.calls.retain(|id, _| outstanding.calls.iter().any(|call| call.id == *id));
        client.questions.retain(|id, _| outstanding.server_requests.contains(id));
        // What the predecessor did not know cannot be gone on with: nothing says whether it is at the server.
        let unknown = outstanding.calls.iter().filter(|call| !client.calls.contains_key(&call.id));
        let effects =
            unknown.map(|call| fail(call.id, FaultKind::Other, "the guest was replaced and did not know this call"));
        let effects = effects.collect();
        Ok((client, effects))
    }

    /// Takes over one fact. None if the line is none.
    fn learn(&mut self, line: &str) -> Option<()> {
        let (kind, rest) = line.split_once(' ')?;
        match kind {
            "line" => self.line = Line::from_name(rest)?,
            "limits" => {
                let (max_frame, max_questions) = rest.split_once(' ')?;
                self.max_frame = max_frame.parse().ok()?;
                self.max_questions = max_questions.parse().ok()?;
            }
            "call" => {
                let mut words = rest.splitn(5, ' ');
                let id = words.next()?.parse().ok()?;
                let params = match words.next()? {
                    "none" => None,
                    length => Some(length.parse().ok()?),
                };
                let progress = words.next()?.parse().ok()?;
                let sent = words.next()?.parse().ok()?;
                let verb = words.next().filter(|verb| is_word(verb))?.to_owned();
                self.calls.insert(id, Call { verb, params, progress, sent });
            }
            "next-question" => self.next_question = rest.parse().ok()?,
            "question" => {
                let (id, tag) = rest.split_once(' ')?;
                self.questions.insert(id.parse().ok()?, Some(tag).filter(|tag| is_word(tag))?.to_owned());
            }
            _ => return None,
        }
        Some(())
    }
}

impl Line {
    fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Greeted => "greeted",
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Silent, Self::Greeted, Self::Open, Self::Closed].into_iter().find(|line| line.name() == name)
    }
}
