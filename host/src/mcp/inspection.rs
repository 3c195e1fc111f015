//! What the guest of a tenant's own may say: calls of tools that somebody has called, each once, and none that is denied.
//!
//! Rules for tools bind what callers say, and the built-in guest sends what it was given. A guest that a tenant brings promises
//! nothing. So each message of such a guest is read here, as strictly as any server might read it, and a call of a tool has to be
//! the one that it is for: the same tool with the same arguments, not sent before.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{admission::named_tool, rules::Rules, tool_call::CALL_TOOL};
use crate::{
    ServerName,
    names::SpecDigest,
    session::{Inspector, SaidFor},
};

/// Inspects the sessions of a tenant with one server.
pub(super) struct Inspection {
    pub(super) rules: Arc<RwLock<Arc<Rules>>>,
    pub(super) server: ServerName,
    /// Of the server, which the session was opened with.
    pub(super) definition: SpecDigest,
}

impl Inspector for Inspection {
    fn outgoing(&self, message: &[u8], call: Option<SaidFor<'_>>) -> Result<(), String> {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner).clone();
        let rules = rules.of_session(&self.server, self.definition);
        let messages = match serde_json::from_slice::<Messages<'_>>(message) {
            Ok(messages) => messages.0,
            // Another protocol, perhaps. Where there are rules for tools, nothing is said that could be read as a call of one.
            Err(_) if !rules.restrict(&self.server) => return Ok(()),
            Err(error) => return Err(format!("it said what two servers could read differently: {error}")),
        };
        let mut calls = messages.iter().filter(|message| message.method.as_deref() == Some(CALL_TOOL));
        let Some(said) = calls.next() else { return Ok(()) };
        let tool = named_tool(said.params()).map_err(|problem| format!("it called no tool: {problem}"))?;
        rules.admit(&self.server, &tool).map_err(|error| format!("it called a tool that is denied: {error}"))?;
        let Some(call) = call.filter(|call| call.method == CALL_TOOL) else {
            return Err(format!("it called tool `{}`, and nobody had asked for that", tool.escape_debug()));
        };
        if call.before > 0 || calls.next().is_some() {
            return Err(format!("it called tool `{}` twice for one call", tool.escape_debug()));
        }
        let is_it = named_tool(call.params) == Ok(tool.clone()) && arguments(said.params()) == arguments(call.params);
        if is_it {
            Ok(())
        } else {
            Err(format!("it called tool `{}` otherwise than it was asked to", tool.escape_debug()))
        }
    }
}

/// What a tool is given, as a value: how it is written does not matter.
fn arguments(params: Option<&[u8]>) -> Option<serde_json::Value> {
    #[derive(Deserialize)]
    struct Params {
        arguments: Option<serde_json::Value>,
    }
    serde_json::from_slice::<Params>(params?).ok()?.arguments
}

/// A message, or a batch of them.
struct Messages<'a>(Vec<Message<'a>>);

/// What of a message says whether it is a call of a tool, read so that no other parser can read it otherwise.
#[derive(Default)]
struct Message<'a> {
    method: Option<String>,
    params: Option<&'a RawValue>,
}

impl Message<'_> {
    fn params(&self) -> Option<&[u8]> {
        self.params.map(|params| params.get().as_bytes())
    }
}

struct Whole;
struct One;

impl<'de> Deserialize<'de> for Messages<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Whole)
    }
}

impl<'de> Deserialize<'de> for Message<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(One)
    }
}

impl<'de> Visitor<'de> for Whole {
    type Value = Messages<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message or a batch of messages")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        Ok(Messages(vec![One.visit_map(members)?]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut messages = Vec::new();
        while let Some(message) = elements.next_element()? {
            messages.push(message);
        }
        Ok(Messages(messages))
    }
}

impl<'de> Visitor<'de> for One {
    type Value = Message<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut message = Message::default();
        while let Some(member) = members.next_key::<String>()? {
            let is = |name: &str| member.eq_ignore_ascii_case(name);
            let again = |is_there: bool| match is_there || (member != "method" && member != "params") {
                true => Err(A::Error::custom(format!("a second member, or one that some take for it: `{member}`"))),
                false => Ok(()),
            };
            if is("method") {
                again(message.method.is_some())?;
                message.method = Some(members.next_value()?);
            } else if is("params") {
                again(message.params.is_some())?;
                message.params = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Catalog, ToolRules};

    const ASKED: &[u8] = br#"{"name":"echo","arguments":{"a":1,"b":[2]}}"#;

    fn inspect(message: &str, call: Option<(&str, u32)>) -> Result<(), String> {
        let rules = Rules::new(&Catalog::new(), &ToolRules::new().deny("delete")).unwrap();
        let inspection = Inspection {
            rules: Arc::new(RwLock::new(Arc::new(rules))),
            server: "server".into(),
            definition: SpecDigest([0; 32]),
        };
        let call = call.map(|(method, before)| SaidFor { method, params: Some(ASKED), before });
        inspection.outgoing(message.as_bytes(), call)
    }

    fn refused(message: &str, call: Option<(&str, u32)>, words: &str) {
        let problem = inspect(message, call).unwrap_err();
        assert!(problem.contains(words), "{message}: {problem}");
    }

    const CALL: Option<(&str, u32)> = Some((CALL_TOOL, 0));

    #[test]
    fn what_somebody_has_asked_for_may_be_said_once_however_it_is_written() {
        let said = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments": {"b":[2],"a":1.0e0},"name":"echo","_meta":{"progressToken":1}}}"#;
        let said = said.replace("1.0e0", "1");

        assert_eq!(inspect(&said, CALL), Ok(()));
        assert_eq!(inspect(&format!("[{said}]"), CALL), Ok(()));
        refused(&said, Some((CALL_TOOL, 1)), "twice");
        refused(&format!("[{said},{said}]"), CALL, "twice");
        refused(&said, None, "nobody had asked");
        refused(&said, Some(("tools/list", 0)), "nobody had asked");
    }

    #[test]
    fn what_nobody_has_asked_for_may_not_be_said() {
        for (params, words) in [
            (r#"{"name":"delete","arguments":{}}"#, "denied"),
            (r#"{"name":"other","arguments":{"a":1,"b":[2]}}"#, "otherwise"),
            (r#"{"name":"echo","arguments":{"a":2,"b":[2]}}"#, "otherwise"),
            (r#"{"name":"echo"}"#, "otherwise"),
            (r#"{"name":"echo","name":"echo"}"#, "called no tool"),
        ] {
            refused(&format!(r#"{{"id":1,"method":"tools/call","params":{params}}}"#), CALL, words);
        }
    }

    #[test]
    fn what_two_servers_could_read_differently_may_not_be_said_where_there_are_rules() {
        for message in [
            r#"{"method":"ping","method":"tools/call","params":{"name":"delete"}}"#,
            r#"{"method":"ping","Method":"tools/call","params":{"name":"delete"}}"#,
            r#"{"m\u0065thod":"ping","method":"tools/call"}"#,
            r#"{"method":"ping"} {"method":"tools/call"}"#,
            r#"/* */ {"method":"tools/call"}"#,
            "\u{feff}{\"method\":\"tools/call\"}",
        ] {
            refused(message, CALL, "differently");
        }
    }

    #[test]
    fn everything_else_may_be_said() {
        for message in [r#"{"method":"ping","id":1}"#, r#"{"id":1,"result":{"method":"tools/call"}}"#, "[]"] {
            assert_eq!(inspect(message, None), Ok(()), "{message}");
        }
    }

    #[test]
    fn another_protocol_may_be_spoken_where_there_are_no_rules() {
        let rules = Rules::new(&Catalog::new(), &ToolRules::new()).unwrap();
        let inspection = Inspection {
            rules: Arc::new(RwLock::new(Arc::new(rules))),
            server: "server".into(),
            definition: SpecDigest([0; 32]),
        };

        assert_eq!(inspection.outgoing(b"CALL 1 echo", None), Ok(()));
    }
}
